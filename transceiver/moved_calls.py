"""Where calls have gone that were handed over: for whoever still asks here, as their ids say.

It is a courtesy: the ownership store knows as well. So this may forget.
"""

from transceiver.calls import CallMoved
from transceiver.handover.ownership import Owner

__all__ = ["MovedCalls"]

_MOST = 10_000


class MovedCalls:
    """Remembers the new owners of the calls that were handed over last."""

    def __init__(self) -> None:
        self._owners: dict[str, Owner] = {}  # the call that moved last is at the end

    def note(self, call_id: str, owner: Owner) -> None:
        """A call has moved."""
        self._owners.pop(call_id, None)
        self._owners[call_id] = owner
        if len(self._owners) > _MOST:
            del self._owners[next(iter(self._owners))]

    def forget(self, call_id: str) -> None:
        """A call has come back."""
        self._owners.pop(call_id, None)

    def refusal(self, call_id: str) -> CallMoved | None:
        """Return what to say of a call that is not here; None if it has not moved."""
        owner = self._owners.get(call_id)
        return None if owner is None else CallMoved(owner.cluster, owner.incarnation)
