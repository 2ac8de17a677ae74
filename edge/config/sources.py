"""Where values come from: the TOML file and the environment, each as a tree of tables.

A later source overrides an earlier one value by value: embedded defaults, file, environment, command line.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from edge.config.catalogue import ENVIRONMENT_PREFIX, all_keys
from edge.config.problems import ConfigError, Problem, Text

__all__ = ["Tree", "merge", "read_environment", "read_file", "set_value"]

Tree = dict[str, object]

# Variables of the prefix that are not keys: the command line's own options, those of `trio-voice call` included.
_OPTION_VARIABLES = {"TRIO_VOICE_CONFIG", "TRIO_VOICE_KEY", "TRIO_VOICE_ROLE"}

# Kubernetes sets these for every Service, and one may well be called "trio-voice-relay".
_KUBERNETES_VARIABLE = re.compile(r".*_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)")


def read_file(path: Path) -> Tree:
    """Read a TOML file.

    Raises:
        ConfigError: it is not there, cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        right = "Give the path of a TOML file; `trio-voice config` prints one to start from."
        raise ConfigError([Problem(str(path), "there is no such file", right)]) from None
    except OSError as error:
        right = "The file must be readable for this process."
        raise ConfigError([Problem(str(path), str(error.strerror), right)]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        right = "It must be TOML; `trio-voice config` prints an example."
        raise ConfigError([Problem(str(path), f"not TOML: {error}", right)]) from None


def read_environment(environ: Mapping[str, str]) -> tuple[Tree, list[str]]:
    """Read the `TRIO_VOICE_…` variables.

    An unknown one is no error: orchestrators make variables of their own out of a service's name.

    Returns:
        The tree, and a warning for each variable that looks misspelt.
    """
    tree: Tree = {}
    warnings = []
    by_variable = {key.variable: key for key in all_keys()}
    for variable, value in sorted(environ.items()):
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in _OPTION_VARIABLES:
            continue
        if key := by_variable.get(variable):
            set_value(tree, key.path, Text(value, f"environment variable {variable}"))
        elif not _KUBERNETES_VARIABLE.fullmatch(variable):
            near = difflib.get_close_matches(variable, by_variable, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            warnings.append(f"environment variable {variable} is not one of ours and was ignored{hint}")
    return tree, warnings


def set_value(tree: Tree, path: tuple[str, ...], value: object) -> None:
    """Set one value in a tree, making the tables on the way."""
    for part in path[:-1]:
        below = tree.setdefault(part, {})
        if not isinstance(below, dict):
            raise TypeError(f"{part} is not a table")
        tree = below
    tree[path[-1]] = value


def merge(lower: Tree, upper: Tree) -> Tree:
    """Lay one tree over another; tables are merged, anything else is replaced. Neither tree changes."""
    merged = dict(lower)
    for key, value in upper.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
