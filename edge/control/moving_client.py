"""A transceiver's end of the control API of another: offering calls, and finding out whether it is there at all."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import trio

from edge.control.connections import Connect, ConnectionFailed, Connections, Reply
from edge.control.messages import BadMessage, read_object
from edge.control.moving import TUNNEL_TOKEN_HEADER
from edge.control.tls import ControlTls, way_of_sockets
from edge.http.streams import open_stream
from transceiver.handover.ownership import Owner
from transceiver.handover.peers import HandOverRefused, Offered
from transceiver.websocket.connecting import open_socket
from transceiver.websocket.connection import WebSocket
from transceiver.websocket.limits import SocketLimits

__all__ = ["MovingClient"]


class MovingClient:
    """What one transceiver asks of another.

    Args:
        url: base URL of its control address.
        key: bearer key derived from the control key.
        timeout: seconds for one request, connecting included.
        connect: how to connect.
        tls: for https.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout: float = 2.0,
        connect: Connect = open_stream,
        tls: ControlTls | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._timeout = timeout
        self._tls, self._connect = tls, connect
        self._authorization = f"Bearer {key}"
        headers = {"Content-Type": "application/octet-stream", "Authorization": self._authorization}
        self._connections = Connections(self.url, headers, connect=connect, tls=tls)

    async def aclose(self) -> None:
        """Close the connections that are kept."""
        await self._connections.aclose()

    async def offer(self, call: Offered) -> Owner:
        """Have it restore a call and hold it.

        Raises:
            HandOverRefused: it does not, or gave no answer.
        """
        reply = await self._ask("POST", _path_of(call), call.snapshot)
        fields = _read(reply)
        if reply.status != 200:
            raise HandOverRefused(f"{self.url} answered {reply.status}: {_message_of(fields)}")
        numbers = [fields.get(name) for name in ("cluster", "incarnation", "worker")]
        if not all(isinstance(number, int) for number in numbers):
            raise HandOverRefused(f"{self.url} answered nonsense")
        cluster, incarnation, worker = numbers
        return Owner(cluster=cluster, incarnation=incarnation, worker=worker)  # type: ignore[arg-type]  # checked

    async def release(self, call: Offered, owner: Owner, kept: bytes) -> None:
        """Tell it that a call which it holds is its own now, and what its client has said meanwhile.

        Raises:
            HandOverRefused: it gave no answer.
        """
        await self._ask("POST", f"{_path_of(call)}/release?{_query_of(owner)}", kept)

    async def withdraw(self, call: Offered, owner: Owner) -> None:
        """Tell it that a call which it holds is not to be its own.

        Raises:
            HandOverRefused: it gave no answer.
        """
        await self._ask("DELETE", f"{_path_of(call)}?{_query_of(owner)}")

    @asynccontextmanager
    async def open_tunnel(
        self, worker: int, session: int, generation: int, token: bytes, limits: SocketLimits
    ) -> AsyncIterator[WebSocket]:
        """Take a tunnel of its, until the end of the block; arguments as of `Movable.serve_tunnel`.

        Raises:
            SocketUnreachable: it is not there, or not for us.
        """
        url, connect = way_of_sockets(self.url, self._tls, self._connect)
        path = f"/control/v1/tunnels/{session}/{generation}?worker={worker}"
        headers = {"Authorization": self._authorization, TUNNEL_TOKEN_HEADER: token.hex()}
        async with open_socket(
            url + path, headers=headers, limits=limits, timeout=self._timeout, connect=connect
        ) as socket:
            yield socket

    async def status(self, worker: int | None = None) -> Mapping[str, object] | None:
        """Ask for its status; None when it refuses the connection, or says nothing in time.

        Args:
            worker: which of its workers has to answer first; None for none. A version that does not know the question
                answers for all of them.
        """
        query = "" if worker is None else f"?worker={worker}"
        try:
            return _read(await self._ask("GET", f"/control/v1/status{query}"))
        except HandOverRefused:
            return None

    async def _ask(self, method: str, path: str, body: bytes = b"") -> Reply:
        try:
            with trio.fail_after(self._timeout):
                return await self._connections.request(method, path, body)
        except ConnectionFailed as error:
            raise HandOverRefused(f"{self.url}: {error}") from error
        except trio.TooSlowError as error:
            raise HandOverRefused(f"{self.url}: no answer within {self._timeout:g} seconds") from error


def _path_of(call: Offered) -> str:
    return f"/control/v1/arrivals/{call.session}/{call.generation}"


def _query_of(owner: Owner) -> str:
    return urlencode({"cluster": owner.cluster, "incarnation": owner.incarnation, "worker": owner.worker})


def _read(reply: Reply) -> Mapping[str, object]:
    try:
        return read_object(reply.body)
    except BadMessage:
        return {}


def _message_of(fields: Mapping[str, object]) -> str:
    error = fields.get("error")
    return str(error.get("message", "")) if isinstance(error, dict) else "(no JSON error)"
