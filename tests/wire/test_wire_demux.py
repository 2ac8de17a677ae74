"""The table of RFC 7983 §7, written out once more."""

import pytest

from wire.demux import Kind, kind_of

RANGES = [
    (0, 3, Kind.STUN),
    (4, 15, Kind.UNKNOWN),
    (16, 19, Kind.UNKNOWN),  # ZRTP
    (20, 63, Kind.DTLS),
    (64, 79, Kind.UNKNOWN),  # TURN channels
    (80, 127, Kind.UNKNOWN),  # QUIC (RFC 9443)
    (128, 191, Kind.RTP),
    (192, 255, Kind.UNKNOWN),
]


def test_every_first_byte():
    covered = []
    for first, last, kind in RANGES:
        for byte in range(first, last + 1):
            covered.append(byte)
            assert kind_of(bytes([byte, 0]) + bytes(20)) is kind, byte
    assert covered == list(range(256))


def test_rtcp_is_told_by_the_second_byte():
    # RFC 5761 §4: packet types 192 to 223 are RTCP's; as RTP they would be the payload types 64 to 95 with a marker.
    for first in range(128, 192):
        for second in range(256):
            expected = Kind.RTCP if 192 <= second <= 223 else Kind.RTP
            assert kind_of(bytes([first, second])) is expected
    # It tells nothing of other protocols.
    assert kind_of(bytes([0, 200])) is Kind.STUN
    assert kind_of(bytes([22, 200])) is Kind.DTLS


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x16", b"\x80"])
def test_too_short_to_tell(data):
    assert kind_of(data) is Kind.UNKNOWN
