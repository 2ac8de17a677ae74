"""What a process says of itself in the fleet, and whom of the others its relay links with."""

import attrs
import pytest
import trio

from edge.config.model import ClusterRelay, NodeConfig, RelayConfig, RelayIngress, Role, StoreConfig, TransceiverConfig
from edge.metrics import Metrics
from edge.registry.describing import Node, describe_relay, describe_signal, describe_transceiver
from edge.registry.member import Heard
from edge.registry.membership import Membership, add_membership_metrics, transceivers_for
from transceiver.handover.ownership import StoreUnavailable

NODE = Node(name="eu-1", region="eu", address="10.0.0.9", incarnation=77)
STATUS = {"cluster": 3, "incarnation": 5, "workers": 2, "calls": 4, "max_calls": 9, "ready": True, "reason": ""}


def test_a_transceiver_says_where_others_reach_it():
    hop = (("0.0.0.0", 7001), ("0.0.0.0", 7002))  # noqa: S104 - what it is bound to
    control = NODE.url("https", ("::", 7080))
    member = describe_transceiver(NODE, TransceiverConfig(), hop, control, STATUS)
    assert (member.kind, member.name, member.region, member.incarnation) == (Role.TRANSCEIVER, "eu-1", "eu", 5)
    assert member.control == "https://10.0.0.9:7080"
    assert member.hop == (("10.0.0.9", 7001),)  # relays look for the others behind the first
    assert (member.calls, member.max_calls, member.workers, member.cluster) == (4, 9, 2, 3)
    assert member.is_ready
    assert not member.is_draining
    assert member.version


def test_workers_on_ports_of_the_kernels_choice_are_told_each():
    hop = (("127.0.0.1", 40001), ("127.0.0.1", 50002))
    config = TransceiverConfig(hop=("127.0.0.1", 0))
    assert describe_transceiver(NODE, config, hop, "http://127.0.0.1:1", STATUS).hop == hop


def test_who_drains_says_so():
    status = STATUS | {"ready": False, "reason": "draining"}
    member = describe_transceiver(NODE, TransceiverConfig(), [("10.0.0.9", 1)], "http://10.0.0.9:1", status)
    assert member.is_draining
    assert (member.is_ready, member.reason) == (False, "draining")


def test_a_relay_says_what_answers_may_offer():
    ingress = RelayIngress(id=4, advertise=("203.0.113.5", 443), bind=("10.0.0.9", 443), protocol="tcp")
    member = describe_relay(NODE, RelayConfig(ingresses=(ingress,), cluster=2), [("10.0.0.9", 7000)], 12, "no link")
    (told,) = member.ingresses
    assert (told.id, told.advertise, told.protocol, told.region, told.relay) == (
        4,
        ("203.0.113.5", 443),
        "tcp",
        "eu",
        "eu-1",
    )
    assert (member.calls, member.cluster, member.is_ready, member.reason) == (12, 2, False, "no link")
    assert member.incarnation == 77


def test_signal_says_whether_it_can_place_calls():
    assert describe_signal(NODE, "").is_ready
    assert describe_signal(NODE, "no transceiver").reason == "no transceiver"


def heard(transceiver, number: int, cluster: int, *hop) -> Heard:
    return Heard(attrs.evolve(transceiver, incarnation=number, cluster=cluster, hop=hop), 0.1)


@pytest.mark.parametrize(
    ("config", "hops"),
    [
        (RelayConfig(), [("10.0.0.1", 1), ("10.0.0.1", 2), ("10.0.0.2", 1)]),
        (RelayConfig(cluster=2), [("10.0.0.2", 1)]),
        (RelayConfig(cluster_relays=(ClusterRelay(cluster=2, hop=("r", 1)),)), [("10.0.0.1", 1), ("10.0.0.1", 2)]),
        (RelayConfig(cluster=9), []),
        (RelayConfig(hop=("fd00::9", 1)), [("fd00::2", 1)]),
    ],
)
def test_a_relay_links_with_the_transceivers_that_it_serves(transceiver, config, hops):
    members = [
        heard(transceiver, 1, 1, ("10.0.0.1", 2), ("10.0.0.1", 1)),
        heard(transceiver, 2, 2, ("10.0.0.2", 1), ("fd00::2", 1)),
    ]
    assert transceivers_for(config, members) == hops


async def test_a_process_announces_its_tiers_and_knows_the_others(redis, transceiver, relay):
    config = StoreConfig(url=redis.url)
    async with trio.open_nursery() as nursery:
        one, two = (Membership(config, NodeConfig(name=name), lambda *_: None) for name in ("one", "two"))
        one.announce(lambda node: attrs.evolve(transceiver, name=node.name))
        two.announce(lambda node: attrs.evolve(relay, name=node.name))
        await nursery.start(one.run)
        await nursery.start(two.run)
        two.announce(lambda node: node.describe(Role.SIGNAL))
        used = []

        async def use(addresses) -> None:
            used.append(addresses)

        nursery.start_soon(two.follow_transceivers, RelayConfig(), use)
        with trio.fail_after(5):
            await two.wait_for_answer()
            while len(one.roster.members()) < 3 or not used:
                await two.roster.wait_read()
        assert [each.member.name for each in two.others(Role.TRANSCEIVER)] == ["one"]
        assert one.others(Role.TRANSCEIVER) == []
        assert [each.member.name for each in one.others(Role.RELAY)] == ["two"]
        assert used == [[("10.0.0.3", 7001)]]
        metrics = Metrics()
        add_membership_metrics(metrics, two)
        shown = metrics.render().decode()
        assert 'trio_voice_fleet_members{tier="relay"} 1.0' in shown
        assert 'trio_voice_fleet_members_late{tier="relay"} 0.0' in shown
        assert "trio_voice_store_reachable 1.0" in shown
        await one.leave()
        assert redis.command("HLEN", "trio-voice:members") == "2"
        nursery.cancel_scope.cancel()
    assert redis.command("HLEN", "trio-voice:members") == "0"  # also who is cancelled says goodbye


async def test_what_has_changed_is_told_at_once(redis, nursery, transceiver):
    membership = Membership(StoreConfig(url=redis.url), NodeConfig(), lambda *_: None)
    states = [transceiver]
    membership.announce(lambda _node: states[-1])
    await nursery.start(membership.run)
    states.append(attrs.evolve(transceiver, calls=99))
    membership.hurry()
    await trio.sleep(0.1)
    await membership.roster.read()
    assert membership.roster.members()[0].member.calls == 99


async def test_who_was_in_its_place_before_is_not_on_the_first_roster(redis, transceiver):
    """A successor must not wait for the turn of the dead one whose address it has."""
    config = StoreConfig(url=redis.url)
    for round_number in range(5):  # which of two tasks comes first is left to chance
        before = Membership(config, NodeConfig(), lambda *_: None)
        async with trio.open_nursery() as nursery:
            await nursery.start(before.run)
            await before.stores.members.announce(attrs.evolve(transceiver, incarnation=2 * round_number))
            membership = Membership(config, NodeConfig(), lambda *_: None)
            assert "has not been asked" in membership.roster.problem
            assert "since the start" in membership.not_joined_reason
            present = attrs.evolve(transceiver, incarnation=2 * round_number + 1)
            membership.announce(lambda _node, present=present: present)
            await nursery.start(membership.run)
            assert [each.member.incarnation for each in membership.roster.members()] == [present.incarnation]
            assert membership.not_joined_reason == ""
            nursery.cancel_scope.cancel()


async def test_it_has_joined_when_all_its_tiers_are_listed_and_for_ever_then(redis, nursery, transceiver, relay):
    membership = Membership(StoreConfig(url=redis.url), NodeConfig(), lambda *_: None)
    membership.announce(lambda _node: transceiver)
    await nursery.start(membership.run)
    assert membership.not_joined_reason == ""
    membership.stores.members.announce = _is_away
    membership.stores.members.members = _is_away
    await membership.roster.read()
    assert membership.roster.problem
    assert membership.not_joined_reason == ""
    membership.announce(lambda _node: relay)
    assert "since the start" in membership.not_joined_reason


async def _is_away(*_):
    raise StoreUnavailable("it is away")


async def test_a_store_that_is_away_holds_nobody_up_for_long(tmp_path, nursery, transceiver):
    membership = Membership(StoreConfig(url=f"unix://{tmp_path}/none", timeout=0.2), NodeConfig(), lambda *_: None)
    membership.announce(lambda _node: transceiver)
    with trio.fail_after(3):
        await nursery.start(membership.run)
    assert membership.roster.problem
    assert not membership.roster.has_read
    assert "since the start" in membership.not_joined_reason
    with trio.fail_after(1.5):
        await membership.leave()
