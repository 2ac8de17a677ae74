"""A relay is told one address of a transceiver, and finds all of its workers."""

import attrs
import pytest

from relay.hop.drops import HopDropReason
from relay.hop.links import LinkDown, LinkUp, RelayLinks, TransceiverLink
from relay.hop.messages import Workers
from relay.hop.sealing import Opened, open_sealed, seal

RELAY = ("10.0.0.1", 4001)
HOST, PORT = "10.0.1.1", 5000


@attrs.define
class Hop:
    """A relay and a transceiver of several workers; datagrams to nobody are lost."""

    kit: object
    relay: RelayLinks
    workers: dict[tuple[str, int], TransceiverLink]
    now: float = 100.0
    said: list[tuple[tuple[str, int], bytes]] = attrs.field(factory=list)

    def round(self, seconds: float = 1.0):
        """Let time pass, and everything that is due be said and answered; what the relay reports."""
        self.now += seconds
        events = list(self.relay.handle_timeout(self.now))
        for _ in range(4):
            for data, address in self.relay.datagrams_to_send(self.now):
                if address in self.workers:
                    self.workers[address].receive_control(data, RELAY, self.now)
            events += self.relay.handle_timeout(self.now)
            for address, worker in self.workers.items():
                for data, _ in worker.datagrams_to_send(self.now):
                    self.said.append((address, data))
                    events += self.relay.receive_control(data, address, self.now)
        return events

    def worker(self, number: int, of: int, incarnation: int = 7):
        self.workers[HOST, PORT + number] = TransceiverLink(
            keys=self.kit.hop_keys,
            cluster=1,
            incarnation=incarnation,
            worker=number,
            workers=of,
            entropy=self.kit.seeded(hash((number, incarnation, self.now))),
            now=self.now,
        )


@pytest.fixture
def hop(kit):
    def make(workers: int, configured: tuple[int, ...] = (0,)) -> Hop:
        relay = RelayLinks(
            keys=kit.hop_keys,
            transceivers=[(HOST, PORT + number) for number in configured],
            entropy=kit.seeded(1),
            now=100.0,
        )
        made = Hop(kit=kit, relay=relay, workers={})
        for number in range(workers):
            made.worker(number, workers)
        return made

    return make


def ports(hop) -> list[int]:
    return sorted(port for _, port in hop.relay.up)


@pytest.mark.parametrize("configured", [(0,), (2,), (0, 1, 2)])
def test_one_configured_address_of_any_worker_finds_all(hop, configured) -> None:
    three = hop(3, configured)
    three.round()
    assert ports(three) == [5000, 5001, 5002]
    assert [three.relay.address_of(1, 7, number) for number in range(4)] == [
        (HOST, 5000),
        (HOST, 5001),
        (HOST, 5002),
        None,
    ]
    assert not three.relay.drops


def test_a_worker_that_is_alone_announces_nothing(hop) -> None:
    one = hop(1)
    one.round()
    assert ports(one) == [5000]
    assert len(one.relay._peers) == 1
    assert len(one.said) == 2, "its WELCOME, and a PONG"


def test_a_lost_announcement_is_said_again(hop) -> None:
    two = hop(2)
    (hello,) = [data for data, _ in (two.relay.handle_timeout(100.0), two.relay.datagrams_to_send(100.0))[1]]
    worker = two.workers[HOST, PORT]
    worker.receive_control(hello, RELAY, 100.0)
    ((welcome, _),) = worker.datagrams_to_send(100.0)
    two.relay.receive_control(welcome, (HOST, PORT), 100.0)
    (confirm, _), _ping = two.relay.datagrams_to_send(100.0)
    worker.receive_control(confirm, RELAY, 100.0)
    assert len(list(worker.datagrams_to_send(100.0))) == 1, "which is lost"
    assert ports(two) == [5000]
    two.round()
    assert ports(two) == [5000, 5001]


def test_the_others_go_on_while_the_announcer_is_replaced(hop) -> None:
    two = hop(2)
    two.round()
    two.worker(0, 2)  # another process with the same name
    address = (HOST, PORT)
    assert two.round() == [
        LinkDown(identity=(1, 7, 0), address=address),
        LinkUp(identity=(1, 7, 0), address=address),
    ], "and nothing about worker 1"
    assert ports(two) == [5000, 5001]


def test_the_others_go_on_while_the_announcer_is_away(hop) -> None:
    two = hop(2)
    two.round()
    del two.workers[HOST, PORT]
    for _ in range(15):
        two.round()
    assert ports(two) == [5001]


def test_a_transceiver_that_comes_back_with_fewer_workers_is_followed(hop) -> None:
    three = hop(3)
    three.round()
    three.workers.clear()
    three.worker(0, 1, incarnation=8)
    events = three.round()
    assert LinkUp(identity=(1, 8, 0), address=(HOST, PORT)) in events
    assert {event.address[1] for event in events if isinstance(event, LinkDown)} == {5000, 5001, 5002}
    assert ports(three) == [5000]
    assert len(three.relay._peers) == 1
    three.workers.clear()
    three.worker(0, 2, incarnation=9)
    three.worker(1, 2, incarnation=9)
    three.round()
    assert ports(three) == [5000, 5001]


def test_what_was_announced_goes_with_the_address_that_was_configured(hop) -> None:
    three = hop(3)
    three.round()
    assert list(three.relay.set_transceivers([("10.0.1.9", 5000), (HOST, 5002)], three.now)) == []
    assert ports(three) == [5000, 5001, 5002], "as another of them is configured now"
    events = list(three.relay.set_transceivers([("10.0.1.9", 5000)], three.now))
    assert {event.address[1] for event in events} == {5000, 5001, 5002}
    assert ports(three) == []


def test_workers_that_are_announced_are_asked_at_once(hop) -> None:
    two = hop(2)
    two.relay.handle_timeout(100.0)
    for _ in range(4):  # without the timer
        for data, address in two.relay.datagrams_to_send(100.0):
            two.workers[address].receive_control(data, RELAY, 100.0)
        for address, worker in two.workers.items():
            for data, _ in worker.datagrams_to_send(100.0):
                two.relay.receive_control(data, address, 100.0)
    assert ports(two) == [5000, 5001]


def test_only_a_configured_address_announces(hop, kit) -> None:
    two = hop(2)
    two.round()
    two.workers[HOST, PORT + 1]._workers = 200  # it lies
    for _ in range(3):
        two.round()
    assert set(two.relay._peers) == {(HOST, 5000), (HOST, 5001)}


def test_ports_that_do_not_exist_are_left_out(hop, kit) -> None:
    relay = RelayLinks(keys=kit.hop_keys, transceivers=[(HOST, 65_535)], entropy=kit.seeded(1), now=100.0)
    edge = Hop(kit=kit, relay=relay, workers={})
    edge.workers[HOST, 65_535] = TransceiverLink(
        keys=kit.hop_keys, cluster=1, incarnation=7, worker=0, workers=9, entropy=kit.seeded(4), now=100.0
    )
    edge.round()
    assert set(relay._peers) == {(HOST, 65_535)}


def test_an_announcement_counts_once_and_from_the_process_that_the_link_is_up_with(hop, kit) -> None:
    two = hop(2)
    two.round()
    (announcement,) = [
        data
        for address, data in two.said
        if address == (HOST, PORT)
        and isinstance(
            opened := open_sealed(kit.hop_keys, data, receiver=two.relay._peers[HOST, PORT].own_number), Opened
        )
        and isinstance(opened.message, Workers)
    ]
    assert not list(two.relay.receive_control(announcement, (HOST, PORT), two.now))
    assert two.relay.drops == {HopDropReason.REPLAYED: 1}
    forged = seal(
        kit.hop_keys, Workers(count=250), sender=99, counter=1, receiver=two.relay._peers[HOST, PORT].own_number
    )
    assert not list(two.relay.receive_control(forged, (HOST, PORT), two.now))
    assert two.relay.drops[HopDropReason.UNKNOWN_PEER] == 1
    assert len(two.relay._peers) == 2


def test_a_transceiver_takes_no_announcement(hop, kit) -> None:
    two = hop(2)
    worker = two.workers[HOST, PORT]
    message = seal(kit.hop_keys, Workers(count=3), sender=99, counter=1, receiver=worker._number)
    assert not list(worker.receive_control(message, RELAY, 100.0))
    assert worker.drops == {HopDropReason.WRONG_END: 1}
