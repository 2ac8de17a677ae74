"""Memory of a flow in a relay's table: all that the table allocates, from dicts to deadlines, over the flows it holds.

The flows are as they are in calls: proven, each with one claim, heard in different ticks, at addresses and with tags of
their own.
"""

import tracemalloc
from ipaddress import IPv4Address, IPv6Address

from relay.claims import Route, TransceiverPlace
from relay.flows import TICK, FlowTable
from relay.hop.header import UP, pack_header
from relay.sockaddr import parse_sockaddr, serialize_sockaddr
from relay.tags import FlowTags

__all__ = ["bytes_per_flow"]

_INGRESS = 4660
_HEARD_OVER = 10.0
"""Seconds over which the flows were last heard."""
_IPV4, _IPV6 = int(IPv4Address("127.1.0.0")), int(IPv6Address("2001:db8::"))


def bytes_per_flow(count: int = 50_000, *, is_ipv6: bool = False) -> float:
    """Return the bytes that each of `count` flows takes; takes some microseconds a flow."""
    tags, place = FlowTags([bytes(32)]), TransceiverPlace(("127.0.0.1", 3479))
    was_tracing = tracemalloc.is_tracing()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        table = FlowTable(ingresses=(_INGRESS,), max_claims=2 * count)
        for number in range(count):
            host = str(IPv6Address(_IPV6 + (number << 64)) if is_ipv6 else IPv4Address(_IPV4 + number))
            # As the datapath does it: nothing in the table is kept alive by who made it.
            client = parse_sockaddr(serialize_sockaddr((host, 40_000 + number % 20_000)))
            session = number * 0x9E3779B97F4A7C15 % (1 << 64)
            tag = tags.make(_INGRESS, session, client)
            header = pack_header(UP, ingress=_INGRESS, client=client, session=session, tag=tag)
            route = Route(session=session, place=place, tag=tag, up_header=header)
            now = 1000.0 + number / count * (_HEARD_OVER - TICK)
            table.prove(int(str(_INGRESS)), client, route, now)
        after, _ = tracemalloc.get_traced_memory()
        assert len(table) == table.flow_count == count
        return (after - before) / count
    finally:
        if not was_tracing:
            tracemalloc.stop()
