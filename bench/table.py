"""The result: rows of ratios, what they must reach, and whether they do."""

import json
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import cpu_count
from pathlib import Path
from statistics import median

import attrs

from edge.version import VERSION

__all__ = ["HEADINGS", "Row", "render", "save"]

HEADINGS = ("what", "ours", "peer or limit", "ratio", "must", "want", "verdict")


@attrs.frozen(kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        what: what was measured.
        ours: our side, with its unit.
        peer: the other side, with its unit; empty without one.
        ratio: ours over the peer's; None when the row only informs.
        must: what the ratio may be at most; None when nothing was promised.
        want: what we would like it to be.
        notes: under which conditions, above all who was at the limit.
        details: numbers of the rounds, for the JSON file.
    """

    what: str
    ours: str
    peer: str = ""
    ratio: float | None = None
    must: float | None = None
    want: float | None = None
    notes: tuple[str, ...] = ()
    details: Mapping[str, object] = attrs.field(factory=dict)

    @classmethod
    def of_rounds(
        cls,
        what: str,
        ours: Sequence[float],
        peer: Sequence[float],
        show: Callable[[float], str],
        *,
        must: float | None = None,
        want: float | None = None,
        notes: tuple[str, ...] = (),
    ) -> "Row":
        """Make a line of rounds in which two sides took turns; the ratio is the median of the rounds' ratios.

        Args:
            what: what was measured.
            ours: our side, round by round.
            peer: the other side, in the same rounds.
            show: a value with its unit.
            must: see there.
            want: see there.
            notes: see there.
        """
        return cls(
            what=what,
            ours=show(median(ours)),
            peer=show(median(peer)),
            ratio=median(one / other for one, other in zip(ours, peer, strict=True)),
            must=must,
            want=want,
            notes=notes,
            details={"ours": ours, "peer": peer},
        )

    @property
    def verdict(self) -> str:
        """Say in a word or two whether the ratio is what it must be."""
        if self.ratio is None or self.must is None:
            return "-"
        if self.ratio > self.must:
            return "MISSED"
        return "as wanted" if self.want is not None and self.ratio <= self.want else "met"

    def cells(self) -> tuple[str, ...]:
        """Return what stands in each column."""
        ratio, must, want = (_ratio_text(value) for value in (self.ratio, self.must, self.want))
        return self.what, self.ours, self.peer or "-", ratio, must, want, self.verdict


def _ratio_text(value: float | None) -> str:
    if value is None:
        return "-"
    return f"1/{1 / value:.1f}" if 0 < value < 0.5 else f"{value:.2f}"


def render(rows: Iterable[Row]) -> str:
    """Write the table, and below it the notes of each row."""
    rows = tuple(rows)
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [_line(line, widths) for line in lines]
    text.insert(1, "  ".join("-" * width for width in widths))
    for row in rows:
        text += [f"\n{row.what}:", *(f"  {note}" for note in row.notes)] if row.notes else []
    return "\n".join(text)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def save(rows: Iterable[Row], folder: Path, **circumstances: object) -> Path:
    """Write everything to a new JSON file and return its path."""
    folder.mkdir(exist_ok=True)
    path = folder / time.strftime("%Y%m%d-%H%M%S.json")
    document = {
        "version": VERSION,
        "when": time.strftime("%Y-%m-%d %H:%M"),
        "machine": {"processors": cpu_count(), "kernel": platform.release(), "python": platform.python_version()},
        **circumstances,
        "rows": [{**attrs.asdict(row), "verdict": row.verdict} for row in rows],
    }
    path.write_text(json.dumps(document, indent=2) + "\n")
    return path
