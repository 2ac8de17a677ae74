"""INIT, chunk type 1: the wish to have an association.

The fields are those of `sctp.chunks.initiation`.

Source: RFC 9260 §3.3.2.
"""

from typing import ClassVar

import attrs

from sctp.chunks.initiation import Initiation

__all__ = ["Init"]


@attrs.frozen(kw_only=True)
class Init(Initiation):
    """The first packet of an association; alone in its packet, whose verification tag is 0."""

    TYPE: ClassVar[int] = 1
