"""What a transceiver offers to others, and to its operator, to have calls moved."""

from typing import Protocol

from transceiver.handover.ownership import Owner
from transceiver.handover.peers import Offered
from transceiver.websocket.connection import WebSocket

__all__ = ["Movable"]


class Movable(Protocol):
    """A transceiver whose calls can move, and that takes those of others; one process or several."""

    async def accept_call(self, offered: Offered) -> Owner:
        """Restore a call that another transceiver wants to give us, and hold it: it sends nothing yet.

        Returns:
            Who will own it.

        Raises:
            HandOverRefused: it cannot be restored, or none is taken.
        """

    async def release_call(self, offered: Offered, owner: Owner, kept: bytes) -> None:
        """Take the word of a call's last owner that it is ours now; unknown ones are left alone.

        Args:
            offered: which; its snapshot is not looked at.
            owner: what `accept_call` has returned.
            kept: datagrams of the client's that came to its last owner since (`kept.pack_kept`).
        """

    async def withdraw_call(self, offered: Offered, owner: Owner) -> None:
        """Forget a held call: its owner keeps it. Arguments as `release_call` has them."""

    async def hear_worker(self, worker: int) -> None:
        """Return when a worker has shown that its loop turns; at once when it does not serve, or there is none such.

        One that stands still is waited for, for longer than anybody waits who wants to know whether it lives: its
        silence is its own answer, and nobody gives another for it.
        """

    async def start_drain(self) -> None:
        """Take no further call, and begin to move all that are to other transceivers; once begun, it goes on."""

    async def serve_tunnel(self, worker: int, session: int, generation: int, token: bytes, taker: WebSocket) -> None:
        """Let the new owner of a call have the connection to its backend, until either ends.

        Args:
            worker: which has it.
            session: number of the call's session.
            generation: of the new owner.
            token: of its ticket.
            taker: its socket; not open yet.

        Raises:
            TunnelRefused: there is none for this taker; raised before anything is sent.
        """
