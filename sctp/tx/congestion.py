"""How much may be in flight.

Slow start doubles the window each round trip up to `slow_start_threshold`; from there congestion avoidance adds one
packet a round trip. A loss halves the window, and only once for all losses of one flight (fast recovery); a timeout
leaves one packet.

Source: RFC 9260 §7.2.
"""

from sctp.options import SctpOptions

__all__ = ["CongestionControl"]

_UNLIMITED = 1 << 30


class CongestionControl:
    """The congestion window of the one path there is (RFC 8261 §5: no multihoming).

    Sizes are those of whole DATA chunks, header and padding included.

    Args:
        options: `initial_window`.
        packet_size: bytes of the largest DATA chunk that a packet holds (PMDCS).

    Attributes:
        window: cwnd in bytes.
        slow_start_threshold: ssthresh in bytes.
        partial_bytes_acked: bytes acknowledged since congestion avoidance last widened the window.
        recovery_exit: in fast recovery: the TSN whose acknowledgement ends it; else None.
    """

    __slots__ = ("packet_size", "partial_bytes_acked", "recovery_exit", "slow_start_threshold", "window")

    def __init__(self, options: SctpOptions, packet_size: int) -> None:
        self.packet_size = packet_size
        self.window = options.initial_window * packet_size
        # §7.2.1: arbitrarily high at first.
        self.slow_start_threshold = _UNLIMITED
        self.partial_bytes_acked = 0
        self.recovery_exit: int | None = None

    def acknowledged(self, acked: int, *, flight_before: int, flight_after: int, has_advanced: bool) -> None:
        """A SACK acknowledged data.

        Args:
            acked: bytes newly acknowledged, abandoned ones not counted (RFC 3758 §3.5 A2).
            flight_before: bytes in flight before the SACK.
            flight_after: bytes still in flight after it.
            has_advanced: whether the cumulative TSN has advanced.
        """
        is_full = flight_before >= self.window
        if self.window <= self.slow_start_threshold:
            # §7.2.1: widen only a window that is fully used, not in fast recovery, by no more than was acknowledged
            # and one packet. Only a cumulative advance counts, against ACK splitting.
            if is_full and has_advanced and self.recovery_exit is None:
                self.window += min(acked, self.packet_size)
        else:
            # §7.2.2.
            self.partial_bytes_acked += acked
            if self.partial_bytes_acked >= self.window:
                if is_full:
                    self.partial_bytes_acked -= self.window
                    self.window += self.packet_size
                else:
                    self.partial_bytes_acked = self.window
        if not flight_after:
            self.partial_bytes_acked = 0

    def lost(self, highest_outstanding: int) -> bool:
        """Fast retransmit found a loss.

        Args:
            highest_outstanding: the highest TSN sent; when all up to it is acknowledged, recovery ends.

        Returns:
            Whether recovery begins with this loss; False when it had begun.
        """
        if self.recovery_exit is not None:
            # §7.2.4 (6): in fast recovery the window is not reduced again.
            return False
        self._halve()
        self.window = self.slow_start_threshold
        self.recovery_exit = highest_outstanding
        return True

    def cumulative_advanced(self, cumulative_tsn_ack: int) -> None:
        """Leave fast recovery once its exit point is acknowledged (§7.2.4 (6))."""
        if self.recovery_exit is not None and cumulative_tsn_ack >= self.recovery_exit:
            self.recovery_exit = None

    def timed_out(self) -> None:
        """The retransmission timer expired: one packet, and slow start again (§7.2.3)."""
        self._halve()
        self.window = self.packet_size
        self.recovery_exit = None

    def idle(self, periods: int) -> None:
        """Nothing was sent for that many RTOs: what was learned about the path is forgotten by halves (§7.2.1)."""
        floor = 4 * self.packet_size
        if periods > 0 and self.window > floor:
            # Before the first adjustment ssthresh SHOULD be set to cwnd.
            self.slow_start_threshold = self.window
            self.window = max(self.window >> min(periods, 64), floor)

    def _halve(self) -> None:
        # §7.2.3.
        self.slow_start_threshold = max(self.window // 2, 4 * self.packet_size)
        self.partial_bytes_acked = 0
