"""Ending an association in good order: first everything that was queued arrives, on both sides.

    A, asked to   SHUTDOWN_PENDING   sends what is left, until all is acknowledged
    A → Z         SHUTDOWN           A: SHUTDOWN_SENT, T2       Z: SHUTDOWN_RECEIVED, sends what is left
    Z → A         SHUTDOWN ACK       Z: SHUTDOWN_ACK_SENT, T2
    A → Z         SHUTDOWN COMPLETE  both have ended

Source: RFC 9260 §9.2.
"""

from sctp.causes.user_initiated_abort import UserInitiatedAbort
from sctp.chunks.shutdown import Shutdown
from sctp.chunks.shutdown_ack import ShutdownAck
from sctp.chunks.shutdown_complete import ShutdownComplete
from sctp.control_block import ControlBlock
from sctp.drops import DropReason
from sctp.states import State, Trigger
from sctp.timers import BackoffTimer, Timer

__all__ = ["GracefulShutdown"]


class GracefulShutdown:
    """The graceful end, from either side.

    Args:
        block: the association.

    Attributes:
        timer: T2-shutdown.
        guard: T5-shutdown-guard, over all of it.
    """

    __slots__ = ("_block", "guard", "timer")

    def __init__(self, block: ControlBlock) -> None:
        options = block.options
        self._block = block
        self.timer = BackoffTimer(options.t2_timeout, options.rto_maximum, options.max_retransmits)
        self.guard = Timer()

    # From our side ---------------------------------------------------------------------------------------------------

    def request(self, now: float) -> None:
        """Say all that is queued, and goodbye."""
        block = self._block
        if block.state in (State.CLOSED, State.COOKIE_WAIT, State.COOKIE_ECHOED):
            # There is nothing to end yet: the peer learns it at once.
            block.abort("shutdown", "ended before it was established", UserInitiatedAbort())
        elif block.move(Trigger.SHUTDOWN_REQUEST):
            self.guard.start(now + block.options.shutdown_guard)
            self.advance(now)

    def advance(self, now: float) -> None:
        """Take the next step if all that we had to say is acknowledged."""
        block = self._block
        state = block.state
        if state not in (State.SHUTDOWN_PENDING, State.SHUTDOWN_RECEIVED):
            return
        # What has expired in the queue needs not be waited for.
        block.sender.queue.next_message(now)
        if not block.sender.is_done:
            return
        block.move(Trigger.ALL_ACKNOWLEDGED)
        if state is State.SHUTDOWN_PENDING:
            self._send_shutdown()
        else:
            block.outbox.add_control(ShutdownAck())
        self.timer.begin(now)

    def _send_shutdown(self) -> None:
        block = self._block
        if block.receiver is not None:
            cumulative_tsn = block.receiver.tracker.cumulative_tsn
            block.outbox.add_control(Shutdown(cumulative_tsn_ack=cumulative_tsn & 0xFFFF_FFFF))

    def data_received(self, now: float) -> None:
        """A packet with DATA was read: in SHUTDOWN_SENT it is answered with a SHUTDOWN at once."""
        block = self._block
        if block.state is State.SHUTDOWN_SENT:
            self._send_shutdown()
            self.timer.begin(now)

    # From the peer's side --------------------------------------------------------------------------------------------

    def receive_shutdown(self, now: float) -> None:
        """The peer has said all; its acknowledgement was taken in already."""
        block = self._block
        if block.state is State.SHUTDOWN_RECEIVED:
            # It repeats itself, which tells of what it has received meanwhile.
            self.advance(now)
        elif not block.move(Trigger.SHUTDOWN):
            if block.state is State.SHUTDOWN_ACK_SENT:
                block.outbox.add_control(ShutdownAck())
            else:
                block.drop(DropReason.UNEXPECTED_CHUNK)
        elif block.state is State.SHUTDOWN_ACK_SENT:
            block.outbox.add_control(ShutdownAck())
            self.timer.begin(now)
        else:
            self.guard.start(now + block.options.shutdown_guard)
            self.advance(now)

    def receive_shutdown_ack(self) -> None:
        """The peer has nothing left to say either."""
        block = self._block
        if not block.move(Trigger.SHUTDOWN_ACK):
            block.drop(DropReason.UNEXPECTED_CHUNK)
            return
        peer_tag = block.peer_tag
        block.close("shutdown", "both sides have said all")
        # §8.5.1 C: with the peer's tag and without the T bit, because we know it.
        block.outbox.add_packet(peer_tag, ShutdownComplete())

    def receive_shutdown_complete(self) -> None:
        """It is over."""
        block = self._block
        if block.move(Trigger.SHUTDOWN_COMPLETE):
            block.close("shutdown", "both sides have said all")
        else:
            block.drop(DropReason.UNEXPECTED_CHUNK)

    # Time ------------------------------------------------------------------------------------------------------------

    def handle_timeout(self, now: float) -> None:
        """T2-shutdown and T5-shutdown-guard."""
        block = self._block
        if self.guard.is_due(now):
            block.abort("shutdown-timeout", "the peer does not finish", UserInitiatedAbort())
        elif self.timer.is_due(now):
            if not self.timer.expired(now):
                block.abort("peer-unreachable", f"no answer in {block.state.value}")
            elif block.state is State.SHUTDOWN_SENT:
                self._send_shutdown()
            elif block.state is State.SHUTDOWN_ACK_SENT:
                block.outbox.add_control(ShutdownAck())
