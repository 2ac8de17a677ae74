"""What an Opus packet says about itself before it is decoded: how long it is, and whether it holds a spare.

     0 1 2 3 4 5 6 7
    | config  |s| c |    the first byte, the table of contents

`config` tells mode, bandwidth and length of a frame; `s` is stereo; `c` tells how the packet is divided into frames:
0 is one frame, 1 two of the same size, 2 two of different sizes, 3 any number, up to 120 ms. A frame of no bytes is one
that was not sent, because there was nothing to hear.

Packets that break a rule never reach libopus.

Source: RFC 6716 §3.1 (first byte), §3.2 (frames), §3.4 (the rules R1 to R7), §4.2.3 and §4.2.4 (what a frame begins
with).
"""

from wire.errors import MalformedError

__all__ = [
    "CLOCK_RATE",
    "MAX_FRAME",
    "MAX_PACKET_SAMPLES",
    "absent_frame",
    "check_packet",
    "frame_samples",
    "has_fec",
]

CLOCK_RATE = 48000
"""Samples are counted at this rate, whatever the bandwidth, and so is time in RTP (RFC 7587 §4.1)."""

MAX_PACKET_SAMPLES = 5760
"""RFC 6716 §3.4, R5: 120 ms."""

MAX_FRAME = 1275
"""RFC 6716 §3.4, R2: the longest frame, in bytes."""

_SILK_MS, _HYBRID_MS, _CELT_MS = (10.0, 20.0, 40.0, 60.0), (10.0, 20.0), (2.5, 5.0, 10.0, 20.0)
# RFC 6716 §3.1, table 2: configurations 0 to 11 are SILK, 12 to 15 hybrid, 16 to 31 CELT.
_FRAME_SAMPLES = tuple(int(ms * 48) for ms in (*_SILK_MS * 3, *_HYBRID_MS * 2, *_CELT_MS * 4))
_FIRST_CELT = 16
_SILK_FRAME = 960  # RFC 6716 §4.2.2: longer frames hold several SILK frames of 20 ms

_STEREO, _VBR, _PADDED, _COUNT = 0x04, 0x80, 0x40, 0x3F


def frame_samples(first_byte: int) -> int:
    """Tell how long each frame of a packet is, in samples at 48 kHz."""
    return _FRAME_SAMPLES[first_byte >> 3]


def absent_frame(first_byte: int) -> bytes:
    """Return the packet that says "nothing was sent for this long": one frame of no bytes, configured as another was.

    RFC 6716 §3.2.1 calls it DTX. A decoder makes comfort noise of it.
    """
    return bytes([first_byte & 0xFC])


def check_packet(packet: bytes) -> int:
    """Check a packet against all rules and tell how long it is.

    Returns:
        Its length in samples at 48 kHz, 120 to 5760.

    Raises:
        MalformedError: it is no Opus packet.
    """
    if not packet:
        raise MalformedError("TOC byte", 0, "is missing")  # R1
    code = packet[0] & 3
    samples = _FRAME_SAMPLES[packet[0] >> 3]
    if code == 0 and len(packet) <= MAX_FRAME + 1:
        return samples  # nearly all packets
    return _divide(packet)[0] * samples


def has_fec(packet: bytes) -> bool:
    """Tell whether a valid packet holds a second, coarser copy of the audio before it (in-band FEC).

    RFC 6716 §4.2.3: a SILK frame begins with a bit of voice activity for each 20 ms and a bit that tells of the copy
    (LBRR), for each channel. They are coded with equal probabilities as the first symbols, so they stand in the clear.
    """
    configuration = packet[0] >> 3
    if configuration >= _FIRST_CELT:
        return False
    _, start, end = _divide(packet)
    if start == end:
        return False
    bits = max(_FRAME_SAMPLES[configuration] // _SILK_FRAME, 1)
    flags = packet[start] >> (7 - bits) & 1
    if packet[0] & _STEREO:
        flags |= packet[start] >> (6 - 2 * bits) & 1
    return flags == 1


def _divide(packet: bytes) -> tuple[int, int, int]:
    """Return how many frames a packet has, and where the first begins and ends."""
    count, are_equal, start, end = _read_layout(packet)
    if are_equal:
        size, rest = divmod(end - start, count)
        if rest:
            raise MalformedError("frame 1", start, "is not as long as the others")  # R3, R6
        first = last = size
    else:
        first = total = 0
        for number in range(count - 1):
            size, start = _read_size(packet, start, end)
            first = first if number else size
            total += size
        last = end - start - total
        if last < 0:
            raise MalformedError("frame lengths", start, "sum up to more than the packet")  # R4, R7
        if count == 1:
            first = last
    # Lengths that are written cannot be longer.
    if last > MAX_FRAME:
        raise MalformedError("last frame", start, "is longer than 1275 bytes")  # R2
    return count, start, start + first


def _read_layout(packet: bytes) -> tuple[int, bool, int, int]:
    """Return the number of frames, whether they are equally long, and where lengths and frames begin and end."""
    code = packet[0] & 3
    if code < 3:
        return (1, 2, 2)[code], code == 1, 1, len(packet)
    if len(packet) < 2:
        raise MalformedError("frame count byte", 1, "is missing")  # R6, R7
    head = packet[1]
    count = head & _COUNT
    if not 0 < count * _FRAME_SAMPLES[packet[0] >> 3] <= MAX_PACKET_SAMPLES:
        raise MalformedError("frame count byte", 1, f"{count} frames are none, or more than 120 ms")  # R5
    start, end = _skip_padding(packet) if head & _PADDED else (2, len(packet))
    return count, not head & _VBR, start, end


def _skip_padding(packet: bytes) -> tuple[int, int]:
    """Return where lengths and frames begin, and where they end."""
    # RFC 6716 §3.2.5: each byte of 255 stands for 254 bytes of padding, and another byte follows.
    at, end = 2, len(packet)
    while True:
        if at >= end:
            raise MalformedError("padding length", at, "is missing")
        value = packet[at]
        at += 1
        end -= min(value, 254)
        if value != 255:
            break
    if at > end:
        raise MalformedError("padding", at, "is longer than the packet")
    return at, end


def _read_size(packet: bytes, at: int, end: int) -> tuple[int, int]:
    """Return the length of a frame, and where its own bytes of length end."""
    # RFC 6716 §3.2.1: from 252 on, a second byte counts in fours.
    if at >= end:
        raise MalformedError("frame length", at, "is missing")
    if packet[at] < 252:
        return packet[at], at + 1
    if at + 1 >= end:
        raise MalformedError("frame length", at + 1, "its second byte is missing")
    return packet[at + 1] * 4 + packet[at], at + 2
