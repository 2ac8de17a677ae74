"""Client secrets: `ek_…` keys that carry all they stand for.

An application's server, which has an API key, mints one for each of its users; the user's browser shows it and gets
just what it was minted for. Signal keeps nothing, so everything a secret stands for is inside of it.

Goal: a client secret does what its minter said and no more: calls with this session configuration, until this time, of
at most this length. It names the minter's API key as the owner of those calls and gives nobody that key, and whoever
holds it cannot read the configuration inside: instructions and tools may be none of the user's business.

Attacker: anybody on the internet, with any number of valid secrets of their own. They must not make one, change one,
use one for longer, or read one. An attacker who takes a user's secret can do what that user can until it expires, as
with any bearer.

Construction:

    secret = "ek_" || version || key id || base64url(nonce || AES-256-SIV(client-secret key,
                            ad = "client-secret" || version || key id, ad = nonce, deflate(JSON of the record)))

* The key has a purpose of its own, and only signal has it: relays and transceivers neither read nor mint.
* AES-SIV (RFC 5297) with a random nonce of 16 bytes: should two nodes ever draw the same one, that tells whether two
  secrets are equal, and nothing else. Any number of signal nodes mint under one key without knowing of each other.
* The 128-bit synthetic IV authenticates version, key id, nonce and record before anything of it is looked at, so the
  JSON and the deflate stream inside are always our own. What expands is bounded all the same.
* Expiry is inside, in seconds of Unix time. Revoking an API key revokes what it has minted: the owner inside must be
  one of the keys of today (`edge.signal.access`). A key id that was rotated away opens nothing; rotation waits for the
  longest secret (`edge.keys.LONGEST_SECRET`).
* What is not hidden: the length. A minter who puts a user's own words beside words that the user must not guess lets
  the length of many secrets tell something about them (compression did that to TLS, RFC 7457 §2.6).

The size is bounded, because a secret travels in a header and proxies refuse long ones (8 KB a line is usual).
"""

import base64
import binascii
import json
import string
import zlib
from collections.abc import Mapping
from os import urandom

import attrs
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from wire.core import Entropy
from wire.errors import LocalProtocolError

__all__ = ["MAX_LENGTH", "PREFIX", "ClientSecret", "ClientSecretKeys", "SecretTooLong"]

PREFIX = "ek_"
MAX_LENGTH = 8000
"""The longest secret in characters: "Authorization: Bearer " and this fit the 8 KB that proxies usually allow."""

_VERSION = "1"  # of the record: another field needs another version, as it may be a limit that an older node would miss
_ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
_HEAD_LENGTH = len(PREFIX) + 2
_NONCE_SIZE = 16
_MAX_RECORD_BYTES = 1_048_576
_RAW_DEFLATE = -15  # zlib's way to ask for RFC 1951 without RFC 1950 around it


class SecretTooLong(Exception):  # noqa: N818 - named for what happened
    """The record does not fit into a secret.

    Attributes:
        length: characters that it would take.
    """

    def __init__(self, length: int) -> None:
        super().__init__(f"{length} characters")
        self.length = length


@attrs.frozen(kw_only=True)
class ClientSecret:
    """What a client secret stands for.

    Attributes:
        owner: digest of the API key that minted it, which owns the calls; empty on a server without keys.
        expires_at: from when on it is refused, in seconds of Unix time. A call that goes on then is not ended.
        session: session configuration in the GA shape, for every call made with it.
        max_call: the longest a call may last, in seconds; None for what the transceiver allows.
        is_locked: whether its holder can neither see nor change the configuration, nor choose another model.
    """

    owner: str
    expires_at: int
    session: Mapping[str, object] = attrs.field(factory=dict, repr=False)
    max_call: float | None = None
    is_locked: bool = False

    @property
    def model(self) -> str | None:
        """The model that it was minted for; None when that was left open."""
        model = self.session.get("model")
        return model if isinstance(model, str) else None


class ClientSecretKeys:
    """Mints client secrets, and opens those that any valid key minted.

    Args:
        keys: AES-256-SIV keys of 64 bytes by key id, 0 to 63; one, or two while keys are being rotated.
        minting_key_id: which of them new secrets use.
        entropy: source of nonces.

    Raises:
        LocalProtocolError: a key or key id is out of range, or the minting key is missing.
    """

    def __init__(self, keys: Mapping[int, bytes], minting_key_id: int, *, entropy: Entropy = urandom) -> None:
        if minting_key_id not in keys:
            raise LocalProtocolError(f"there is no client-secret key with id {minting_key_id} to mint with")
        for key_id, key in keys.items():
            if not 0 <= key_id < len(_ALPHABET) or len(key) != 64:
                raise LocalProtocolError(f"client-secret key {key_id} has no id of 0 to 63, or not 64 bytes")
        self._ciphers = {PREFIX + _VERSION + _ALPHABET[key_id]: AESSIV(key) for key_id, key in keys.items()}
        self._minting = PREFIX + _VERSION + _ALPHABET[minting_key_id]
        self._entropy = entropy

    def mint(self, secret: ClientSecret) -> str:
        """Make the `ek_…` of a record.

        Raises:
            SecretTooLong: it has more than `MAX_LENGTH` characters.
        """
        record = json.dumps(attrs.asdict(secret), separators=(",", ":"), ensure_ascii=False).encode()
        nonce = self._entropy(_NONCE_SIZE)
        packed = zlib.compress(record, 9, _RAW_DEFLATE)
        sealed = self._ciphers[self._minting].encrypt(packed, _associated(self._minting, nonce))
        text = self._minting + _encode(nonce + sealed)
        if len(text) > MAX_LENGTH or len(record) > _MAX_RECORD_BYTES:
            raise SecretTooLong(len(text))
        return text

    def open(self, text: str) -> ClientSecret | None:
        """Read a client secret; None when it is forged, foreign, truncated or of an unknown key. Never raises.

        Whether it has expired, and whether its owner still has a key, is the caller's question.
        """
        head = text[:_HEAD_LENGTH]
        cipher = self._ciphers.get(head)
        if cipher is None:
            return None
        body = text[_HEAD_LENGTH:]
        try:
            data = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
            if _encode(data) != body:
                return None  # a secret has one spelling only; base64 would read others too
            packed = cipher.decrypt(data[_NONCE_SIZE:], _associated(head, data[:_NONCE_SIZE]))
        except (binascii.Error, ValueError, InvalidTag):
            return None
        # From here on it is known to be what a signal node of this fleet has written.
        record = zlib.decompressobj(_RAW_DEFLATE).decompress(packed, _MAX_RECORD_BYTES)
        return ClientSecret(**json.loads(record))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _associated(head: str, nonce: bytes) -> list[bytes]:
    # RFC 5297 §3: a nonce is the last component of the associated data.
    return [b"client-secret" + head.removeprefix(PREFIX).encode(), nonce]
