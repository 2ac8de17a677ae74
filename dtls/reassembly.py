"""From fragments to whole messages, in order.

Goal: a peer, or anybody while nothing is protected yet, can make us hold a bounded number of bytes and nothing else.

Fragments may come in any order, repeated and overlapping (RFC 9147 §5.5). A message is held from its first fragment
on, when it is the next one or at most `look_ahead` behind it, and while all held together stay under a limit.
"""

import enum

import attrs

from dtls.drops import DropReason
from dtls.handshake.message import Fragment, HandshakeMessage
from wire.core import Drops
from wire.intervals import IntervalBuffer

__all__ = ["LOOK_AHEAD", "FragmentOutcome", "Reassembler"]

LOOK_AHEAD = 8
"""Messages worth holding beyond the next; the longest flight has six."""

_MAX_GAPS = 64
"""Separate pieces of one message; a sender that fragments to a sane MTU stays far below."""


class FragmentOutcome(enum.Enum):
    """What became of a fragment."""

    ACCEPTED = "accepted"
    """It was kept, or we had it already; either way it may be acknowledged."""
    OLD = "old"
    """Its message was handled before."""
    REFUSED = "refused"
    """It was dropped, and must not be acknowledged."""


@attrs.define
class _Partial:
    type: int
    epoch: int
    buffer: IntervalBuffer


class Reassembler:
    """Puts messages together.

    Args:
        drops: where dropped fragments are counted.
        max_message_size: bytes of the largest message accepted. All messages held have twice that at most.

    Attributes:
        next_seq: number of the next message to hand out.
        epoch: the only epoch whose fragments are believed; whoever handles messages moves it with the keys (`believe`).
        look_ahead: how many messages beyond the next are held; none before there is reason to expect any.
    """

    __slots__ = ("_drops", "_max_message_size", "_partials", "epoch", "look_ahead", "next_seq")

    def __init__(self, drops: Drops, max_message_size: int) -> None:
        self._drops = drops
        self._max_message_size = max_message_size
        self._partials: dict[int, _Partial] = {}
        self.next_seq = 0
        self.epoch = 0
        self.look_ahead = 0

    def add(self, fragment: Fragment, epoch: int) -> FragmentOutcome:
        """Take a fragment that came in a record of `epoch`."""
        if fragment.message_seq < self.next_seq:
            # RFC 9147 §5.2: a message with a lower sequence number MUST be discarded.
            self._drops[DropReason.OLD_MESSAGE] += 1
            return FragmentOutcome.OLD
        reason = self._objection(fragment, epoch)
        if reason is None:
            partial = self._partials.get(fragment.message_seq)
            if partial is None:
                partial = _Partial(fragment.type, epoch, IntervalBuffer(fragment.length))
                self._partials[fragment.message_seq] = partial
                is_new = True
            else:
                is_new = False
            is_new |= partial.buffer.add(fragment.offset, fragment.data)
            if not is_new:
                self._drops[DropReason.REPEATED_FRAGMENT] += 1
            return FragmentOutcome.ACCEPTED
        self._drops[reason] += 1
        return FragmentOutcome.REFUSED

    def next_message(self) -> HandshakeMessage | None:
        """Hand out the next message when it is complete."""
        partial = self._partials.get(self.next_seq)
        if partial is None or not partial.buffer.is_complete:
            return None
        message_seq = self.next_seq
        del self._partials[message_seq]
        self.next_seq += 1
        return HandshakeMessage(
            type=partial.type, message_seq=message_seq, epoch=partial.epoch, body=partial.buffer.take()
        )

    def believe(self, epoch: int) -> None:
        """Believe fragments of this epoch only; forget those of another that came ahead of their turn."""
        if epoch != self.epoch:
            self.clear()
        self.epoch = epoch
        self.look_ahead = LOOK_AHEAD

    def clear(self) -> None:
        """Forget all that is incomplete."""
        self._partials = {}

    def _objection(self, fragment: Fragment, epoch: int) -> DropReason | None:
        if epoch != self.epoch:
            return DropReason.WRONG_EPOCH
        if fragment.length > self._max_message_size:
            return DropReason.MESSAGE_TOO_LARGE
        if fragment.message_seq > self.next_seq + self.look_ahead:
            return DropReason.MESSAGE_TOO_FAR_AHEAD
        partial = self._partials.get(fragment.message_seq)
        if partial is None:
            held = sum(other.buffer.length for other in self._partials.values())
            if held + fragment.length > 2 * self._max_message_size:
                return DropReason.MESSAGE_TOO_FAR_AHEAD
            return None
        if (partial.type, partial.buffer.length) != (fragment.type, fragment.length):
            if epoch:
                return DropReason.INCONSISTENT_FRAGMENT
            # Unprotected, either may be an injection: the newer one starts afresh, lest a single forged datagram
            # block the honest peer for ever.
            del self._partials[fragment.message_seq]
            self._drops[DropReason.INCONSISTENT_FRAGMENT] += 1
            return None
        if partial.buffer.gap_count >= _MAX_GAPS and not partial.buffer.is_complete:
            return DropReason.INCONSISTENT_FRAGMENT
        return None
