"""The other transceivers of the cluster, as moving calls needs them. Who they are, `edge` knows (its registry)."""

import enum
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import attrs

from transceiver.backends.tunnel_ticket import TunnelTicket
from transceiver.handover.ownership import Owner
from transceiver.websocket.connection import WebSocket
from transceiver.websocket.limits import SocketLimits

__all__ = ["HandOverRefused", "Offered", "Peers", "Pulse"]


class HandOverRefused(Exception):  # noqa: N818 - named for what happened
    """A peer does not take the call, or gave no answer; the text says why, for logs."""


@attrs.frozen(kw_only=True)
class Offered:
    """A call that is to move, exact to the last packet.

    Attributes:
        session: number of the session.
        generation: of the ownership that the target is to have.
        snapshot: a sealed `CallSnapshot`.
    """

    session: int
    generation: int
    snapshot: bytes = attrs.field(repr=False)


class Pulse(enum.Enum):
    """What came of asking a transceiver itself whether a worker of its lives."""

    ALIVE = "alive"
    """It serves, by its own word or by that of its process."""

    SILENT = "silent"
    """Nothing was said in time. It is dead, or stands still, or is slow."""

    GONE = "gone"
    """Its address refuses, or is another process's by now, or its process says that the worker does not serve."""


class Peers(Protocol):
    """What a worker asks others, and of others."""

    def candidates(self) -> Sequence[Owner]:
        """Return the workers of the cluster that could take a call over, as far as is known now; ourselves included.

        Who was found dead lately is none: nobody should wait for its turn.
        """

    async def feel_pulse(self, suspect: Owner) -> Pulse:
        """Ask a transceiver itself whether a worker lives, over another way than the relays' links; not for long."""

    async def offer(self, call: Offered) -> Owner:
        """Have one of the others restore a call and hold it; returns who will own it.

        Raises:
            HandOverRefused: nobody takes it.
        """

    async def withdraw(self, call: Offered, owner: Owner) -> None:
        """Tell a peer that a call which it holds is not to be its own; best effort."""

    async def release(self, call: Offered, owner: Owner, kept: bytes) -> None:
        """Tell a peer that the call which it holds is its own now; best effort, since the relays tell it as well.

        It may be said again, with more that has come.

        Args:
            call: which.
            owner: who was going to own it.
            kept: datagrams of the client's that are its to take (`kept.pack_kept`).
        """

    def open_tunnel(self, ticket: TunnelTicket, limits: SocketLimits) -> AbstractAsyncContextManager[WebSocket]:
        """Open the tunnel of a ticket.

        Args:
            ticket: what the call's last owner has written.
            limits: what its process may send.

        Raises:
            SocketUnreachable: it is not there, or not ours.
        """
