"""What relays measure of transceivers, as they tell it in the registry."""

from collections.abc import Iterable, Iterator, Sequence

import attrs

from edge.config.model import Role
from edge.registry.member import Heard, MeasuredLink
from geo.hops import Hop

__all__ = ["LINKS_TOLD", "drawn", "hops_of", "pooled", "process_name"]

LINKS_TOLD = 16
"""How many links a relay tells of, 1.2 KB: each member reads all of it each second."""


def pooled(links: Iterable[MeasuredLink]) -> Sequence[MeasuredLink]:
    """Put the links of several workers together, at both ends: one for each transceiver."""
    found: dict[tuple[int, int], MeasuredLink] = {}
    for link in links:
        known = found.get((link.cluster, link.incarnation))
        found[link.cluster, link.incarnation] = link if known is None else _sum_of(known, link)
    return tuple(found.values())


def _sum_of(one: MeasuredLink, other: MeasuredLink) -> MeasuredLink:
    timed = [each for each in (one, other) if each.round_trip is not None and each.pings]
    pings = sum(each.pings for each in timed)
    total = sum((each.round_trip or 0.0) * each.pings for each in timed)
    return attrs.evolve(
        one,
        pings=one.pings + other.pings,
        lost=one.lost + other.lost,
        round_trip=round(total / pings, 2) if pings else None,
    )


def drawn(links: Sequence[MeasuredLink], incarnation: int) -> tuple[MeasuredLink, ...]:
    """Draw those that a relay tells of where it has too many: each relay others, so that all are told of by some.

    Args:
        links: those that there are.
        incarnation: of the relay's process.
    """
    if len(links) <= LINKS_TOLD:
        return tuple(links)
    # By a number that has nothing to do with how they are; the worst alone would make everybody look bad.
    return tuple(sorted(links, key=lambda link: (link.incarnation ^ incarnation, link.cluster))[:LINKS_TOLD])


def process_name(cluster: int | None, incarnation: int) -> str:
    """Write what tells a transceiver's process from others."""
    return f"{cluster or 0}.{incarnation:x}"


def hops_of(members: Iterable[Heard]) -> Iterator[Hop]:
    """List what relays tell of transceivers; a relay by its id, a transceiver by `process_name`.

    Args:
        members: those who are there. Who was not heard lately tells nothing, and of whom has gone nothing is told.
    """
    known = tuple(members)
    regions = {
        process_name(each.member.cluster, each.member.incarnation): each.member.region
        for each in known
        if each.member.kind is Role.TRANSCEIVER
    }
    for heard in known:
        if heard.member.kind is not Role.RELAY or heard.is_late:
            continue
        for link in heard.member.links:
            name = process_name(link.cluster, link.incarnation)
            if name in regions:
                yield Hop(
                    relay=heard.member.id,
                    transceiver=name,
                    is_near=heard.member.region == regions[name],
                    pings=link.pings,
                    lost=min(link.pings, max(0, link.lost)),
                    round_trip=link.round_trip,
                )
