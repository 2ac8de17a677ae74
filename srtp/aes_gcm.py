"""AES in Galois/counter mode: one cipher that encrypts and authenticates.

    SRTP    header | GCM(payload; AAD = header)
    SRTCP   first 8 bytes | GCM(rest; AAD = first 8 bytes | E + index) | E + index
            or, when it is not encrypted: packet | GCM(nothing; AAD = packet | E + index) | E + index

The 16-byte tag ends what GCM returns. The initialization vector is a packet's number XOR the salt:

    SRTP    00 00 | SSRC | rollover counter | sequence number
    SRTCP   00 00 | SSRC | 00 00 | SRTCP index

Goal: one initialization vector never serves two packets, else their difference and the authentication key are
revealed. Whoever counts indices answers for that: they only grow, and never wrap (RFC 7714 §8.4, §9.4).

Source: RFC 7714 §8 and §9.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from srtp.derivation import SessionKeys
from wire.errors import AuthenticationError

__all__ = ["AesGcmTransform"]

_ENCRYPTED = 1 << 31
_CLEAR_RTCP = 8
_TAG_LENGTH = 16


class AesGcmTransform:
    """AEAD_AES_128_GCM or AEAD_AES_256_GCM, by the length of the key.

    Args:
        keys: session keys; the authentication key is not used.
    """

    rtcp_overhead = _TAG_LENGTH + 4

    def __init__(self, keys: SessionKeys) -> None:
        self._cipher = AESGCM(keys.encryption)
        self._salt = int.from_bytes(keys.salt, "big")

    def protect_rtp(self, packet: bytes, header_size: int, index: int) -> bytes:
        """Protect an RTP packet."""
        header, payload = packet[:header_size], packet[header_size:]
        return header + self._cipher.encrypt(self._rtp_iv(packet, index), payload, header)

    def unprotect_rtp(self, data: bytes, header_size: int, index: int) -> bytes:
        """Authenticate and decrypt an SRTP packet."""
        header, protected = data[:header_size], data[header_size:]
        return header + self._open(self._rtp_iv(data, index), protected, header, "SRTP tag")

    def protect_rtcp(self, packet: bytes, index: int, *, encrypt: bool = True) -> bytes:
        """Protect an RTCP packet."""
        iv = self._rtcp_iv(packet, index)
        trailer = (index | (_ENCRYPTED if encrypt else 0)).to_bytes(4, "big")
        # RFC 7714 §9.2 and §9.3: what is not encrypted is associated data, and the E flag and index always are.
        clear = packet[:_CLEAR_RTCP] if encrypt else packet
        return clear + self._cipher.encrypt(iv, packet[len(clear) :], clear + trailer) + trailer

    def rtcp_index(self, data: bytes) -> int:
        """Read the SRTCP index of an SRTCP packet."""
        return int.from_bytes(data[-4:], "big") & ~_ENCRYPTED

    def unprotect_rtcp(self, data: bytes) -> bytes:
        """Authenticate and decrypt an SRTCP packet."""
        protected, trailer = data[:-4], data[-4:]
        is_encrypted = int.from_bytes(trailer, "big") & _ENCRYPTED
        clear_size = _CLEAR_RTCP if is_encrypted else len(protected) - _TAG_LENGTH
        clear, sealed = protected[:clear_size], protected[clear_size:]
        iv = self._rtcp_iv(data, self.rtcp_index(data))
        return clear + self._open(iv, sealed, clear + trailer, "SRTCP tag")

    def _open(self, iv: bytes, sealed: bytes, associated: bytes, what: str) -> bytes:
        try:
            return self._cipher.decrypt(iv, sealed, associated)
        except (InvalidTag, ValueError) as error:
            raise AuthenticationError(what) from error

    def _rtp_iv(self, packet: bytes, index: int) -> bytes:
        # RFC 7714 §8.1: SSRC, then the index, whose upper 32 bits are the rollover counter.
        return (((int.from_bytes(packet[8:12], "big") << 48) | index) ^ self._salt).to_bytes(12, "big")

    def _rtcp_iv(self, packet: bytes, index: int) -> bytes:
        # RFC 7714 §9.1: SSRC, two zero bytes, then the index with a zero in front.
        return (((int.from_bytes(packet[4:8], "big") << 48) | index) ^ self._salt).to_bytes(12, "big")
