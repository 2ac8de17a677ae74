"""When a SACK is due: at once, with the second packet, or after a while.

Source: RFC 9260 §6.2, §6.7; RFC 5681 §4.2.
"""

from sctp.timers import Timer

__all__ = ["SackSchedule"]


class SackSchedule:
    """Decides when what has arrived is acknowledged.

    Args:
        delay: seconds that an acknowledgement may wait.

    Attributes:
        is_due: whether a SACK has to go out now.
        is_owed: whether something has arrived since the last SACK; it goes along with the next DATA (RFC 9260 §6.1).
        timer: when it has to go out at the latest.
        has_acknowledged: whether a SACK was ever sent.
    """

    __slots__ = ("_delay", "has_acknowledged", "is_due", "is_owed", "timer")

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self.is_due = False
        self.is_owed = False
        self.timer = Timer()
        self.has_acknowledged = False

    def packet_received(self, now: float, is_urgent: bool) -> None:
        """A packet with DATA or FORWARD TSN has arrived.

        Args:
            now: when.
            is_urgent: whether it shows a gap or fills one, repeats, asks for it (I bit), or found no room.
        """
        # RFC 9260 §6.2: at least every second packet; §5.1: the first DATA at once.
        if is_urgent or self.is_owed or not self.has_acknowledged:
            self.is_due = True
        elif self.timer.deadline is None:
            self.timer.start(now + self._delay)
        self.is_owed = True

    def handle_timeout(self, now: float) -> None:
        """It has waited long enough."""
        if self.timer.is_due(now):
            self.timer.stop()
            self.is_due = True

    def sent(self) -> None:
        """A SACK was sent."""
        self.is_due = self.is_owed = False
        self.has_acknowledged = True
        self.timer.deadline = None
