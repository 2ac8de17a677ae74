"""What an association can be told from outside: each option with its unit and what follows from it."""

import attrs

from dtls.groups import Group
from dtls.versions import Role, Version

__all__ = ["DtlsOptions", "Role", "TimerOptions"]


@attrs.frozen(kw_only=True)
class TimerOptions:
    """When handshake flights are sent again. All in seconds.

    Attributes:
        initial: before the first retransmission while no round trip is known. RFC 9147 §5.8.2 recommends 0.4 for
            DTLS-SRTP.
        minimum: lower bound of what a measured round trip yields; as libwebrtc has it.
        maximum_measured: upper bound of what a measured round trip yields; as libwebrtc has it.
        maximum: where doubling ends.
        retransmissions: how often a flight is sent again before the association gives up.
        retention: how long a server answers a repeated final flight: twice TCP's MSL (RFC 9147 §5.8.1).
    """

    initial: float = 0.4
    minimum: float = 0.05
    maximum_measured: float = 3.0
    maximum: float = 60.0
    retransmissions: int = 12
    retention: float = 240.0


@attrs.frozen(kw_only=True)
class DtlsOptions:
    """Options of one association; the defaults suit WebRTC.

    Attributes:
        versions: what we speak, preferred first.
        groups: what a server accepts, preferred first. A client offers those of them that are in `share_groups`. In 1.2
            there are no hybrids, and P-256 is always accepted and offered.
        share_groups: groups for which a client sends a share. Only these are offered, so that no server has a reason
            for a HelloRetryRequest.
        srtp_profiles: SRTP protection profiles, preferred first; empty for none. The server's preference decides. As a
            server Chromium 156 prefers 1 (AES-CM) to 8 to 7 (GCM): a client that wants GCM of it offers nothing else.
        mtu: bytes of UDP payload that a datagram of ours may have; 256 to 16384.
        max_message_size: bytes of the largest handshake message accepted.
        timers: when to send again.
    """

    versions: tuple[Version, ...] = (Version.DTLS_1_3, Version.DTLS_1_2)
    groups: tuple[Group, ...] = (Group.X25519MLKEM768, Group.X25519, Group.SECP256R1)
    share_groups: tuple[Group, ...] = (Group.X25519MLKEM768, Group.X25519)
    srtp_profiles: tuple[int, ...] = (7, 8, 1)
    mtu: int = attrs.field(default=1200, validator=[attrs.validators.ge(256), attrs.validators.le(16384)])
    max_message_size: int = 16384
    timers: TimerOptions = attrs.field(factory=TimerOptions)
