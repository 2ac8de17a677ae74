"""What an old program and its successor say to each other, one JSON object a line."""

import attrs

from edge.children.lines import Lines

__all__ = ["NEWS", "ORDERS", "Given", "Go", "News", "Order", "Prepared", "Serving"]


@attrs.frozen(kw_only=True)
class Given:
    """Sockets that come along, and what each was for.

    Attributes:
        worker: number of the worker that read them.
        purposes: of each, `relay.sockets.HOP` or the number of its ingress.
        is_last: whether there are no others.
    """

    worker: int
    purposes: tuple[int, ...]
    is_last: bool


@attrs.frozen(kw_only=True)
class Go:
    """Nobody else reads the sockets any more."""


Order = Given | Go
"""What the old program says."""


@attrs.frozen(kw_only=True)
class Prepared:
    """It could forward now."""


@attrs.frozen(kw_only=True)
class Serving:
    """It forwards; nobody needs the old program any more."""


News = Prepared | Serving
"""What the new program says."""

ORDERS = Lines(Order)
NEWS = Lines(News)
