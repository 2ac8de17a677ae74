"""Events that are numbered on both ways between a client and a backend: which came, how often, in which order.

What may be missing depends on what happened to the call (docs/failover.md): when it was moved nothing, behind a death
what is said there.
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import attrs

__all__ = ["Events", "Got", "Told", "Way", "compare_events"]


@attrs.frozen(kw_only=True)
class Way:
    """One direction.

    Attributes:
        sent: numbers that were said.
        lost: of these never came.
        repeated: came more than once.
        disordered: came behind a later one.
    """

    sent: int
    lost: int
    repeated: int
    disordered: int

    @classmethod
    def compare(cls, sent: Iterable[int], came: Sequence[int]) -> "Way":
        counts = Counter(came)
        sent = set(sent)
        return cls(
            sent=len(sent),
            lost=len(sent - counts.keys()),
            repeated=sum(count > 1 for count in counts.values()),
            disordered=sum(later < earlier for earlier, later in itertools.pairwise(came)),
        )

    def __add__(self, other: "Way") -> "Way":
        return Way(**{name: value + getattr(other, name) for name, value in attrs.asdict(self).items()})

    @property
    def wrong(self) -> int:
        """How many did not come once and in order."""
        return self.lost + self.repeated + self.disordered


@attrs.frozen
class Got:
    """A number of the client's that came to the backend.

    Attributes:
        connection: of the backend's.
        number: the number.
        is_replayed: whether it was told as a part of an earlier conversation.
    """

    connection: int
    number: int
    is_replayed: bool


@attrs.frozen
class Told:
    """An event of the backend's that came to the client.

    Attributes:
        at: when.
        connection: of the backend's.
        number: the number.
    """

    at: float
    connection: int
    number: int


@attrs.frozen(kw_only=True)
class Events:
    """What became of the events of a stretch of a call.

    Attributes:
        up: the client's. Lost is what the backend's newest connection knows nothing of, by itself or by having been
            told; repeated what was newly said to a backend twice.
        down: the backend's, by all its connections together.
        oldest_lost_ms: how long before the call was disturbed the oldest of the client's was said that are lost.
        lost_behind: of the client's that are lost were said when the client had heard of the newest connection.
        holes: of the backend's that are lost, and are of its newest connection or are followed by others of the same
            one that came.
    """

    up: Way
    down: Way
    oldest_lost_ms: float
    lost_behind: int
    holes: int

    @property
    def wrong(self) -> int:
        """Events that did not come once and in order: what a move may not cost."""
        return self.up.wrong + self.down.wrong

    @property
    def broken(self) -> int:
        """What even a death does not excuse (docs/failover.md), but for `oldest_lost_ms`, for which time decides.

        All of the client's is known that was said after the restart, and they are in order. Of the backend's none comes
        twice, and of each connection's those that come are the first ones; of the newest all come.
        """
        return self.lost_behind + self.up.disordered + self.down.repeated + self.down.disordered + self.holes

    def to_json(self) -> dict[str, object]:
        """All of it, as JSON types."""
        return {**attrs.asdict(self), "wrong": self.wrong, "broken": self.broken}


def compare_events(
    *, said: Mapping[int, float], got: Sequence[Got], says: Iterable[tuple[int, int]], told: Sequence[Told], at: float
) -> Events:
    """Compare what both ends have noted of a stretch at whose ends nothing was under way.

    Args:
        said: the client's numbers, and when it said each.
        got: what the backend got of the call, in order; other numbers are of other stretches.
        says: connection and number of each event of the backend's.
        told: which of these came, in order.
        at: when the call was disturbed.
    """
    newest = max([each.connection for each in got] + [each.connection for each in told])
    known = [each.number for each in got if each.connection == newest and each.number in said]
    live = [each.number for each in got if not each.is_replayed and each.number in said]
    lost = said.keys() - set(known)
    up = attrs.evolve(Way.compare(said, known), repeated=Way.compare(said, live).repeated)
    heard_of_newest = min((each.at for each in told if each.connection == newest), default=float("inf"))
    sent_by, came_by = defaultdict[int, list[int]](list), defaultdict[int, list[int]](list)
    for connection, number in says:
        sent_by[connection].append(number)
    for each in told:
        came_by[each.connection].append(each.number)
    down, holes = Way(sent=0, lost=0, repeated=0, disordered=0), 0
    for connection, sent in sent_by.items():
        came = came_by[connection]
        down += Way.compare(sent, came)
        last = max(came, default=-1)
        holes += sum(connection == newest or number < last for number in set(sent) - set(came))
    return Events(
        up=up,
        down=down,
        oldest_lost_ms=round(1000 * max((at - said[number] for number in lost if said[number] < at), default=0.0), 1),
        lost_behind=sum(said[number] > heard_of_newest for number in lost),
        holes=holes,
    )
