"""Snapshots under seal: what a store, a network or a relay may hold without being able to read it.

Goal: whoever is not a transceiver of this fleet learns nothing of a session from its snapshot but its number, its
generation, its owner and its size, and can make none that a transceiver would restore.

Attackers:

* who reads the store, its backups or its traffic: has every snapshot ever written;
* who writes to the store, or sends to a transceiver what claims to be a snapshot: may invent, change, swap and repeat;
* a relay that was taken over: has the relays' bundle of keys, and sees all packets of its calls;
* a node whose keys were rotated away, or a bundle that was copied before: can read what was sealed with its keys, and
  nothing that is sealed with the next.

Construction:

    slot key  = HKDF-SHA-256(snapshot key of a generation, info = "trio-voice snapshot 1" || slot)
    sealed    = header || AES-256-GCM(slot key, nonce, ad = header, snapshot)
    header    = format u8 | key id u8 | slot u32 | session u64 | generation u32 | cluster u16 | incarnation u32 |
                worker u8 | nonce, 12 bytes

The snapshot key is of the bundle of transceivers (`edge.keys`: its own HKDF child of a root that no process has), so
nothing that a relay or signal holds leads to it. A slot is an hour of Unix time. Nonces are random: of 2^32 snapshots
in a slot, more than a fleet of a million calls writes, two have the same nonce with a chance of 2^-33.

Properties:

1. A snapshot opens as the session, generation and owner that it was sealed for, or not at all: the header is
   authenticated. The reader says which session it expects, and from which generation on it is not old enough to be
   restored: the generation that it has just been given itself, since no snapshot of that one or a later can exist.
2. Two keys are valid at a time; readers learn a key before anyone seals with it, as with all keys of the fleet.
3. A snapshot opens in its slot, and in those before and after, whatever the clocks of two processes differ by, if it is
   below an hour. What an old key or an old backup holds is refused later.
4. Whatever is wrong, the answer is None: there is nothing to tell the causes apart by.

What is not achieved: who can write to the store can bring back an older snapshot of the same session (docs/failover.md:
the store is trusted to be fresh), and who takes over a transceiver reads what its calls say anyway.
"""

import struct
from collections.abc import Mapping

import attrs
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from transceiver.handover.ownership import Owner
from wire.core import Entropy
from wire.errors import LocalProtocolError

__all__ = ["SLOT_SECONDS", "OpenedSnapshot", "SnapshotKeys", "open_snapshot", "seal_snapshot"]

SLOT_SECONDS = 3600
"""How long a slot key is used."""

_FORMAT = 1
_KEY_SIZE = 32
_KEY_IDS = 64
_NONCE_SIZE = 12
_HEADER = struct.Struct(f">BBIQIHIB{_NONCE_SIZE}s")
_MOST_SLOTS = 8  # of which the keys are kept


@attrs.frozen(kw_only=True)
class OpenedSnapshot:
    """What was under a seal.

    Attributes:
        owner: who sealed it.
        generation: of that owner.
        data: the snapshot.
    """

    owner: Owner
    generation: int
    data: bytes = attrs.field(repr=False)


class SnapshotKeys:
    """The snapshot keys that a transceiver has.

    Args:
        keys: of 32 bytes, by key id; one, or two during a rotation.
        sealing_key_id: the one that snapshots are sealed with.

    Raises:
        LocalProtocolError: a key or an id is out of range, or the one to seal with is missing.
    """

    def __init__(self, keys: Mapping[int, bytes], sealing_key_id: int) -> None:
        if sealing_key_id not in keys:
            raise LocalProtocolError(f"there is no snapshot key with id {sealing_key_id} to seal with")
        for key_id, key in keys.items():
            if not 0 <= key_id < _KEY_IDS or len(key) != _KEY_SIZE:
                raise LocalProtocolError(f"snapshot key {key_id} has {len(key)} bytes, or no id from 0 to 63")
        self.sealing_key_id = sealing_key_id
        self._keys = dict(keys)
        self._ciphers: dict[tuple[int, int], AESGCM] = {}

    def cipher(self, key_id: int, slot: int) -> AESGCM | None:
        """Return what seals and opens in a slot; None when there is no such key."""
        cipher = self._ciphers.get((key_id, slot))
        if cipher is None and (key := self._keys.get(key_id)) is not None:
            info = b"trio-voice snapshot 1" + slot.to_bytes(4, "big")
            cipher = AESGCM(HKDF(algorithm=SHA256(), length=_KEY_SIZE, salt=None, info=info).derive(key))
            if len(self._ciphers) >= _MOST_SLOTS:
                del self._ciphers[next(iter(self._ciphers))]
            self._ciphers[key_id, slot] = cipher
        return cipher


def seal_snapshot(
    keys: SnapshotKeys,
    data: bytes,
    *,
    session: int,
    generation: int,
    owner: Owner,
    unix_time: float,
    entropy: Entropy,
) -> bytes:
    """Put a snapshot under seal.

    Args:
        keys: ours.
        data: the snapshot.
        session: number of the session.
        generation: of its owner, 32 bits.
        owner: us.
        unix_time: now, in seconds of Unix time.
        entropy: source of unpredictable bytes.

    Raises:
        LocalProtocolError: a number does not fit.
    """
    key_id, slot = keys.sealing_key_id, int(unix_time) // SLOT_SECONDS
    cipher = keys.cipher(key_id, slot)
    assert cipher is not None  # noqa: S101 - the constructor has made sure of the key
    nonce = entropy(_NONCE_SIZE)
    try:
        header = _HEADER.pack(
            _FORMAT, key_id, slot, session, generation, owner.cluster, owner.incarnation, owner.worker, nonce
        )
    except struct.error as error:
        raise LocalProtocolError(f"a number of the snapshot's owner does not fit: {error}") from error
    return header + cipher.encrypt(nonce, data, header)


def open_snapshot(
    keys: SnapshotKeys, sealed: bytes, *, session: int, before: int, unix_time: float
) -> OpenedSnapshot | None:
    """Open a snapshot.

    Args:
        keys: ours.
        sealed: what `seal_snapshot` returned, or anything.
        session: number of the session that it has to be of.
        before: the generation that it has to be below.
        unix_time: now, in seconds of Unix time.

    Returns:
        What is in it; None when it is forged, changed, of another session, a later generation, another fleet or time.
    """
    if len(sealed) < _HEADER.size:
        return None
    header = sealed[: _HEADER.size]
    number, key_id, slot, of_session, generation, cluster, incarnation, worker, nonce = _HEADER.unpack(header)
    is_expected = number == _FORMAT and of_session == session and generation < before
    # Before a key is derived: who invents slots must not make us derive as many.
    if not is_expected or abs(slot - int(unix_time) // SLOT_SECONDS) > 1:
        return None
    cipher = keys.cipher(key_id, slot)
    if cipher is None:
        return None
    try:
        data = cipher.decrypt(nonce, sealed[_HEADER.size :], header)
    except InvalidTag:
        return None
    owner = Owner(cluster=cluster, incarnation=incarnation, worker=worker)
    return OpenedSnapshot(owner=owner, generation=generation, data=data)
