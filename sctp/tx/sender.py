"""Everything that leaves as DATA or FORWARD TSN: queue, windows, timer.

What fits into a packet is chosen by `composing`; what comes back is told to `acknowledge`.

Source: RFC 9260 §6.1, §6.3, §7.2; RFC 3758 §3.5.
"""

from collections.abc import Sequence

from sctp.options import SctpOptions
from sctp.timers import Timer
from sctp.tx.acknowledging import acknowledge
from sctp.tx.congestion import CongestionControl
from sctp.tx.forwarding import Forwarding
from sctp.tx.outstanding import OutstandingData
from sctp.tx.peer_window import PeerWindow
from sctp.tx.rto import RetransmissionTimeout
from sctp.tx.send_queue import SendQueue

__all__ = ["Sender"]

COMMON_HEADER_SIZE = 12


class Sender:
    """The sending half of an association; knows nothing of the receiving half.

    Args:
        options: windows and timers.
        initial_tsn: of our first chunk.

    Attributes:
        queue: what has no TSN yet.
        outstanding: what has one.
        congestion: the path's window.
        rto: the retransmission timeout.
        timer: T3-rtx.
        peer_window: the peer's window.
        forwarding: when the peer is told to wait no longer.
        last_sent: when DATA was last sent.
        burst: packets of new data that may still be sent before the next input.
        has_heard: whether a SACK has come since the timer was started.
        ignores_window: whether the next packet is a fast retransmission, which cwnd does not hold back.
        is_limited_to_one: whether a timeout has not been answered yet, so that only one packet may be in flight.
    """

    __slots__ = (
        "_options",
        "burst",
        "congestion",
        "forwarding",
        "has_heard",
        "ignores_window",
        "is_limited_to_one",
        "last_sent",
        "outstanding",
        "peer_window",
        "queue",
        "rto",
        "timer",
    )

    def __init__(self, options: SctpOptions, initial_tsn: int) -> None:
        self._options = options
        self.queue = SendQueue()
        self.rto = RetransmissionTimeout(options)
        self.start(initial_tsn)

    def start(self, initial_tsn: int) -> None:
        """Begin with nothing on the way; what waits in the queue stays."""
        self.outstanding = OutstandingData(initial_tsn, self.queue.abandon)
        self.congestion = CongestionControl(self._options, self._options.mtu - COMMON_HEADER_SIZE)
        self.timer = Timer()
        self.peer_window = PeerWindow(self._options.zero_window_limit)
        self.forwarding = Forwarding()
        self.last_sent: float | None = None
        self.burst = self._options.max_burst
        self.has_heard = False
        self.ignores_window = False
        self.is_limited_to_one = False

    def set_peer(self, a_rwnd: int, *, has_forward_tsn: bool) -> None:
        """Learn what the peer's INIT or INIT ACK says."""
        # RFC 9260 §6.2.1 A.
        self.peer_window.size = a_rwnd
        # RFC 3758 §3.3.1: whoever does not announce it gets everything.
        self.queue.may_expire = has_forward_tsn
        self.outstanding.may_abandon = has_forward_tsn

    # What is known ---------------------------------------------------------------------------------------------------

    @property
    def is_done(self) -> bool:
        """Whether all that was queued has been sent and acknowledged, what waits for a stream reset included."""
        return not self.queue.buffered and not self.outstanding.chunks

    def next_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called."""
        when, window = self.timer.deadline, self.peer_window
        if window.probe.deadline is None and window.closed_since is None:
            # The hot path: asked after every packet.
            return when
        patience = window.next_timeout()
        return patience if when is None or (patience is not None and patience < when) else when

    # Sending ---------------------------------------------------------------------------------------------------------

    def forward_tsn(self, now: float) -> tuple[int, tuple[tuple[int, int], ...]] | None:
        """Return what a FORWARD TSN has to say now: the TSN, and the last message skipped of each ordered stream.

        Returns:
            Unwrapped numbers; None when there is nothing to say, or it was said a moment ago.
        """
        outstanding, forwarding = self.outstanding, self.forwarding
        if not forwarding.is_due or not outstanding.needs_forward_tsn:
            return None
        # RFC 3758 §3.5 C5.
        self.start_timer(now)
        return forwarding.take(outstanding, (self._options.mtu - COMMON_HEADER_SIZE - 8) // 4, now)

    def forget_path(self, now: float) -> None:
        """New data is about to be sent: cwnd has shrunk once per RTO of silence (RFC 9260 §7.2.1)."""
        if not self.outstanding.flight_size and self.last_sent is not None:
            self.congestion.idle(int((now - self.last_sent) / self.rto.seconds))

    def sent_new(self, packet_count: int, now: float) -> None:
        """So many packets have new data."""
        self.burst -= packet_count
        # What was let out as a probe is T3-rtx's from here on.
        self.peer_window.may_probe = False
        self.peer_window.probe.deadline = None
        self.start_timer(now)
        self.last_sent = now

    def start_timer(self, now: float) -> None:
        """DATA or a FORWARD TSN is sent: start T3-rtx, unless it is running (RFC 9260 §6.3.2 R1)."""
        if self.timer.deadline is None:
            self.timer.deadline = now + self.rto.seconds
            self.has_heard = False

    # Hearing ---------------------------------------------------------------------------------------------------------

    def acknowledge(self, cumulative_tsn_ack: int, a_rwnd: int, blocks: Sequence[tuple[int, int]], now: float) -> bool:
        """Take in a SACK that `check_sack` let through.

        Returns:
            Whether it brought news: the peer is alive and takes what we send.
        """
        outstanding, congestion, window = self.outstanding, self.congestion, self.peer_window
        flight_before = outstanding.flight_size
        is_recovering = congestion.recovery_exit is not None
        result = acknowledge(outstanding, cumulative_tsn_ack, blocks, now, is_recovering=is_recovering)
        self.has_heard = True
        # §6.2.1 D ii: what is in flight is subtracted wherever the window is asked for.
        window.size = a_rwnd
        if result.round_trip is not None:
            self.rto.measure(result.round_trip)
        if is_recovering and result.has_advanced:
            congestion.cumulative_advanced(cumulative_tsn_ack)
        if result.acked:
            self.is_limited_to_one = False
            congestion.acknowledged(
                result.acked,
                flight_before=flight_before,
                flight_after=outstanding.flight_size,
                has_advanced=result.has_advanced,
            )
        if result.has_lost and congestion.lost(outstanding.next_tsn - 1):
            # §7.2.4 (3): the first packet of it ignores cwnd.
            self.ignores_window = True
        if outstanding.limited or outstanding.needs_forward_tsn:
            outstanding.abandon_expired(now)
            self.forwarding.acknowledged(outstanding, self.rto.smoothed, now)
        is_small = a_rwnd < congestion.packet_size
        if is_small or window.closed_since is not None:
            window.watch(now, is_closed=is_small and not self.is_done, has_advanced=result.has_advanced)
        # §6.3.2 R2, R3.
        if not outstanding.chunks:
            self.timer.deadline = None
        elif result.has_advanced or self.timer.deadline is None:
            self.timer.deadline = now + self.rto.seconds
            self.has_heard = False
        return result.acked > 0 or result.has_advanced

    def acknowledge_cumulatively(self, cumulative_tsn_ack: int, now: float) -> bool:
        """Take in the cumulative TSN ack of a SHUTDOWN, which says nothing of gaps and windows."""
        return self.acknowledge(cumulative_tsn_ack, self.peer_window.size, (), now)

    # Time ------------------------------------------------------------------------------------------------------------

    def handle_timeout(self, now: float) -> bool:
        """Do what is due.

        Returns:
            Whether the peer has left something unanswered, which counts towards giving it up.
        """
        window = self.peer_window
        window.handle_timeout(now)
        if not self.timer.is_due(now):
            return False
        self.timer.stop()
        outstanding = self.outstanding
        # §6.1 A: whoever keeps its window closed and goes on answering is not unreachable, and the path not congested.
        is_probe_answered = window.closed_since is not None and self.has_heard
        if not is_probe_answered:
            # §6.3.3 E1.
            self.congestion.timed_out()
            self.is_limited_to_one = True
        # E2.
        self.rto.back_off()
        # E3.
        outstanding.lose_all(now)
        self.forwarding.timed_out(outstanding)
        if not outstanding.is_empty:
            self.timer.start(now + self.rto.seconds)
        self.has_heard = False
        return not is_probe_answered
