"""ICE credentials that route: the username fragment names the server, the password follows from it.

Goal: a relay that has never heard of a call reads from the client's first STUN request which transceiver it
belongs to, and whether the client knows the call's password; with no look-up, no database and no round trip.

Attacker: anybody on the internet, with any number of valid credentials of their own calls. They must not make a relay
accept a route that no transceiver minted, nor learn from a fragment how the fleet is built, nor find one call's
password from another's.

Construction:

    ufrag = version || key id || base64(AES-256-SIV(token key, ad = purpose || version || key id,
                                        cluster u16 || incarnation u32 || worker u8 || session u64 || minted u32))
    pwd   = base64(HMAC-SHA-256(ice-pwd key, "trio-voice ice-pwd" || ufrag), first 24 bytes)

AES-SIV (RFC 5297) needs no nonce, which an ICE fragment has no room for: it is deterministic, and tokens differ as
their sessions do. Its 128-bit synthetic IV is the authenticator, which OpenSSL compares in constant time. What timing
can tell apart (length, version and key id) is not secret: every client reads them in its own fragment. A token has
one spelling only; what base64 would decode to the same bytes is refused, since the password depends on the text.

Two keys are valid at a time. Whoever opens tokens learns a key before anyone mints with it.
"""

import base64
import binascii
import hmac
import string
import struct
from collections.abc import Iterable, Mapping
from typing import Literal

import attrs
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from wire.errors import LocalProtocolError

__all__ = ["CredentialKey", "CredentialKeys", "Route", "RouteSealer", "token_age_problem"]

_ROUTE = struct.Struct(">HIBQI")
_VERSION = "1"
_PREFIX_LENGTH = 2
# RFC 8839 §5.4: ice-char is ALPHA, DIGIT, "+" and "/": the alphabet of base64.
_ICE_ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
_TOKEN_LENGTH = _PREFIX_LENGTH + -(-(16 + _ROUTE.size) * 8 // 6)  # 2 + 47 characters
# How far the clock of the minting host may be ahead of ours (DESIGN §5).
_FUTURE_TOLERANCE = 120.0
_PASSWORD_INFO = b"trio-voice ice-pwd"


@attrs.frozen(kw_only=True)
class Route:
    """Where a call lives.

    Attributes:
        cluster: number of the cluster, 16 bits.
        incarnation: a random number that the transceiver process chose at its start, 32 bits; never a name or address.
        worker: number of the worker in that process, 8 bits.
        session: number of the call, unique in the incarnation, 64 bits.
        minted: when, in seconds of Unix time, 32 bits.
    """

    cluster: int
    incarnation: int
    worker: int
    session: int
    minted: int

    def to_bytes(self) -> bytes:
        """Pack into 19 bytes."""
        try:
            return _ROUTE.pack(self.cluster, self.incarnation, self.worker, self.session, self.minted)
        except struct.error as error:
            raise LocalProtocolError(f"a route's number does not fit: {error}") from error

    @classmethod
    def from_bytes(cls, data: bytes) -> "Route":
        """Unpack what `to_bytes` packed."""
        cluster, incarnation, worker, session, minted = _ROUTE.unpack(data)
        return cls(cluster=cluster, incarnation=incarnation, worker=worker, session=session, minted=minted)


def token_age_problem(route: Route, unix_time: float, max_call: float) -> Literal["expired", "from-the-future"] | None:
    """Tell why a token's age forbids its use.

    Args:
        route: as opened from the token.
        unix_time: now, in seconds of Unix time.
        max_call: how long a call may last, in seconds.

    Returns:
        "expired" when it was minted longer ago than a call may last, "from-the-future" when it will be minted more than
        two minutes from now, which is more than clocks are apart; None when it is good.
    """
    age = unix_time - route.minted
    if age > max_call:
        return "expired"
    return "from-the-future" if age < -_FUTURE_TOLERANCE else None


class RouteSealer:
    """Turns routes into tokens that only holders of the key can read or make.

    A token is 49 characters: version, key id, then the sealed route in base64 without padding.

    Args:
        purpose: what the tokens are for; a token of another purpose does not open, even under the same key.
        keys: AES-256-SIV keys of 64 bytes by key id, 0 to 63.
        minting_key_id: the key that new tokens are sealed with.
        url_safe: write "-" and "_" for "+" and "/", for tokens that stand in URLs.

    Raises:
        LocalProtocolError: a key or key id is out of range, or the minting key is missing.
    """

    def __init__(self, *, purpose: str, keys: Mapping[int, bytes], minting_key_id: int, url_safe: bool = False) -> None:
        if minting_key_id not in keys:
            raise LocalProtocolError(f"there is no {purpose} key with id {minting_key_id} to mint with")
        for key_id, key in keys.items():
            if not 0 <= key_id < len(_ICE_ALPHABET):
                raise LocalProtocolError(f"{purpose} key id {key_id} is not in 0 to 63")
            if len(key) != 64:
                raise LocalProtocolError(f"{purpose} key {key_id} has {len(key)} bytes instead of 64")
        self._altchars = b"-_" if url_safe else b"+/"
        alphabet = _ICE_ALPHABET[:-2] + self._altchars.decode()
        self._ciphers = {_VERSION + alphabet[key_id]: AESSIV(key) for key_id, key in keys.items()}
        # The prefix is authenticated too: a token does not survive a change of its version or key id.
        self._associated = {prefix: [purpose.encode() + prefix.encode()] for prefix in self._ciphers}
        self._minting = _VERSION + alphabet[minting_key_id]

    def seal(self, route: Route) -> str:
        """Make the token of a route; the same route always gives the same token under the same key."""
        sealed = self._ciphers[self._minting].encrypt(route.to_bytes(), self._associated[self._minting])
        return self._minting + self._encode(sealed)

    def open(self, token: str) -> Route | None:
        """Read a token; None when it is forged, foreign, truncated or of an unknown key. Never raises."""
        prefix = token[:_PREFIX_LENGTH]
        cipher = self._ciphers.get(prefix)
        if cipher is None or len(token) != _TOKEN_LENGTH:
            return None
        text = token[_PREFIX_LENGTH:]
        try:
            sealed = base64.b64decode(text + "=", altchars=self._altchars, validate=True)
        except (binascii.Error, ValueError):
            return None
        # One spelling only: the last character has two bits to spare, and they must be zero.
        if self._encode(sealed) != text:
            return None
        try:
            return Route.from_bytes(cipher.decrypt(sealed, self._associated[prefix]))
        except InvalidTag:
            return None

    def _encode(self, sealed: bytes) -> str:
        return base64.b64encode(sealed, altchars=self._altchars).decode().rstrip("=")


@attrs.frozen(kw_only=True)
class CredentialKey:
    """One generation of the keys that ICE credentials are made with.

    Attributes:
        key_id: 0 to 63; the second character of every fragment.
        token: AES-256-SIV key, 64 bytes; reads and makes fragments.
        ice_pwd: key that passwords are derived with, 32 bytes.
    """

    key_id: int
    token: bytes = attrs.field(repr=False)
    ice_pwd: bytes = attrs.field(repr=False)


class CredentialKeys:
    """Mints ICE credentials, and opens those that any valid key minted.

    Args:
        keys: those valid now; one, or two while keys are being rotated.
        minting_key_id: which of them new credentials use.

    Raises:
        LocalProtocolError: key ids repeat or are out of range, a key has the wrong size, or the minting key is missing.
    """

    def __init__(self, keys: Iterable[CredentialKey], minting_key_id: int) -> None:
        keys = tuple(keys)
        tokens = {key.key_id: key.token for key in keys}
        if len(tokens) != len(keys):
            raise LocalProtocolError("two credential keys have the same id")
        for key in keys:
            if len(key.ice_pwd) != 32:
                raise LocalProtocolError(f"ice-pwd key {key.key_id} has {len(key.ice_pwd)} bytes instead of 32")
        self._sealer = RouteSealer(purpose="ice-ufrag", keys=tokens, minting_key_id=minting_key_id)
        self._password_keys = {_VERSION + _ICE_ALPHABET[key.key_id]: key.ice_pwd for key in keys}

    def mint(self, route: Route) -> str:
        """Make the username fragment of a call."""
        return self._sealer.seal(route)

    def open(self, ufrag: str) -> Route | None:
        """Read a username fragment; None when it is forged, foreign or truncated. Never raises."""
        return self._sealer.open(ufrag)

    def password(self, ufrag: str) -> str:
        """Derive the password that belongs to a fragment.

        Returns:
            32 characters of the ICE alphabet, 192 bits (RFC 8839 §5.4 wants 128 at least).

        Raises:
            LocalProtocolError: no valid key has made this fragment; `open` it first.
        """
        key = self._password_keys.get(ufrag[:_PREFIX_LENGTH])
        if key is None:
            raise LocalProtocolError("the password of a foreign username fragment was asked for")
        digest = hmac.digest(key, _PASSWORD_INFO + ufrag.encode(), "sha256")
        return base64.b64encode(digest[:24]).decode()
