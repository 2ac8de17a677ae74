"""WebSockets now and then, beside the calls: sidebands, and the plain Realtime protocol without a call."""

import json

import trio

from bench.soak.conversing import written
from edge.caller.signalling import CallFailed
from transceiver.calls import SocketClosed
from transceiver.websocket.connecting import SocketRefused, SocketUnreachable, open_socket
from transceiver.websocket.connection import WebSocket

__all__ = ["attend", "pass_through"]

_LONGEST_CALL = 60.0
_PATIENCE = 20.0


async def attend(url: str, call_id: str, *, leaves_after: float | None) -> None:
    """Attach a sideband to a call.

    Args:
        url: base URL of signal.
        call_id: the call.
        leaves_after: seconds after which it leaves by itself; None to stay until the call ends.

    Raises:
        CallFailed: it is still there when the call must be over.
    """
    with trio.move_on_after(leaves_after or _LONGEST_CALL) as patience:
        try:
            async with open_socket(f"{url}/v1/realtime?call_id={call_id}") as socket:
                await _read_to_the_end(socket)
        except SocketRefused:
            return  # the call was over before
        except SocketUnreachable as problem:
            raise CallFailed(f"sideband: {problem}") from problem
    if patience.cancelled_caught and leaves_after is None:
        raise CallFailed("a sideband outlived its call")


async def _read_to_the_end(socket: WebSocket) -> None:
    try:
        while True:
            await socket.receive()
    except SocketClosed:
        pass


async def pass_through(url: str) -> None:
    """Talk with the agent in writing, without a call.

    Raises:
        CallFailed: it does not answer.
    """
    try:
        with trio.fail_after(_PATIENCE):
            async with open_socket(f"{url}/v1/realtime?model=parrot") as socket:
                for event in written("hello"):
                    await socket.send(json.dumps(event))
                while json.loads(await socket.receive())["type"] != "response.done":
                    pass
    except (SocketUnreachable, SocketClosed, trio.TooSlowError) as problem:
        raise CallFailed(f"pass-through: {problem or 'no answer'}") from problem
