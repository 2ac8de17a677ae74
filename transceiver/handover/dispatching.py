"""A dispatcher whose calls move: out of the way while it is not known whose they are, and away without a word.

Goal: nothing of a call that another process has, or may have, is said from here: not to its client, not to relays.
What comes for one that is suspended is kept, and taken when it goes on, here or there.
"""

from collections.abc import Iterable

from relay.hop.header import UP, parse_header, with_generation
from relay.hop.links import TransceiverIdentity
from transceiver.dispatcher import Departure, Dispatcher, DropReason
from transceiver.flows import Flow
from transceiver.registry import Call
from wire.core import Address, Closed

__all__ = ["MovingDispatcher"]

_MAX_DEPARTED = 1 << 14
"""Sessions that are remembered to have gone elsewhere, the oldest out first."""


class MovingDispatcher(Dispatcher):
    """See `Dispatcher`."""

    def fence(self, call: Call, now: float) -> None:
        """End a call without a word, as another owns it: all that could be said would be said in its name."""
        self.let_go(call, None, "fenced", now)

    def let_go(self, call: Call, owner: TransceiverIdentity | None, reason: str, now: float) -> None:
        """Forget a call that goes on elsewhere; its client hears nothing.

        Args:
            call: which.
            owner: who has it, for relays to be told; None when that is not known.
            reason: for the log.
            now: monotonic seconds.
        """
        if call not in self._calls:
            return
        if len(self._departed) >= _MAX_DEPARTED:
            del self._departed[next(iter(self._departed))]
        self._departed[call.session_id] = Departure(owner, call.generation + 1)
        if owner is not None:
            self._link.tell.session_moved(call.session_id, call.generation + 1, owner)
            self._send_link(now)
        call.session.abandon(reason)
        self._remove(call, Closed(reason=reason), now)

    def discard(self, call: Call, now: float) -> None:
        """Forget a held call that does not become ours; nothing was sent of it, and nothing is."""
        if call in self._calls and call.is_held:
            call.session.abandon("not-ours")
            self._remove(call, Closed(reason="not-ours"), now)

    def flush_link(self, now: float) -> None:
        """Send what the link has to say."""
        self._send_link(now)

    def suspend(self, call: Call, now: float) -> None:
        """Let a call that is about to leave send nothing and hear nothing until `resume`; what comes for it is kept."""
        self._flush_call(call, now)
        self._calls.suspend(call)
        call.is_leaving = True

    def resume(self, call: Call, now: float, handed_over: Iterable[tuple[bytes, Address]] = ()) -> None:
        """Let a call go on that was suspended, or has just been moved here.

        Args:
            call: which.
            now: monotonic seconds.
            handed_over: what its last owner has kept; it is taken before what was kept here.
        """
        if call not in self._calls:
            return
        kept = call.kept or ()
        if call.kept is not None:
            self._calls.resume(call)
        call.is_held = False
        self.receive_kept(call, [*handed_over, *kept], now)

    def receive_kept(self, call: Call, datagrams: Iterable[tuple[bytes, Address]], now: float) -> None:
        """Take what has waited for a call, here or at its last owner; that one is believed no more than a relay is.

        Args:
            call: whose they are to be; one that is suspended has them wait once more.
            datagrams: each with the hop header that it had when it came, and the relay's address.
            now: monotonic seconds.
        """
        for data, source in datagrams:
            header = parse_header(data)
            if header is None or header.direction != UP or header.session != call.session_id:
                self.drops[DropReason.MALFORMED_HOP] += 1
                continue
            up_header, datagram = with_generation(data[: header.size], call.generation), data[header.size :]
            found = self._calls.by_header.get(up_header)
            if found is not None:
                self._receive_at(call, found[1], datagram, now)
            elif self._link.knows(source):
                self._receive_new_flow(up_header + datagram, source, now)
            else:
                self.drops[DropReason.NOT_A_RELAY] += 1
        if call in self._calls:
            self.leg_advanced(call, now)
            self._flush_call(call, now)

    def _receive_at(self, call: Call, flow: Flow, datagram: bytes, now: float) -> None:
        flow.heard = now
        try:
            self._follow(call, call.session.receive_datagram(datagram, flow.path, now), now)
        except Exception as error:  # noqa: BLE001 - see _fail
            self._fail(call, error, now)
