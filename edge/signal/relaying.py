"""Texts carried both ways between two sockets, until either ends."""

import trio

from transceiver.calls import EventSocket, SocketClosed
from transceiver.websocket.closing import CloseCode, Fault
from transceiver.websocket.connection import WebSocket

__all__ = ["carry", "relay"]

_SENDABLE = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})
"""RFC 6455 §7.4.1 and IANA's registry: the others below 3000 are never sent."""


async def relay(client: WebSocket, transceiver: WebSocket, client_events: EventSocket | None = None) -> None:
    """Carry texts both ways; when one side ends, the other is told how.

    Each side is held back when the other does not read. Neither text is looked at.

    Args:
        client: not open yet, perhaps; it opens now.
        transceiver: open.
        client_events: the client's texts in another dialect; as they are by default.
    """
    await carry(client_events or client, transceiver)
    # Whose end was noticed first is the cause; cancelled between two texts, the other side is whole.
    if transceiver.closed is not None and client.closed is None:
        closed = transceiver.closed
        code, reason = closed.code, closed.reason
        if closed.fault is Fault.VANISHED or not _is_sendable(code):
            code, reason = CloseCode.INTERNAL_ERROR, "the transceiver was lost"
        await client.close(code, reason)


async def carry(one: EventSocket, other: EventSocket) -> None:
    """Carry texts both ways until either side has ended, which its socket knows."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_carry, other, one, nursery.cancel_scope)
        await _carry(one, other, nursery.cancel_scope)


async def _carry(source: EventSocket, target: EventSocket, both: trio.CancelScope) -> None:
    try:
        while True:
            await target.send(await source.receive())
    except SocketClosed:
        both.cancel()


def _is_sendable(code: int) -> bool:
    return code in _SENDABLE or 3000 <= code <= 4999
