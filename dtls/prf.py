"""The pseudorandom function of DTLS 1.2, and all keys that it makes of one shared secret.

    premaster secret (of the key exchange) + hash of all messages up to ClientKeyExchange
          │  "extended master secret"
          ▼
    master secret ─┬─ "key expansion" ─────────────▶ both sides' record keys and IVs
                   ├─ "client/server finished" ────▶ Finished, over the hash of all messages before it
                   └─ the exporter's own label ────▶ keys for SRTP

Only the extended master secret is spoken: the plain one binds nothing but the two randoms, so that a peer in the
middle could make two handshakes end in the same keys (RFC 7627 §1).

Source: RFC 5246 §5, §6.3, §7.4.9, §8.1; RFC 7627 §4; RFC 5705 §4.
"""

import hmac
from typing import Self

import attrs

from dtls.cipher_suites import CipherSuite
from dtls.handshake.finished import Finished
from dtls.versions import Role

__all__ = ["RecordKeys", "Secrets12", "prf"]

_MASTER_SECRET_SIZE = 48
_VERIFY_DATA_SIZE = 12


def prf(secret: bytes, label: bytes, seed: bytes, length: int, hash_name: str = "sha256") -> bytes:
    """Stretch a secret (RFC 5246 §5: P_hash over label and seed)."""
    seed = label + seed
    output, link = b"", seed
    while len(output) < length:
        link = hmac.digest(secret, link, hash_name)
        output += hmac.digest(secret, link + seed, hash_name)
    return output[:length]


@attrs.frozen(kw_only=True)
class RecordKeys:
    """What one side protects its records with.

    Attributes:
        key: of the AEAD.
        iv: the part of the nonce that is not sent.
    """

    key: bytes = attrs.field(repr=False)
    iv: bytes = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Secrets12:
    """The master secret and the two randoms that it is always used with.

    Attributes:
        hash_name: hashlib's name of the suite's hash.
        master_secret: everything else comes from it.
        client_random: of the ClientHello.
        server_random: of the ServerHello.
    """

    hash_name: str
    master_secret: bytes = attrs.field(repr=False)
    client_random: bytes
    server_random: bytes

    @classmethod
    def derive(
        cls,
        suite: CipherSuite,
        premaster_secret: bytes,
        session_hash: bytes,
        client_random: bytes,
        server_random: bytes,
    ) -> Self:
        """Derive the extended master secret.

        Args:
            suite: the cipher suite.
            premaster_secret: what the key exchange yields.
            session_hash: hash of all messages up to ClientKeyExchange, which it includes (RFC 7627 §3).
            client_random: of the ClientHello.
            server_random: of the ServerHello.
        """
        # RFC 7627 §4: the session hash stands where the randoms stood.
        label = b"extended master secret"
        return cls(
            hash_name=suite.hash_name,
            master_secret=prf(premaster_secret, label, session_hash, _MASTER_SECRET_SIZE, suite.hash_name),
            client_random=client_random,
            server_random=server_random,
        )

    def record_keys(self, suite: CipherSuite) -> dict[Role, RecordKeys]:
        """Derive what each side protects its records with (RFC 5246 §6.3)."""
        key_size, iv_size = suite.key_size, suite.iv_size
        # RFC 5246 §6.3: here, and only here, the server's random comes first. AEAD suites have no MAC keys.
        seed = self.server_random + self.client_random
        block = prf(self.master_secret, b"key expansion", seed, 2 * (key_size + iv_size), self.hash_name)
        keys, ivs = block[: 2 * key_size], block[2 * key_size :]
        return {
            Role.CLIENT: RecordKeys(key=keys[:key_size], iv=ivs[:iv_size]),
            Role.SERVER: RecordKeys(key=keys[key_size:], iv=ivs[iv_size:]),
        }

    def finished(self, sender: Role, transcript_hash: bytes) -> Finished:
        """Make the Finished of one side (RFC 5246 §7.4.9)."""
        label = sender.value.encode() + b" finished"
        return Finished(verify_data=prf(self.master_secret, label, transcript_hash, _VERIFY_DATA_SIZE, self.hash_name))

    def export(self, label: bytes, length: int) -> bytes:
        """Derive keying material without a context (RFC 5705 §4)."""
        return prf(self.master_secret, label, self.client_random + self.server_random, length, self.hash_name)
