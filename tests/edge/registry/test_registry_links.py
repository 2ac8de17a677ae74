"""What relays tell of transceivers: put together, bounded, and read beside members that tell nothing of the kind."""

import attrs

from edge.config.model import RelayConfig
from edge.registry.describing import Node, describe_relay
from edge.registry.links import LINKS_TOLD, drawn, hops_of, pooled
from edge.registry.member import Heard, MeasuredLink
from edge.registry.redis import RedisMembers
from geo.hops import Hop

FORMER = (
    '{"kind": "relay", "name": "edge-1", "incarnation": 7, "version": "0.2.0", "cluster": null, "region": "eu", '
    '"control": "", "hop": [["10.0.0.4", 7000]], "workers": 1, "ingresses": [], "calls": 3, "max_calls": 100, '
    '"is_ready": true, "reason": "", "is_draining": false, "lateness": 0.001}'
)
"""As a relay of 0.2.0 has announced itself."""


def measured(incarnation: int, pings: int = 60, lost: int = 0, round_trip: float | None = 0.5) -> MeasuredLink:
    return MeasuredLink(cluster=3, incarnation=incarnation, pings=pings, lost=lost, round_trip=round_trip)


def test_workers_at_both_ends_are_put_together():
    told = pooled([measured(1, 60, 3, 1.0), measured(2), measured(1, 20, 1, 5.0), measured(1, 10, 10, None)])
    assert told == (measured(1, 90, 14, 2.0), measured(2))


def test_a_relay_tells_of_so_many_and_each_of_others():
    links = [measured(number) for number in range(200)]
    assert drawn(links[:LINKS_TOLD], 5) == tuple(links[:LINKS_TOLD])
    told = [drawn(links, relay * 0x9E3779B1 & 0xFF) for relay in range(1, 60)]
    assert {len(each) for each in told} == {LINKS_TOLD}
    assert len({each.incarnation for some in told for each in some}) > 180


def test_a_relay_announces_what_it_has_measured():
    node = Node(name="edge", region="eu", address="10.0.0.9", incarnation=77)
    member = describe_relay(node, RelayConfig(), [("10.0.0.9", 7000)], 0, "", [measured(1), measured(1, lost=6)])
    assert member.links == (measured(1, 120, 6),)
    assert describe_relay(node, RelayConfig(), [], 0, "").links == ()


def test_hops_are_those_between_who_is_there(transceiver, relay):
    here = attrs.evolve(transceiver, incarnation=1, region="eu")
    away = attrs.evolve(transceiver, incarnation=2, region="us")
    links = (measured(1, lost=3), measured(2, lost=99), measured(9))
    measuring = attrs.evolve(relay, region="eu", links=links)
    late = attrs.evolve(relay, incarnation=6, links=links)
    members = [Heard(here, 0.1), Heard(away, 0.1), Heard(measuring, 0.1), Heard(late, 4.0), Heard(relay, 0.1)]
    assert list(hops_of(members)) == [
        Hop(relay=relay.id, transceiver="3.1", is_near=True, pings=60, lost=3, round_trip=0.5),
        Hop(relay=relay.id, transceiver="3.2", is_near=False, pings=60, lost=60, round_trip=0.5),
    ]


async def test_a_relay_of_the_release_before_has_measured_nothing(redis, link):
    store = RedisMembers(link, "test:")
    redis.command("HSET", "test:members", "relay.0.7", FORMER)
    redis.command("EVAL", "redis.call('ZADD', KEYS[1], redis.call('TIME')[1] * 1000, ARGV[1])", "1",
                  "test:members:heard", "relay.0.7")  # fmt: skip
    (heard,) = await store.members()
    assert (heard.member.name, heard.member.version, heard.member.links) == ("edge-1", "0.2.0", ())
