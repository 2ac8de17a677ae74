"""What a client sends while its call changes hands: kept, handed over, and taken before what came later."""

from itertools import pairwise

import attrs
import pytest
import trio

from edge.caller.results import MediaStatistics
from relay.hop.header import CONTROL, UP, pack_header, with_generation
from transceiver.dispatcher import DropReason
from transceiver.handover.kept import MAX_KEPT, MAX_KEPT_BYTES, KeptDatagrams, pack_kept, unpack_kept
from transceiver.handover.late import LateDatagrams
from transceiver.handover.ownership import Owner
from transceiver.handover.peers import Offered
from transceiver.media import Media
from wire.errors import MalformedError

RELAY = ("10.0.0.1", 4000)
HERE, THERE = 0, 1


async def drained(fleet, seconds=3.0):
    await fleet.places[HERE].worker.start_drain()
    await trio.sleep(seconds)
    assert [len(place.worker._calls) for place in fleet.places] == [0, 1]
    (call,) = fleet.places[THERE].worker._calls
    return call


@pytest.fixture
def heard(monkeypatch):
    """Sequence numbers of the client's audio, as sessions were given it."""
    numbers = []
    receive = Media.receive_rtp

    def noted(self, data, now):
        numbers.append(int.from_bytes(data[2:4], "big"))
        return receive(self, data, now)

    monkeypatch.setattr(Media, "receive_rtp", noted)
    return numbers


@pytest.mark.parametrize("is_sealed", [False, True], ids=["plain", "sealed"])
@pytest.mark.parametrize(("offering", "releasing"), [(0.05, 0.05), (0.08, 0.02), (0.4, 0.005), (0.0, 0.0)])
async def test_every_frame_arrives_however_long_it_takes(
    start_stepped, autojump_clock, heard, offering, releasing, is_sealed
):
    async with start_stepped(is_sealed=is_sealed) as fleet:
        client = await fleet.call()
        fleet.peers[HERE].offering, fleet.peers[HERE].releasing = offering, releasing
        call = await drained(fleet)
        media = MediaStatistics.of(client.caller)
        assert media.lost == 0
        assert media.sent - media.received <= 2  # two are under way: an echo sends each back
        assert not call.drops()
        assert [place.worker.drops for place in fleet.places] == [{}, {}]
        assert fleet.places[HERE].worker.counts["ended-moved"] == 1
        # The order is that of their arrival, but for what was under way when the relay changed its mind.
        assert len(heard) == media.sent
        assert [number for number in sorted(heard) if heard.count(number) > 1] == []
        late = sum(after < before for before, after in pairwise(heard))
        assert late <= 1


async def test_what_comes_for_a_call_that_stays_is_taken_then(start_stepped, autojump_clock, heard):
    async with start_stepped(is_sealed=True) as fleet:
        client = await fleet.call()
        fleet.peers[HERE].offering, fleet.peers[HERE].refuses = 0.2, True
        await fleet.places[HERE].worker.start_drain()
        await trio.sleep(0.5)
        assert "not-moved" in fleet.places[HERE].names()
        media = MediaStatistics.of(client.caller)
        assert (media.lost, media.sent - media.received <= 2) == (0, True)
        assert len(heard) == media.sent
        assert not fleet.places[HERE].worker.drops


@pytest.mark.parametrize("meets_after", [1.5, 30.0])
async def test_a_call_stays_until_its_relay_knows_who_would_have_it(
    start_stepped, autojump_clock, heard, monkeypatch, meets_after
):
    """But not for ever: five seconds after its start a process takes it, whoever knows it."""
    async with start_stepped() as fleet:
        client = await fleet.call()
        link, met = fleet.places[THERE].worker._handover._link, trio.current_time() + meets_after
        knows = link.knows
        monkeypatch.setattr(link, "knows", lambda relay: trio.current_time() >= met and knows(relay))
        await fleet.places[HERE].worker.start_drain()
        await trio.sleep(1.4)
        assert [len(place.worker._calls) for place in fleet.places] == [1, 0]
        reasons = {facts["reason"] for name, facts in fleet.places[HERE].reports if name == "not-moved"}
        assert reasons == {"a relay of the call's is not known here yet"}
        await trio.sleep(2.5)
        assert [len(place.worker._calls) for place in fleet.places] == [0, 1]
        media = MediaStatistics.of(client.caller)
        assert (media.lost, media.sent - media.received <= 2) == (0, True)


async def test_what_was_kept_comes_before_what_the_relay_brings_sooner(start_stepped, autojump_clock, heard):
    """The word of the last owner takes longer than the relay's first datagram."""
    async with start_stepped() as fleet:
        await fleet.call()
        fleet.peers[HERE].offering, fleet.peers[HERE].releasing = 0.1, 0.15
        await drained(fleet)
        assert sum(after < before for before, after in pairwise(heard)) == 1  # what was late


async def test_without_the_word_of_its_last_owner_a_call_goes_on_after_a_moment(start_stepped, autojump_clock, heard):
    async with start_stepped() as fleet:
        client = await fleet.call()
        fleet.peers[HERE].offering, fleet.peers[HERE].loses = 0.1, 100
        call = await drained(fleet)
        assert not call.is_held
        media = MediaStatistics.of(client.caller)
        assert 10 < media.sent - len(heard) < 15  # what came in 0.2 s, and what was late
        assert media.sent - media.received < 20


async def test_what_is_late_is_handed_on(start_stepped, autojump_clock, monkeypatch):
    async with start_stepped() as fleet:
        client = await fleet.call()
        first = fleet.places[HERE].worker
        # The relay does not hear MOVED; it learns of the new owner by what that one sends.
        monkeypatch.setattr(type(fleet.relay.hop), "_move", lambda *_: None)
        await drained(fleet)
        assert len(fleet.peers[HERE].released) >= 3
        media = MediaStatistics.of(client.caller)
        assert (media.lost, media.sent - media.received <= 2) == (0, True)
        assert not first.drops


class Told:
    """`Peers` that are slow to hear."""

    def __init__(self):
        self.told = []

    async def release(self, call, _owner, kept):
        await trio.sleep(0.03)
        self.told.append((trio.current_time(), call.session, [int(data) for data, _ in unpack_kept(kept)]))


async def test_late_ones_are_gathered_and_bounded(autojump_clock, nursery):
    peers = Told()
    late = LateDatagrams(peers)
    nursery.start_soon(late.run)
    owner = Owner(cluster=3, incarnation=1, worker=0)
    began = trio.current_time()
    assert not late.keep(7, b"0", RELAY, began)
    late.expect(Offered(session=7, generation=1, snapshot=b""), owner, began)
    await trio.sleep(0.1)
    assert late.keep(7, b"1", RELAY, trio.current_time())
    await trio.sleep(0.1)
    assert not peers.told, "the target is to hear first what was kept"
    late.released(7)
    for number in range(2, 30):
        await trio.sleep(0.005)
        assert late.keep(7, b"%d" % number, RELAY, trio.current_time())
    await trio.sleep(0.1)
    assert [number for _, _, numbers in peers.told for number in numbers] == list(range(1, 30))
    assert 3 <= len(peers.told) <= 6  # one at a time, 30 ms each, for 140 ms and what is left then
    assert sum(late.keep(7, b"7", RELAY, trio.current_time()) for _ in range(MAX_KEPT)) == MAX_KEPT - 29
    assert not late.keep(8, b"0", RELAY, trio.current_time())
    late.expect(Offered(session=8, generation=1, snapshot=b""), owner, trio.current_time())
    assert late.keep(8, b"0", RELAY, trio.current_time() + 1.9)
    assert not late.keep(8, b"0", RELAY, trio.current_time() + 2.0)


async def test_who_stops_waits_for_what_is_late(autojump_clock):
    late = LateDatagrams(Told())
    began = trio.current_time()
    await late.linger()
    assert trio.current_time() == began
    late.expect(Offered(session=7, generation=1, snapshot=b""), Owner(cluster=3, incarnation=1, worker=0), began)
    await late.linger()
    assert trio.current_time() == pytest.approx(began + 0.25)


def up(session, payload=b"?", generation=0):
    header = pack_header(UP, ingress=1, client=("198.51.100.8", 50000), session=session, tag=b"12345678")
    return with_generation(header, generation) + payload


async def test_a_last_owner_is_believed_no_more_than_a_relay(start_stepped, autojump_clock):
    async with start_stepped() as fleet:
        client = await fleet.call()
        call = await drained(fleet)
        place = fleet.places[THERE]
        worker, flows = place.worker, dict(call.flows)
        moved = Offered(session=call.session_id, generation=1, snapshot=b"")

        async def drops_of(*datagrams):
            worker.drops.clear()
            await worker.release_call(moved, place.owner, pack_kept(datagrams))
            return dict(worker.drops)

        # Of another call, of nobody, and not of a client's at all.
        strange = [(up(call.session_id + 1), RELAY), (b"", RELAY), (bytes([CONTROL]) + bytes(50), RELAY)]
        assert await drops_of(*strange) == {DropReason.MALFORMED_HOP: 3}
        # By a relay that has not proven itself here; and by one that has, but of somebody who knows no password.
        unknown = up(call.session_id, b"\x80\x6f" + bytes(40), generation=7)
        assert await drops_of((unknown, ("10.0.0.9", 4000))) == {DropReason.NOT_A_RELAY: 1}
        assert await drops_of((unknown, RELAY)) == {}
        assert call.session.drops["unknown-path"] == 1
        # On the client's path, but not of the client's.
        (flow,) = flows.values()
        forged = flow.up_header + b"\x80\x6f" + bytes(100)
        assert await drops_of((forged, ("10.0.0.9", 4000))) == {}
        assert call.drops()["srtp.authentication"] == 1
        # Not at another generation, nor in a form that cannot be read.
        old = attrs.evolve(moved, generation=2)
        await worker.release_call(old, place.owner, pack_kept(strange))
        await worker.release_call(moved, place.owner, b"\1\0\1garbage")
        await worker.release_call(moved, place.owner, b"\2of a later version")
        assert "kept-unreadable" in place.names()
        assert not worker.drops
        assert (call.flows, flow.relay) == (flows, RELAY)
        await trio.sleep(1)
        media = MediaStatistics.of(client.caller)
        assert (media.lost, media.sent - media.received <= 2) == (0, True)


def test_what_is_kept_is_bounded_and_the_newest():
    kept = KeptDatagrams()
    for number in range(MAX_KEPT + 10):
        kept.append(b"%d" % number, RELAY)
    assert [int(data) for data, _ in kept] == list(range(10, MAX_KEPT + 10))
    for _ in range(20):
        kept.append(bytes(60_000), RELAY)
    assert sum(len(data) for data, _ in kept) <= MAX_KEPT_BYTES
    assert len(kept) == 4
    assert len(kept.take()) == 4
    assert len(kept) == 0


def test_what_is_kept_as_bytes():
    datagrams = [(b"first", RELAY), (b"", ("2001:db8::1", 65535)), (bytes(1500), RELAY)]
    packed = pack_kept(datagrams)
    assert list(unpack_kept(packed)) == datagrams
    assert (pack_kept([]), list(unpack_kept(b"")), list(unpack_kept(b"\7whatever"))) == (b"", [], [])
    for size in range(1, len(packed)):
        with pytest.raises(MalformedError):
            unpack_kept(packed[:size])
    with pytest.raises(MalformedError):
        unpack_kept(packed + b"!")
    with pytest.raises(MalformedError):
        unpack_kept(pack_kept([(b"data", RELAY)]).replace(b"10.0.0.1", b"10.0.0.\xff"))
    # However much somebody else thinks fit to keep.
    assert len(unpack_kept(pack_kept([(b"x", RELAY)] * (MAX_KEPT + 1)))) == MAX_KEPT
