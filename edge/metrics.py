"""Metrics for Prometheus, read from live objects when somebody asks.

Hot paths only bump plain integers in counters of their own; nothing here runs until `/metrics` is asked for. A
process has one `Metrics`; each role adds what it has. The client library that writes them (`edge.exposition`) is loaded
when they are first asked for, or ahead of that by `load`, off the path of a relay's start.
"""

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import attrs

if TYPE_CHECKING:
    from edge.exposition import Exposition

__all__ = ["Histogram", "Kind", "Metrics", "Source"]

Label = TypeVar("Label", bound=str | int)


@attrs.frozen
class Histogram:
    """How often a measured value fell where.

    Attributes:
        buckets: upper bound of each bucket, ascending, and how many values fell into it (not into lower ones too).
        total: sum of all values.
    """

    buckets: Sequence[tuple[float, int]]
    total: float


class Kind(enum.Enum):
    """What a metric's numbers mean."""

    COUNTER = enum.auto()
    GAUGE = enum.auto()
    HISTOGRAM = enum.auto()


@attrs.frozen(kw_only=True)
class Source:
    """A metric, and who knows its numbers.

    Attributes:
        kind: what they mean.
        name: with the prefix of this program.
        help: for people.
        labels: what the values in front of each number are called.
        read: returns the numbers, each behind the values of its labels; or the distribution.
    """

    kind: Kind
    name: str
    help: str
    labels: Sequence[str] = ()
    read: Callable[[], Iterable[tuple[Sequence[str], float]] | Histogram]


class Metrics:
    """The metrics of a process.

    Names are prefixed with `trio_voice_`; those of counters end in `_total`, as Prometheus wants.
    """

    def __init__(self) -> None:
        self._sources: list[Source] = []
        self._exposition: Exposition | None = None

    def add_counters(self, name: str, help_: str, label: str, read: Callable[[], Mapping[Label, float]]) -> None:
        """Add counters that differ in one label.

        Args:
            name: such as "relay_drops".
            help_: what is counted, for people.
            label: what the keys of the mapping are called ("reason").
            read: returns the counts by the label's value.
        """
        self._add(Kind.COUNTER, name, help_, (label,), lambda: _by_label(read()))

    def add_counter(self, name: str, help_: str, read: Callable[[], float]) -> None:
        """Add one counter."""
        self._add(Kind.COUNTER, name, help_, (), lambda: [((), read())])

    def add_gauge(self, name: str, help_: str, read: Callable[[], float]) -> None:
        """Add a value that goes up and down."""
        self._add(Kind.GAUGE, name, help_, (), lambda: [((), read())])

    def add_gauges(self, name: str, help_: str, label: str, read: Callable[[], Mapping[Label, float]]) -> None:
        """Add values that go up and down and differ in one label; see `add_counters`."""
        self._add(Kind.GAUGE, name, help_, (label,), lambda: _by_label(read()))

    def add_info(self, name: str, help_: str, facts: Mapping[str, str]) -> None:
        """Add facts that do not change, as labels of a constant 1."""
        self._add(Kind.GAUGE, f"{name}_info", help_, tuple(facts), lambda: [(tuple(facts.values()), 1.0)])

    def add_histogram(self, name: str, help_: str, read: Callable[[], Histogram]) -> None:
        """Add a distribution."""
        self._add(Kind.HISTOGRAM, name, help_, (), read)

    def _add(
        self,
        kind: Kind,
        name: str,
        help_: str,
        labels: Sequence[str],
        read: Callable[[], Iterable[tuple[Sequence[str], float]] | Histogram],
    ) -> None:
        self._sources.append(Source(kind=kind, name=f"trio_voice_{name}", help=help_, labels=labels, read=read))

    def load(self) -> None:
        """Load what writes them, which takes some 30 ms; safe in a thread."""
        if self._exposition is None:
            from edge.exposition import Exposition

            self._exposition = Exposition(self._sources)

    def render(self) -> bytes:
        """Write everything in the text format 0.0.4 of Prometheus."""
        self.load()
        assert self._exposition is not None  # noqa: S101 - just loaded
        return self._exposition.render()


def _by_label(numbers: Mapping[Label, float]) -> list[tuple[Sequence[str], float]]:
    return [((str(value),), number) for value, number in list(numbers.items())]
