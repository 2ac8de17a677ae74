"""Where the configuration of a process comes from."""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import attrs

from edge.config.embedded import DEFAULT_MEDIA_PORT, embedded_tree, own_address
from edge.config.load import Loaded, load
from edge.config.model import Role
from edge.config.sources import Tree

__all__ = ["Launch"]


@attrs.frozen(kw_only=True)
class Launch:
    """Where the configuration of this process comes from; asked again at every reload.

    Attributes:
        path: TOML file; None for none.
        environ: environment variables.
        role: the only role to run; None for all.
        options: what the command line sets.
        media_port: public UDP port of the relay, where nothing else says.
        successor_of: descriptor of the channel to the program in whose place this one is started; None for none.
    """

    path: Path | None = None
    environ: Mapping[str, str] = attrs.field(factory=lambda: dict(os.environ), repr=False)
    role: Role | None = None
    options: Tree = attrs.field(factory=dict)
    media_port: int = DEFAULT_MEDIA_PORT
    successor_of: int | None = None

    def load(self) -> Loaded:
        """Load the configuration.

        Raises:
            ConfigError: something is wrong with it.
        """
        defaults = partial(embedded_tree, own_address(), media_port=self.media_port) if self.role is None else None
        return load(path=self.path, environ=self.environ, role=self.role, defaults=defaults, options=self.options)
