"""A call goes on, 50 packets a second each way, while the relay is attacked on a clock that is stepped: none is lost.

The counterparts of `tests/e2e/test_relay_attacks.py`, where datagrams cost time; here attacks last for minutes, which
is what claims, budgets and links live for, and every datagram of the call is seen to come out at the right end.
"""

import random
from collections.abc import Callable
from types import SimpleNamespace

import attrs
import pytest

from relay.drops import DropReason
from relay.hop.header import CONTROL, UP, pack_header

VICTIM, SESSION = ("192.0.2.1", 40000), 7
TICK = 0.02
CHECK_EVERY = 125  # ticks: 2.5 s, as Chromium


@attrs.define(eq=False)
class Siege:
    """A call, and what an attacker has: calls of his own, all that was ever overheard, any source address."""

    world: object
    kit: SimpleNamespace
    weather: random.Random = attrs.field(factory=lambda: random.Random(11))
    ticks: int = 0
    requests: list[bytes] = attrs.field(factory=list)
    overheard_up: list[bytes] = attrs.field(factory=list)
    overheard_down: list[bytes] = attrs.field(factory=list)

    @property
    def relay(self) -> object:
        return self.world.forwarder

    @property
    def home(self) -> object:
        """The victim's transceiver."""
        return self.world.transceivers[0]

    @property
    def elsewhere(self) -> object:
        """The one of the attacker's calls."""
        return self.world.transceivers[1]

    def hold(self, seconds: float, attack: Callable[["Siege"], object]) -> None:
        """Let the call and the attack go on; fails with the first packet of the call that is lost or goes astray."""
        for _ in range(round(seconds / TICK)):
            self.ticks += 1
            self.world.now += TICK
            self.world.forwarder.handle_timeout(self.world.now)
            for transceiver in self.world.transceivers:
                transceiver.link.handle_timeout(self.world.now)
            self.world.pump()
            attack(self)
            self.world.pump()
            self.talk()

    def talk(self) -> None:
        world, number = self.world, self.ticks.to_bytes(4, "big")
        for transceiver in world.transceivers:
            transceiver.received.clear()
        world.to_clients.clear()
        if self.ticks % CHECK_EVERY == 1:
            request = self.home.request(SESSION, transaction=number * 3)
            self.requests.append(request)
            world.client_sends(request, VICTIM)
            assert self.home.payloads() == [request]
        world.client_sends(b"\x80" + number, VICTIM)
        assert self.home.payloads() == [b"\x80" + number], "what the victim said did not arrive"
        assert self.elsewhere.payloads() == [], "what the victim said went to the attacker's session"
        world.transceiver_sends(self.home, SESSION, VICTIM, b"\x90" + number, validated=True)
        assert world.received_by_clients() == [(b"\x90" + number, VICTIM, 1)], "the victim did not hear its answer"


@pytest.fixture
def siege(world, kit, monkeypatch) -> Siege:
    siege = Siege(world, kit)
    up, down = type(siege.home).receive, siege.relay.receive_from_hop

    def overhear_up(transceiver, data, *rest):
        siege.overheard_up.append(data)
        up(transceiver, data, *rest)

    def overhear_down(data, *rest):
        siege.overheard_down.append(data)
        down(data, *rest)

    monkeypatch.setattr(type(siege.home), "receive", overhear_up)
    monkeypatch.setattr(siege.relay, "receive_from_hop", overhear_down)
    siege.requests.append(siege.home.request(SESSION))
    world.call(siege.home, SESSION, VICTIM)
    siege.hold(3.0, lambda _: None)
    # What is under way from now on is mostly the attacker's own.
    monkeypatch.undo()
    return siege


def source(siege: Siege) -> tuple[str, int]:
    return f"198.51.{siege.weather.randrange(256)}.{siege.weather.randrange(256)}", siege.weather.randrange(1, 65536)


def test_forged_tokens(siege):
    before = siege.relay.drops.copy()

    def attack(_):
        for _ in range(20):
            ufrag = siege.home.mint(1)[:2] + "".join(siege.weather.choices("ABCDabcd0123", k=47))
            siege.world.client_sends(siege.kit.binding_request(ufrag, "p" * 32), ("198.51.100.1", 9))

    siege.hold(12.0, attack)
    dropped = siege.relay.drops - before
    assert dropped[DropReason.FORGED_TOKEN] + dropped[DropReason.SOURCE_BUDGET] == sum(dropped.values()) == 12_000
    # 32 in each ten seconds, and one in eight by lot.
    assert dropped[DropReason.FORGED_TOKEN] < 3 * 32 + 12_000 / 6


@pytest.mark.parametrize("spoofed", [VICTIM, (VICTIM[0], 1), ("198.51.100.1", 9)])
def test_bad_integrity(siege, spoofed):
    """Also in the victim's name, whose call must not pay for it."""
    ufrag, before = siege.elsewhere.mint(66), siege.relay.drops.copy()
    forged = siege.kit.binding_request(ufrag, "?" * 32)

    def attack(_):
        for _ in range(20):
            siege.world.client_sends(forged, spoofed)

    siege.hold(12.0, attack)
    dropped = siege.relay.drops - before
    reasons = (DropReason.BAD_INTEGRITY, DropReason.SOURCE_BUDGET, DropReason.TOKEN_FAILURES)
    assert sum(dropped[reason] for reason in reasons) == sum(dropped.values()) == 12_000
    assert dropped[DropReason.BAD_INTEGRITY] < 3 * 32 + 12_000 / 6


def test_valid_tokens_from_many_sources(siege):
    request, claimed = siege.elsewhere.request(66), siege.relay.counts["claimed"]

    def attack(_):
        for _ in range(20):
            siege.world.client_sends(request, source(siege))
        assert len(siege.relay.table) <= 1 + 8

    siege.hold(30.0, attack)
    # Eight at a time, each for five seconds.
    assert siege.relay.counts["claimed"] - claimed <= 8 * 30 / 5 + 8


def test_what_makes_no_flow(siege):
    before = siege.relay.drops.copy()

    def attack(_):
        for data in (b"\x80media", b"\x16\xfe\xfdhello", siege.kit.stun(0x0101, b"i" * 12)):
            siege.world.client_sends(data, source(siege))

    siege.hold(20.0, attack)
    assert siege.relay.drops - before == {DropReason.NO_FLOW: 3000}
    assert len(siege.relay.table) == 1


@pytest.mark.parametrize("sessions", [1, 2, 9])
def test_theft_by_a_spoofed_address(siege, sessions):
    """For a minute, whatever of the attacker's claims runs out after five seconds is made again at once."""
    requests = [siege.elsewhere.request(100 + number) for number in range(sessions)]

    def attack(_):
        siege.world.client_sends(siege.weather.choice(requests), VICTIM)
        # His transceiver speaks to the address too, as it does to a path that is not proven.
        siege.world.transceiver_sends(siege.elsewhere, 100, VICTIM, b"\x16flight", validated=False)

    siege.hold(60.0, attack)
    assert len(siege.relay.table) <= 2
    assert siege.world.claim(SESSION).state.value == "proven"


def test_replayed_requests_from_everywhere(siege):
    def attack(_):
        for _ in range(5):
            siege.world.client_sends(siege.weather.choice(siege.requests), source(siege))
        assert len(siege.relay.table) <= 8

    siege.hold(60.0, attack)


def test_replayed_reflected_and_forged_messages_of_the_hop(siege):
    relay, (home, elsewhere) = siege.relay, siege.world.transceivers
    up = relay.counts["proven"]
    control = [data for data in siege.overheard_up + siege.overheard_down if data[0] == CONTROL]
    assert len({data[1] for data in control}) >= 3  # HELLO, WELCOME, CONFIRM

    def attack(_):
        for data in siege.weather.choices(control, k=4):
            damaged = siege.kit.mutated(siege.weather, data)
            for address in (home.address, elsewhere.address, source(siege)):
                # To the relay: what transceivers have said, and what it has said itself.
                relay.receive_from_hop(data, address, siege.world.now)
                relay.receive_from_hop(damaged, address, siege.world.now)
            for transceiver in (home, elsewhere):
                transceiver.link.receive_control(damaged, siege.kit.relay_address, siege.world.now)
                for address in (siege.kit.relay_address, ("198.51.100.1", 9)):
                    transceiver.link.receive_control(data, address, siege.world.now)
        # Whatever is said to him who asks in the relay's name, it is said in no more bytes than he spent.
        for transceiver in (home, elsewhere):
            told = [data for data, address in transceiver.link.datagrams_to_send(siege.world.now) if address[1] == 9]
            assert all(len(data) <= max(map(len, siege.overheard_up)) for data in told)
            assert list(transceiver.link.relays) == [siege.kit.relay_address]

    siege.hold(40.0, attack)
    assert relay.live_transceivers == 2
    assert relay.counts["proven"] == up


def test_datagrams_without_a_right_tag(siege):
    tag = siege.kit.flow_tags.make(1, SESSION, VICTIM)
    before = siege.relay.drops.copy()

    def attack(_):
        for guess in (tag, bytes(8), siege.weather.randbytes(8)):
            header = siege.kit.down_header(SESSION, source(siege), validated=True, tag=guess)
            siege.relay.receive_from_hop(header + b"\x80", siege.home.address, siege.world.now)
        header = siege.kit.down_header(SESSION, VICTIM, validated=True)
        siege.relay.receive_from_hop(header + b"\x80", ("198.51.100.1", 9), siege.world.now)
        upward = pack_header(UP, ingress=1, client=VICTIM, session=SESSION, tag=tag)
        siege.relay.receive_from_hop(upward + b"\x80", siege.home.address, siege.world.now)
        assert not any(siege.relay.to_clients.values())

    siege.hold(20.0, attack)
    assert siege.relay.drops - before == {
        DropReason.FORGED_TAG: 3000,
        DropReason.UNKNOWN_PEER: 1000,
        DropReason.BAD_HEADER: 1000,
    }
