"""`docs/benchmark-results.md`: what a release measured, made of the files that the bench has written.

    python -m bench.publish bench/results/RUN.json ...

Keeps the runs, without the numbers of their rounds, as `docs/benchmark-results.json`, and makes the page of it. So no
figure on the page is copied by hand, each stands beside those of the same run, and what could not be measured is said.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import click

from bench.table import HEADINGS, Row

__all__ = ["DATA", "PAGE", "kept", "page"]

_DOCS = Path(__file__).parents[1] / "docs"
DATA = _DOCS / "benchmark-results.json"
PAGE = _DOCS / "benchmark-results.md"

_HEAD = """\
# Benchmark results

What the release was measured to do. `python -m bench.publish` makes this page of what `make bench` has written; how
things are measured, how to read it, and why what misses does, is told in [Benchmarks](benchmarks.md).
"""

Run = Mapping[str, Any]
"""What `bench.table.save` writes, read again."""


def kept(run: Run) -> Run:
    """Leave out the numbers of single rounds."""
    rows = [{name: value for name, value in row.items() if name != "details"} for row in run["rows"]]
    return {**run, "rows": rows}


def page(runs: Sequence[Run]) -> str:
    """Write the page of some runs."""
    return "\n".join([_HEAD, *(_section(run) for run in runs)])


def _section(run: Run) -> str:
    machine = run["machine"]
    facts = [
        f"trio-voice {run['version']}",
        f"Python {machine['python']}",
        f"{machine['processors']} virtual processors",
        f"load of the machine before {run['load_before']:.1f}",
        f"{run['seconds'] / 60:.0f} minutes",
    ]
    if run["quick"]:
        facts.append("**quick rounds, not to be quoted**")
    rows = [_row(each) for each in run["rows"]]
    lines = [f"## The run of {run['when']}", "", ", ".join(facts) + ".", "", *_table(rows), ""]
    lines += [f"**Not measured**: {name}: {why}\n" for name, why in run["problems"].items()]
    lines += _notes(rows)
    return "\n".join(lines)


def _row(fields: Mapping[str, Any]) -> Row:
    names = {each.name for each in attrs.fields(Row)}
    return Row(**{name: value for name, value in fields.items() if name in names})


def _table(rows: Iterable[Row]) -> Iterable[str]:
    yield _line(HEADINGS)
    yield _line(["---"] * len(HEADINGS))
    for row in rows:
        cells = row.cells()
        yield _line([*cells[:-1], f"**{cells[-1]}**" if cells[-1] == "MISSED" else cells[-1]])


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _notes(rows: Iterable[Row]) -> list[str]:
    lines = ["### Under which conditions", ""]
    for row in rows:
        if row.notes:
            lines += [f"* {row.what}:", *(f"    * {note}" for note in row.notes)]
    return [*lines, ""]


@click.command()
@click.argument("results", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(results: tuple[Path, ...]) -> None:
    """Make docs/benchmark-results.md of RESULTS, files that `make bench` has written."""
    runs = [kept(json.loads(each.read_text(encoding="utf-8"))) for each in results]
    DATA.write_text(json.dumps(runs, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(page(runs), encoding="utf-8")
    click.echo(f"Written: {PAGE}")


if __name__ == "__main__":
    main()
