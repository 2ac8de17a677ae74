"""Sealed data: the clients' datagrams of one link, each encrypted whole, hop header included.

    u8 version and type SEALED | u8 key id | u48 counter | AES-256-GCM(hop header, datagram)          24 bytes more

For links that leave the cluster. Inside one, data is not sealed: an attacker there gains little (`relay.hop.links`),
and the relay forwards without looking at a byte.

Goal: between the ends of a link nobody reads who talks to whom, and nobody adds, changes or repeats a datagram.

Attacker: as in `relay.hop.sealing`; and he makes processes restart, so that they use old numbers again if they can.

Construction: each direction of each link has a key of its own, an HKDF child of the hop key by the random 64-bit
numbers of its sender and its receiver. The nonce is the counter, which is one for all links of a process and never
repeats in its life. Associated data are the eight bytes in front.

Properties:

* No (key, nonce) pair is ever used twice: not within a process, because the counter only rises, also when a link goes
  down and comes up again; and not by two processes, unless both draw the same 64 bits and talk to the same process at
  the other end (2^-45 after a thousand restarts). Nothing has to be stored for that.
* A datagram opens only at the end that it was sealed for, so reflection and carrying over come to nothing.
* A datagram counts once: a replay window of `REPLAY_WINDOW` counters, wide enough for what networks reorder.
* The counter is 48 bits: nine years at a million datagrams a second.

An end that wants its data sealed says so in every control message (`relay.hop.sealing`), and takes no plain datagram
over that link from the moment that it is up. Either end's wish is enough; an end that cannot is refused.
"""

from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from relay.hop.drops import HopDropReason
from relay.hop.header import SEALED
from relay.hop.keys import HopKeys
from relay.hop.sealing import REPLAY_WINDOW
from wire.replay import ReplayWindow

__all__ = ["OVERHEAD", "Tunnel"]

_FRONT = 8
_TAG_SIZE = 16
OVERHEAD = _FRONT + _TAG_SIZE
"""How many bytes longer a sealed datagram is."""


class Tunnel:
    """Seals and opens the data of one link at one of its ends.

    Args:
        keys: returns the hop's keys of the moment.
        number: our own number.
        peer: the other end's number.
        count: returns the next number of the process's counter.

    Attributes:
        peer: the other end's number.
    """

    def __init__(self, *, keys: Callable[[], HopKeys], number: int, peer: int, count: Callable[[], int]) -> None:
        self._keys = keys
        self._number = number
        self.peer = peer
        self._count = count
        self._held: HopKeys | None = None
        self._window = ReplayWindow(size=REPLAY_WINDOW)
        self._sealing: dict[int, AESGCM] = {}
        self._opening: dict[int, AESGCM] = {}

    def seal(self, data: bytes) -> bytes:
        """Seal a datagram with its header."""
        keys = self._current()
        key_id = keys.current
        cipher = self._sealing.get(key_id)
        if cipher is None:
            cipher = self._sealing[key_id] = keys.data_cipher(key_id, self._number, self.peer)
        counter = self._count().to_bytes(6, "big")
        front = bytes((SEALED, key_id)) + counter
        return front + cipher.encrypt(bytes(6) + counter, data, front)

    def open(self, data: bytes) -> bytes | HopDropReason:
        """Open a datagram; tell why not."""
        if len(data) <= OVERHEAD or data[0] != SEALED:
            return HopDropReason.MALFORMED
        keys = self._current()
        key_id = data[1]
        cipher = self._opening.get(key_id)
        if cipher is None:
            if key_id not in keys.ciphers:
                return HopDropReason.UNKNOWN_KEY
            cipher = self._opening[key_id] = keys.data_cipher(key_id, self.peer, self._number)
        counter = int.from_bytes(data[2:_FRONT], "big")
        if not self._window.check(counter):
            return HopDropReason.REPLAYED
        front = data[:_FRONT]
        try:
            inner = cipher.decrypt(bytes(6) + front[2:], data[_FRONT:], front)
        except InvalidTag:
            return HopDropReason.NOT_AUTHENTIC
        self._window.commit(counter)
        return inner

    def _current(self) -> HopKeys:
        keys = self._keys()
        if keys is not self._held:
            # An id may stand for another key now, or for none.
            self._held = keys
            self._sealing.clear()
            self._opening.clear()
        return keys
