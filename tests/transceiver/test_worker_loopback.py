"""The worker on real loopback sockets: a relay's end of the hop, and callers behind it."""

import hmac
import os
from types import SimpleNamespace

import attrs
import pytest
import trio

from edge.caller.description import parse_answer
from edge.caller.progress import CallerOptions, Stage
from edge.caller.results import MediaStatistics
from relay.hop.header import CONTROL, UP, pack_header, parse_header
from relay.hop.keys import HopKeys
from relay.udp import drain
from stun.credentials import Route
from transceiver import worker as worker_module
from transceiver.calls import (
    AnswerIngress,
    CallMoved,
    CallNotFound,
    CallWishes,
    IceUpdate,
    NotOwner,
    OfferRefused,
    Overloaded,
)
from transceiver.handover.custody import Custody
from transceiver.handover.ownership import Owner
from transceiver.options import WorkerOptions
from transceiver.worker import DropReason, Worker
from wire.core import Path


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_call_from_offer_to_hang_up(autojump_clock, start, worker_network, host: str) -> None:
    async with start(host) as running:
        worker = running.worker
        created, caller = await running.call()
        route = worker._intake.call_id_keys.open(created.call_id)
        assert (route.cluster, route.incarnation, route.worker) == (3, 4711, 1)
        state = await worker.describe_call(created.call_id)
        assert (state["call"], state["owner"], state["state"]) == (created.call_id, worker_network.OWNER, "established")
        assert state["client"] == "198.51.100.7:50000"
        assert worker.status()["calls"] == 1
        await worker_network.eventually(lambda: MediaStatistics.of(caller).received > 20)
        assert MediaStatistics.of(caller).lost == 0
        await worker.end_call(created.call_id, worker_network.OWNER)
        await worker_network.eventually(lambda: caller.stage is Stage.CLOSED)
        await worker_network.eventually(lambda: bool(running.relay.gone))
        assert running.relay.gone[0] == route.session
        assert worker.status()["calls"] == 0
        with pytest.raises(CallNotFound):
            await worker.describe_call(created.call_id)
        with pytest.raises(CallNotFound):
            await worker.end_call(created.call_id, worker_network.OWNER)
        assert worker.counts == {"created": 1, "established": 1, "ended-hang-up": 1}
        assert running.names() == ["hop-link", "call-created", "call-established", "call-ended"]
        answer = parse_answer(created.answer)
        for secret in (answer.ice_pwd, answer.ice_ufrag, caller._pwd):
            assert secret not in str(running.reports)


async def test_what_calls_say_at_the_same_moment_leaves_in_bundles(autojump_clock, start, worker_network) -> None:
    async with start() as running:
        callers = [(await running.call(port=50000 + number))[1] for number in range(16)]
        heard = running.relay.bundles
        await worker_network.eventually(lambda: running.relay.bundles > heard + 10)
        assert all(MediaStatistics.of(caller).lost == 0 for caller in callers)
        assert not running.worker.all_drops()


async def test_a_call_tells_how_long_its_way_takes(start, worker_network) -> None:
    async with start() as running:
        wishes = CallWishes(caller_network="198.51.100.0/24", placed_because=("It is near.",))
        created, _ = await running.call(wishes=wishes)
        await worker_network.eventually(lambda: bool(running.worker.status()["round_trips"]))
        ((number, network, ingress, milliseconds),) = running.worker.status()["round_trips"]
        assert (number, network, ingress) == (1, "198.51.100.0/24", 1)
        assert 0 < milliseconds < 1000
        assert (await running.worker.describe_call(created.call_id))["placed_because"] == ["It is near."]


async def test_only_the_owner_ends_a_call(
    autojump_clock, start, worker_network, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(mine: bytes, theirs: bytes) -> bool:
        compared.append((mine, theirs))
        return hmac.compare_digest(mine, theirs)

    monkeypatch.setattr(worker_module, "hmac", SimpleNamespace(compare_digest=compare))
    async with start() as running:
        caller = running.make_caller()
        created = await running.worker.create_call(caller.offer, [running.support.INGRESS], worker_network.OWNER)
        for owner in ("", "0wne", "0wner ", "öwner"):
            with pytest.raises(NotOwner):
                await running.worker.end_call(created.call_id, owner)
        assert (worker_network.OWNER.encode(), b"0wne") in compared  # in constant time
        assert running.worker.status()["calls"] == 1
        assert running.worker.status()["calls_by_owner"] == {worker_network.OWNER: 1}
        await running.worker.end_call(created.call_id, worker_network.OWNER)
        # Without keys everybody is the owner of everything; and an operator needs to be none.
        for owner in ("", None):
            created = await running.worker.create_call(caller.offer, [running.support.INGRESS], "")
            assert running.worker.status()["calls_by_owner"] == {"": 1}
            await running.worker.end_call(created.call_id, owner)
        assert running.worker.status()["calls"] == 0
        assert running.worker.status()["calls_by_owner"] == {}


async def test_ice_is_restarted_by_the_owner_and_the_call_goes_on(autojump_clock, start, worker_network) -> None:
    async with start() as running:
        worker = running.worker
        created, caller = await running.call()
        ingress = AnswerIngress(id=1, host="192.0.2.1", port=3478, priority=100)
        update = IceUpdate(fragment=caller.offer_restart(), tag="*", ingresses=(ingress,))
        with pytest.raises(NotOwner):
            await worker.update_call(created.call_id, "somebody", update)
        call = worker._calls.of_call_id(created.call_id)
        call.custody = Custody(0, trio.current_time())
        call.custody.begin(trio.current_time())
        updated = await worker.update_call(created.call_id, worker_network.OWNER, update)
        assert call.custody.is_due(trio.current_time() + 1.5), "a successor has to know the new credentials"
        assert updated.tag != created.ice_tag
        received = MediaStatistics.of(caller).received
        caller.accept_restart(updated.fragment, trio.current_time())
        await worker_network.eventually(lambda: not call.session.ice.is_restarting)
        await worker_network.eventually(lambda: MediaStatistics.of(caller).received > received + 20)
        assert MediaStatistics.of(caller).lost == 0
        assert worker.counts["ice-restart"] == 1
        for secret in (caller._pwd, call.session.ice.local.password, call.session.ice.local.ufrag):
            assert secret not in str(running.reports)


async def test_of_a_call_that_was_handed_over_it_says_where_it_went(autojump_clock, start) -> None:
    async with start() as running:
        worker = running.worker
        worker.moved.note("rtc_gone", Owner(cluster=3, incarnation=99, worker=2))
        for ask in (worker.describe_call("rtc_gone"), worker.end_call("rtc_gone", None)):
            with pytest.raises(CallMoved) as caught:
                await ask
            assert (caught.value.cluster, caught.value.incarnation) == (3, 99)
        for number in range(10_000):
            worker.moved.note(f"rtc_{number}", Owner(cluster=3, incarnation=99, worker=2))
        with pytest.raises(CallNotFound):  # it does not remember for ever
            await worker.describe_call("rtc_gone")
        worker.moved.forget("rtc_9999")
        with pytest.raises(CallNotFound):
            await worker.describe_call("rtc_9999")


async def test_no_more_calls_than_it_takes(autojump_clock, start, worker_network) -> None:
    async with start(max_calls=2) as running:
        offer = running.make_caller().offer
        for _ in range(2):
            created = await running.worker.create_call(offer, [running.support.INGRESS], worker_network.OWNER)
        with pytest.raises(Overloaded) as refused:
            await running.worker.create_call(offer, [running.support.INGRESS], worker_network.OWNER)
        assert refused.value.retry_after > 0
        await running.worker.end_call(created.call_id, worker_network.OWNER)
        await running.worker.create_call(offer, [running.support.INGRESS], worker_network.OWNER)
        assert running.worker.counts["refused-overloaded"] == 1
        assert running.worker.counts["created"] == 3
        # The limit may change while it runs.
        running.worker.options = attrs.evolve(running.worker.options, max_calls=3)
        await running.worker.create_call(offer, [running.support.INGRESS], worker_network.OWNER)


async def test_an_offer_that_cannot_be_answered_costs_nothing(autojump_clock, start, worker_network) -> None:
    async with start() as running:
        for offer in ("", "v=0", running.make_caller().offer.replace("a=fingerprint", "a=fingermark")):
            with pytest.raises(OfferRefused, match=r"\w+"):
                await running.worker.create_call(offer, [running.support.INGRESS], worker_network.OWNER)
        assert running.worker.counts == {"refused-offer": 3}
        assert running.worker.status()["calls"] == 0


async def test_draining_takes_no_call_and_keeps_those_that_are(autojump_clock, start, worker_network) -> None:
    async with start() as running:
        _, caller = await running.call()
        running.worker.start_draining()
        status = running.worker.status()
        assert (status["ready"], status["reason"]) == (False, "draining")
        with pytest.raises(Overloaded):
            await running.worker.create_call(caller.offer, [running.support.INGRESS], worker_network.OWNER)
        heard = MediaStatistics.of(caller).received
        await worker_network.eventually(lambda: MediaStatistics.of(caller).received > heard + 10)


async def test_stopping_says_goodbye_to_every_client(autojump_clock, start) -> None:
    async with start() as running:
        callers = [(await running.call(port=50000 + number))[1] for number in range(3)]
        worker, relay = running.worker, running.relay
        sock = relay.sock.dup()  # outlives the nursery
    assert worker.status()["calls"] == 0
    assert worker.counts["ended-shutdown"] == 3
    relay.sock = sock
    with sock:
        for data, source in drain(sock):
            if data[0] != CONTROL:
                relay.take_last = parse_header(data)
                caller = relay.callers[relay.take_last.client]
                caller.receive_datagram(data[relay.take_last.size :], Path(("192.0.2.1", 3478)), 0.0)
                assert source == relay.transceiver
    assert [caller.stage for caller in callers] == [Stage.CLOSED] * 3


async def test_keys_are_replaced_while_calls_go_on(autojump_clock, start, worker_network) -> None:
    async with start() as running:
        first, caller = await running.call()
        running.worker.replace_keys(**worker_network.keys_of(2))
        heard = MediaStatistics.of(caller).received
        second, _ = await running.call(port=50001)
        new = worker_network.keys_of(2)
        assert new["call_id_keys"].open(second.call_id) is not None
        assert new["credential_keys"].open(parse_answer(second.answer).ice_ufrag) is not None
        assert new["call_id_keys"].open(first.call_id) is None
        await worker_network.eventually(lambda: MediaStatistics.of(caller).received > heard + 5)
        # The call is still found by its old name.
        await running.worker.end_call(first.call_id, worker_network.OWNER)


async def test_the_hop_key_is_replaced_too(autojump_clock, start, worker_network) -> None:
    async with start() as running:
        worker = running.worker
        worker.replace_keys(**{**worker_network.keys_of(1), "hop_keys": HopKeys.derive({2: b"n" * 32}, 2)})
        before = worker._link.drops.total()
        await worker_network.eventually(
            lambda: worker._link.drops.total() > before
        )  # the relay's HELLO is under the old one


async def test_datagrams_from_nobody_are_dropped(autojump_clock, start, worker_network) -> None:
    async with start() as running:
        created, caller = await running.call()
        session = running.relay.sessions["198.51.100.7", 50000]
        packet = caller.media._srtp.protect_rtp(caller.media.outbound.next_packet(trio.current_time()))
        header = pack_header(UP, ingress=1, client=("198.51.100.7", 50000), session=session, tag=b"flow-tag")
        with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as stranger:
            await stranger.bind(("127.0.0.1", 0))
            for data in (header + packet, header, b"", b"\x11", b"\xff" + os.urandom(1399), bytes(60000)):
                await stranger.sendto(data, running.worker.address)
            await worker_network.eventually(lambda: running.worker.drops[DropReason.NOT_A_RELAY] == 2)
            await worker_network.eventually(lambda: running.worker._link.drops.total() >= 3)
        drops = running.worker.all_drops()
        assert drops["worker.not-a-relay"] == 2
        assert any(name.startswith("hop.") for name in drops)
        assert (await running.worker.describe_call(created.call_id))["state"] == "established"


async def test_a_datagram_for_a_session_of_the_past_is_answered_with_gone(
    autojump_clock, start, worker_network
) -> None:
    async with start() as running:
        running.relay.sessions["198.51.100.9", 9] = 4711
        running.relay.forward(b"\x80\x6f" + bytes(40), ("198.51.100.9", 9))
        await worker_network.eventually(lambda: running.relay.gone == [4711])
        assert running.worker.drops == {DropReason.UNKNOWN_SESSION: 1}


async def test_the_status_tells_how_it_is(
    autojump_clock, start, worker_network, call_network, certificate, clip
) -> None:
    async with start() as running:
        status = running.worker.status()
        assert {
            name: status[name] for name in ("cluster", "incarnation", "workers", "calls", "max_calls", "relays")
        } == {
            "cluster": 3,
            "incarnation": 4711,
            "workers": 1,
            "calls": 0,
            "max_calls": 2000,
            "relays": 1,
        }
        assert (status["ready"], status["reason"]) == (True, "")
        # The ticker rests while there is no call, and is there for the first.
        assert sum(running.worker.lateness.counts) <= 1
        caller = call_network.make_caller(certificate, CallerOptions(clip=clip), trio.current_time())
        await running.worker.create_call(caller.offer, [call_network.INGRESS], "")
        await worker_network.eventually(lambda: sum(running.worker.lateness.counts) > 10)
        assert running.worker.status()["tick_lateness_p999_ms"] > 0


async def test_an_address_that_is_taken_is_said(autojump_clock, start, worker_network) -> None:
    async with start() as running:
        second = Worker(options=WorkerOptions(hop=running.worker.address), incarnation=1, **worker_network.keys_of(1))
        with pytest.raises(OSError, match="in use"):
            await second.run()


async def test_before_and_after_it_runs_nothing_is_sent(worker_network, call_network, certificate, clip) -> None:
    worker = Worker(
        options=WorkerOptions(hop=("127.0.0.1", 0), backends=worker_network.ECHO),
        incarnation=1,
        **worker_network.keys_of(1),
    )
    caller = call_network.make_caller(certificate, CallerOptions(clip=clip), trio.current_time())
    created = await worker.create_call(caller.offer, [call_network.INGRESS], "")
    route = worker_network.keys_of(1)["call_id_keys"].open(created.call_id)
    assert isinstance(route, Route)
    await worker.end_call(created.call_id, None)
    assert worker.status()["calls"] == 0
    assert worker.address is None
