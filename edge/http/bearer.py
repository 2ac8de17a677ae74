"""Bearer keys, compared without telling how much of one was right.

Goal: only who holds a key gets in, and the time an answer takes says nothing about the keys. Attacker: anybody who can
send requests and measure. Construction: SHA-256 of what was shown is compared with the digests of all keys, each in
constant time and every one of them, so neither length, position nor prefix shows. The digest also names the key's
holder: whoever shows the same key later owns what was made with it, and nobody has to store the key itself.

Source: RFC 6750 §2.1.
"""

import hashlib
import hmac
from collections.abc import Iterable

__all__ = ["BearerKeys"]


class BearerKeys:
    """The keys of which a caller has to show one.

    Args:
        keys: in plain text; none may be empty.

    Raises:
        ValueError: a key is empty: a header without a key would match it.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        keys = tuple(keys)
        if not all(key.strip() for key in keys):
            raise ValueError("a bearer key is empty")
        self._digests = tuple(hashlib.sha256(key.strip().encode()).digest() for key in keys)

    def __len__(self) -> int:
        """How many keys there are."""
        return len(self._digests)

    def holder(self, authorization: str) -> str | None:
        """Tell who shows an `Authorization` header.

        Returns:
            The hex SHA-256 of the key; None when it is no bearer key or not one of ours.
        """
        scheme, _, key = authorization.partition(" ")
        # RFC 9110 §11.1: the scheme is case-insensitive. Header values are bytes that were read as Latin-1.
        shown = hashlib.sha256(key.strip().encode("latin-1", "replace")).digest()
        is_known = False
        for digest in self._digests:
            is_known |= hmac.compare_digest(digest, shown)
        return shown.hex() if is_known and scheme.lower() == "bearer" else None

    def has_holder(self, holder: str) -> bool:
        """Tell whether a digest that `holder` once returned is still that of a key."""
        return any(hmac.compare_digest(digest.hex(), holder) for digest in self._digests)
