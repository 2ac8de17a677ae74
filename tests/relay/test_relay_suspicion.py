"""When a relay holds a transceiver for dead: within a third of a second if it is, and never if it is not."""

import heapq
import itertools
import random

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.hop.health import GRACE, LinkMeter
from relay.hop.peer import Peer
from relay.hop.sealing import REVISION
from relay.hop.suspicion import (
    ACTIVE_FOR,
    IDLE_SILENCE,
    LATE,
    LEAST_SILENCE,
    MOST_SILENCE,
    PROBE_AFTER,
    TICK,
    UNANSWERED,
    Suspicion,
)
from relay.hop.watching import Watch

ADDRESS = ("10.0.1.1", 5000)
FRAME = 0.02
LIMIT = PROBE_AFTER + TICK + UNANSWERED * TICK
"""Of a link with media, on time: silence is seen in the next tick, and the fourth PING is overdue."""
SLACK = 0.005


@attrs.define(eq=False, slots=False)
class Link:
    """One link as its relay sees it, and the world around it: events in the order of their times.

    Attributes:
        delay: how long a PING and its PONG take together, at some time.
        dead_from: when the transceiver was killed.
        is_relay_stalled: until when the relay's process stands still, at some time; None while it runs.
    """

    now: float = 100.0
    delay: object = lambda _: 0.002
    dead_from: float = float("inf")
    is_relay_stalled: object = lambda _: None
    data: float = float("-inf")
    suspected_at: list = attrs.field(factory=list)
    pings: list = attrs.field(factory=list)
    signs: list = attrs.field(factory=list)

    def __attrs_post_init__(self):
        self.peer = Peer(address=ADDRESS, own_number=1, next_hello=self.now)
        self.peer.revision = REVISION
        self.watch = Watch({ADDRESS: self.peer}, self._send, lambda _: self.data, self.now)
        self.peer.come_up((1, 2, 0), 7)
        self.watch.come_up(self.peer, self.now)
        self._order = itertools.count()
        self._arriving = []
        self._next_hello = self.now

    def _send(self, peer, message):
        self.pings.append(self.now)
        if self.now < self.dead_from:
            when = self.now + self.delay(self.now)
            if when < self.dead_from:
                heapq.heappush(self._arriving, (when, next(self._order), message.number))

    def media(self, times):
        """Clients' datagrams that arrive at these times, as long as the transceiver lives."""
        for when in times:
            if when < self.dead_from:
                heapq.heappush(self._arriving, (when, next(self._order), None))

    def read_socket(self):
        while self._arriving and self._arriving[0][0] <= self.now:
            _, _, number = heapq.heappop(self._arriving)
            self.signs.append(self.now)
            if number is None:
                self.data = self.now
            else:
                self.watch.hear(self.peer, self.now)
                self.peer.meter.pong(number, self.now)

    def run(self, until, *, stop_when_suspected=False):
        """Do as `RelayWorker` does: datagrams when they come, timers when they are due."""
        while self.now < until:
            due = self.watch.next_timeout()
            timer = max(self.now, min(self._next_hello, self.now + 0.25 if due is None else due))
            arrival = self._arriving[0][0] if self._arriving else until
            self.now = max(self.now, min(timer, arrival, until))
            stalled = self.is_relay_stalled(self.now)
            if stalled is not None:
                self.now = stalled
            is_timer_first = stalled is not None and random.Random(self.now).random() < 0.5
            if not is_timer_first:
                self.read_socket()
            if self.now >= timer or stalled is not None:
                self.tick()
            self.read_socket()
            if stop_when_suspected and self.suspected_at:
                return

    def tick(self):
        if self.watch.is_about_to_suspect(self.now):
            self.read_socket()
        before = self.watch.suspected
        self.watch.handle_timeout(self.now)
        if self.watch.suspected > before:
            self.suspected_at.append(self.now)
        if self.now >= min(self._next_hello, self.peer.next_hello):
            self.watch.ping(self.peer, self.now)
            self._next_hello = self.peer.next_hello = self.now + 1.0

    @property
    def is_suspected(self):
        return self.peer.suspicion.is_suspected


def frames(start, end, step=FRAME):
    return [start + step * number for number in range(int((end - start) / step))]


def test_a_busy_transceiver_that_is_killed_is_suspected_within_a_third_of_a_second():
    for offset in range(10):
        died = 110.0 + offset * 0.0071
        link = Link(dead_from=died)
        link.media(frames(100.0, 120.0))
        link.run(112.0, stop_when_suspected=True)
        assert LEAST_SILENCE <= link.suspected_at[0] - link.signs[-1] <= LIMIT + SLACK
        assert link.suspected_at[0] - died < 1 / 3


def test_an_idle_one_is_suspected_after_the_next_ping_of_each_second():
    link = Link(dead_from=110.5)
    link.run(120.0, stop_when_suspected=True)
    assert link.suspected_at[0] - 111.0 >= IDLE_SILENCE - PROBE_AFTER
    assert link.suspected_at[0] - 110.5 < 1.0 + IDLE_SILENCE


def test_one_that_carries_calls_is_not_asked_more_than_once_a_second():
    link = Link()
    link.media(frames(100.0, 120.0))
    link.run(120.0)
    assert len(link.pings) <= 21
    assert not link.suspected_at


def test_one_whose_calls_are_quiet_is_asked_before_it_is_suspected():
    link = Link()
    link.media(frames(100.0, 110.0, step=1.5))
    link.run(108.0)
    assert not link.suspected_at
    assert 8 * 5 < len(link.pings) < 8 / PROBE_AFTER
    link.pings.clear()
    link.media([])
    link.run(118.0 + ACTIVE_FOR)
    asked_late = [when for when in link.pings if when > 111.0 + ACTIVE_FOR]
    assert len(asked_late) <= 8, "after a while it is as idle as any"


def test_one_that_stands_still_and_goes_on_is_trusted_again():
    link = Link(delay=lambda now: max(0.002, 106.0 - now) if now > 104.0 else 0.002)
    link.media([*frames(100.0, 104.0), *frames(106.0, 110.0)])
    link.run(105.9)
    assert link.is_suspected
    assert len(link.suspected_at) == 1
    link.run(106.1)
    assert not link.is_suspected
    assert (link.watch.suspected, link.watch.recovered) == (1, 1)


def test_a_suspect_is_asked_on_but_not_so_often():
    link = Link(dead_from=110.0)
    link.media(frames(100.0, 110.0))
    link.run(111.0)
    link.pings.clear()
    link.run(116.0)
    assert 15 <= len(link.pings) <= 30


def test_whoever_stood_still_and_came_back_gets_more_time_and_no_more_than_some():
    def stall(length):
        link = Link(dead_from=112.0)
        link.delay = lambda now: max(0.002, 110.0 + length - now) if now >= 110.0 - 0.01 else 0.002
        link.media([*frames(100.0, 110.0), *frames(110.0 + length, 112.0)])
        link.run(113.0, stop_when_suspected=True)
        return link.suspected_at[0] - link.signs[-1]

    assert stall(0.24) > stall(0.0) + 0.04
    assert stall(0.24) <= MOST_SILENCE + 2 * TICK


@pytest.mark.parametrize(
    ("stall", "patience"), [(0.1, 0.25), (0.2, 0.3), (0.3, 0.45), (0.35, 0.5), (0.4, 0.25), (9.0, 0.25)]
)
def test_it_is_half_as_much_again_as_it_took_within_bounds(stall, patience):
    suspicion = Suspicion(100.0)
    suspicion.ask(100.1)
    suspicion.hear(100.1 - PROBE_AFTER + stall)
    now = suspicion._since
    for number in range(UNANSWERED):
        suspicion.ask(now + PROBE_AFTER + number * 0.001)
    assert not suspicion.is_convincing(now + patience - 0.01, is_active=True, grace=0.04)
    assert suspicion.is_convincing(now + patience + 0.01, is_active=True, grace=0.04)
    assert not suspicion.is_convincing(now + IDLE_SILENCE - 0.01, is_active=False, grace=0.04)


def test_one_that_was_away_for_longer_is_suspected_as_soon_as_any_the_next_time():
    """It has lost its calls to others, so a pause is not what it needs to be given time for; its late PONGs, too."""
    link = Link(dead_from=112.0)
    link.delay = lambda now: max(0.002, 110.7 - now) if now >= 110.0 - 0.01 else 0.002
    link.media([*frames(100.0, 110.0), *frames(110.7, 112.0)])
    link.run(113.0)
    assert len(link.suspected_at) == 2
    assert link.suspected_at[1] - 112.0 < 1 / 3
    assert link.peer.meter.grace == GRACE


def test_a_stall_that_is_remembered_is_not_forgotten_for_a_longer_one():
    suspicion = Suspicion(100.0)
    suspicion.ask(100.1)
    assert not suspicion.hear(100.3)
    suspicion.ask(100.4)
    assert suspicion.hear(100.4 + 0.5)
    assert suspicion._remembered_stall(100.9) == pytest.approx(0.275, abs=0.01)


def test_that_is_forgotten():
    suspicion = Suspicion(100.0)
    suspicion.ask(100.1)
    suspicion.hear(100.3)
    assert suspicion._remembered_stall(100.3) == pytest.approx(0.275)
    assert suspicion._remembered_stall(130.3) == pytest.approx(0.1375)


def test_a_link_across_the_world_is_waited_for():
    link = Link(delay=lambda _: 0.3)
    link.media(frames(100.0, 110.0, step=0.4))
    link.run(109.0)
    assert not link.suspected_at


def test_a_link_that_answers_nothing_new_is_not_judged_by_its_first_ping():
    link = Link(delay=lambda _: 0.2)
    link.run(105.0)
    assert not link.suspected_at


def test_three_answers_that_get_lost_are_no_death():
    lost = iter([True, True, True])
    link = Link(delay=lambda now: 60.0 if now > 103.0 and next(lost, False) else 0.002)
    link.media(frames(100.0, 103.0))
    link.run(106.0)
    assert not link.suspected_at


def test_a_relay_that_stands_still_suspects_nobody():
    for length in (LATE + 0.01, 0.1, 0.2, 0.3, 0.5, 1.0, 5.0):
        stalls = {index: 104.0 + index * 7.0 for index in range(10)}
        done = set()

        def stalled(now, stalls=stalls, done=done, length=length):
            for index, when in stalls.items():
                if index not in done and now >= when:
                    done.add(index)
                    return now + length
            return None

        link = Link(is_relay_stalled=stalled)
        link.media(frames(100.0, 180.0))
        link.run(180.0)
        assert len(done) == 10
        assert not link.suspected_at, length


def test_one_that_dies_while_the_relay_stands_still_is_suspected_a_third_of_a_second_later():
    done = []

    def stalled(now):
        if now >= 104.0 and not done:
            done.append(now)
            return now + 3.0
        return None

    link = Link(is_relay_stalled=stalled, dead_from=104.5)
    link.media(frames(100.0, 104.5))
    link.run(110.0, stop_when_suspected=True)
    assert 0.2 < link.suspected_at[0] - 107.0 < LIMIT + 2 * TICK


def test_processes_that_stand_still_together_have_a_fresh_start_together():
    """A machine stands still while a relay was asking; the transceiver wakes up a little later than the relay."""
    done = []

    def stalled(now):
        if now >= 104.2 and not done:
            done.append(now)
            return 106.0
        return None

    link = Link(is_relay_stalled=stalled, delay=lambda now: max(0.002, 106.18 - now) if now > 104.0 else 0.002)
    link.media([*frames(100.0, 104.0), *frames(106.18, 110.0)])
    link.run(109.0)
    assert done
    assert not link.suspected_at


def test_what_waits_in_the_socket_is_heard_before_anybody_is_suspected():
    link = Link()
    link.media(frames(100.0, 101.0))
    link.run(100.9)
    for step in range(UNANSWERED):
        link.peer.suspicion.ask(101.1 + step * TICK)
    link.watch._next_tick = link.now = 101.4
    assert link.watch.is_about_to_suspect(101.4)
    link.data = 101.39
    assert not link.watch.is_about_to_suspect(101.4)
    link.watch.handle_timeout(101.4)
    assert not link.is_suspected


def test_an_idle_one_is_asked_again_at_once_when_the_relay_was_excused():
    link = Link(dead_from=110.5)
    link.run(111.2)
    link.watch.excuse(link.now)
    excused = link.now
    link.run(115.0, stop_when_suspected=True)
    assert IDLE_SILENCE - 2 * PROBE_AFTER <= link.suspected_at[0] - excused < IDLE_SILENCE + 2 * TICK


def test_a_relay_that_was_excused_asks_again_at_once():
    link = Link(dead_from=110.0)
    link.media(frames(100.0, 110.0))
    link.run(110.2)
    link.watch.excuse(link.now)
    excused = link.now
    link.run(112.0, stop_when_suspected=True)
    assert LEAST_SILENCE <= link.suspected_at[0] - excused <= LIMIT + TICK


@given(seed=st.integers(0, 1 << 32), gaps=st.lists(st.floats(0.0, 0.6), max_size=60), died=st.floats(0.5, 20.0))
@settings(max_examples=150, deadline=None)
def test_whatever_comes_it_is_suspected_when_it_is_dead_and_not_before(seed, gaps, died):
    """Arrivals at random, PONGs late at random: nobody is suspected of whom a sign came in a quarter of a second."""
    noise = random.Random(seed)
    link = Link(dead_from=100.0 + died, delay=lambda _: min(noise.expovariate(1 / 0.03), 0.19))
    link.media(itertools.accumulate(gaps, initial=100.0))
    began = 0
    while link.now < 100.0 + died + 2.5:
        link.run(link.now + 0.01)
        if len(link.suspected_at) > began:
            began = len(link.suspected_at)
            assert link.suspected_at[-1] - max(link.signs, default=100.0) >= LEAST_SILENCE
    assert link.is_suspected
    last = max([100.0, *link.signs])
    slowest = 1.0 + IDLE_SILENCE + 6 * TICK
    assert link.suspected_at[-1] <= max(last, 100.0) + slowest
    if last - link.data < ACTIVE_FOR - 2.0:
        assert link.suspected_at[-1] - last <= MOST_SILENCE + 6 * TICK


def test_an_hour_at_ninety_percent_of_a_processor_brings_no_suspicion():
    """The transceiver's loop is late as one in nine is that is served at random: 20 ms often, 150 ms now and then."""
    noise = random.Random(5)

    def late(_=None):
        lateness = noise.expovariate(1 / 0.012)
        return lateness + (noise.uniform(0.05, 0.2) if noise.random() < 0.002 else 0.0)

    link = Link(delay=late)
    when, times = 100.0, []
    while when < 3700.0:
        when += max(FRAME, late())
        times.append(when)
    link.media(times)
    link.run(3700.0)
    assert link.watch.suspected == 0


def test_an_unwatched_link_is_never_suspected():
    link = Link()
    link.watch._data_heard = lambda _: None
    link.watch.come_up(link.peer, link.now)
    assert link.peer.suspicion is None
    link.dead_from = 100.0
    link.run(105.0)
    assert (link.watch.suspected, link.watch.is_about_to_suspect(105.0)) == (0, False)


def test_grace_follows_the_round_trip_and_has_bounds():
    meter = LinkMeter()
    assert meter.grace == 0.25
    for now in range(100):
        meter.pong(meter.ping(float(now)), now + 0.001)
    assert meter.grace == GRACE
    for now in range(200, 300):
        meter.pong(meter.ping(float(now)), now + (0.4 if now % 2 else 0.2))
    assert 0.3 < meter.grace < 0.41
