"""AES in counter mode with HMAC-SHA1: the transform that every WebRTC endpoint has.

    SRTP    header | payload ^ keystream | HMAC(header | encrypted payload | rollover counter)
    SRTCP   first 8 bytes | rest ^ keystream | E + index | HMAC(all before)

The keystream of a packet starts at the counter block (salt * 2^16) XOR (SSRC * 2^64) XOR (index * 2^16).

Source: RFC 3711 §3.1, §3.4, §4.1.1, §4.2.1.
"""

import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from srtp.derivation import SessionKeys
from wire.errors import AuthenticationError

__all__ = ["AesCmTransform", "keystream_xor"]

_ENCRYPTED = 1 << 31
_CLEAR_RTCP = 8  # RFC 3711 §3.4: the first header and the sender's SSRC stay readable


def keystream_xor(key: bytes, salt: bytes, ssrc: int, index: int, data: bytes) -> bytes:
    """Encrypt or decrypt `data`: XOR it with the keystream of packet `index` of source `ssrc`.

    Source: RFC 3711 §4.1.1.
    """
    first_block = (int.from_bytes(salt, "big") << 16) ^ (ssrc << 64) ^ (index << 16)
    return Cipher(algorithms.AES(key), modes.CTR(first_block.to_bytes(16, "big"))).encryptor().update(data)


class AesCmTransform:
    """AES_CM encryption and an HMAC-SHA1 tag.

    Args:
        keys: session keys with a 20-byte authentication key.
        tag_length: to how many bytes the HMAC is cut.
    """

    def __init__(self, keys: SessionKeys, tag_length: int = 10) -> None:
        self._keys = keys
        self._tag_length = tag_length
        self.rtcp_overhead = 4 + tag_length

    def protect_rtp(self, packet: bytes, header_size: int, index: int) -> bytes:
        """Protect an RTP packet."""
        ssrc = int.from_bytes(packet[8:12], "big")
        protected = packet[:header_size] + self._crypt(ssrc, index, packet[header_size:])
        return protected + self._rtp_tag(protected, index)

    def unprotect_rtp(self, data: bytes, header_size: int, index: int) -> bytes:
        """Authenticate and decrypt an SRTP packet."""
        protected, tag = data[: -self._tag_length], data[-self._tag_length :]
        # RFC 3711 §3.3: the tag is verified before anything is decrypted.
        if not hmac.compare_digest(tag, self._rtp_tag(protected, index)):
            raise AuthenticationError("SRTP tag")
        ssrc = int.from_bytes(data[8:12], "big")
        return protected[:header_size] + self._crypt(ssrc, index, protected[header_size:])

    def protect_rtcp(self, packet: bytes, index: int, *, encrypt: bool = True) -> bytes:
        """Protect an RTCP packet."""
        body = packet[_CLEAR_RTCP:]
        if encrypt:
            body = self._crypt(int.from_bytes(packet[4:8], "big"), index, body)
        trailer = (index | (_ENCRYPTED if encrypt else 0)).to_bytes(4, "big")
        protected = packet[:_CLEAR_RTCP] + body + trailer
        return protected + self._tag(protected)

    def rtcp_index(self, data: bytes) -> int:
        """Read the SRTCP index of an SRTCP packet."""
        return int.from_bytes(data[-self.rtcp_overhead : -self._tag_length], "big") & ~_ENCRYPTED

    def unprotect_rtcp(self, data: bytes) -> bytes:
        """Authenticate and decrypt an SRTCP packet."""
        protected, tag = data[: -self._tag_length], data[-self._tag_length :]
        if not hmac.compare_digest(tag, self._tag(protected)):
            raise AuthenticationError("SRTCP tag")
        body = protected[_CLEAR_RTCP:-4]
        if int.from_bytes(protected[-4:], "big") & _ENCRYPTED:
            body = self._crypt(int.from_bytes(data[4:8], "big"), self.rtcp_index(data), body)
        return data[:_CLEAR_RTCP] + body

    def _crypt(self, ssrc: int, index: int, data: bytes) -> bytes:
        return keystream_xor(self._keys.encryption, self._keys.salt, ssrc, index, data)

    def _rtp_tag(self, protected: bytes, index: int) -> bytes:
        # RFC 3711 §4.2: the rollover counter is authenticated though it is not sent.
        return self._tag(protected + (index >> 16).to_bytes(4, "big"))

    def _tag(self, message: bytes) -> bytes:
        return hmac.digest(self._keys.authentication, message, hashlib.sha1)[: self._tag_length]
