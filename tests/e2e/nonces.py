"""The numbers that make nonces, as they stand on the wire in plain sight: no two packets of a key may share one.

What a transceiver has sent to the relays is read, whether they passed it on or not. Its keys for RTP, RTCP and DTLS
differ, and so each has numbers of its own:

* RTP: SSRC and sequence number. The rollover counter stands nowhere, but a call of a minute does not come round.
* RTCP: the index behind the tag (RFC 7714 §9.2); one counter for all SSRCs here (`srtp.secure_rtcp`).
* DTLS 1.2: epoch and sequence number of each record (RFC 6347 §4.1), of which the AEAD's nonce is made. DTLS 1.3
  encrypts them, so there is nothing to see.
"""

import enum
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from relay.hop.bundles import parts_of
from relay.hop.header import DOWN, parse_header

from .sniffing import Sniffer, is_rtp

__all__ = ["Kind", "Number", "numbers_of", "of_kind", "used_twice"]

_ENCRYPTED = 0x80000000  # RFC 3711 §3.4: the E flag above the index
_RECORD_HEADER = 13
_PLAIN_EPOCH = 0


class Kind(enum.Enum):
    RTP = "RTP"
    RTCP = "RTCP"
    DTLS = "DTLS 1.2"


class Number(NamedTuple):
    """What makes a nonce, together with the key of its kind."""

    kind: Kind
    source: bytes
    number: int


Numbers = Mapping[Number, set[bytes]]
"""Which packets had a number; loopback shows each twice, so that equal ones count once."""


def numbers_of(sniffer: Sniffer, port: int) -> Numbers:
    """Collect the numbers of all that a transceiver has sent from its port for the relays."""
    numbers: dict[Number, set[bytes]] = defaultdict(set)
    for each in sniffer.seen:
        if each.source[1] != port:
            continue
        for data in parts_of(each.data) or [each.data]:
            header = parse_header(data) if data[:1] == bytes((DOWN,)) else None
            if header is not None:
                for number, packet in _numbered(data[header.size :]):
                    numbers[number].add(packet)
    return numbers


def of_kind(numbers: Iterable[Number], kind: Kind) -> set[Number]:
    return {number for number in numbers if number.kind is kind}


def used_twice(*owners: Numbers) -> set[Number]:
    """The numbers that several owners of a call have used, or one of them for several packets."""
    twice = {number for numbers in owners for number, packets in numbers.items() if len(packets) > 1}
    for place, numbers in enumerate(owners):
        for later in owners[place + 1 :]:
            twice |= numbers.keys() & later.keys()
    return twice


def _numbered(packet: bytes) -> list[tuple[Number, bytes]]:
    if is_rtp(packet):
        return [(Number(Kind.RTP, packet[8:12], int.from_bytes(packet[2:4], "big")), packet)]
    if 128 <= packet[0] <= 191:
        index = int.from_bytes(packet[-4:], "big")
        assert index & _ENCRYPTED, "not as AES-GCM has it"
        return [(Number(Kind.RTCP, b"", index - _ENCRYPTED), packet)]
    return list(_records(packet))


def _records(packet: bytes) -> Iterable[tuple[Number, bytes]]:
    while len(packet) > _RECORD_HEADER and packet[1:3] == b"\xfe\xfd" and 20 <= packet[0] <= 25:
        end = _RECORD_HEADER + int.from_bytes(packet[11:13], "big")
        if int.from_bytes(packet[3:5], "big") != _PLAIN_EPOCH:
            yield Number(Kind.DTLS, packet[3:5], int.from_bytes(packet[5:11], "big")), packet[:end]
        packet = packet[end:]
