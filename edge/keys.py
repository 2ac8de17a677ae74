"""The keys of a fleet: a root that no process loads, and a bundle for each role.

Goal: every tier can do its own work and nothing else. Attacker: whoever takes over one tier, or reads its files. A
relay that was taken over can route and drop; it cannot command a transceiver, name calls, or read their snapshots, and
no tier can derive another's keys.

Construction: the root is 32 random bytes. A key is HKDF-SHA-256(root, info = purpose and serial number), so keys of
different purposes and generations tell nothing of each other. A bundle holds the keys of one role, under one or two
key ids, and says which id mints. The root stays with the operator, who needs it for the next rotation only.

Rotation: those who read a key learn it before anybody writes with it, so each rotation takes two steps, with the
bundles distributed in between (`rotate`). Secrets have no repr.
"""

import base64
import enum
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import attrs
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from edge.config.model import Role
from wire.core import Entropy

__all__ = [
    "ADDED_LATER",
    "KEY_IDS",
    "LONGEST_SECRET",
    "PURPOSES",
    "ROOT_SIZE",
    "Bundle",
    "KeySet",
    "Purpose",
    "Root",
    "control_bearer",
    "derive_bundle",
    "key_size",
    "new_root",
    "rotate",
    "rotation_wait",
]

ROOT_SIZE = 32
KEY_IDS = 64  # a key id is one character of the ICE alphabet

LONGEST_SECRET = 7200.0
"""How long a client secret can be used at most, in seconds: a key lives as long, whatever the longest call is."""


class Purpose(enum.StrEnum):
    """What a key is for."""

    TOKEN = "token"  # noqa: S105 - a name
    """Seals routes into ICE username fragments (AES-256-SIV)."""
    ICE_PWD = "ice-pwd"  # noqa: S105 - a name
    """Derives a call's ICE password from its username fragment."""
    CALL_ID = "call-id"
    """Seals routes into call ids (AES-256-SIV)."""
    HOP = "hop"
    """Seals control messages between relays and transceivers."""
    FLOW_TAG = "flow-tag"
    """Authenticates to relays that a relay made a flow; transceivers only echo the tag."""
    CONTROL = "control"
    """Derives the bearer that signal shows to transceivers."""
    SNAPSHOT = "snapshot"
    """Encrypts exported sessions."""
    CLIENT_SECRET = "client-secret"  # noqa: S105 - a name
    """Seals what signal has promised the holder of an `ek_…` key (AES-256-SIV)."""


# AES-256-SIV takes two keys of 32 bytes.
_SIZES = {Purpose.TOKEN: 64, Purpose.CALL_ID: 64, Purpose.CLIENT_SECRET: 64}

PURPOSES: Mapping[Role, tuple[Purpose, ...]] = {
    Role.SIGNAL: (Purpose.CALL_ID, Purpose.CONTROL, Purpose.CLIENT_SECRET),
    Role.RELAY: (Purpose.TOKEN, Purpose.ICE_PWD, Purpose.HOP, Purpose.FLOW_TAG),
    Role.TRANSCEIVER: (
        Purpose.TOKEN,
        Purpose.ICE_PWD,
        Purpose.CALL_ID,
        Purpose.HOP,
        Purpose.CONTROL,
        Purpose.SNAPSHOT,
    ),
}

ADDED_LATER = frozenset({Purpose.CLIENT_SECRET})
"""Purposes that the bundles of earlier versions do not have. They are derived of the same root, so writing the bundles
again is all it takes; until then, whoever has the bundle does without."""


def key_size(purpose: Purpose) -> int:
    """Tell how many bytes a key has."""
    return _SIZES.get(purpose, 32)


@attrs.frozen(kw_only=True)
class KeySet:
    """One generation of the keys of a role.

    Attributes:
        id: key id, 0 to 63.
        created: when it was made.
        secrets: a key for each purpose of the role.
    """

    id: int
    created: datetime
    secrets: Mapping[Purpose, bytes] = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Bundle:
    """The keys of one role.

    Attributes:
        role: who may have them.
        minting: the id that new tokens are made with.
        keys: the generations that are valid, the older first; one, or two during a rotation.
    """

    role: Role
    minting: int
    keys: tuple[KeySet, ...]

    def secrets(self, purpose: Purpose) -> dict[int, bytes]:
        """Return the keys for one purpose by id.

        Raises:
            KeyError: the role has none, or the bundle is too old for it (`lacks`).
        """
        return {key.id: key.secrets[purpose] for key in self.keys}

    def lacks(self) -> tuple[Purpose, ...]:
        """Tell for which of its role's purposes the bundle is too old."""
        return tuple(purpose for purpose in PURPOSES[self.role] if not all(purpose in key.secrets for key in self.keys))


@attrs.frozen(kw_only=True)
class Root:
    """What everything is derived from. Only `trio-voice keys` reads it.

    Attributes:
        secret: 32 random bytes.
        serials: serial numbers of the generations that are valid, the older first; a key id is a serial modulo 64.
        created: when each of them was made.
        minting: serial number of the one that mints.
        changed: when the last step of a rotation was taken.
    """

    secret: bytes = attrs.field(repr=False)
    serials: tuple[int, ...]
    created: tuple[datetime, ...]
    minting: int
    changed: datetime

    @property
    def is_rotating(self) -> bool:
        """Whether a newer generation has been distributed, and does not mint yet."""
        return self.minting != self.serials[-1]


def new_root(entropy: Entropy, unix_time: float) -> Root:
    """Make the root of a new fleet, with one generation of keys."""
    now = _at(unix_time)
    return Root(secret=entropy(ROOT_SIZE), serials=(1,), created=(now,), minting=1, changed=now)


def rotate(root: Root, unix_time: float) -> Root:
    """Take the next step of a rotation.

    The first step adds a generation that everybody can read, and drops the one that does not mint any more; the second,
    after the bundles have reached every process, lets the new one mint. Before the first step, calls made with the
    generation it drops must have ended: wait for the longest call, or client secret.
    """
    now = _at(unix_time)
    if root.is_rotating:
        return attrs.evolve(root, minting=root.serials[-1], changed=now)
    following = root.minting + 1
    created = dict(zip(root.serials, root.created, strict=True))
    return attrs.evolve(root, serials=(root.minting, following), created=(created[root.minting], now), changed=now)


def rotation_wait(root: Root, unix_time: float, max_call: float) -> timedelta:
    """Tell how long to wait until the next step drops no key that a call, or a client secret, still needs.

    Args:
        root: before the step.
        unix_time: now, in seconds of Unix time.
        max_call: the longest call, in seconds.

    Returns:
        Zero when it is safe now.
    """
    if root.is_rotating or len(root.serials) == 1:
        return timedelta()
    return max(timedelta(), root.changed + timedelta(seconds=max(max_call, LONGEST_SECRET)) - _at(unix_time))


def derive_bundle(root: Root, role: Role) -> Bundle:
    """Derive the bundle of one role."""
    keys = tuple(
        KeySet(
            id=serial % KEY_IDS,
            created=created,
            secrets={purpose: _derive(root.secret, purpose, serial) for purpose in PURPOSES[role]},
        )
        for serial, created in zip(root.serials, root.created, strict=True)
    )
    return Bundle(role=role, minting=root.minting % KEY_IDS, keys=keys)


def control_bearer(control_key: bytes) -> str:
    """Derive the bearer of the control API, 43 characters, from a control key."""
    return base64.urlsafe_b64encode(_expand(control_key, b"trio-voice control bearer 1", 32)).decode().rstrip("=")


def _derive(root: bytes, purpose: Purpose, serial: int) -> bytes:
    # RFC 5869 §3.2: `info` binds a key to its use; the serial number is of fixed size, so no two infos are equal.
    info = b"trio-voice key 1 " + purpose.encode() + b" " + serial.to_bytes(8, "big")
    return _expand(root, info, key_size(purpose))


def _expand(secret: bytes, info: bytes, size: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=size, salt=None, info=info).derive(secret)


def _at(unix_time: float) -> datetime:
    return datetime.fromtimestamp(int(unix_time), UTC)
