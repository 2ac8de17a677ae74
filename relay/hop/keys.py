"""The hop key: what relays and transceivers of a fleet share with each other and with nobody else.

A bundle holds 32 bytes for the purpose "hop"; the key that seals control messages is an HKDF child of them, and so are
those that seal data, one for each direction of each link (`relay.hop.tunnel`). Two ids are valid at a time:
everybody learns a new key before anybody seals with it.
"""

from collections.abc import Mapping
from typing import Self

import attrs
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from wire.errors import LocalProtocolError

__all__ = ["HopKeys"]

_PURPOSE_KEY_SIZE = 32
_SIV_KEY_SIZE = 64
_GCM_KEY_SIZE = 32
_CONTROL_INFO = b"trio-voice hop control 1"
_DATA_INFO = b"trio-voice hop data 1"


@attrs.frozen(kw_only=True)
class HopKeys:
    """Opens what was sealed under any of its keys, and seals under the current one.

    Attributes:
        current: id of the key to seal with, 0 to 255.
        ciphers: AES-256-SIV (RFC 5297) by key id.
        purpose_keys: what they are derived from.
    """

    current: int
    ciphers: Mapping[int, AESSIV] = attrs.field(repr=False)
    purpose_keys: Mapping[int, bytes] = attrs.field(repr=False)

    @classmethod
    def derive(cls, purpose_keys: Mapping[int, bytes], current: int) -> Self:
        """Make the keys of the hop from those of a bundle.

        Args:
            purpose_keys: the 32-byte keys for the purpose "hop", by id (0 to 255).
            current: the id to seal with.

        Raises:
            LocalProtocolError: a key of another length, an id out of range, or no key for `current`.
        """
        if current not in purpose_keys:
            raise LocalProtocolError(f"no hop key has the current id {current}")
        ciphers = {}
        for key_id, key in purpose_keys.items():
            if not 0 <= key_id <= 255 or len(key) != _PURPOSE_KEY_SIZE:
                raise LocalProtocolError(f"hop key {key_id}: an id has 8 bits and a key 32 bytes")
            child = HKDF(algorithm=SHA256(), length=_SIV_KEY_SIZE, salt=None, info=_CONTROL_INFO).derive(key)
            ciphers[key_id] = AESSIV(child)
        return cls(current=current, ciphers=ciphers, purpose_keys=dict(purpose_keys))

    def data_cipher(self, key_id: int, sender: int, receiver: int) -> AESGCM:
        """Derive what seals the data of one direction of a link.

        Args:
            key_id: one that is held.
            sender: the number of the end that seals, 64 bits.
            receiver: the number of the end that opens.
        """
        info = _DATA_INFO + sender.to_bytes(8, "big") + receiver.to_bytes(8, "big")
        hkdf = HKDF(algorithm=SHA256(), length=_GCM_KEY_SIZE, salt=None, info=info)
        return AESGCM(hkdf.derive(self.purpose_keys[key_id]))
