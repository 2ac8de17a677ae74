"""Asking a silent peer for a sign of life.

What the HEARTBEAT carries comes back unchanged; only a random number that is waited for counts as an answer, so a peer
cannot answer what was not asked, nor distort the round trip.

Source: RFC 9260 §8.3, with one path.
"""

import attrs

from sctp.chunks.heartbeat import Heartbeat
from sctp.chunks.heartbeat_ack import HeartbeatAck
from sctp.control_block import ControlBlock
from sctp.drops import DropReason
from sctp.states import State
from sctp.timers import Timer

__all__ = ["Heartbeats", "Question"]

_BEATING = frozenset({State.ESTABLISHED, State.SHUTDOWN_PENDING, State.SHUTDOWN_RECEIVED})
_NONCE_SIZE = 8


@attrs.frozen(kw_only=True)
class Question:
    """A HEARTBEAT that was sent.

    Attributes:
        nonce: what has to come back.
        sent_at: when.
    """

    nonce: bytes
    sent_at: float


class Heartbeats:
    """One question at a time, `heartbeat_interval` after the last sign that the path was used.

    Args:
        block: the association.

    Attributes:
        timer: until the next question, or for the answer.
        question: what is waited for.
    """

    __slots__ = ("_block", "question", "timer")

    def __init__(self, block: ControlBlock) -> None:
        self._block = block
        self.timer = Timer()
        self.question: Question | None = None

    def restart(self, now: float) -> None:
        """The path was used, or the association has begun: be quiet for an interval."""
        self.question = None
        options = self._block.options
        if not options.heartbeat_interval or self._block.state not in _BEATING:
            self.timer.stop()
            return
        # §8.3: the interval plus an RTO, give or take half of the RTO, so that many associations do not beat as one.
        rto = self._block.sender.rto.seconds
        jitter = int.from_bytes(self._block.entropy(2), "big") / 0xFFFF
        self.timer.start(now + options.heartbeat_interval + rto * (0.5 + jitter))

    def handle_timeout(self, now: float) -> None:
        """Ask, or find a question unanswered."""
        if not self.timer.is_due(now):
            return
        block = self._block
        if block.state not in _BEATING:
            # §8.3: discontinued after SHUTDOWN or SHUTDOWN ACK.
            self.timer.stop()
            return
        sent = block.sender.last_sent
        if self.question is not None:
            # §8.3: not acknowledged within one RTO.
            self.question = None
            block.sender.rto.back_off()
            block.count_error()
            if block.state in _BEATING:
                self._ask(now)
        elif sent is not None and now - sent < block.options.heartbeat_interval:
            # DATA was sent meanwhile, so the path is not idle.
            self.restart(sent)
        else:
            self._ask(now)

    def _ask(self, now: float) -> None:
        block = self._block
        nonce = block.entropy(_NONCE_SIZE)
        self.question = Question(nonce=nonce, sent_at=now)
        block.outbox.add_control(Heartbeat(info=nonce))
        self.timer.start(now + block.sender.rto.seconds)

    def receive_ack(self, ack: HeartbeatAck, now: float) -> None:
        """The peer lives."""
        question = self.question
        if question is None or ack.info != question.nonce:
            self._block.drop(DropReason.HEARTBEAT)
            return
        self._block.heard()
        self._block.sender.rto.measure(now - question.sent_at)
        self.restart(now)

    def receive_heartbeat(self, heartbeat: Heartbeat) -> None:
        """Answer with the same info."""
        block = self._block
        # §8.3: from ESTABLISHED (or COOKIE_ECHOED) on, up to SHUTDOWN_SENT or SHUTDOWN_ACK_SENT.
        if block.state in _BEATING or block.state is State.COOKIE_ECHOED:
            block.outbox.add_control(HeartbeatAck(info=heartbeat.info))
        else:
            block.drop(DropReason.UNEXPECTED_CHUNK)
