"""The members of a fleet as JSON, and as a table for people."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

from edge.config.model import Role
from edge.config.values import format_address
from edge.registry.links import hops_of, process_name
from edge.registry.member import Heard
from geo.hops import Typical, typical_of

__all__ = ["Listing", "lines_of", "listing_of"]

Listing = Mapping[str, object]
"""What `listing_of` writes: "problem", "members" with all that each said of itself, and "regions" that are not well."""

_NO_REGIONS: Mapping[str, str] = MappingProxyType({})
_ORDER = {Role.SIGNAL: 0, Role.RELAY: 1, Role.TRANSCEIVER: 2}
_COLUMNS = ("NODE", "TIER", "REGION", "VERSION", "LOAD", "HEALTH", "HEARD", "STATE")


def listing_of(members: Sequence[Heard], problem: str = "", regions: Mapping[str, str] = _NO_REGIONS) -> Listing:
    """Write the members in JSON types, signal first, transceivers last.

    Args:
        members: who is there.
        problem: why this may be old; empty when it is not.
        regions: what calls have shown of regions that are not well, by name; only a signal server knows.
    """
    relays, transceivers = typical_of(hops_of(members))
    ordered = sorted(members, key=lambda heard: (_ORDER[heard.member.kind], heard.member.name, heard.member.id))
    return {
        "problem": problem or None,
        "members": [_fields(heard, relays, transceivers) for heard in ordered],
        "regions": [{"name": name, "health": why} for name, why in sorted(regions.items())],
    }


def lines_of(listing: Listing) -> Iterator[str]:
    """Write a listing as a table; it may come from a server of another version."""
    members = cast("list[dict[str, Any]]", listing["members"])
    if listing.get("problem"):
        yield f"The store is away, so this is what was known last: {listing['problem']}"
        yield ""
    if not members:
        yield "Nobody has announced himself."
        return
    rows = [_COLUMNS, *(_row(fields) for fields in members)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    for row in rows:
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
    regions = cast("list[dict[str, Any]]", listing.get("regions") or [])
    if regions:
        yield ""
    for region in regions:
        yield f"{region.get('name')}: {region.get('health')}"


def _fields(heard: Heard, relays: Mapping[str, Typical], transceivers: Mapping[str, Typical]) -> Mapping[str, object]:
    member = heard.member
    if member.kind is Role.TRANSCEIVER:
        measured = transceivers.get(process_name(member.cluster, member.incarnation))
    else:
        measured = relays.get(member.id)
    return {
        "tier": member.kind.value,
        "name": member.name,
        "region": member.region or None,
        "version": member.version,
        "cluster": member.cluster,
        "incarnation": member.incarnation,
        "control": member.control or None,
        "hop": [format_address(address) for address in member.hop],
        "ingresses": [
            {"id": each.id, "address": format_address(each.advertise), "protocol": each.protocol}
            for each in member.ingresses
        ],
        "workers": member.workers,
        "calls": member.calls,
        "max_calls": member.max_calls,
        "ready": member.is_ready,
        "reason": member.reason or None,
        "draining": member.is_draining,
        "heard_seconds_ago": round(heard.age, 1),
        "late": heard.is_late,
        "loop_lateness_seconds": member.lateness,
        "hop_loss": None if measured is None else round(measured.loss, 4),
        "hop_round_trip_ms": None if measured is None else round(measured.delay, 1),
    }


def _row(fields: Mapping[str, Any]) -> tuple[str, ...]:
    if fields.get("draining"):
        state = "draining"
    elif fields.get("ready"):
        state = "ready"
    else:
        state = f"not ready: {fields.get('reason') or 'it does not say why'}"
    return (
        str(fields.get("name")),
        str(fields.get("tier")),
        str(fields.get("region") or "-"),
        str(fields.get("version") or "-"),
        _load(fields),
        _health(fields),
        f"{fields.get('heard_seconds_ago')} s ago",
        f"late, {state}" if fields.get("late") else state,
    )


def _health(fields: Mapping[str, Any]) -> str:
    loss, round_trip = fields.get("hop_loss"), fields.get("hop_round_trip_ms")
    if loss is None:
        return "-"
    return f"{loss:.1%} lost" + (f", {round_trip:.0f} ms" if round_trip else "")


def _load(fields: Mapping[str, Any]) -> str:
    calls, most = fields.get("calls"), fields.get("max_calls")
    if fields.get("tier") == Role.SIGNAL:
        return "-"
    what = "flows" if fields.get("tier") == Role.RELAY else "calls"
    return f"{calls}/{most} {what}" if most else f"{calls} {what}"
