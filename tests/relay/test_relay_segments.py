"""What is of one length and goes to one place is one message for the kernel, and so many datagrams for the receiver."""

import errno
import socket
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay import mmsg
from relay.mmsg import CALL
from relay.segments import LONGEST_SEGMENT, MOST_SEGMENTS, SegmentSlots
from relay.udp import UdpDropReason, address_of, drain, open_udp

pytestmark = pytest.mark.skipif(not mmsg.is_available(), reason="this system has no recvmmsg and sendmmsg")


@pytest.fixture
def sockets():
    with (
        open_udp("127.0.0.1", 0, on_warning=str) as here,
        open_udp("127.0.0.1", 0, on_warning=str) as there,
        open_udp("127.0.0.1", 0, on_warning=str) as elsewhere,
    ):
        yield here, there, elsewhere


class Kernel:
    """Counts messages, and refuses those that a test says."""

    def __init__(self, errors=()):
        self._real = mmsg._library()
        self._errors = dict(errors)
        self.messages = 0

    def sendmmsg(self, fd, messages, count, flags):
        error = self._errors.get(self.messages)
        if error:
            self.messages += 1
            mmsg.ffi.errno = error
            return -1
        good = next((n for n in range(count) if self.messages + n in self._errors), count)
        sent = self._real.sendmmsg(fd, messages, good, flags)
        self.messages += max(sent, 0)
        return sent


def add(slots, sent, place, origins=None):
    """Take datagrams as the relay's hot path does, by default each from an origin of its own."""
    for number, data in enumerate(sent):
        slots.add(data, place)
        slots.origins[-1] = number if origins is None else origins[number]


@pytest.fixture
def kernel(monkeypatch):
    kernel = Kernel()
    monkeypatch.setattr(mmsg, "_library", lambda: kernel)
    return kernel


def received(sock: socket.socket) -> list[bytes]:
    return [data for data, _ in drain(sock, 1000)]


def numbered(lengths):
    return [f"{number:04}".encode().ljust(length, b".") for number, length in enumerate(lengths)]


def segmenting(sock, drops=None):
    slots = SegmentSlots(sock, Counter() if drops is None else drops)
    if not slots.is_segmenting:
        pytest.skip("this kernel knows no segments")
    return slots


def test_what_is_of_one_length_goes_as_one_message_and_arrives_as_it_was(sockets, kernel):
    here, there, _ = sockets
    slots = segmenting(here)
    sent = numbered([90, 148, 90, 132, 148, 90])
    add(slots, sent, address_of(there))
    assert slots.flush() == (6, sum(map(len, sent)))
    assert kernel.messages == 3
    came = received(there)
    assert sorted(came) == sent
    for length in (90, 148, 132):
        assert [data for data in came if len(data) == length] == [data for data in sent if len(data) == length]
    assert slots.is_segmenting


def test_a_batch_of_one_length_is_one_message(sockets, kernel):
    here, there, _ = sockets
    slots = segmenting(here)
    sent = numbered([1000] * MOST_SEGMENTS)
    add(slots, sent, address_of(there))
    slots.flush()
    assert kernel.messages == 1
    assert received(there) == sent


def test_a_message_holds_no_more_than_udp_can_say(sockets, kernel):
    here, there, _ = sockets
    slots = segmenting(here)
    sent = numbered([LONGEST_SEGMENT] * MOST_SEGMENTS)
    add(slots, sent, address_of(there))
    slots.flush()
    assert kernel.messages == 2
    assert received(there) == sent


def test_a_message_has_no_more_segments_than_kernels_take(sockets, kernel):
    here, there, _ = sockets
    slots = segmenting(here)
    sent = numbered([60] * CALL)
    assert len(sent) > MOST_SEGMENTS
    add(slots, sent, address_of(there))
    slots.flush()
    assert slots.is_segmenting
    assert kernel.messages == -(-len(sent) // MOST_SEGMENTS)
    assert received(there) == sent


def test_what_might_need_fragments_goes_by_itself(sockets, kernel):
    here, there, _ = sockets
    slots = segmenting(here)
    sent = numbered([LONGEST_SEGMENT + 1] * 5 + [50] * 5)
    add(slots, sent, address_of(there))
    slots.flush()
    assert kernel.messages == 6
    assert sorted(received(there)) == sent


def test_what_is_from_one_origin_stays_in_order(sockets, kernel):
    here, there, _ = sockets
    slots = segmenting(here)
    lengths = [90, 148, 90, 148, 90, 90, 148]
    origins = ["ann", "bob", "bob", "cem", "ann", "dan", "cem"]
    sent = numbered(lengths)
    add(slots, sent, address_of(there), origins)
    slots.flush()
    came = received(there)
    assert sorted(came) == sent
    for origin in set(origins):
        own = [data for data, sender in zip(sent, origins, strict=True) if sender == origin]
        assert [data for data in came if data in own] == own
    # 90 of Ann; 148 of Bob and twice of Cem; 90 of Bob, Ann and Dan
    assert kernel.messages == 3


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from([60, 61, 62, 1300])), max_size=150))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_whatever_comes_all_arrives_and_each_origin_in_order(sockets, datagrams):
    here, there, _ = sockets
    slots = segmenting(here)
    sent = numbered(length for _, length in datagrams)
    add(slots, sent, address_of(there), [origin for origin, _ in datagrams])
    assert slots.flush() == (len(sent), sum(map(len, sent)))
    came = received(there)
    assert sorted(came) == sent
    for origin in range(5):
        own = [data for data, (sender, _) in zip(sent, datagrams, strict=True) if sender == origin]
        assert [data for data in came if data in own] == own


def test_each_place_gets_its_own(sockets, kernel):
    here, there, elsewhere = sockets
    slots = segmenting(here)
    sent = numbered([100] * 12)
    for number, data in enumerate(sent):
        slots.add(data, address_of(there if number % 2 else elsewhere))
    slots.flush()
    assert kernel.messages == 2
    assert received(there) == sent[1::2]
    assert received(elsewhere) == sent[0::2]


def test_empty_datagrams_arrive_too(sockets, kernel):
    here, there, _ = sockets
    slots = segmenting(here)
    for _ in range(4):
        slots.add(b"", address_of(there))
    slots.flush()
    assert received(there) == [b""] * 4


@pytest.mark.parametrize("refusal", [errno.EIO, errno.EINVAL, errno.EMSGSIZE])
def test_a_path_that_takes_no_segments_gets_all_one_by_one(sockets, monkeypatch, refusal):
    here, there, _ = sockets
    kernel = Kernel({1: refusal})
    monkeypatch.setattr(mmsg, "_library", lambda: kernel)
    drops = Counter()
    slots = segmenting(here, drops)
    sent = numbered([90, 90, 100, 100, 100, 110])
    add(slots, sent, address_of(there))
    slots.flush()
    assert received(there) == sent
    assert not slots.is_segmenting
    assert kernel.messages == 1 + 1 + 4
    add(slots, sent, address_of(there))
    slots.flush()
    assert received(there) == sent
    assert kernel.messages == 6 + 6
    assert not drops


def test_a_refused_message_counts_for_all_its_datagrams(sockets, monkeypatch):
    here, there, _ = sockets
    kernel = Kernel({0: errno.EAGAIN, 2: errno.EPERM})
    monkeypatch.setattr(mmsg, "_library", lambda: kernel)
    drops = Counter()
    slots = segmenting(here, drops)
    sent = numbered([90, 90, 90, 100, 100, 110])
    add(slots, sent, address_of(there))
    slots.flush()
    assert received(there) == sent[3:5]
    assert drops == {UdpDropReason.SEND_BUFFER_FULL: 3, UdpDropReason.UNSENDABLE: 1}
    assert slots.is_segmenting


def test_a_kernel_that_knows_no_segments_is_not_asked_for_them(sockets, kernel, monkeypatch):
    here, there, _ = sockets
    monkeypatch.setattr("relay.segments._knows_segments", lambda sock: False)
    slots = SegmentSlots(here, Counter())
    sent = numbered([90] * 10)
    add(slots, sent, address_of(there))
    slots.flush()
    assert kernel.messages == 10
    assert received(there) == sent


def test_one_of_the_other_family_is_counted_and_the_rest_arrives(sockets, kernel):
    here, there, _ = sockets
    drops = Counter()
    slots = segmenting(here, drops)
    sent = numbered([90] * 6)
    for number, data in enumerate(sent):
        slots.add(data, ("::1", 9) if number in (1, 2, 3, 4) else address_of(there))
    slots.flush()
    assert sorted(received(there)) == [sent[0], sent[5]]
    assert drops == {UdpDropReason.UNSENDABLE: 4}
