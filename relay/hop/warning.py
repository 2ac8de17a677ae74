"""Who is told that a transceiver is held for dead, and when again.

Goal: every other transceiver of the cluster hears of it at once, though a datagram be lost, and a host that dies with
all its workers does not keep the relay from forwarding.

Rules: SUSPECT goes to each transceiver of the suspect's cluster whose link is up, speaks revision 2 and is not
suspected itself; six times 0.1 s apart, then every second, until the suspect is heard or `WARN_FOR` s are over: who
was not taken over by then has waited too long for it (`docs/failover.md`). A suspect whose address has another process
now is dead for certain; of it the same is told. At most `_BURST` leave at once and `_RATE` a second, which is a tenth
of a core; what waits is sent in the order in which it was due, each suspect to each receiver once.
"""

from collections.abc import Callable, Mapping

import attrs

from relay.hop.events import TransceiverIdentity
from relay.hop.messages import Suspect
from relay.hop.pace import Pace
from relay.hop.peer import Peer
from wire.core import Address

__all__ = ["WARN_FOR", "Warnings"]

WARN_FOR = 10.0
"""How long others are told of a suspect that is not heard again, in seconds."""
_SOON, _SOON_ROUNDS = 0.1, 6
_LATER = 1.0
_RATE = 5000.0
_BURST = 64
_REST = 0.01
"""What waits is sent this often, in seconds: some fifty of them at a time."""
_REVISION = 2


@attrs.define
class _Case:
    """A suspect, and how often it was told of."""

    began: float
    due: float
    rounds: int = 0


class Warnings:
    """Tells transceivers of suspects.

    Args:
        send: seals a message to a peer.
        now: the present.
    """

    def __init__(self, send: Callable[[Peer, Suspect], None], now: float) -> None:
        self._send = send
        self._cases: dict[TransceiverIdentity, _Case] = {}
        self._waiting: dict[tuple[TransceiverIdentity, Address], None] = {}
        self._pace = Pace(rate=_RATE, burst=_BURST, now=now)
        self._resume = now

    def add(self, suspect: TransceiverIdentity, now: float) -> None:
        """Tell of a suspect, unless that is done already."""
        self._cases.setdefault(suspect, _Case(began=now, due=now))

    def withdraw(self, suspect: TransceiverIdentity) -> None:
        """Tell of it no more: it is alive."""
        self._cases.pop(suspect, None)

    def say_due(self, peers: Mapping[Address, Peer], now: float) -> None:
        """Say what is due.

        Args:
            peers: all that there are, by address.
            now: the present.
        """
        if not self._cases:
            self._waiting.clear()
            return
        for suspect, case in list(self._cases.items()):
            if now - case.began >= WARN_FOR:
                del self._cases[suspect]
            elif now >= case.due:
                case.rounds += 1
                case.due = now + (_SOON if case.rounds < _SOON_ROUNDS else _LATER)
                self._waiting.update(dict.fromkeys((suspect, address) for address in peers))
        if self._waiting and now >= self._resume:
            self._say_waiting(peers, now)

    def _say_waiting(self, peers: Mapping[Address, Peer], now: float) -> None:
        while self._waiting:
            suspect, address = each = next(iter(self._waiting))
            peer = peers.get(address)
            if suspect in self._cases and peer is not None and _may_hear(peer, suspect):
                if not self._pace.take(now):
                    self._resume = now + _REST
                    return
                cluster, incarnation, worker = suspect
                self._send(peer, Suspect(cluster=cluster, incarnation=incarnation, worker=worker))
            del self._waiting[each]

    def next_timeout(self) -> float | None:
        """When `say_due` has something to say; None for never."""
        if self._waiting:
            return self._resume
        return min((case.due for case in self._cases.values()), default=None)


def _may_hear(peer: Peer, suspect: TransceiverIdentity) -> bool:
    identity, suspicion = peer.identity, peer.suspicion
    return (
        identity is not None
        and identity[0] == suspect[0]
        and identity != suspect
        and peer.revision >= _REVISION
        and (suspicion is not None and not suspicion.is_suspected)
    )
