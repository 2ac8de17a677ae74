"""RFC 4571 framing: whatever the network does to a stream, the datagrams come out as they went in, or nothing does."""

import random

import pytest

from relay.tcp.framing import MAX_FRAME, FrameReader, frame, is_framed

DATAGRAMS = [b"a", b"\x00\x01", bytes(range(256)), b"\x80" * 300, bytes(MAX_FRAME)]


def read(pieces: list[bytes]) -> tuple[list[bytes], FrameReader]:
    reader = FrameReader()
    return [datagram for piece in pieces for datagram in reader.receive(piece)], reader


def test_the_length_is_two_bytes_in_network_order():
    assert frame(b"x" * 0x0102)[:3] == b"\x01\x02x"


def test_every_split_position_gives_the_same_datagrams():
    stream = b"".join(map(frame, DATAGRAMS))
    for at in range(len(stream) + 1):
        assert read([stream[:at], stream[at:]])[0] == DATAGRAMS


def test_one_byte_at_a_time():
    stream = b"".join(map(frame, DATAGRAMS))
    assert read([stream[at : at + 1] for at in range(len(stream))])[0] == DATAGRAMS


def test_null_packets_are_stepped_over():
    assert read([b"\0\0" + frame(b"a") + bytes(9), b"\0" + frame(b"b")])[0] == [b"a", b"b"]


def test_a_length_out_of_bounds_ends_the_stream_and_keeps_what_came_before():
    stream = frame(b"a") + (MAX_FRAME + 1).to_bytes(2, "big") + frame(b"b")
    for at in range(len(stream) + 1):
        datagrams, reader = read([stream[:at], stream[at:], frame(b"c")])
        assert datagrams == [b"a"]
        assert reader.is_broken


@pytest.mark.parametrize(
    "stream", [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"SSH-2.0-OpenSSH\r\n"]
)
def test_other_protocols_break_at_once(stream):
    assert read([stream[:2]])[1].is_broken
    assert not is_framed(stream[0])


def test_every_frame_begins_with_a_byte_that_is_neither_tls_nor_http():
    assert all(is_framed(frame(bytes(size))[0]) for size in range(MAX_FRAME + 1))
    assert not is_framed(6)


@pytest.mark.parametrize("seed", range(20))
def test_noise_never_raises_and_less_than_a_frame_is_kept(seed):
    lots = random.Random(seed)
    reader, taken, given = FrameReader(), 0, 0
    for _ in range(300):
        noise = bytes(
            lots.choices([0, 1, 2, 5, 255], weights=[40, 10, 10, 10, lots.random() / 10], k=lots.randrange(200))
        )
        given += len(noise)
        taken += sum(len(datagram) + 2 for datagram in reader.receive(noise))
        assert len(reader._rest) < MAX_FRAME + 2
    assert taken <= given
