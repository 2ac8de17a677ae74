"""Slots that send: what the kernel refuses is counted, and what stands behind it goes out."""

import errno
import socket
from collections import Counter
from pathlib import Path

import pytest

from relay import mmsg, mmsg_abi, mmsg_build
from relay.mmsg import ReceiveSlots, SendSlots
from relay.sockaddr import serialize_sockaddr
from relay.udp import UdpDropReason, address_of, open_udp

pytestmark = pytest.mark.skipif(not mmsg.is_available(), reason="this system has no recvmmsg and sendmmsg")


@pytest.fixture
def sockets():
    with open_udp("127.0.0.1", 0, on_warning=str) as here, open_udp("127.0.0.1", 0, on_warning=str) as there:
        yield here, there


class Kernel:
    """Refuses what a test says, and passes the rest on to the real one, some at a time."""

    def __init__(self, errors: dict[int, int], at_once: int) -> None:
        self._real = mmsg._library()
        self._errors = errors
        self._at_once = at_once
        self._position = 0

    def sendmmsg(self, fd, messages, count, flags):
        error = self._errors.get(self._position)
        if error:
            self._position += 1
            mmsg.ffi.errno = error
            return -1
        good = next((n for n in range(count) if self._position + n in self._errors), count)
        sent = self._real.sendmmsg(fd, messages, min(good, self._at_once), flags)
        self._position += sent
        return sent


def test_what_the_kernel_refuses_is_counted_by_its_reason(sockets, monkeypatch):
    here, there = sockets
    kernel = Kernel({0: errno.EAGAIN, 3: errno.ENOBUFS, 4: errno.EPERM, 9: errno.EMSGSIZE}, at_once=2)
    monkeypatch.setattr(mmsg, "_library", lambda: kernel)
    drops = Counter()
    slots = SendSlots(there, drops)
    for number in range(10):
        slots.add(b"%d" % number, address_of(here))
    assert slots.flush() == (10, 10)
    assert slots.flush() == (0, 0)
    assert [here.recv(9) for _ in range(6)] == [b"1", b"2", b"5", b"6", b"7", b"8"]
    assert drops == {UdpDropReason.SEND_BUFFER_FULL: 2, UdpDropReason.UNSENDABLE: 2}


def test_memory_is_sent_from_where_it_is(sockets):
    """A datagram arrives in a slot, gets something in front, and leaves from there."""
    here, there = sockets
    there.sendto(b"datagram", address_of(here))
    slots, sending = ReceiveSlots(here), SendSlots(here, Counter())
    assert slots.receive() == [8]
    offset = slots.offsets[0]
    slots.view[offset - 3 : offset] = b"up "
    sending.destinations.append(serialize_sockaddr(address_of(there)))
    sending.starts.append(slots.starts[0] - 3)
    sending.lengths.append(11)
    assert len(sending) == 1
    assert sending.flush() == (1, 11)
    assert there.recv(100) == b"up datagram"


def test_one_of_the_other_family_does_not_push_the_rest_out_of_place(sockets):
    here, there = sockets
    drops = Counter()
    slots = SendSlots(there, drops)
    slots.add(b"1", address_of(here))
    slots.add(b"lost", ("::1", 9))
    slots.add(b"2", address_of(here))
    slots.flush()
    assert [here.recv(9), here.recv(9)] == [b"1", b"2"]
    assert drops == {UdpDropReason.UNSENDABLE: 1}


def test_a_limit_is_kept(sockets):
    here, there = sockets
    for size in range(4):
        there.sendto(bytes(size), address_of(here))
    slots = ReceiveSlots(here, batch=3)
    assert [slots.receive() for _ in range(3)] == [[0, 1, 2], [3], []]


def test_systems_without_the_calls_say_so(monkeypatch):
    monkeypatch.setattr(mmsg.sys, "platform", "darwin")
    mmsg._c_library.cache_clear()
    try:
        assert not mmsg.is_available()
        with socket.socket(type=socket.SOCK_DGRAM) as sock, pytest.raises(OSError, match="recvmmsg"):
            ReceiveSlots(sock)
    finally:
        monkeypatch.undo()
        mmsg._c_library.cache_clear()


def test_the_declarations_are_those_that_were_compiled(tmp_path: Path) -> None:
    mmsg_build.generate(tmp_path / "mmsg_abi.py")
    made = Path(mmsg_abi.__file__).read_text()
    assert (tmp_path / "mmsg_abi.py").read_text() == made, "run `python -m relay.mmsg_build`"
