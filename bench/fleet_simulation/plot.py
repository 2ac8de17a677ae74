"""Pictures of a simulation: how much longer than ideal ways are, how full regions are, and how an ill one is left."""

from collections.abc import Iterator, Sequence

from bench.fleet_simulation.fleet import Ailment
from bench.fleet_simulation.results import Results, quantile

__all__ = ["draw", "draw_ailment"]

_WIDTH, _HEIGHT = 900, 340
_TOP, _BOTTOM = 46, 290
_WAYS = (60, 330)
_LOADS = (420, 790)
_LONGEST = 60
_OURS, _PLAIN, _DEAD, _NEAR, _OTHERS = "#1f6fb2", "#c2571a", "#b3261e", "#1f6fb2", "#b9b9b9"

_HEAD = f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="12">
<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>
"""


def draw(results: Results, unmeasured: Results) -> str:
    """Return the picture.

    Args:
        results: of a run that learns.
        unmeasured: of one that does not.
    """
    return "".join((_HEAD, *_ways(results, unmeasured), *_loads(results), "</svg>\n"))


def draw_ailment(ailment: Ailment, minded: Results, ignored: Results) -> str:
    """Return the picture of how full a region is that loses packets for a while.

    Args:
        ailment: what is wrong with it.
        minded: of a run in which its health counts.
        ignored: of one in which it does not.
    """
    return "".join((_HEAD, *_ailing(ailment, minded, ignored), "</svg>\n"))


def _ailing(ailment: Ailment, minded: Results, ignored: Results) -> Iterator[str]:
    left, right = 60, 640
    last = minded.times[-1]

    def x(when: float) -> float:
        return left + (right - left) * when / last

    region = ailment.region
    yield _text(
        left, 24, f"how full {region} is, which loses {ailment.loss:.0%} for a while", anchor="start", weight="bold"
    )
    begins, ends = x(ailment.begins * last), x(ailment.ends * last)
    box = f'x="{begins:.1f}" y="{_TOP}" width="{ends - begins:.1f}"'
    yield f'<rect {box} height="{_BOTTOM - _TOP}" fill="#f6e4e2"/>\n'
    yield from _load_levels(left, right)
    yield from _minutes(left, right, last)
    for name in sorted(minded.loads):
        if name != region:
            points = [(x(when), _y(load)) for when, load in zip(minded.times, minded.loads[name], strict=True)]
            yield _line(points, _OTHERS, 1)
    for number, (run, colour, words) in enumerate(
        ((minded, _OURS, "its health counts"), (ignored, _PLAIN, "it does not count"))
    ):
        points = [(x(when), _y(load)) for when, load in zip(run.times, run.loads[region], strict=True)]
        yield _line(points, colour, 2)
        yield _text(right + 8, _BOTTOM - 30 + 18 * number, words, anchor="start", colour=colour)
    yield _text(right + 8, _BOTTOM + 6, "the other regions", anchor="start", colour="#888")


def _load_levels(left: int, right: int) -> Iterator[str]:
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        yield from _level(left, right, share, f"{share:.0%}")


def _minutes(left: int, right: int, last: float) -> Iterator[str]:
    for minutes in range(0, int(last / 60) + 1, 20):
        yield _text(left + (right - left) * minutes * 60 / last, _BOTTOM + 18, f"{minutes}")
    yield _text((left + right) / 2, _BOTTOM + 38, "minutes")


def _ways(results: Results, unmeasured: Results) -> Iterator[str]:
    left, right = _WAYS
    yield _text(left, 24, "callers by ms beyond their ideal round trip", anchor="start", weight="bold")
    for share in (0.5, 0.75, 1.0):
        yield from _level(left, right, 2 * share - 1, f"{share:.0%}")
    for milliseconds in range(0, _LONGEST + 1, 20):
        x = left + (right - left) * milliseconds / _LONGEST
        yield _text(x, _BOTTOM + 18, f"{milliseconds}")
    yield _text((left + right) / 2, _BOTTOM + 38, "ms")
    for number, (run, colour, name) in enumerate(
        ((results, _OURS, "with measured round trips"), (unmeasured, _PLAIN, "by distance alone"))
    ):
        extra = run.detours(run.died / 4, run.died)
        shares = [0.5 + index / 400 for index in range(200)]
        points = [(left + (right - left) * min(_LONGEST, quantile(extra, s)) / _LONGEST, _y(2 * s - 1)) for s in shares]
        yield _line(points, colour, 2)
        yield _text(right, _BOTTOM - 30 + 18 * number, name, anchor="end", colour=colour)


def _loads(results: Results) -> Iterator[str]:
    left, right = _LOADS
    last = results.times[-1]

    def x(when: float) -> float:
        return left + (right - left) * when / last

    yield _text(left, 24, f"how full each region is; {results.victim} dies and returns", anchor="start", weight="bold")
    box = f'x="{x(results.died):.1f}" y="{_TOP}" width="{x(results.returned) - x(results.died):.1f}"'
    yield f'<rect {box} height="{_BOTTOM - _TOP}" fill="#f6e4e2"/>\n'
    yield from _load_levels(left, right)
    yield from _minutes(left, right, last)
    nearest = max(
        (name for name in results.loads if name != results.victim),
        key=lambda name: _mean(results, name, results.died, results.returned) - _mean(results, name, 0, results.died),
    )
    colours = {results.victim: _DEAD, nearest: _NEAR}
    for name in sorted(results.loads, key=lambda name: name in colours):
        points = [(x(when), _y(load)) for when, load in zip(results.times, results.loads[name], strict=True)]
        yield _line(points, colours.get(name, _OTHERS), 2 if name in colours else 1)
    for name, colour in colours.items():
        yield _text(right + 8, _y(results.loads[name][-1]) + 4, name, anchor="start", colour=colour)


def _mean(results: Results, name: str, since: float, until: float) -> float:
    inside = [load for when, load in zip(results.times, results.loads[name], strict=True) if since < when <= until]
    return sum(inside) / len(inside) if inside else 0.0


def _level(left: int, right: int, share: float, name: str) -> Iterator[str]:
    yield f'<path d="M{left} {_y(share):.1f}H{right}" stroke="#ddd"/>\n'
    yield _text(left - 8, _y(share) + 4, name, anchor="end")


def _y(share: float) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * share


def _line(points: Sequence[tuple[float, float]], colour: str, width: int) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>\n'


def _text(
    x: float, y: float, text: str, *, anchor: str = "middle", colour: str = "#333", weight: str = "normal"
) -> str:
    style = f'text-anchor="{anchor}" fill="{colour}" font-weight="{weight}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{text}</text>\n'
