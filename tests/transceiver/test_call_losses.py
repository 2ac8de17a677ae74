"""What calls lose is told look by look, in the worse direction, and only when enough was said to tell."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transceiver.losses import LossMeter, PacketCounts
from transceiver.round_trips import LossSample, SamplesOfAll
from transceiver.sampling import WayLog


def counts(expected: int = 0, received: int = 0, sent: int = 0, lost: int = 0) -> PacketCounts:
    return PacketCounts(expected, received, sent, lost)


def shares(*looks: PacketCounts) -> list[float | None]:
    meter = LossMeter()
    return [meter.share(look) for look in looks]


def test_a_look_tells_of_what_was_since_the_one_before() -> None:
    assert shares(counts(1000, 500), counts(2000, 1450), counts(3000, 2450)) == [None, pytest.approx(0.05), 0]


def test_the_worse_direction_counts() -> None:
    assert shares(counts(), counts(200, 196, 200, 20)) == [None, 0.1]
    assert shares(counts(), counts(200, 180, 200, 2)) == [None, pytest.approx(0.1)]


def test_silence_tells_nothing_and_is_added_to_the_next_look() -> None:
    assert shares(counts(), counts(60, 30), counts(120, 60)) == [None, None, 0.5]
    assert shares(counts(), counts(60, 30, 200, 2)) == [None, 0.01], "the other direction does"


def test_a_source_that_begins_anew_is_no_loss() -> None:
    assert shares(counts(5000, 5000), counts(10, 10), counts(210, 210)) == [None, None, 0]


def test_a_client_that_says_anything_says_no_more_than_all() -> None:
    assert shares(counts(), counts(sent=200, lost=9000), counts(sent=400, lost=-9000)) == [None, 1, 0]


@given(st.lists(st.builds(PacketCounts, *[st.integers(-(2**31), 2**31)] * 4), max_size=10))
def test_whatever_is_counted_a_share_is_a_share(looks: list[PacketCounts]) -> None:
    assert all(share is None or 0 <= share <= 1 for share in shares(*looks))


class Calls(dict):
    """A registry with one call, of a network, by an ingress."""

    def __init__(self) -> None:
        self.media = SimpleNamespace(round_trip_time=0.02, packet_counts=counts())
        session = SimpleNamespace(media=self.media, ice=None, path=SimpleNamespace(via=7))
        session.ice = SimpleNamespace(round_trip_time=None)
        wishes = SimpleNamespace(caller_network="n")
        super().__init__({1: SimpleNamespace(session_id=1, wishes=wishes, session=session, losses=LossMeter())})

    def __iter__(self):
        return iter(list(self.values()))

    def of_session(self, number: int):
        return self.get(number)


def test_each_look_is_told_once_with_network_and_ingress() -> None:
    calls = Calls()
    log = WayLog(calls)
    assert log.losses(0) == ()
    calls.media.packet_counts = counts(750, 712, 750, 0)
    assert log.losses(14) == ()
    assert [each.to_list() for each in log.losses(15)] == [[1, "n", 7, 0.0507]]
    assert len(log.round_trips(15)) == 2
    assert len(log.losses(29)) == 1


def test_processes_are_told_as_one_of_losses_too() -> None:
    both: SamplesOfAll[LossSample] = SamplesOfAll()
    both.add("a", [LossSample(1, "n", 1, 0.1)])
    both.add("b", [LossSample(1, "m", 2, 0.2)])
    both.add("a", [LossSample(1, "n", 1, 0.1), LossSample(2, "n", 1, 0.3)])
    assert [(each.number, each.share) for each in both.latest()] == [(1, 0.1), (2, 0.2), (3, 0.3)]
