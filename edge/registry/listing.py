"""The members of a fleet as JSON, and as a table for people."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from edge.config.model import Role
from edge.config.values import format_address
from edge.registry.member import Heard

__all__ = ["Listing", "lines_of", "listing_of"]

Listing = Mapping[str, object]
"""What `listing_of` writes: "problem", and "members" with all that each said of itself."""

_ORDER = {Role.SIGNAL: 0, Role.RELAY: 1, Role.TRANSCEIVER: 2}
_COLUMNS = ("NODE", "TIER", "REGION", "VERSION", "LOAD", "HEARD", "STATE")


def listing_of(members: Sequence[Heard], problem: str = "") -> Listing:
    """Write the members in JSON types, signal first, transceivers last.

    Args:
        members: who is there.
        problem: why this may be old; empty when it is not.
    """
    ordered = sorted(members, key=lambda heard: (_ORDER[heard.member.kind], heard.member.name, heard.member.id))
    return {"problem": problem or None, "members": [_fields(heard) for heard in ordered]}


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


def _fields(heard: Heard) -> Mapping[str, object]:
    member = heard.member
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
        f"{fields.get('heard_seconds_ago')} s ago",
        f"late, {state}" if fields.get("late") else state,
    )


def _load(fields: Mapping[str, Any]) -> str:
    calls, most = fields.get("calls"), fields.get("max_calls")
    if fields.get("tier") == Role.SIGNAL:
        return "-"
    what = "flows" if fields.get("tier") == Role.RELAY else "calls"
    return f"{calls}/{most} {what}" if most else f"{calls} {what}"
