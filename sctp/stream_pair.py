"""The life of a stream identifier: two streams that are reset one by one before it is free again.

    CONNECTING ──DATA_CHANNEL_ACK, or any message──▶ OPEN        ours was opened here, with DCEP
         │                                            │
         └───── either side wants to close it ────────┴──▶ CLOSING ──both streams are reset──▶ free

The two ends do not see the end at the same time. The peer's stream may have been reset while the answer to the reset
of ours is on its way; for the peer, which has given that answer, the identifier is free, and it may open the next
channel on it. So a reset can outlive its channel: `is_resetting` belongs to the stream.

Source: RFC 8831 §6.7; RFC 8832 §6.
"""

import enum

import attrs

from sctp.channel import Channel

__all__ = ["Phase", "StreamPair"]


class Phase(enum.Enum):
    """How far a channel is."""

    CONNECTING = "connecting"
    """We have opened it, and the peer has said nothing on it yet."""
    OPEN = "open"
    CLOSING = "closing"
    """Our stream was reset, or is about to be; the peer may not know."""


@attrs.define(kw_only=True)
class StreamPair:
    """The streams of an identifier that is not free.

    Attributes:
        phase: how far the channel is.
        channel: whose end the application has still to be told; None when it was told, or never knew of it.
        is_ours: whether we have opened it with DCEP.
        is_acked: whether the peer's DATA_CHANNEL_ACK has come.
        has_peer_reset: whether the peer has reset its stream.
        is_resetting: whether a reset of our stream is unanswered; perhaps that of the channel before this one.
        needs_reset: whether our stream has to be reset once more after that.
        is_stuck: whether the peer has refused the reset, so that the identifier never becomes free.
    """

    phase: Phase
    channel: Channel | None = None
    is_ours: bool = False
    is_acked: bool = False
    has_peer_reset: bool = False
    is_resetting: bool = False
    needs_reset: bool = False
    is_stuck: bool = False

    @property
    def usable(self) -> Channel | None:
        """The channel, if messages can be sent on it."""
        return None if self.phase is Phase.CLOSING else self.channel

    @property
    def is_free(self) -> bool:
        """Whether both streams were reset."""
        is_ours_reset = self.phase is Phase.CLOSING and not self.is_resetting and not self.is_stuck
        return is_ours_reset and self.has_peer_reset

    @property
    def is_free_for_peer(self) -> bool:
        """Whether the peer may take it to be free."""
        return self.phase is Phase.CLOSING and self.has_peer_reset

    def reopen(self, channel: Channel) -> None:
        """Begin the peer's next channel on an identifier that it takes to be free."""
        self.phase, self.channel = Phase.OPEN, channel
        self.is_ours = self.is_acked = self.has_peer_reset = self.needs_reset = False

    def begin_anew(self) -> None:
        """The peer has restarted the association while the channel was being closed: our reset is asked for again."""
        self.has_peer_reset = self.is_resetting = True
        self.needs_reset = self.is_stuck = False

    def begin_reset(self) -> bool:
        """Close the channel.

        Returns:
            Whether a reset of our stream is to be asked for now.
        """
        if self.phase is Phase.CLOSING:
            return False
        self.phase = Phase.CLOSING
        self.needs_reset = self.is_resetting
        self.is_resetting = True
        return not self.needs_reset

    def reset_answered(self, *, is_performed: bool) -> bool:
        """The peer has answered a reset of our stream.

        Returns:
            Whether another one is to be asked for now.
        """
        if not self.is_resetting and is_performed:
            # It was the peer's wish (RFC 6525 §4.2), so for the peer the channel is half closed.
            self.phase = Phase.CLOSING
        self.is_resetting = self.needs_reset
        self.needs_reset = False
        if not self.is_resetting and self.phase is Phase.CLOSING:
            self.is_stuck = not is_performed
        return self.is_resetting
