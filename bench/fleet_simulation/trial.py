"""What a picture was made of: its command, and what a trial gave then.

A trial is the same runs with few callers, drawn by the same code. It takes a second where the whole takes minutes, so a
test makes it each time: one that is drawn otherwise says that the pictures in `docs/` are out of date.
"""

import hashlib
import re

import attrs

from bench.fleet_simulation.fleet import Ailment
from bench.fleet_simulation.plot import draw, draw_ailment
from bench.fleet_simulation.simulation import Settings, simulate

__all__ = ["fingerprint", "read_origin", "sign"]

_TRIAL = Settings(callers=1000, seconds=600, mean_call=90)
_COMMAND = "python -m bench.fleet_simulation --callers {} --seed {}"
_ORIGIN = re.compile(r"<metadata>(.*); trial ([0-9a-f]{16})</metadata>\n")


def fingerprint(settings: Settings = _TRIAL) -> str:
    """Carry out the trial, and return a digest of what it draws; the same for the same code and settings."""
    results, unmeasured = simulate(settings), simulate(attrs.evolve(settings, learns=False))
    ailment = Ailment(region="eu-central", loss=0.2)
    ailing = simulate(attrs.evolve(settings, victim="", ailment=ailment))
    drawn = draw(results, unmeasured) + draw_ailment(ailment, ailing, results)
    return hashlib.sha256(drawn.encode()).hexdigest()[:16]


def sign(picture: str, settings: Settings, trial: str) -> str:
    """Write into a picture where it is from.

    Args:
        picture: an SVG.
        settings: what its runs were made with.
        trial: the fingerprint of now.
    """
    head, closing, rest = picture.partition("</svg>")
    return (
        f"{head}<metadata>{_COMMAND.format(settings.callers, settings.seed)}; trial {trial}</metadata>\n{closing}{rest}"
    )


def read_origin(picture: str) -> tuple[str, str]:
    """Read out of a picture the command that made it, and the fingerprint of then.

    Raises:
        ValueError: it does not say.
    """
    found = _ORIGIN.search(picture)
    if found is None:
        raise ValueError("the picture does not say where it is from")
    return found[1], found[2]
