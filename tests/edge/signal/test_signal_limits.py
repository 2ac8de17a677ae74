"""How many offers a source may send, and how many calls an API key may have."""

from ipaddress import ip_network

import pytest
import trio

from edge.http.messages import Request
from edge.signal.limits import OfferRate, source_of_request
from transceiver.calls import CallWishes, CreatedCall

KEYS = ("alpha-key", "beta-key")
ALPHA = "Bearer alpha-key"
BETA = "Bearer beta-key"


def test_a_source_may_send_a_minutes_worth_at_once_and_then_keeps_to_the_rate():
    rate = OfferRate(6)
    assert [rate.admit("a", 100.0) for _ in range(6)] == [0.0] * 6
    assert rate.admit("a", 100.0) == pytest.approx(10)
    assert rate.admit("a", 104.0) == pytest.approx(6), "refused offers do not count"
    assert rate.admit("a", 110.0) == 0.0
    assert rate.admit("a", 110.0) == pytest.approx(10)
    assert [rate.admit("a", 170.0) for _ in range(6)] == [0.0] * 6
    assert rate.admit("a", 170.0) > 0


def test_sources_are_apart():
    rate = OfferRate(1)
    assert rate.admit("a", 0.0) == rate.admit("b", 0.0) == 0.0
    assert rate.admit("a", 0.0) == pytest.approx(60)


def test_no_bound():
    rate = OfferRate(0)
    assert not any(rate.admit("a", 0.0) for _ in range(10_000))


def test_many_sources_take_no_more_memory():
    rate = OfferRate(1)
    for number in range(25_000):
        assert rate.admit(str(number), number / 1000) == 0.0
        assert len(rate._times) <= 10_000
    assert rate.admit("24999", 25.0) > 0, "the last ones are known"
    assert rate.admit("15000", 85.0) == 0.0
    assert rate.admit("new", 85.0) == 0.0
    assert rate.admit("15000", 85.0) > 0, "who has just sent is not forgotten, however long it is known"
    assert rate.admit("14999", 25.0) == 0.0, "who was silent the longest is forgotten first"


@pytest.mark.parametrize(
    ("peer", "forwarded", "source"),
    [
        ("203.0.113.5", None, "203.0.113.5"),
        ("203.0.113.5", "198.51.100.1", "203.0.113.5"),  # it is no proxy of ours
        ("2001:db8:1:2:3::4", None, "20010db800010002::/64"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "192.0.2.66, 198.51.100.1,10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "192.0.2.66, x, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
    ],
)
def test_whose_request_it_is(peer, forwarded, source):
    headers = {} if forwarded is None else {"x-forwarded-for": forwarded}
    request = Request(method="POST", path="/", headers=headers, peer=(peer, 1))
    assert source_of_request(request, (ip_network("10.0.0.0/8"),)) == source


async def test_a_source_that_offers_too_often_is_told_when_to_come_back(autojump_clock, edge, read_failure):
    await edge.start(api_keys=KEYS, max_offers_per_minute=3)
    for _ in range(3):
        assert (await edge.call(authorization=ALPHA, peer="203.0.113.5")).status == 201
    failure = read_failure(await edge.call(authorization=BETA, peer="203.0.113.5"))
    assert (failure.status, failure.code) == (429, "rate_limit_exceeded")
    assert (failure.headers["retry-after"], failure.headers["retry-after-ms"]) == ("20", "20000")
    assert len(edge.transceivers["one"].calls) == 3
    assert (await edge.call(authorization=ALPHA, peer="203.0.113.6")).status == 201
    await trio.sleep(20)
    assert (await edge.call(authorization=ALPHA, peer="203.0.113.5")).status == 201


async def test_who_has_no_key_uses_up_nobody_s_rate(edge):
    await edge.start(api_keys=KEYS, max_offers_per_minute=1)
    for _ in range(5):
        assert (await edge.call(authorization="Bearer wrong")).status == 401
    assert (await edge.call(authorization=ALPHA)).status == 201


async def test_a_key_has_so_many_calls_at_a_time(edge, read_failure):
    await edge.start(api_keys=KEYS, max_calls_per_key=2)
    secret = await edge.mint(key="alpha-key")
    locations = [dict((await edge.call(authorization=each)).headers)["Location"] for each in (ALPHA, secret)]
    for authorization in (ALPHA, secret):
        failure = read_failure(await edge.call(authorization=authorization))
        assert (failure.status, failure.code, failure.headers["retry-after"]) == (429, "rate_limit_exceeded", "2")
        assert "2 calls at a time" in failure.message
    assert (await edge.call(authorization=BETA)).status == 201
    await edge.poll()
    assert (await edge.call(authorization=ALPHA)).status == 429, "the transceiver has told the same"
    await edge.ask("DELETE", locations[0], authorization=ALPHA)
    await edge.poll()
    assert (await edge.call(authorization=ALPHA)).status == 201


async def test_calls_are_counted_over_all_transceivers_and_signal_nodes(empty_edge):
    first, second = (empty_edge.add_transceiver(f"t{number}", number) for number in (1, 2))
    edge = await empty_edge.start(max_calls_per_key=2)
    await first.create_call("", (), "", CallWishes())  # placed by another node
    await second.create_call("", (), "", CallWishes())
    assert (await edge.call()).status == 201, "not known yet"
    await edge.poll()
    assert (await edge.call()).status == 429


async def test_calls_under_way_count(edge, nursery):
    await edge.start(max_calls_per_key=1)
    calls = edge.transceivers["one"]
    gate, statuses, create = trio.Event(), [], calls.create_call

    async def create_later(*arguments: object) -> CreatedCall:
        await gate.wait()
        return await create(*arguments)

    calls.create_call = create_later

    async def call() -> None:
        statuses.append((await edge.call()).status)

    async with trio.open_nursery() as callers:
        for _ in range(3):
            callers.start_soon(call)
        await trio.testing.wait_all_tasks_blocked()
        assert statuses == [429, 429]
        gate.set()
    assert sorted(statuses) == [201, 429, 429]


async def test_a_call_that_could_not_be_placed_does_not_count(edge):
    await edge.start(max_calls_per_key=1)
    assert (await edge.call(b"hello")).status == 400
    edge.transceivers["one"].failure = RuntimeError("a bug")
    assert (await edge.call()).status == 503
    edge.transceivers["one"].failure = None
    await edge.poll()
    assert (await edge.call()).status == 201


async def test_without_a_bound_there_is_none(edge):
    for _ in range(30):
        assert (await edge.call()).status == 201
