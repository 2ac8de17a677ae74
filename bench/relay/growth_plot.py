"""Draw what a packet costs with more flows and more workers, from the results of a run.

    python -m bench.relay.growth_plot [RESULTS.json]

writes docs/images/relay-growth.svg; without a name it takes the newest run that has these rows.
"""

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.relay.growth import BY_FLOWS, BY_WORKERS

__all__ = ["draw"]

_RESULTS = Path(__file__).parent.parent / "results"
_PICTURE = Path(__file__).parent.parent.parent / "docs" / "images" / "relay-growth.svg"

_WIDTH, _HEIGHT = 760, 300
_TOP, _BOTTOM = 46, 246
_FLOWS_LEFT, _FLOWS_RIGHT = 64, 470
_WORKERS_LEFT, _WORKERS_RIGHT = 560, 730
_BAR = 46
_OURS, _PEER = "#1f6fb2", "#c2571a"

_HEAD = f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="12">
<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>
"""

_Details = Mapping[str, Sequence[float]]


def draw(by_flows: _Details, by_workers: _Details | None) -> str:
    """Return the picture.

    Args:
        by_flows: "flows", and the CPU seconds of a packet for "ours" and "peer".
        by_workers: "workers" and "ours"; None when that was not measured.
    """
    costs = [*by_flows["ours"], *by_flows["peer"], *(by_workers["ours"] if by_workers else ())]
    top = math.ceil(max(costs) * 1e6)
    parts = [_HEAD, *_scale(top, _FLOWS_LEFT, _FLOWS_RIGHT), *_lines(by_flows, top)]
    parts.append(_text(_FLOWS_LEFT, 24, "CPU of a forwarded packet, µs, by flows", anchor="start", weight="bold"))
    if by_workers is not None:
        parts += _scale(top, _WORKERS_LEFT, _WORKERS_RIGHT)
        parts += _bars(by_workers, top)
        parts.append(_text(_WORKERS_LEFT, 24, "by workers, all together", anchor="start", weight="bold"))
    return "".join((*parts, "</svg>\n"))


def _height(cost: float, top: int) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * cost / top


def _scale(top: int, left: int, right: int) -> Iterator[str]:
    for cost in range(top + 1):
        y = _height(cost, top)
        yield f'<path d="M{left} {y:.1f}H{right}" stroke="#ddd"/>\n'
        yield _text(left - 8, y + 4, str(cost), anchor="end")


def _lines(details: _Details, top: int) -> Iterator[str]:
    flows = details["flows"]
    first, last = math.log(flows[0]), math.log(flows[-1])
    places = [
        _FLOWS_LEFT + 16 + (_FLOWS_RIGHT - _FLOWS_LEFT - 32) * (math.log(n) - first) / (last - first) for n in flows
    ]
    for place, count in zip(places, flows, strict=True):
        yield _text(place, _BOTTOM + 18, f"{count:,}")
    sides = (("ours", _OURS, "the relay"), ("peer", _PEER, "a forwarder in C"))
    for number, (key, colour, name) in enumerate(sides):
        points = [(x, _height(cost * 1e6, top)) for x, cost in zip(places, details[key], strict=True)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>\n'
        yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>\n' for x, y in points)
        yield _text(_FLOWS_LEFT + 16, _BOTTOM - 30 + 18 * number, name, anchor="start", colour=colour)
    yield _text((_FLOWS_LEFT + _FLOWS_RIGHT) / 2, _BOTTOM + 38, "flows")


def _bars(details: _Details, top: int) -> Iterator[str]:
    step = (_WORKERS_RIGHT - _WORKERS_LEFT) / len(details["workers"])
    for number, (workers, cost) in enumerate(zip(details["workers"], details["ours"], strict=True)):
        middle, y = _WORKERS_LEFT + step * (number + 0.5), _height(cost * 1e6, top)
        box = f'x="{middle - _BAR / 2:.1f}" y="{y:.1f}" width="{_BAR}" height="{_BOTTOM - y:.1f}"'
        yield f'<rect {box} fill="{_OURS}"/>\n'
        yield _text(middle, y - 6, f"{cost * 1e6:.1f}", colour=_OURS)
        yield _text(middle, _BOTTOM + 18, f"{workers}")
    yield _text((_WORKERS_LEFT + _WORKERS_RIGHT) / 2, _BOTTOM + 38, "workers")


def _text(
    x: float, y: float, text: str, *, anchor: str = "middle", colour: str = "#333", weight: str = "normal"
) -> str:
    style = f'text-anchor="{anchor}" fill="{colour}" font-weight="{weight}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{text}</text>\n'


def _details(path: Path) -> dict[str, _Details]:
    return {row["what"]: row["details"] for row in json.loads(path.read_text())["rows"]}


def _main(words: Sequence[str]) -> None:
    runs = [Path(word) for word in words] or sorted(_RESULTS.glob("*.json"), reverse=True)
    for run in runs:
        details = _details(run)
        if BY_FLOWS in details:
            _PICTURE.write_text(draw(details[BY_FLOWS], details.get(BY_WORKERS)))
            print(f"{_PICTURE} drawn from {run}")
            return
    sys.exit("no run with these rows; make one: python -m bench --only relay")


if __name__ == "__main__":
    _main(sys.argv[1:])
