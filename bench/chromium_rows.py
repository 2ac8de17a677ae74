"""What calls of Chromium's may lose when they are interrupted, and the rows that say what they have lost.

There are two kinds of calls: with an echo, which gives back each packet, and with a backend in another process
(`realtime`), with which events are exchanged, too.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any

import attrs

from bench.table import Row

__all__ = ["REALTIME", "Told", "crossing", "missing", "rows_of", "silence"]

REALTIME = "realtime: "
"""Stands before what was done to a call with a backend in another process."""
_CHECKPOINTED_MS = 1600
"""After a change in a conversation a checkpoint follows within 1.5 s; saying and writing it takes a moment."""
_SILENCE_MS = 1000, 500
"""What it must be and should be after the worst; whatever else is done to the fleet is heard for no longer."""
_EVERYTHING = "everything"
_REBOUND = "rebound"
_KILLED, _PAUSED, _DRAINED = "transceiver killed", "transceiver paused", "transceiver drained"
_REPLACED, _STORE = "relay replaced", "Redis started again"

Told = Mapping[str, Sequence[Any]]
"""What the program has said, by what was done."""


def crossing(told: Any) -> float:
    """Packets lost between client and transceiver, on either way."""
    return float(told["up"]["lost"] + told["down"]["lost"])


def missing(told: Any) -> float:
    """Numbers that the client never got."""
    return float(told["missing"])


def _spoken(told: Any) -> float:
    """Frames lost of a conversation: of the backend's at the client, and of the caller's at the backend."""
    return float(told["missing"] + told["unheard"])


def silence(told: Any) -> float:
    """Milliseconds without audio at the client."""
    return float(told["gap_ms"])


@attrs.frozen(kw_only=True)
class _Promise:
    """What an interruption may cost.

    Attributes:
        what: the row.
        done: what the program calls it.
        read: the cost, of what it says.
        unit: of the cost.
        limit: the most that it may be; None when nothing was promised.
        want: what it should be.
    """

    what: str
    done: str
    read: Callable[[Any], float]
    unit: str
    limit: float | None
    want: float

    def row(self, told: Sequence[Any], notes: tuple[str, ...]) -> Row:
        """Compare."""
        costs = [self.read(each) for each in told]
        worst = max(costs)
        row = Row(
            what=f"Chromium: {self.what}",
            ours=f"{worst:.0f}{self.unit} (median {median(costs):.0f})",
            notes=(*notes, _of_the_browser(told)),
            details={"each": list(told)},
        )
        if self.limit is None:
            return row
        return attrs.evolve(
            row,
            peer=f"{self.limit:g}{self.unit}",
            ratio=worst / self.limit if self.limit else worst,
            must=1.0 if self.limit else 0.0,
            want=self.want / self.limit if self.limit else 0.0,
        )


def _promise(
    what: str, done: str, read: Callable[[Any], float], limit: float | None, want: float = 0.0, unit: str = ""
) -> _Promise:
    return _Promise(what=what, done=done, read=read, unit=unit, limit=limit, want=want)


_PROMISES = (
    _promise("relay worker killed, frames lost", "relay worker killed", crossing, 1),
    _promise("relay killed and started again, frames lost", "relay killed and started again", crossing, 15, 5),
    _promise("relay replaced as planned, frames lost", _REPLACED, crossing, 0),
    _promise("moved to another relay of the group, frames lost", "moved to another relay", missing, 3),
    _promise("transceiver drained, frames lost", _DRAINED, missing, 2),
    _promise("transceiver killed, audio back after", _KILLED, silence, *_SILENCE_MS, " ms"),
    _promise("transceiver paused, audio back after", _PAUSED, silence, *_SILENCE_MS, " ms"),
    _promise("transceiver paused and resumed, numbers used twice", _PAUSED, lambda told: told["reused"], 0),
    _promise("Redis started again, frames lost", _STORE, missing, 0),
)
_SPOKEN_PROMISES = (
    _promise("realtime, transceiver drained, frames lost", _DRAINED, _spoken, 2),
    _promise("realtime, transceiver killed, audio back after", _KILLED, silence, *_SILENCE_MS, " ms"),
    _promise("realtime, transceiver paused, audio back after", _PAUSED, silence, None, unit=" ms"),
    _promise("realtime, transceiver paused and resumed, numbers used twice", _PAUSED, lambda told: told["reused"], 0),
    _promise("realtime, Redis started again, frames lost", _STORE, missing, 0),
)


def rows_of(told: Told, notes: tuple[str, ...]) -> list[Row]:
    """Make the rows of what the program has said.

    Args:
        told: by what was done; nothing may be missing.
        notes: for each row.
    """
    conversed = {what.removeprefix(REALTIME): each for what, each in told.items() if what.startswith(REALTIME)}
    passed = told[_EVERYTHING]
    return [
        *(promise.row(told[promise.done], notes) for promise in _PROMISES),
        _row_of_both("", told, missing, notes),
        *_rows_of_everything([each["echo"] for each in passed], notes),
        *(promise.row(conversed[promise.done], notes) for promise in _SPOKEN_PROMISES),
        _row_of_both("realtime, ", conversed, _spoken, notes),
        *_rows_of_events(conversed, [each["realtime"] for each in passed], notes),
        _row_of_troubles(told, notes),
    ]


def _row_of_both(kind: str, told: Told, lost: Callable[[Any], float], notes: tuple[str, ...]) -> Row:
    replaced = [
        {"drained": drained, "replaced": replaced, "frames": lost(drained) + crossing(replaced), **replaced}
        for drained, replaced in zip(told[_DRAINED], told[_REPLACED], strict=True)
    ]
    both = f"{kind}transceiver and relay replaced one after the other, frames lost"
    return _promise(both, "", lambda each: float(each["frames"]), 2).row(replaced, notes)


def _rows_of_everything(passed: Sequence[Any], notes: tuple[str, ...]) -> Iterator[Row]:
    yield _row_of_gaps("", passed, notes)
    yield Row(
        what="Chromium: the client's address changes, silence",
        ours=_worst_of([each["gaps_ms"][_REBOUND] for each in passed], " ms"),
        notes=(*notes, f"{len(passed)} calls; until Chromium's next check, of which one comes every 2.5 s"),
        details={"each": list(passed)},
    )


def _row_of_gaps(kind: str, passed: Sequence[Any], notes: tuple[str, ...]) -> Row:
    must, want = _SILENCE_MS
    gaps = [max(gap for step, gap in each["gaps_ms"].items() if step != _REBOUND) for each in passed]
    return Row(
        what=f"Chromium: {kind}everything in one call, longest silence but of the new address",
        ours=_worst_of(gaps, " ms"),
        peer=f"{must} ms",
        ratio=max(gaps) / must,
        must=1.0,
        want=want / must,
        notes=(*notes, f"{len(passed)} calls, each beside one of the other kind; each was hung up by its id"),
        details={"each": list(passed)},
    )


def _rows_of_events(conversed: Told, passed: Sequence[Any], notes: tuple[str, ...]) -> Iterator[Row]:
    yield _row_of_gaps("realtime, ", passed, notes)
    moved = [each["conversed"]["events"] for done in (_DRAINED, _STORE) for each in conversed[done]]
    died = [each["conversed"]["events"] for done in (_KILLED, _PAUSED) for each in conversed[done]]
    died += [each["conversed"]["events"] for each in passed]
    yield _row_of_counts(
        "realtime, both replaced or Redis started again, events lost, twice or out of order",
        [events["wrong"] for events in moved],
        (*notes, f"{_said(moved)}; {len(moved)} times"),
    )
    lost = [events["up"]["lost"] for events in died]
    oldest = max(events["oldest_lost_ms"] for events in died)
    yield _row_of_counts(
        "realtime, transceiver killed or paused, or everything: events lost beyond what is said at a death",
        [events["broken"] + (events["oldest_lost_ms"] > _CHECKPOINTED_MS) for events in died],
        (
            *notes,
            f"{_said(died)}; {len(died)} times",
            f"of the client's {_worst_of(lost)} were lost, the oldest of which was said {oldest:.0f} ms before",
        ),
    )


def _row_of_troubles(told: Told, notes: tuple[str, ...]) -> Row:
    """In how many rounds a call did not go on as if nothing had happened, but for what it lost."""
    passed = [each[kind] for each in told[_EVERYTHING] for kind in ("echo", "realtime")]
    costs = [each for what, costs in told.items() if what != _EVERYTHING for each in costs]
    troubles = [each["browser"]["troubles"] for each in costs] + [each["troubles"] for each in passed]
    conversed = [each["conversed"] for each in (*costs, *passed) if each.get("conversed")]
    unlike = [each["errors"] + (not each["is_answered"]) for each in conversed]
    return _row_of_counts(
        "ICE failed, negotiated again, channel closed, an error told, or the next turn not answered",
        [*troubles, *unlike],
        (*notes, f"{len(troubles)} interruptions, {len(conversed)} of conversations"),
    )


def _row_of_counts(what: str, counts: Sequence[int], notes: tuple[str, ...]) -> Row:
    """What must not happen at all, in any round."""
    return Row(
        what=f"Chromium: {what}",
        ours=_worst_of(counts),
        peer="0",
        ratio=float(max(counts)),
        must=0.0,
        want=0.0,
        notes=notes,
        details={"each": list(counts)},
    )


def _worst_of(found: Sequence[float], unit: str = "") -> str:
    return f"{max(found):.0f}{unit} (median {median(found):.0f})"


def _said(events: Sequence[Any]) -> str:
    up, down = (sum(each[way]["sent"] for each in events) for way in ("up", "down"))
    return f"{up} events of the client's, {down} of the backend's"


def _of_the_browser(told: Sequence[Any]) -> str:
    lost, concealed = (max(each["browser"][name] for each in told) for name in ("lost", "concealed_ms"))
    unheard = max((each["unheard"] for each in told if "unheard" in each), default=None)
    return (
        f"{len(told)} times, at worst: silence of {max(map(silence, told)):.0f} ms; by the browser's own count "
        f"{lost:.0f} packets lost, {concealed:.0f} ms concealed"
        + ("" if unheard is None else f"; the backend heard {unheard:.0f} frames less than were sent")
    )
