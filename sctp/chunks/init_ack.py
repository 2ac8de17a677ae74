"""INIT ACK, chunk type 2: the answer to INIT, with a cookie.

The fields are those of `sctp.chunks.initiation`.

Source: RFC 9260 §3.3.3.
"""

from typing import ClassVar

import attrs

from sctp.chunks.initiation import Initiation

__all__ = ["InitAck"]


@attrs.frozen(kw_only=True)
class InitAck(Initiation):
    """The answer; alone in its packet. Without a `StateCookie` it is of no use."""

    TYPE: ClassVar[int] = 2
