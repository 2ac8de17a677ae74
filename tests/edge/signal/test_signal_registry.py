"""Transceivers and relay addresses that signal knows from the registry: they join, stall, and leave."""

import attrs
import pytest
import trio

from edge.config.model import ResidencyConfig, Role, SignalIngress
from edge.registry.member import Heard, MeasuredLink
from edge.registry.member import Member as Registered


def ingress(number: int, address: str = "192.0.2.9", **fields: object) -> SignalIngress:
    return SignalIngress(id=number, advertise=(address, 3478), **fields)


class Registry:
    """A process's part in a fleet, as far as signal looks at it."""

    def __init__(self) -> None:
        self.listed: dict[str, Heard] = {}
        self.problem = ""
        self.has_read = True
        self._read = trio.Event()

    roster = property(lambda self: self)

    def list(self, kind: Role, name: str, age: float = 0.1, **fields: object) -> None:
        member = Registered(kind=kind, name=name, incarnation=len(self.listed), control=f"http://{name}", **fields)
        self.listed[name] = Heard(member, age)

    def make_late(self, name: str) -> None:
        self.listed[name] = attrs.evolve(self.listed[name], age=4.0)

    def members(self, kind: Role | None = None):
        return [heard for heard in self.listed.values() if kind in {None, heard.member.kind}]

    others = members

    async def wait_for_answer(self) -> None:
        return

    async def wait_read(self) -> None:
        await self._read.wait()

    async def read(self) -> None:
        read, self._read = self._read, trio.Event()
        read.set()
        await trio.sleep(3)  # a question and its answer; the clock is not the machine's


@pytest.fixture
def registry(empty_edge) -> Registry:
    """A registry, and signal with no other source."""
    empty_edge.registry = Registry()
    return empty_edge.registry


@pytest.fixture
async def start(empty_edge, nursery):
    async def start_edge():
        # The transceivers are there, but nobody is configured to ask them.
        empty_edge.members = [each for each in empty_edge.members if each.client.url.endswith("-configured")]
        edge = await empty_edge.start(ingresses=())
        await nursery.start(edge.fleet.run)
        return edge

    return start_edge


async def test_who_announces_himself_gets_calls(autojump_clock, empty_edge, registry, start, json_of):
    first, second = (empty_edge.add_transceiver(name, number) for number, name in enumerate(("a", "b"), 1))
    registry.list(Role.TRANSCEIVER, "a")
    registry.list(Role.RELAY, "relay", ingresses=(ingress(7, region="eu"),))
    edge = await start()
    assert (await edge.call()).status == 201
    assert (len(first.calls), len(second.calls)) == (1, 0)
    ((_, _, offered),) = first.calls.values()
    assert [(each.id, each.host) for each in offered] == [(7, "192.0.2.9")]
    registry.list(Role.TRANSCEIVER, "b")
    await registry.read()
    await edge.call()
    assert (len(first.calls), len(second.calls)) == (1, 1)
    assert edge.fleet.find(3, 2) is not None


async def test_a_region_that_only_its_members_name_has_a_name(autojump_clock, empty_edge, registry, start):
    calls = empty_edge.add_transceiver("a", 1)
    registry.list(Role.TRANSCEIVER, "a", region="mars")
    registry.list(Role.RELAY, "relay", ingresses=(ingress(7, region="mars"),))
    empty_edge.config = attrs.evolve(
        empty_edge.config, residency=(ResidencyConfig(regions=("mars",), countries=("??",)),)
    )
    edge = await start()
    assert (await edge.call()).status == 201
    assert len(calls.calls) == 1


async def test_nobody_has_announced_himself(autojump_clock, empty_edge, registry, start, read_failure):
    registry.list(Role.RELAY, "relay", ingresses=(ingress(7),))
    edge = await start()
    failure = read_failure(await edge.call())
    assert failure.status == 503
    assert edge.fleet.not_ready_reason() == "No transceiver has announced itself."
    registry.problem = "it is away"
    assert edge.fleet.not_ready_reason() == "No transceiver is known: it is away"


async def test_who_is_late_is_chosen_only_when_nobody_else_can(autojump_clock, empty_edge, registry, start):
    first, second = (empty_edge.add_transceiver(name, number) for number, name in enumerate(("a", "b"), 1))
    registry.list(Role.RELAY, "relay", ingresses=(ingress(7),))
    for name in ("a", "b"):
        registry.list(Role.TRANSCEIVER, name)
    edge = await start()
    registry.make_late("a")
    await registry.read()
    for _ in range(3):
        assert (await edge.call()).status == 201
    assert (len(first.calls), len(second.calls)) == (0, 3)
    (reason,) = (each.reason for each in edge.fleet.candidates() if not each.is_healthy)
    assert reason == "its last heartbeat was 4.0 s ago"
    second.state |= {"ready": False, "reason": "draining"}
    await registry.read()
    assert (await edge.call()).status == 201
    assert len(first.calls) == 1


async def test_who_answers_stays_although_the_registry_has_lost_sight_of_him(
    autojump_clock, empty_edge, registry, start
):
    calls = empty_edge.add_transceiver("a", 1)
    registry.list(Role.RELAY, "relay", ingresses=(ingress(7),))
    registry.list(Role.TRANSCEIVER, "a")
    edge = await start()
    del registry.listed["a"]
    await registry.read()
    assert (await edge.call()).status == 201
    assert len(calls.calls) == 1
    edge.disconnect("a")
    for member in edge.fleet.members:
        member.client = edge.meet("http://a", None).client
    await registry.read()
    await registry.read()
    assert list(edge.fleet.members) == []


async def test_while_the_registry_is_away_a_call_that_nobody_has_may_be_somewhere(
    autojump_clock, empty_edge, registry, start
):
    empty_edge.add_transceiver("a", 1)
    registry.list(Role.TRANSCEIVER, "a")
    edge = await start()
    assert edge.fleet.is_complete
    registry.problem = "it is away"
    assert not edge.fleet.is_complete
    registry.problem, registry.has_read = "", False
    assert not edge.fleet.is_complete


async def test_only_relays_that_can_forward_are_offered_while_there_are_such(
    autojump_clock, empty_edge, registry, start, json_of
):
    registry.list(Role.RELAY, "ready", ingresses=(ingress(1, relay="ready"), ingress(2, "192.0.2.2", relay="ready")))
    registry.list(Role.RELAY, "other", ingresses=(ingress(3, "192.0.2.3"),))
    registry.list(Role.RELAY, "unlinked", ingresses=(ingress(4, "192.0.2.4"),), is_ready=False, reason="no transceiver")
    registry.list(Role.RELAY, "leaving", ingresses=(ingress(5, "192.0.2.5"),), is_draining=True)
    registry.list(Role.RELAY, "late", age=3.0, ingresses=(ingress(6, "192.0.2.6"),))
    registry.list(Role.RELAY, "twin", ingresses=(ingress(1, relay="ready"),))
    empty_edge.add_transceiver("a", 1)
    registry.list(Role.TRANSCEIVER, "a")
    edge = await start()
    assert await offered_to_a_caller(edge) == [1, 3]
    state = json_of(await edge.ask("GET", "/fleet/state"))
    told = {each["id"]: (each["healthy"], each["draining"], each["reason"]) for each in state["ingresses"]}
    assert told == {
        1: (True, False, None),
        2: (True, False, None),
        3: (True, False, None),
        4: (False, False, "its relay cannot forward: no transceiver"),
        5: (True, True, "its relay is draining"),
        6: (False, False, "its relay's heartbeats are late"),
    }
    before = edge.fleet.ingresses
    await registry.read()
    assert edge.fleet.ingresses is before
    for name in ("ready", "twin", "other"):
        registry.make_late(name)
    await registry.read()
    assert await offered_to_a_caller(edge) == [1, 3], "late ones are better than those that say that they cannot"


async def offered_to_a_caller(edge) -> list[int]:
    calls = edge.transceivers["a"].calls
    assert (await edge.call()).status == 201
    _, _, ingresses = list(calls.values())[-1]
    return [each.id for each in ingresses]


async def test_operators_see_the_members_and_nobody_else_does(
    autojump_clock, empty_edge, registry, start, json_of, read_failure
):
    registry.list(Role.TRANSCEIVER, "b", region="eu", calls=3, max_calls=10, version="1.0")
    registry.list(Role.SIGNAL, "a")
    registry.problem = "it is away"
    registry.members = lambda kind=None: [each for each in registry.listed.values() if kind in {None, each.member.kind}]
    edge = await start()
    listing = json_of(await edge.ask("GET", "/fleet/members"))
    assert listing["problem"] == "it is away"
    assert [(each["name"], each["tier"], each["calls"]) for each in listing["members"]] == [
        ("a", "signal", 0),
        ("b", "transceiver", 3),
    ]
    assert read_failure(await edge.ask("GET", "/fleet/members", peer="203.0.113.9")).status == 403


async def test_who_is_configured_by_another_address_is_one_all_the_same(autojump_clock, empty_edge, registry, start):
    empty_edge.add_transceiver("a", 1)
    empty_edge.add_transceiver("a-configured", 1)
    registry.list(Role.TRANSCEIVER, "a", cluster=3)
    registry.listed["a"] = attrs.evolve(
        registry.listed["a"], member=attrs.evolve(registry.listed["a"].member, incarnation=1)
    )
    edge = await start()
    await registry.read()
    await registry.read()
    assert [each.client.url for each in edge.fleet.members] == ["http://a-configured"]
    registry.list(Role.TRANSCEIVER, "a-configured")
    await registry.read()
    assert [each.client.url for each in edge.fleet.members] == ["http://a-configured"]


def measured(incarnation: int, lost: int = 0, round_trip: float = 0.5) -> MeasuredLink:
    return MeasuredLink(cluster=3, incarnation=incarnation, pings=60, lost=lost, round_trip=round_trip)


async def test_of_two_transceivers_the_one_that_relays_find_well_is_chosen(
    autojump_clock, empty_edge, registry, start, json_of
):
    first, second = (empty_edge.add_transceiver(name, number) for number, name in enumerate(("a", "b"), 1))
    for name, cluster in (("a", 3), ("b", 3)):
        registry.list(Role.TRANSCEIVER, name, cluster=cluster)
    # Incarnations are those of the registry, in the order of the list; a transceiver's own must be the same.
    first.state["incarnation"], second.state["incarnation"] = 0, 1
    for name in ("r", "s"):
        links = (measured(0, lost=6, round_trip=40.0), measured(1))
        number = len(registry.listed)
        registry.list(Role.RELAY, name, ingresses=(ingress(number, f"192.0.2.{number}"),), links=links)
    registry.list(Role.RELAY, "former", ingresses=(ingress(9, "192.0.2.9"),))
    edge = await start()
    for _ in range(200):
        await registry.read()
    for _ in range(4):
        assert (await edge.call()).status == 201
    assert (len(first.calls), len(second.calls)) == (0, 4)
    (reason,) = (each for each in second.wishes[-1].placed_because if each.startswith("http://a"))
    assert "% of relays' PINGs to it are lost, answers from it to relays take" in reason
    state = json_of(await edge.ask("GET", "/fleet/state"))
    told = {each["name"]: each["health_ms"] for each in state["transceivers"]}
    assert told["http://a"] > 150
    assert told["http://b"] == 0
    assert [each["health"] for each in state["ingresses"]] == [None] * 3, "no relay is blamed for it"
    for name in ("r", "s"):
        heard = registry.listed[name]
        well = attrs.evolve(heard.member, links=(measured(0), measured(1)))
        registry.listed[name] = attrs.evolve(heard, member=well)
    for _ in range(600):
        await registry.read()
    state = json_of(await edge.ask("GET", "/fleet/state"))
    assert {each["health_ms"] for each in state["transceivers"]} == {0}


async def test_an_ingress_of_a_relay_that_loses_packets_is_not_the_first(
    autojump_clock, empty_edge, registry, start, json_of
):
    for number, name in enumerate(("a", "b")):
        calls = empty_edge.add_transceiver(name, number)
        registry.list(Role.TRANSCEIVER, name, cluster=3)
        calls.state["incarnation"] = number
    for number, (name, lost) in enumerate((("r", 6), ("s", 0)), 1):
        links = (measured(0, lost), measured(1, lost))
        registry.list(Role.RELAY, name, ingresses=(ingress(number, f"192.0.2.{number}"),), links=links)
    edge = await start()
    explain = "/fleet/where?ip=192.0.2.77"
    assert [each["name"] for each in json_of(await edge.ask("GET", explain))["ingresses"]] == ["ingress 1", "ingress 2"]
    for _ in range(200):
        await registry.read()
    first, second = json_of(await edge.ask("GET", explain))["ingresses"]
    assert (first["name"], second["name"]) == ("ingress 2", "ingress 1")
    assert "% of PINGs from its relay are lost" in second["why"]
    assert second["terms_ms"]["health"] > 150
