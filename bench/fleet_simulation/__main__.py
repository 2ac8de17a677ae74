"""Run the simulation, print what came of it, and draw docs/images/fleet-simulation.svg and fleet-health.svg.

python -m bench.fleet_simulation [--callers N] [--seed N]
"""

import argparse
from pathlib import Path

import attrs

from bench.fleet_simulation.fleet import Ailment
from bench.fleet_simulation.plot import draw, draw_ailment
from bench.fleet_simulation.results import Results, quantile
from bench.fleet_simulation.simulation import Settings, simulate
from bench.fleet_simulation.trial import fingerprint, sign
from geo.scoring import Weights

_PICTURES = Path(__file__).parent.parent.parent / "docs" / "images"
_PICTURE, _HEALTH = _PICTURES / "fleet-simulation.svg", _PICTURES / "fleet-health.svg"
_AILMENT = Ailment(region="eu-central")


def _tell(name: str, results: Results) -> None:
    extra = results.detours(results.died / 4, results.died)
    mean = sum(each.real for each in results.placed) / len(results.placed)
    ideal = sum(each.ideal for each in results.placed) / len(results.placed)
    best = sum(not value for value in extra) / len(extra)
    print(f"{name}:")
    print(f"  calls placed {len(results.placed)}, refused {len(results.refused)}, lost with the region {results.lost}")
    print(f"  mean round trip {mean:.1f} ms, ideal {ideal:.1f} ms")
    at = ", ".join(f"{share:.0%} {quantile(extra, share):.1f} ms" for share in (0.5, 0.9, 0.99))
    print(f"  before the death: {best:.0%} in their best region; beyond the ideal at {at}")
    before, after = results.highest_load(until=results.died), results.highest_load(results.died, results.returned)
    back = results.highest_load(results.returned)
    print(f"  fullest region {before:.0%} before, {after:.0%} while the region is dead, {back:.0%} afterwards")
    print(f"  calls in another region than the network's call before: {results.changes(0, results.died):.1%}")
    print(f"  {results.choices} choices took {results.seconds:.1f} s of CPU, {_micros(results):.0f} µs each")


def _tell_ailment(name: str, results: Results, settings: Settings) -> None:
    begins, ends = (settings.seconds * share for share in (_AILMENT.begins, _AILMENT.ends))
    print(f"{_AILMENT.region} loses {_AILMENT.loss:.0%} from {begins:.0f} to {ends:.0f} s, {name}:")
    for words, since, until in (
        ("before", begins / 2, begins),
        ("while it does", (begins + ends) / 2, ends),
        ("afterwards", settings.seconds * 0.8, settings.seconds),
    ):
        placed = [each for each in results.placed if since <= each.when < until]
        there = sum(each.region == _AILMENT.region for each in placed) / len(placed)
        detours = results.detours(since, until)
        print(
            f"  {words}: {there:.1%} of calls there, changes {results.changes(since, until):.1%}, "
            f"detour 90 % {quantile(detours, 0.9):.1f} ms, most {detours[-1]:.0f} ms, "
            f"fullest region {results.highest_load(since, until):.0%}"
        )
    print(f"  refused {len(results.refused)}")


def _micros(results: Results) -> float:
    return results.seconds / results.choices * 1e6


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.fleet_simulation", description=__doc__)
    parser.add_argument("--callers", type=int, default=100_000, help="how many call by themselves (100000)")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is drawn (1)")
    words = parser.parse_args()
    settings = Settings(callers=words.callers, seed=words.seed)
    trial = fingerprint()
    results = simulate(settings)
    _tell("all of it", results)
    unmeasured = simulate(attrs.evolve(settings, callers=max(1, words.callers // 4), learns=False))
    _tell("a quarter of the callers, without measured round trips", unmeasured)
    _PICTURE.write_text(sign(draw(results, unmeasured), settings, trial))
    quiet = attrs.evolve(settings, victim="", ailment=_AILMENT)
    minded, ignored = simulate(quiet), simulate(attrs.evolve(quiet, weights=Weights(loss=0)))
    _tell_ailment("and that counts", minded, quiet)
    _tell_ailment("and that does not count", ignored, quiet)
    _HEALTH.write_text(sign(draw_ailment(_AILMENT, minded, ignored), settings, trial))
    print(f"{_PICTURE} and {_HEALTH} drawn")


if __name__ == "__main__":
    _main()
