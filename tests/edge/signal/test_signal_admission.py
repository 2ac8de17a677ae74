"""Everybody comes at once, and some of those they are led to are dead."""

import math
import random
from collections import Counter

import pytest
import trio
import trio.testing

from edge.control.client import TransceiverUnreachable
from edge.signal.admission import CallPace
from edge.signal.attempts import Attempts
from edge.signal.fleet import Member
from geo.regions import Region


def pace_of(rate: float, longest_wait: float = 0.0, seed: int = 1) -> CallPace:
    return CallPace(rate, longest_wait, random.Random(seed).randbytes)


# -- the pace


def test_a_second_of_calls_begins_at_once_and_the_rest_at_the_rate() -> None:
    pace = pace_of(10, longest_wait=1.0)
    answers = [pace.admit(100.0) for _ in range(21)]
    assert [wait for is_admitted, wait in answers[:10] if is_admitted] == [0.0] * 10
    assert [wait for is_admitted, wait in answers[10:20] if is_admitted] == pytest.approx(
        [n / 10 for n in range(1, 11)]
    )
    assert not answers[20][0]


def test_a_steady_stream_below_the_rate_never_waits() -> None:
    pace = pace_of(10)
    assert all(pace.admit(100 + n * 0.1) == (True, 0.0) for n in range(1000))


def test_over_any_time_no_more_than_the_rate_and_a_second_of_it_begin() -> None:
    pace, chance = pace_of(50, longest_wait=2.0), random.Random(3)
    begins, now = [], 0.0
    for _ in range(5000):
        now += chance.expovariate(80)
        is_admitted, wait = pace.admit(now)
        if is_admitted:
            begins.append(now + wait)
    for first in range(0, len(begins), 97):
        for seconds in (1.0, 5.0, 20.0):
            within = sum(1 for begin in begins[first:] if begin < begins[first] + seconds)
            assert within <= 50 * (seconds + 1) + 1
    assert len(begins) / now == pytest.approx(50, rel=0.05)


def test_who_is_refused_is_told_a_turn_of_its_own_behind_those_who_wait() -> None:
    pace = pace_of(100, longest_wait=1.0)
    refused = [seconds for is_admitted, seconds in (pace.admit(0.0) for _ in range(3200)) if not is_admitted]
    assert len(refused) == 3000
    assert min(refused) > 1.0
    # Over the 30 seconds that these need, and the quarter that jitter adds, no second gets many more than the rate.
    seconds = Counter(int(each) for each in refused)
    assert max(seconds.values()) <= 110
    assert max(seconds) in range(32, 42)


def test_nobody_is_sent_away_for_more_than_a_minute_and_those_not_together() -> None:
    pace = pace_of(10)
    refused = [pace.admit(0.0)[1] for _ in range(100_000)][1000:]
    assert all(30 <= seconds <= 60 for seconds in refused[5000:])
    assert max(Counter(int(seconds) for seconds in refused[5000:]).values()) < len(refused) / 20


def test_a_rate_of_zero_is_no_bound() -> None:
    pace = pace_of(0)
    assert all(pace.admit(0.0) == (True, 0.0) for _ in range(10_000))


# -- one POST


def members(*regions: str | None) -> list[Member]:
    class Client:
        url = "http://one"

    return [Member(Client(), region=Region(name=name) if name else None) for name in regions]


def attempts_on(*some: Member, most: int = 32, until: float = math.inf) -> Attempts:
    return Attempts(some, most, trio.lowlevel.ParkingLot(), until)


async def test_what_failed_one_may_have_failed_its_region() -> None:
    one, two, three, four = members("eu", "eu", "us", None)
    attempts = attempts_on(one, two, three, four)
    assert await attempts.next() is one
    attempts.avoid_region_of(one)
    assert [await attempts.next() for _ in range(3)] == [three, four, None]
    nameless = attempts_on(four, one, two)
    nameless.avoid_region_of(await nameless.next())
    assert await nameless.next() is one


async def test_patience_is_short_while_there_is_another(autojump_clock) -> None:
    attempts = attempts_on(*members(None, None))

    async def hang() -> None:
        member = await attempts.next()
        with attempts.trying(member):
            assert member.under_way == 1
            await trio.sleep_forever()

    with trio.move_on_after(100) as scope:
        with pytest.raises(TransceiverUnreachable, match="no answer within 2 seconds"):
            await hang()
        assert trio.current_time() == pytest.approx(scope.deadline - 98)
        await hang()
    assert scope.cancelled_caught  # the last one is not hurried


async def test_a_dead_transceiver_costs_a_client_nothing(empty_edge, headers_of):
    for number, name in enumerate(("one", "two", "three"), start=1):
        empty_edge.add_transceiver(name, number, max_calls=1000 // number)
    edge = await empty_edge.start()
    edge.disconnect("one")
    assert [(await edge.call()).status for _ in range(5)] == [201] * 5
    assert not edge.transceivers["one"].calls


async def test_a_transceiver_that_hangs_costs_a_client_two_seconds(empty_edge, autojump_clock):
    edge = await two(empty_edge)
    edge.transceivers["one"].is_slow = True
    began = trio.current_time()
    assert (await edge.call()).status == 201
    assert trio.current_time() - began == pytest.approx(2.0)
    assert (await edge.call()).status == 201  # it is not asked again before it has answered
    assert trio.current_time() - began == pytest.approx(2.0)


async def two(edge, **config):
    edge.add_transceiver("one", 1, max_calls=1000)
    edge.add_transceiver("two", 2, max_calls=100)
    return await edge.start(**config)


async def test_a_slow_transceiver_gets_no_more_than_it_may_have_under_way(empty_edge, autojump_clock):
    edge = await two(empty_edge, max_calls_under_way=4)
    edge.transceivers["one"].delay = 1.0
    edge.transceivers["two"].delay = 0.01
    statuses = []

    async def call() -> None:
        statuses.append((await edge.call()).status)

    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(call)
    assert statuses == [201] * 8
    assert edge.transceivers["one"].most_under_way <= 4
    assert edge.transceivers["two"].most_under_way == 4


async def test_calls_that_are_being_placed_count_as_load(empty_edge, autojump_clock):
    """Or a crowd would go to whoever was emptiest a moment ago."""
    for number, name in enumerate(("one", "two"), start=1):
        empty_edge.add_transceiver(name, number, max_calls=1000).delay = 0.5
    edge = await empty_edge.start()
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(edge.call)
    assert [len(calls.calls) for calls in edge.transceivers.values()] == [10, 10]


async def test_a_crowd_waits_for_room_on_the_only_transceiver(empty_edge, autojump_clock):
    empty_edge.add_transceiver("one", 1, max_calls=1000)
    edge = await empty_edge.start(max_calls_under_way=4)
    edge.transceivers["one"].delay = 0.1
    made = []

    async def call() -> None:
        made.append(((await edge.call()).status, trio.current_time()))

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(40):
            nursery.start_soon(call)
    assert {status for status, _ in made} == {201}
    assert edge.transceivers["one"].most_under_way == 4
    assert max(when for _, when in made) - began == pytest.approx(40 / 4 * 0.1, abs=0.01), "none waits in vain"


async def test_who_waits_takes_the_first_that_has_room_though_another_was_woken(autojump_clock) -> None:
    """Room that is of no use to who was woken for it, since his call may not be there."""
    one, two = members("eu", "us")
    one.under_way = two.under_way = 1
    room = trio.lowlevel.ParkingLot()
    only_one, any_of_them = (Attempts(some, 1, room, 10.0) for some in ([one], [one, two]))
    found = []

    async def wait(attempts: Attempts) -> None:
        found.append(await attempts.next())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait, only_one)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(wait, any_of_them)
        await trio.testing.wait_all_tasks_blocked()
        two.under_way = 0
        room.unpark()
    assert (found, trio.current_time()) == ([two, None], 10.0)
    assert only_one.is_held_back
    assert not any_of_them.is_held_back


async def test_with_all_of_them_busy_a_client_is_told_to_come_back(empty_edge, autojump_clock, read_failure):
    empty_edge.add_transceiver("one", 1)
    edge = await empty_edge.start(max_calls_under_way=1, max_call_wait=0.5)
    edge.transceivers["one"].delay = 1.0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(edge.call)
        await trio.sleep(0.1)
        failure = read_failure(await edge.call())
        assert trio.current_time() == pytest.approx(0.6)
    assert (failure.status, failure.code) == (503, "session_limit_reached")
    assert 2 <= float(failure.headers["retry-after-ms"]) / 1000 <= 2.5


async def test_offers_wait_for_their_turn_and_beyond_are_refused(empty_edge, autojump_clock, read_failure):
    empty_edge.add_transceiver("one", 1, max_calls=1000)
    edge = await empty_edge.start(max_calls_per_second=10, max_call_wait=1.0)
    responses = []

    async def call() -> None:
        response = await edge.call()
        responses.append((trio.current_time(), response))

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(25):
            nursery.start_soon(call)
    made = [when - began for when, response in responses if response.status == 201]
    assert len(made) == 20
    assert max(made) == pytest.approx(1.0, abs=0.01)
    refused = [read_failure(response) for _, response in responses if response.status != 201]
    assert {(failure.status, failure.code) for failure in refused} == {(503, "server_overloaded")}
    assert len({failure.headers["retry-after-ms"] for failure in refused}) == 5
    assert all(float(failure.headers["retry-after-ms"]) > 1000 for failure in refused)
    assert [name for name, _ in edge.reports].count("calls-refused") == 1  # a crowd is worth a line


# -- a region dies


class Crowd:
    """Clients that come back when they are told, each with its own clock, as the OpenAI clients do."""

    def __init__(self, edge, size: int) -> None:
        self.edge, self.size = edge, size
        self.posts: list[int] = []
        self.waits: list[float] = []
        self.begins: Counter[int] = Counter()

    async def run(self) -> None:
        self.began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for _ in range(self.size):
                nursery.start_soon(self._client)

    async def _client(self) -> None:
        posts = 0
        while True:
            posts += 1
            response = await self.edge.call()
            if response.status == 201:
                break
            assert response.status == 503, response
            headers = {name.lower(): value for name, value in response.headers}
            await trio.sleep(float(headers["retry-after-ms"]) / 1000)
        self.posts.append(posts)
        self.waits.append(trio.current_time() - self.began)
        self.begins[int(self.waits[-1])] += 1


async def test_the_callers_of_a_dead_region_do_not_topple_the_others(empty_edge, autojump_clock):
    """Two thousand at once. What counts: the calls begun in a second, and that everybody gets through, soon."""
    rate, size = 50, 2000
    for number in range(3):
        empty_edge.add_transceiver(f"eu{number}", number + 1, region="eu", max_calls=5000)
        empty_edge.add_transceiver(f"us{number}", number + 11, region="us", max_calls=5000)
    edge = await empty_edge.start(max_calls_per_second=rate, max_call_wait=2.0, max_calls_under_way=8)
    for calls in edge.transceivers.values():
        calls.delay = 0.05
    survivor = edge.transceivers["us0"]
    own = survivor.mint(size)
    survivor.calls[own] = ("", "", ())
    for number in range(3):
        edge.disconnect(f"eu{number}")
    crowd = Crowd(edge, size)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(crowd.run)
        # Meanwhile who has a call can still act on it.
        await trio.sleep(1)
        began = trio.current_time()
        assert (await edge.ask("DELETE", f"/v1/realtime/calls/{own}")).status == 200
        assert trio.current_time() - began < 0.1
    assert len(crowd.posts) == size
    assert max(crowd.begins.values()) <= 2 * rate
    assert max(crowd.waits) < 1.6 * size / rate
    assert sum(crowd.posts) / size < 2.5
    survivors = [edge.transceivers[f"us{number}"] for number in range(3)]
    assert all(calls.most_under_way <= 8 for calls in survivors)
    shares = [len(calls.calls) for calls in survivors]
    assert sum(shares) == size
    assert max(shares) - min(shares) < size / 20
