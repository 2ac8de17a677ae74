"""Which protocol a datagram on the shared port belongs to, told by its first bytes.

Source: RFC 7983 §7 (updated by RFC 9443 §2), RFC 5761 §4 for RTP beside RTCP.
"""

import enum

__all__ = ["Kind", "kind_of"]


class Kind(enum.Enum):
    """What a datagram is, as far as its first bytes tell."""

    STUN = "stun"
    DTLS = "dtls"
    RTP = "rtp"
    RTCP = "rtcp"
    UNKNOWN = "unknown"


_RTP, _RTCP = Kind.RTP, Kind.RTCP  # members of an enum are looked up more slowly than anything else here

# RFC 7983 §7: 0..3 STUN, 16..19 ZRTP, 20..63 DTLS, 64..79 TURN channel, 128..191 RTP and RTCP.
# What we do not speak is UNKNOWN.
_BY_FIRST_BYTE = tuple(
    Kind.STUN if first <= 3 else Kind.DTLS if 20 <= first <= 63 else Kind.RTP if 128 <= first <= 191 else Kind.UNKNOWN
    for first in range(256)
)


def kind_of(data: bytes) -> Kind:
    """Tell a datagram's protocol; empty and one-byte datagrams are UNKNOWN."""
    try:
        second, kind = data[1], _BY_FIRST_BYTE[data[0]]
    except IndexError:
        return Kind.UNKNOWN
    # RFC 5761 §4: RTCP packet types 192 to 223 lie where no RTP payload type with its marker bit may.
    return _RTCP if kind is _RTP and 192 <= second <= 223 else kind
