"""What a cipher does to one packet whose index is known.

Both transforms keep the packet's header readable, encrypt what follows, and authenticate all of it. They keep no
state: who counts packets and refuses repetitions is in `secure_rtp` and `secure_rtcp`.
"""

from typing import Protocol

from srtp.aes_cm import AesCmTransform
from srtp.aes_gcm import AesGcmTransform
from srtp.derivation import SessionKeys
from srtp.profile import ProtectionProfile

__all__ = ["Transform", "transform_for"]


class Transform(Protocol):
    """Protects and unprotects single packets under one set of session keys."""

    rtcp_overhead: int
    """How many bytes an SRTCP packet is longer than its RTCP packet."""

    def protect_rtp(self, packet: bytes, header_size: int, index: int) -> bytes:
        """Protect an RTP packet.

        Args:
            packet: header and payload.
            header_size: how many bytes stay readable.
            index: the 48-bit packet index, rollover counter and sequence number.
        """

    def unprotect_rtp(self, data: bytes, header_size: int, index: int) -> bytes:
        """Authenticate and decrypt an SRTP packet.

        Raises:
            AuthenticationError: it was not protected with these keys under this index.
        """

    def protect_rtcp(self, packet: bytes, index: int, *, encrypt: bool = True) -> bytes:
        """Protect an RTCP packet of at least 8 bytes.

        Args:
            packet: the compound packet.
            index: the 31-bit SRTCP index.
            encrypt: False to authenticate only.
        """

    def rtcp_index(self, data: bytes) -> int:
        """Read the SRTCP index of an SRTCP packet that is at least 8 bytes and the overhead long."""

    def unprotect_rtcp(self, data: bytes) -> bytes:
        """Authenticate and decrypt an SRTCP packet that is at least 8 bytes and the overhead long.

        Raises:
            AuthenticationError: it was not protected with these keys.
        """


def transform_for(profile: ProtectionProfile, keys: SessionKeys) -> Transform:
    """Make the transform that `profile` names."""
    if profile is ProtectionProfile.AES128_CM_SHA1_80:
        return AesCmTransform(keys, profile.tag_length)
    return AesGcmTransform(keys)
