"""What came of a simulation."""

from collections.abc import Sequence

import attrs

__all__ = ["Placed", "Results", "quantile"]


@attrs.frozen
class Placed:
    """A call that was placed.

    Attributes:
        when: seconds since the beginning.
        network: the caller's.
        country: the caller's.
        region: where it was placed.
        relays: regions of the relays that were offered, the best one first.
        real: its round trip in milliseconds.
        ideal: what the best region would have had.
    """

    when: float
    network: str
    country: str
    region: str
    relays: tuple[str, ...]
    real: float
    ideal: float


@attrs.define
class Results:
    """All of one run.

    Attributes:
        victim: the region that dies.
        died: when, in seconds since the beginning.
        returned: when it came back.
        placed: every call, in its order.
        refused: when a call was refused.
        times: when loads were noted.
        loads: how full each region was then, by name.
        lost: calls that ended with the region.
        choices: how many were made.
        seconds: processor time that they took.
    """

    victim: str
    died: float
    returned: float
    placed: list[Placed] = attrs.field(factory=list)
    refused: list[float] = attrs.field(factory=list)
    times: list[float] = attrs.field(factory=list)
    loads: dict[str, list[float]] = attrs.field(factory=dict)
    lost: int = 0
    choices: int = 0
    seconds: float = 0.0

    def detours(self, since: float = 0.0, until: float = float("inf")) -> list[float]:
        """Tell how much longer than ideal the round trips were, in order of size, for calls placed within a time."""
        return sorted(each.real - each.ideal for each in self.placed if since <= each.when < until)

    def highest_load(self, since: float = 0.0, until: float = float("inf")) -> float:
        """Tell how full the fullest region was within a time."""
        inside = [index for index, when in enumerate(self.times) if since <= when < until]
        return max((loads[index] for loads in self.loads.values() for index in inside), default=0.0)

    def swing(self, name: str, since: float, until: float) -> float:
        """Tell by how much the load of a region went up and down within a time."""
        inside = [self.loads[name][index] for index, when in enumerate(self.times) if since <= when < until]
        return max(inside) - min(inside) if inside else 0.0

    def changes(self, since: float, until: float) -> float:
        """Tell how often a call went to another region than the one before of its network, as a share."""
        last: dict[str, str] = {}
        changed = count = 0
        for each in self.placed:
            if each.network in last and since <= each.when < until:
                count += 1
                changed += each.region != last[each.network]
            last[each.network] = each.region
        return changed / count if count else 0.0


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return a quantile of values in order; 0 for none."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
