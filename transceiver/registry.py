"""The calls of a worker, found by everything that names one: session number, call id, hop header, phase of the clock.

Whatever is entered here for a call is removed with it: nothing of an ended call stays.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

import attrs

from transceiver.backend_leg import BackendLeg
from transceiver.calls import NO_WISHES, CallWishes
from transceiver.describing import describe_session, drops_of
from transceiver.flows import Flow
from transceiver.handover.custody import Custody
from transceiver.handover.kept import KeptDatagrams
from transceiver.losses import LossMeter
from transceiver.session import Session
from transceiver.ticker import PHASES
from wire.core import Path

__all__ = ["Call", "CallRegistry"]


@attrs.define(eq=False)
class Call:
    """A session and what only the worker needs to know of it.

    Attributes:
        call_id: what signal calls it.
        owner: digest of the key that made it.
        session_id: what tokens and hop headers call it.
        session: the session.
        phase: which of the ticks is its own.
        generation: how many owners it had before this one.
        leg: the backend's; None for an echo.
        wishes: what it was made with.
        custody: what is known of our ownership; None while nothing of it is in the store.
        told_progress: how far the conversation was when its record was written, or is about to be.
        is_held: it must not send: it was moved here and is not ours alone yet, or is about to move away.
        kept: datagrams of the client's that came while it was suspended; None while it is not.
        is_leaving: it was suspended as it is about to move away: no checkpoint of it is written.
        flows: how each of its paths is reached.
        is_touched: it has heard something since the last flush.
        losses: what it has lost since it was looked at before.
    """

    call_id: str
    owner: str
    session_id: int
    session: Session
    phase: int
    generation: int = 0
    leg: BackendLeg | None = None
    wishes: CallWishes = NO_WISHES
    custody: Custody | None = None
    told_progress: object = None
    is_held: bool = False
    kept: KeptDatagrams | None = None
    is_leaving: bool = False
    flows: dict[Path, Flow] = attrs.field(factory=dict)
    is_touched: bool = False
    losses: LossMeter = attrs.field(factory=LossMeter)

    def drops(self) -> dict[str, int]:
        """Count what its legs have dropped, by "layer.reason"."""
        return drops_of(self.session, self.leg)

    def describe(self, drops: Mapping[str, int] | None = None) -> dict[str, object]:
        """Tell its state in JSON types.

        Args:
            drops: what `drops` has counted, if it was asked just now.
        """
        leg = self.leg
        backend = {} if leg is None else {"backend": leg.describe()}
        reasons = self.wishes.placed_because
        placed = {"placed_because": list(reasons)} if reasons else {}
        drops = self.drops() if drops is None else drops
        return {**describe_session(self.session), **backend, **placed, "drops": drops}


class CallRegistry:
    """All calls of a worker.

    Attributes:
        by_header: call and flow by the bytes of the hop header: the look-up of the hot path.
        by_owner: how many calls each owner has; only those that have any.
    """

    def __init__(self) -> None:
        self.by_header: dict[bytes, tuple[Call, Flow]] = {}
        self.by_owner: Counter[str] = Counter()
        self._by_session: dict[int, Call] = {}
        self._by_call_id: dict[str, Call] = {}
        self._phases: tuple[dict[int, Call], ...] = tuple({} for _ in range(PHASES))
        self._drops_of_ended: Counter[str] = Counter()

    def __len__(self) -> int:
        """How many calls there are."""
        return len(self._by_session)

    def __iter__(self) -> Iterator[Call]:
        """Go through a copy, so that calls may end meanwhile."""
        return iter(list(self._by_session.values()))

    def __contains__(self, call: Call) -> bool:
        """Whether a call has not ended."""
        return self._by_session.get(call.session_id) is call

    def add(
        self,
        *,
        call_id: str,
        owner: str,
        session_id: int,
        session: Session,
        wishes: CallWishes = NO_WISHES,
        generation: int = 0,
    ) -> Call:
        """Enter a call, in the phase that has the fewest."""
        phase = min(range(PHASES), key=lambda number: len(self._phases[number]))
        call = Call(call_id, owner, session_id, session, phase, generation, wishes=wishes)
        self._by_session[session_id] = self._by_call_id[call_id] = self._phases[phase][session_id] = call
        self.by_owner[owner] += 1
        return call

    def remove(self, call: Call, drops: Mapping[str, int]) -> None:
        """Forget a call and its flows.

        Args:
            call: which.
            drops: what it has dropped, which stays counted.
        """
        del self._by_session[call.session_id]
        del self._by_call_id[call.call_id]
        del self._phases[call.phase][call.session_id]
        self.by_owner[call.owner] -= 1
        if not self.by_owner[call.owner]:
            del self.by_owner[call.owner]
        for path in list(call.flows):
            self.remove_flow(call, path)
        self._drops_of_ended.update(drops)

    def suspend(self, call: Call) -> None:
        """Take a call off the hot path: nothing reaches its session, what comes for it is kept."""
        call.is_held, call.kept = True, KeptDatagrams()
        for flow in call.flows.values():
            self.by_header.pop(flow.up_header, None)

    def resume(self, call: Call) -> None:
        """Put a suspended call back where it was; what was kept is the caller's to deliver."""
        call.is_held, call.kept, call.is_leaving = False, None, False
        for flow in call.flows.values():
            self.by_header[flow.up_header] = (call, flow)

    def of_session(self, session_id: int) -> Call | None:
        """Find a call by the number in a hop header."""
        return self._by_session.get(session_id)

    def of_call_id(self, call_id: str) -> Call | None:
        """Find a call by what signal calls it."""
        return self._by_call_id.get(call_id)

    def is_empty_phase(self, phase: int) -> bool:
        """Whether no call is looked at in a phase."""
        return not self._phases[phase]

    def in_phase(self, phase: int) -> Collection[Call]:
        """Return the calls whose tick this is."""
        return self._phases[phase].values()

    def add_flow(self, call: Call, flow: Flow) -> None:
        """Enter a flow; another of the same path (a relay has a new tag for it) gives way."""
        self.remove_flow(call, flow.path)
        call.flows[flow.path] = flow
        self.by_header[flow.up_header] = (call, flow)

    def remove_flow(self, call: Call, path: Path) -> Flow | None:
        """Forget the flow of a path."""
        flow = call.flows.pop(path, None)
        if flow is not None:
            self.by_header.pop(flow.up_header, None)
        return flow

    def drops(self) -> Counter[str]:
        """Count what all sessions have dropped, those that have ended too, by "layer.reason"."""
        total = Counter(self._drops_of_ended)
        for call in self._by_session.values():
            total.update(call.drops())
        return total
