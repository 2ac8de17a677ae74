"""Each call is asked now and then, and each of its answers is told once."""

from types import SimpleNamespace

import pytest

from transceiver.losses import LossMeter, PacketCounts
from transceiver.round_trips import LATEST, RoundTripSample, SamplesOfAll
from transceiver.sampling import WayLog

NOTHING = PacketCounts(expected=0, received=0, sent=0, lost=0)


class Calls(dict):
    """A registry of calls without sessions."""

    def __iter__(self):
        return iter(list(self.values()))

    def of_session(self, number: int):
        return self.get(number)


def make_call(number: int, *, stun: float | None = 0.02, rtcp: float | None = None, network: str = "n", via: int = 7):
    return SimpleNamespace(
        session_id=number,
        wishes=SimpleNamespace(caller_network=network),
        session=SimpleNamespace(
            ice=SimpleNamespace(round_trip_time=stun),
            media=None if rtcp is None else SimpleNamespace(round_trip_time=rtcp, packet_counts=NOTHING),
            path=None if via == 0 else SimpleNamespace(via=via),
        ),
        losses=LossMeter(),
    )


@pytest.fixture
def calls() -> Calls:
    return Calls()


def test_a_call_tells_by_rtcp_or_else_by_stun(calls: Calls) -> None:
    calls[1] = make_call(1, network="one")
    calls[2] = make_call(2, network="two", rtcp=0.0305)
    assert sorted(each.to_list()[1:] for each in WayLog(calls).round_trips(0)) == [["one", 7, 20], ["two", 7, 30.5]]


@pytest.mark.parametrize("call", [make_call(1, stun=None), make_call(1, network=""), make_call(1, via=0)])
def test_a_call_that_cannot_tell_tells_nothing(calls: Calls, call) -> None:
    calls[1] = call
    assert WayLog(calls).round_trips(0) == ()


def test_a_call_is_asked_every_quarter_of_a_minute(calls: Calls) -> None:
    calls[1] = make_call(1)
    log = WayLog(calls)
    for now in (0, 0.1, 5, 13.5):
        assert len(log.round_trips(now)) == 1
    assert [each.number for each in log.round_trips(15)] == [1, 2]


def test_who_cannot_tell_yet_is_asked_again_soon(calls: Calls) -> None:
    calls[1] = make_call(1, stun=None)
    log = WayLog(calls)
    assert log.round_trips(0) == ()
    calls[1].session.ice.round_trip_time = 0.03
    assert log.round_trips(0.5) == ()
    assert [each.milliseconds for each in log.round_trips(1)] == [30]


def test_many_calls_take_turns_and_few_are_told(calls: Calls) -> None:
    for number in range(100):
        calls[number] = make_call(number, network=str(number))
    log = WayLog(calls)
    seen: list[RoundTripSample] = []
    for now in range(5):
        samples = log.round_trips(now)
        assert len(samples) <= LATEST
        seen += [each for each in samples if not seen or each.number > seen[-1].number]
    assert sorted(int(each.network) for each in seen) == list(range(100))


def test_calls_that_end_before_their_turn_are_left_out(calls: Calls) -> None:
    for number in range(40):
        calls[number] = make_call(number)
    log = WayLog(calls)
    log.round_trips(0)
    calls.clear()
    assert len(log.round_trips(1)) == 32


def test_processes_are_told_as_one() -> None:
    both = SamplesOfAll()
    both.add("a", [RoundTripSample(1, "n", 1, 10.0), RoundTripSample(2, "n", 1, 11.0)])
    both.add("b", [RoundTripSample(1, "m", 2, 12.0)])
    both.add("a", [RoundTripSample(2, "n", 1, 11.0), RoundTripSample(3, "n", 1, 13.0)])
    assert [(each.number, each.milliseconds) for each in both.latest()] == [(1, 10), (2, 11), (3, 12), (4, 13)]
    both.keep_only(["b"])
    both.add("a", [RoundTripSample(1, "n", 1, 14.0)])
    assert len(both.latest()) == 5, "a process of the same name that is another one counts anew"
