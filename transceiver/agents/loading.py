"""Finding an agent by its name, "module:function"."""

import importlib
import inspect
import sys
from pathlib import Path
from typing import cast

from transceiver.agents.contract import Agent

__all__ = ["AgentNotFound", "load_agent"]


class AgentNotFound(Exception):  # noqa: N818 - named for what happened
    """There is no such agent; the text says what is there instead, in words for whoever wrote the name."""


def load_agent(name: str) -> Agent:
    """Import an agent. The current folder is looked in too, after everything that is installed.

    Args:
        name: "module:function"; the function may be an attribute of something, "module:thing.function".

    Raises:
        AgentNotFound: there is no such module or function, or it is not an async function of one parameter. A module
            that is there, but fails while it is imported, is named with what it raised.
    """
    module_name, colon, path = name.partition(":")
    if not colon or not module_name or not path:
        raise AgentNotFound(f'"{name}" is not of the form "module:function"')
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        found: object = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        where = "" if missing == module_name else f', which "{module_name}" imports'
        raise AgentNotFound(f'there is no module "{missing}"{where}; looked in {here} too') from error
    except Exception as error:
        raise AgentNotFound(f'"{module_name}" cannot be imported: {type(error).__name__}: {error}') from error
    for part in path.split("."):
        if not hasattr(found, part):
            raise AgentNotFound(f'"{module_name}" has no "{path}"')
        found = getattr(found, part)
    called = found if inspect.isroutine(found) else getattr(found, "__call__", None)  # noqa: B004 - asked for its kind
    if not inspect.iscoroutinefunction(called):
        raise AgentNotFound(f'"{name}" is not an async function: async def {path}(conversation)')
    try:
        inspect.signature(called).bind(object())
    except TypeError:
        raise AgentNotFound(f'"{name}" should take one argument: async def {path}(conversation)') from None
    return cast("Agent", found)
