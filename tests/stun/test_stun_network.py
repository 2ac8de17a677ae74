"""Both ICE agents through networks that lose, repeat, reorder, delay and corrupt, on a virtual clock."""

import heapq
import random

import attrs
import pytest

from stun.controlling import IceControlling
from stun.events import DropReason, PathAppeared, PathSelected, PathValidated
from stun.lite import IceLite
from wire.core import Address, Closed, Path

INGRESSES: tuple[Address, ...] = (("192.0.2.1", 3478), ("192.0.2.2", 3478))
CALLER: Address = ("203.0.113.7", 40000)


@attrs.define(kw_only=True)
class Weather:
    """What the network does to a datagram.

    Attributes:
        loss, repeat, corrupt: probabilities.
        delay, jitter: seconds one way, and how much more at random, which is what reorders.
        dead: ingresses that nothing comes through.
    """

    loss: float = 0.0
    repeat: float = 0.0
    corrupt: float = 0.0
    delay: float = 0.02
    jitter: float = 0.0
    dead: frozenset[int] = frozenset()


class Network:
    """A caller, a server, and the relays between: the caller sees ingresses, the server the caller's address."""

    def __init__(self, seed: int, weather: Weather) -> None:
        self.random = random.Random(seed)
        self.weather = weather
        self.now = 0.0
        self.caller_address = CALLER  # as the server sees it; a NAT may change it
        self.flying: list[tuple[float, int, str, bytes, Path]] = []
        self.count = 0
        self.events: dict[str, list] = {"caller": [], "server": []}
        self.caller = IceControlling(
            local_ufrag="call",
            local_pwd="caller-password-of-24-ch",
            remote_ufrag="server",
            remote_pwd="server-password-of-24-ch",
            candidates=[(Path(address), 100 - number) for number, address in enumerate(INGRESSES)],
            entropy=self.random.randbytes,
            now=0.0,
        )
        self.server = IceLite(
            local_ufrag="server",
            local_pwd="server-password-of-24-ch",
            remote_ufrag="call",
            remote_pwd="caller-password-of-24-ch",
            entropy=self.random.randbytes,
            now=0.0,
        )

    def post(self, receiver: str, data: bytes, path: Path, ingress: int) -> None:
        """Hand a datagram to the weather; `path` is how the receiver will see it."""
        weather, chance = self.weather, self.random.random
        if ingress in weather.dead:
            return
        for _ in range(2 if chance() < weather.repeat else 1):
            if chance() < weather.loss:
                continue
            if chance() < weather.corrupt:
                changed = bytearray(data)
                changed[self.random.randrange(len(changed))] ^= 1 << self.random.randrange(8)
                data = bytes(changed)
            self.count += 1
            arrival = self.now + weather.delay + weather.jitter * chance()
            heapq.heappush(self.flying, (arrival, self.count, receiver, data, path))

    def collect(self) -> None:
        for data, path in self.caller.datagrams_to_send(self.now):
            ingress = INGRESSES.index(path.address)
            self.post("server", data, Path(self.caller_address, ingress), ingress)
        for data, path in self.server.datagrams_to_send(self.now):
            if path.address == self.caller_address:  # the NAT has forgotten other addresses
                self.post("caller", data, Path(INGRESSES[path.via]), path.via)

    def run(self, until: float) -> None:
        """Let time pass, from one happening to the next."""
        self.collect()
        while True:
            times = [self.caller.next_timeout(), self.server.next_timeout(), self.flying[0][0] if self.flying else None]
            now = min((time for time in times if time is not None), default=until)
            if now >= until:
                break
            self.now = now
            for name, core in (("caller", self.caller), ("server", self.server)):
                self.events[name] += core.handle_timeout(now)
                while self.flying and self.flying[0][0] <= now and self.flying[0][2] == name:
                    _, _, _, data, path = heapq.heappop(self.flying)
                    self.events[name] += core.receive_datagram(data, path, now)
            self.collect()
        self.now = until

    def said(self, name: str, kind: type) -> list:
        return [event for event in self.events[name] if isinstance(event, kind)]

    def agree(self) -> bool:
        """Whether both send over the same ingress and the server sends to where the caller is."""
        caller, server = self.caller.selected, self.server.selected
        if caller is None or server is None:
            return False
        return INGRESSES[server.via] == caller.address and server.address == self.caller_address


def test_a_good_network_takes_one_round_trip():
    network = Network(1, Weather(delay=0.1))
    network.run(0.201)
    assert network.said("caller", PathSelected) == [PathSelected(path=Path(INGRESSES[0]))]
    network.run(0.301)
    assert network.said("server", PathSelected) == [PathSelected(path=Path(CALLER, 0))]
    network.run(120.0)
    assert network.agree()
    assert not network.caller.drops
    assert not network.server.drops
    assert network.caller.round_trip_time == pytest.approx(0.2)
    assert network.server.round_trip_time == pytest.approx(0.2)
    # The nominated path stays; the other is forgotten when nothing comes over it any more.
    assert len(network.said("server", PathSelected)) == 1


@pytest.mark.parametrize("seed", range(12))
def test_a_bad_network_is_got_through(seed):
    network = Network(seed, Weather(loss=0.2, repeat=0.1, jitter=0.15))
    network.run(10.0)
    assert network.agree(), (network.caller.selected, network.server.selected)
    network.run(180.0)
    assert network.agree()
    assert not network.said("caller", Closed)
    assert not network.said("server", Closed)
    # Repeated answers belong to no transaction any more; nothing else is odd.
    assert set(network.caller.drops) <= {DropReason.TRANSACTION}
    assert set(network.server.drops) <= {DropReason.TRANSACTION}


@pytest.mark.parametrize("seed", range(6))
def test_corruption_is_noticed_and_survived(seed):
    network = Network(seed, Weather(loss=0.05, corrupt=0.3, jitter=0.05))
    network.run(15.0)
    assert network.agree()
    for core in (network.caller, network.server):
        assert core.drops
        # A flipped bit is caught by the fingerprint, or before it by the codec.
        assert set(core.drops) <= {DropReason.FINGERPRINT, DropReason.MALFORMED, DropReason.TRANSACTION}


@pytest.mark.parametrize("seed", range(4))
def test_everything_repeated(seed):
    network = Network(seed, Weather(repeat=1.0, jitter=0.1))
    network.run(60.0)
    assert network.agree()
    assert len(network.said("server", PathAppeared)) == len(network.said("server", PathValidated)) <= 2


def test_a_dead_ingress_is_gone_around():
    network = Network(3, Weather(dead=frozenset({0})))
    network.run(2.0)
    assert network.caller.selected == Path(INGRESSES[1])
    assert network.agree()


def test_no_ingress_at_all():
    network = Network(4, Weather(dead=frozenset({0, 1})))
    network.run(60.0)
    assert [closed.reason for closed in network.said("caller", Closed)] == ["ice-failed"]
    assert network.events["server"] == []


@pytest.mark.parametrize("seed", range(4))
def test_a_new_address_of_the_caller(seed):
    """A NAT forgets its binding and makes another: the server follows with the next consent check."""
    network = Network(seed, Weather(loss=0.05, jitter=0.02))
    network.run(10.0)
    assert network.agree()
    network.caller_address = ("203.0.113.7", 50001)
    assert not network.agree()
    network.run(30.0)
    moved_to = Path(network.caller_address, network.server.selected.via)
    assert PathValidated(path=moved_to) in network.events["server"]
    # Media follows the caller's media, which now comes from the new address.
    network.events["server"] += network.server.authentic_traffic(moved_to, network.now)
    network.collect()
    network.run(45.0)
    network.events["server"] += network.server.authentic_traffic(moved_to, network.now)
    assert network.agree()
    network.run(300.0)
    assert network.agree()
    assert not network.said("caller", Closed)


def test_a_network_that_goes_away():
    network = Network(5, Weather())
    network.run(10.0)
    network.weather.loss = 1.0
    network.run(100.0)
    for name in ("caller", "server"):
        (closed,) = network.said(name, Closed)
        assert closed.reason == "consent-expired"
    assert network.caller.next_timeout() is None
    assert network.server.next_timeout() is None


def test_the_same_seed_is_the_same_history():
    histories = []
    for _ in range(2):
        network = Network(7, Weather(loss=0.2, repeat=0.2, jitter=0.1, corrupt=0.05))
        network.run(60.0)
        histories.append((network.events, network.count, dict(network.caller.drops), dict(network.server.drops)))
    assert histories[0] == histories[1]
