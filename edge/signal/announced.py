"""The relay addresses that the registry knows, and how the relays behind them are."""

from collections.abc import Sequence

from edge.registry.member import Heard
from edge.signal.geography import FoundIngress
from geo.hops import HopRatings
from wire.core import Address

__all__ = ["announced_ingresses"]


def announced_ingresses(relays: Sequence[Heard], hops: HopRatings) -> tuple[FoundIngress, ...]:
    """List the addresses of all relays; where several are behind one, that of the relay that is best to rely on.

    Args:
        relays: who has announced himself.
        hops: what is known of how they do.
    """
    found: dict[tuple[int, Address], FoundIngress] = {}
    for heard in sorted(relays, key=lambda each: (_trouble_of(each)[0], each.member.id)):
        member, (_, trouble) = heard.member, _trouble_of(heard)
        for ingress in member.ingresses:
            offered = FoundIngress(
                ingress=ingress,
                load=round(member.calls / member.max_calls, 2) if member.max_calls else 0.0,
                is_draining=member.is_draining,
                reason=trouble,
                health=hops.relay(member.id),
            )
            found.setdefault((ingress.id, ingress.advertise), offered)
    return tuple(found.values())


def _trouble_of(relay: Heard) -> tuple[int, str]:
    """Tell how bad it is with a relay, 0 for well, and why it cannot be relied on."""
    if relay.member.is_draining:
        return 3, "its relay is draining"
    if not relay.member.is_ready:
        return 2, f"its relay cannot forward: {relay.member.reason or 'it does not say why'}"
    return (1, "its relay's heartbeats are late") if relay.is_late else (0, "")
