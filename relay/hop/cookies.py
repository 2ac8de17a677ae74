"""What a relay echoes to show that it receives where it sends from: the construction of RFC 9147 §5.1.

A cookie is a MAC over the relay's address and number and a slot of time, under a secret of this process; so nothing has
to be kept for a relay that has only said HELLO. It is taken in the slot that it was made in and in the next one.
"""

import hashlib
import hmac

from relay.hop.link_messages import COOKIE_SIZE
from wire.core import Address

__all__ = ["COOKIE_SLOT", "Cookies"]

COOKIE_SLOT = 10.0
"""A cookie is taken in the slot of time that it was made in and in the next one."""


class Cookies:
    """Makes cookies, and knows them again.

    Args:
        secret: 32 bytes that nobody else knows.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def make(self, source: Address, number: int, now: float) -> bytes:
        """Make the cookie for a relay.

        Args:
            source: where its HELLO came from.
            number: of the relay's end of the link.
            now: the present.
        """
        return self._make(source, number, int(now // COOKIE_SLOT))

    def is_fresh(self, cookie: bytes, source: Address, number: int, now: float) -> bool:
        """Whether a cookie was made for this relay, lately; see `make` for the arguments."""
        slot = int(now // COOKIE_SLOT)
        return any(hmac.compare_digest(self._make(source, number, each), cookie) for each in (slot, slot - 1))

    def _make(self, source: Address, number: int, slot: int) -> bytes:
        subject = f"{slot} {number} {source[1]} {source[0]}".encode()
        return hashlib.blake2b(subject, key=self._secret, digest_size=COOKIE_SIZE).digest()
