"""CPU of a forwarded packet: our relay's over that of the C forwarder, and over that of coturn.

All sides have the same clients, flows and payloads, and all are flooded from one program, so that all work as fast as
they can; they take turns. Each is the whole process that an operator runs, without what it takes when nothing comes. On
loopback who sends also pays for the arrival: that is in all sides alike.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import attrs

from bench.relay.load import Passed
from bench.relay.sides import Side
from bench.relay.sizes import Sizes
from bench.settings import Settings
from bench.table import Row

__all__ = ["Costs", "Floods", "flood_in_turn", "rows"]

_MUST, _WANT = 0.6, 0.72
"""Packets per CPU-second over the C forwarder's."""
_MUST_COTURN = 1.2
_ROUNDS, _SECONDS = 3, 1.0


@attrs.define
class Costs:
    """What packets cost one side, round by round."""

    up: list[Passed] = attrs.field(factory=list)
    down: list[Passed] = attrs.field(factory=list)

    def of_rounds(self) -> list[float]:
        """CPU seconds of a packet in each round, as many up as down."""
        return [(up.cost + down.cost) / 2 for up, down in zip(self.up, self.down, strict=True)]

    @property
    def cost(self) -> float:
        """The middle one of these."""
        return median(self.of_rounds())

    @property
    def user_cost(self) -> float:
        """Of all rounds together, what is the program's own: the kernel tells that in hundredths of a second only."""
        return sum(each.user for each in (*self.up, *self.down)) / sum(each.passed for each in (*self.up, *self.down))

    def describe(self) -> str:
        """Tell it in a line."""
        up, down = (median(each.cost for each in way) for way in (self.up, self.down))
        lost = 1 - sum(each.passed for each in (*self.up, *self.down)) / sum(e.sent for e in (*self.up, *self.down))
        return (
            f"{up * 1e6:.2f} µs up, {down * 1e6:.2f} µs down, {self.user_cost * 1e6:.2f} µs of that outside of the "
            f"kernel, {self.busy:.0%} of a core busy, {lost:.0%} of the flood lost"
        )

    @property
    def busy(self) -> float:
        """The share of a core that it had: less than all of it, and the flood was no flood."""
        return median(each.cpu / each.seconds for each in (*self.up, *self.down))


Floods = Mapping[str, Costs]
"""What packets cost each side, by its name."""


def flood_in_turn(
    programs: Path, sides: Sequence[Side], sizes: Sizes, settings: Settings, *, rounds: int = _ROUNDS
) -> Floods:
    """Flood all sides in turn."""
    costs = {side.name: Costs() for side in sides}
    path, seconds = sizes.write(programs), settings.shorter(_SECONDS)
    for _ in range(settings.fewer(rounds)):
        for side in sides:
            side.refresh()
            for load, told in ((side.up, costs[side.name].up), (side.down, costs[side.name].down)):
                told.append(load.run(programs, side.pids, path, seconds, idle=side.idle))
    for name, cost in costs.items():
        settings.say(f"relay: {name}, {sizes.name}: {cost.describe()}")
    return costs


def rows(floods: Floods, flows: int, sizes: Sizes, ours: str, in_c: str, coturn: str) -> list[Row]:
    """Write the lines of the table; the last three arguments are the sides' names, and coturn may be missing."""
    what = f"{flows} flows, {sizes.name}"
    made = [_over(floods, ours, in_c, f"relay's CPU for a packet over a C forwarder's, {what}", _MUST, _WANT)]
    if coturn in floods:
        made.append(_over(floods, ours, coturn, f"relay's CPU for a packet over coturn's, {what}", _MUST_COTURN))
    own, peer = floods[ours].user_cost, floods[in_c].user_cost
    made.append(
        Row(
            what=f"the same outside of the kernel, {what}",
            ours=_microseconds(own),
            peer=_microseconds(peer),
            details={"ours": own, "peer": peer},
        )
    )
    return made


def _over(floods: Floods, ours: str, peer: str, what: str, must: float, want: float | None = None) -> Row:
    own, other = floods[ours].of_rounds(), floods[peer].of_rounds()
    share = median(theirs / mine for mine, theirs in zip(own, other, strict=True))
    wanted = f", wanted {want:g}" if want else ""
    return Row.of_rounds(
        what,
        own,
        other,
        _microseconds,
        must=1 / must,
        want=1 / want if want else None,
        notes=(
            f"{share:.2f} of its packets per CPU-second (must be {must:g}{wanted})",
            *(f"{name}: {floods[name].describe()}" for name in (ours, peer)),
        ),
    )


def _microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:.2f} µs"
