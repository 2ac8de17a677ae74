"""What goes over the hop together is one message for the kernel and one datagram on the way, gathered where it lies."""

import errno
import socket
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay import mmsg
from relay.bundle_slots import BundleSlots
from relay.hop.bundles import LONGEST_BUNDLE, parts_of
from relay.hop.header import BUNDLE, CONTROL, UP
from relay.mmsg import CALL
from relay.sockaddr import sockaddr_of
from relay.udp import UdpDropReason, address_of, drain, open_udp

pytestmark = pytest.mark.skipif(not mmsg.is_available(), reason="this system has no recvmmsg and sendmmsg")


@pytest.fixture(params=["127.0.0.1", "::1"])
def sockets(request):
    with (
        open_udp(request.param, 0, on_warning=str) as here,
        open_udp(request.param, 0, on_warning=str) as there,
        open_udp(request.param, 0, on_warning=str) as elsewhere,
    ):
        yield here, there, elsewhere


def numbered(lengths):
    return [bytes((UP,)) + f"{number:04}".encode().ljust(length - 1, b".") for number, length in enumerate(lengths)]


def add(slots, sent, sock, origin=b"somebody"):
    for data in sent:
        slots.add(data, address_of(sock), origin)


def received(sock: socket.socket) -> list[bytes]:
    return [data for data, _ in drain(sock, 1000)]


def apart(datagrams):
    return [part for data in datagrams for part in parts_of(data) or [data]]


def always(_):
    return True


def test_what_goes_to_one_place_is_a_bundle(sockets):
    here, there, _ = sockets
    slots = BundleSlots(here, Counter(), always)
    sent = numbered([90, 148, 91, 132])
    add(slots, sent, there)
    assert slots.flush() == (4, sum(map(len, sent)))
    (bundle,) = received(there)
    assert parts_of(bundle) == sent
    add(slots, sent[:3], there)  # nothing of the last time is left
    assert slots.flush() == (3, sum(map(len, sent[:3])))
    assert received(there) == sent[:3]


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([40, 61, 150, 620, 1300])), max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_whatever_goes_all_of_one_origin_arrives_in_order(sockets, datagrams):
    here, there, elsewhere = sockets
    slots = BundleSlots(here, Counter(), always)
    sent = numbered(length for _, length in datagrams)
    for data, (is_there, _) in zip(sent, datagrams, strict=True):
        add(slots, [data], there if is_there else elsewhere)
    assert slots.flush() == (len(sent), sum(map(len, sent)))
    for sock, wanted in ((there, True), (elsewhere, False)):
        came = received(sock)
        assert apart(came) == [data for data, (is_there, _) in zip(sent, datagrams, strict=True) if is_there is wanted]
        assert all(len(data) <= LONGEST_BUNDLE for data in came if data[0] == BUNDLE)


def test_a_whole_call_of_the_least_parts_fits(sockets):
    here, there, _ = sockets
    slots = BundleSlots(here, Counter(), always)
    sent = numbered([28] * (2 * CALL + 5))
    add(slots, sent, there)
    slots.flush()
    came = received(there)
    assert apart(came) == sent
    assert len(came) <= 11


def test_only_who_reads_bundles_gets_them(sockets):
    here, there, elsewhere = sockets
    slots = BundleSlots(here, Counter(), lambda sockaddr: sockaddr == sockaddr_of(address_of(there)))
    sent = numbered([100] * 12)
    for number, data in enumerate(sent):
        add(slots, [data], there if number % 2 else elsewhere)
    slots.flush()
    (bundle,) = received(there)
    assert parts_of(bundle) == sent[1::2]
    assert received(elsewhere) == sent[0::2]


def test_control_messages_go_by_themselves_and_in_their_place(sockets):
    here, there, _ = sockets
    slots = BundleSlots(here, Counter(), always)
    sent, said = numbered([100] * 8), bytes((CONTROL,)) * 60
    add(slots, sent[:4], there)
    add(slots, [said], there, None)
    add(slots, sent[4:], there)
    slots.flush()
    before, alone, after = received(there)
    assert alone == said
    assert [parts_of(before), parts_of(after)] == [sent[:4], sent[4:]]


def test_what_is_long_goes_as_it_would_without_bundles(sockets):
    here, there, _ = sockets
    slots = BundleSlots(here, Counter(), always)
    sent = numbered([600] * 20)
    add(slots, sent, there)
    slots.flush()
    assert received(there) == sent


class Kernel:
    """Refuses messages, by their number in the order of sending."""

    def __init__(self, errors):
        self._real, self._errors, self._count = mmsg._library(), errors, 0

    def sendmmsg(self, fd, messages, count, flags):
        error = self._errors.get(self._count)
        self._count += 1
        if error:
            mmsg.ffi.errno = error
            return -1
        return self._real.sendmmsg(fd, messages, 1, flags)


def test_a_refused_bundle_counts_for_all_its_datagrams(sockets, monkeypatch):
    here, there, _ = sockets
    kernel = Kernel({0: errno.EAGAIN, 2: errno.EPERM})
    monkeypatch.setattr(mmsg, "_library", lambda: kernel)
    drops = Counter()
    slots = BundleSlots(here, drops, always)
    sent = numbered([200] * 15 + [202] * 3)
    add(slots, sent, there)
    assert slots.flush()[0] == 18
    came = received(there)
    assert apart(came) == [*sent[6:12]]
    assert drops == {UdpDropReason.SEND_BUFFER_FULL: 6, UdpDropReason.UNSENDABLE: 6}


def test_those_of_the_other_family_are_counted_and_the_rest_arrives(sockets):
    here, there, _ = sockets
    drops = Counter()
    slots = BundleSlots(here, drops, always)
    sent = numbered([90] * 6)
    other = ("::1", 9) if here.family == socket.AF_INET else ("127.0.0.1", 9)
    add(slots, sent, there)
    for _ in range(5):
        slots.add(sent[0], other, b"somebody")
    slots.flush()
    (bundle,) = received(there)
    assert parts_of(bundle) == sent
    assert drops == {UdpDropReason.UNSENDABLE: 5}
