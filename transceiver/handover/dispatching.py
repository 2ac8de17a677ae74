"""A dispatcher whose calls move: out of the way while it is not known whose they are, and away without a word.

Goal: nothing of a call that another process has, or may have, is said from here: not to its client, not to relays.
What comes for one that is suspended is kept, and taken when it goes on.
"""

from relay.hop.links import TransceiverIdentity
from transceiver.dispatcher import Departure, Dispatcher
from transceiver.registry import Call
from wire.core import Closed

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
        """Let a call send nothing and hear nothing until `resume`; what comes for it is kept."""
        self._flush_call(call, now)
        self._calls.suspend(call)

    def resume(self, call: Call, now: float) -> None:
        """Let a call go on that was suspended, or has just been moved here."""
        if call not in self._calls:
            return
        kept = call.kept
        if kept is not None:
            self._calls.resume(call)
        call.is_held = False
        for data, source in kept or ():
            self.receive_datagram(data, source, now)
        self._flush_call(call, now)
