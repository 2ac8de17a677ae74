"""From a master key to session keys: one pseudorandom function, six labels.

    x          = master salt XOR (label, shifted to byte 7)        the index over the derivation rate is always 0
    keystream  = AES-CM(master key), first counter block x || 00 00
    key        = as many bytes of the keystream as are needed

Source: RFC 3711 §4.3, RFC 6188 §3 (the same with AES-256), RFC 7714 §11.
"""

import enum

import attrs
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from srtp.keying import MasterKey
from srtp.profile import ProtectionProfile

__all__ = ["Label", "SessionKeys", "derive", "rtcp_session_keys", "rtp_session_keys"]


class Label(enum.IntEnum):
    """What a derived key is for (RFC 3711 §4.3.1 and §4.3.2)."""

    RTP_ENCRYPTION = 0
    RTP_AUTHENTICATION = 1
    RTP_SALT = 2
    RTCP_ENCRYPTION = 3
    RTCP_AUTHENTICATION = 4
    RTCP_SALT = 5


@attrs.frozen(kw_only=True)
class SessionKeys:
    """The keys that packets of one direction, RTP or RTCP, are protected with.

    Attributes:
        encryption: the AES key.
        salt: mixed into every initialization vector.
        authentication: the HMAC key; empty where the cipher authenticates by itself.
    """

    encryption: bytes = attrs.field(repr=False)
    salt: bytes = attrs.field(repr=False)
    authentication: bytes = attrs.field(repr=False, default=b"")


def derive(master: MasterKey, label: Label, length: int) -> bytes:
    """Derive `length` bytes for the purpose `label`."""
    # RFC 7714 §11 takes this function for the AEAD profiles, and does not say how their 12 bytes of salt become its 14.
    # Everybody appends zeros.
    salt = int.from_bytes(master.salt.ljust(14, b"\0"), "big")
    # RFC 3711 §4.3.1: the key id is the label before six bytes of index, aligned with the end of the salt.
    x = salt ^ (label << 48)
    # RFC 3711 §4.3.3: AES in counter mode over x * 2^16; nothing is encrypted, the keystream is the result.
    keystream = Cipher(algorithms.AES(master.key), modes.CTR((x << 16).to_bytes(16, "big"))).encryptor()
    return keystream.update(bytes(length))


def rtp_session_keys(profile: ProtectionProfile, master: MasterKey) -> SessionKeys:
    """Derive the keys for RTP."""
    return SessionKeys(
        encryption=derive(master, Label.RTP_ENCRYPTION, profile.key_length),
        authentication=derive(master, Label.RTP_AUTHENTICATION, profile.authentication_key_length),
        salt=derive(master, Label.RTP_SALT, profile.salt_length),
    )


def rtcp_session_keys(profile: ProtectionProfile, master: MasterKey) -> SessionKeys:
    """Derive the keys for RTCP."""
    return SessionKeys(
        encryption=derive(master, Label.RTCP_ENCRYPTION, profile.key_length),
        authentication=derive(master, Label.RTCP_AUTHENTICATION, profile.authentication_key_length),
        salt=derive(master, Label.RTCP_SALT, profile.salt_length),
    )
