"""Candidates in order, and a sentence for each that says why it stands there."""

from typing import Generic, TypeVar

import attrs

from geo.regions import Region
from geo.scoring import Score
from geo.standing import Standing

__all__ = ["Choice", "Ranked", "order"]

Item = TypeVar("Item")


@attrs.frozen
class Ranked(Generic[Item]):
    """A candidate that was looked at.

    Attributes:
        item: the candidate.
        name: what it is called in sentences.
        region: where it is.
        standing: what goes before its score.
        why: why it stands there; empty for a usable one.
        score: its score.
    """

    item: Item
    name: str
    region: Region | None
    standing: Standing
    why: str
    score: Score


@attrs.frozen(kw_only=True)
class Choice(Generic[Item]):
    """What was chosen, and why.

    Attributes:
        items: what was chosen, best first; empty when nothing can be used.
        ranked: everything that was looked at, those chosen first and in their order.
    """

    items: tuple[Item, ...]
    ranked: tuple[Ranked[Item], ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        """A sentence for each candidate that was looked at, in the order of `ranked`."""
        return tuple(self._sentence(position) for position in range(len(self.ranked)))

    def _sentence(self, position: int) -> str:
        each = self.ranked[position]
        name = each.name if each.region is None else f"{each.name} in {each.region.name}"
        parts = [each.why, each.score.why] if each.why else [each.score.why]
        sentence = f"{name}: {', '.join(parts)}."
        if position >= len(self.items):
            count = len(self.items)
            sentence += " Not chosen." if each.why else f" Left out, as {count} are enough."
        for better in self.ranked[:position] if self.items else ():
            if behind := _why_behind(each, better):
                return f"{sentence} {behind}"
        return sentence


def order(each: Ranked[Item]) -> tuple[int, float, float]:
    """Give the key by which candidates are sorted."""
    # The load once more, as its term vanishes beside the others while it is small.
    return each.standing, each.score.total, each.score.load_share


def _why_behind(each: Ranked[Item], better: Ranked[Item]) -> str:
    """Tell what a candidate that is nearer than a better one lost by; empty for one that is not."""
    mine, its = each.score, better.score
    if mine.way.kilometres is None or its.way.kilometres is None or mine.way.kilometres >= its.way.kilometres:
        return ""
    name = better.name if better.region is None else f"{better.name} in {better.region.name}"
    if each.why:
        return f"Nearer than {name}, but {each.why}."
    others = its.terms
    lost = [f"{term} {own:.1f} to {others[term]:.1f} ms" for term, own in mine.terms.items() if own > others[term]]
    return f"Nearer than {name}, but worse in {' and '.join(lost)}." if lost else f"Nearer than {name}, but as good."
