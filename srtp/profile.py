"""The SRTP protection profiles we speak, and how long their keys are.

Source: RFC 5764 §4.1.2 (profile numbers, key and salt lengths), RFC 7714 §14.2 (the AEAD profiles).
"""

import enum

__all__ = ["ProtectionProfile"]


class ProtectionProfile(enum.IntEnum):
    """A way of protecting RTP and RTCP; the values are those of the DTLS `use_srtp` extension."""

    AES128_CM_SHA1_80 = 0x0001
    AEAD_AES_128_GCM = 0x0007
    AEAD_AES_256_GCM = 0x0008

    @property
    def key_length(self) -> int:
        """Size of the master key, and of the session encryption keys, in bytes."""
        return 32 if self is ProtectionProfile.AEAD_AES_256_GCM else 16

    @property
    def salt_length(self) -> int:
        """Size of the master salt, and of the session salts, in bytes."""
        return 14 if self is ProtectionProfile.AES128_CM_SHA1_80 else 12

    @property
    def authentication_key_length(self) -> int:
        """Size of the session authentication keys in bytes; 0 where the cipher authenticates by itself."""
        return 20 if self is ProtectionProfile.AES128_CM_SHA1_80 else 0

    @property
    def tag_length(self) -> int:
        """How many bytes of every packet prove that it is authentic."""
        return 10 if self is ProtectionProfile.AES128_CM_SHA1_80 else 16

    @property
    def keying_material_length(self) -> int:
        """How many bytes to export from DTLS: a key and a salt for each direction."""
        return 2 * (self.key_length + self.salt_length)
