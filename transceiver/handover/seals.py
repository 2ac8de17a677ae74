"""A worker's seal: snapshots of calls under its keys and in its name, and those of others opened."""

from collections.abc import Callable

from transceiver.handover.call_snapshot import CallSnapshot
from transceiver.handover.ownership import Owner
from transceiver.handover.sealing import SnapshotKeys, open_snapshot, seal_snapshot
from wire.core import Entropy

__all__ = ["Seals"]


class Seals:
    """Seals and opens.

    Args:
        keys: of the fleet's transceivers; may be replaced.
        owner: who we are.
        entropy: source of unpredictable bytes.
        unix_time: wall clock.
    """

    def __init__(self, keys: SnapshotKeys, owner: Owner, *, entropy: Entropy, unix_time: Callable[[], float]) -> None:
        self.keys = keys
        self._owner = owner
        self._entropy = entropy
        self._unix_time = unix_time

    def seal(self, call: CallSnapshot, session: int, generation: int) -> bytes:
        """Seal a call of ours."""
        return seal_snapshot(
            self.keys,
            call.to_bytes(),
            session=session,
            generation=generation,
            owner=self._owner,
            unix_time=self._unix_time(),
            entropy=self._entropy,
        )

    def open(self, sealed: bytes, session: int, generation: int) -> bytes | None:
        """Open a snapshot by which a session is to be ours at a generation; None when anything is wrong with it."""
        opened = open_snapshot(self.keys, sealed, session=session, before=generation, unix_time=self._unix_time())
        return None if opened is None else opened.data
