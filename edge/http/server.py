"""Accepting, bounding and stopping connections.

A server owns a nursery with a task for each connection. Stopping takes three steps: no new connections, every request
under way gets its response (with `Connection: close`), and when the patience is over the rest is cut.
"""

import ipaddress
import secrets
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Sequence

import trio

from edge.http.connection import HttpConnection, linger
from edge.http.errors import error_response
from edge.http.first_byte import Neighbour, first_byte
from edge.http.limits import HttpLimits
from edge.http.messages import FailureHook, Handler, write_head
from edge.http.reasons import DropReason, HttpCounts
from edge.http.streams import DirectStream
from edge.http.tls import uris_of
from wire.core import Address

__all__ = ["HttpServer", "open_listener", "source_of"]

_REFUSALS_AT_A_TIME = 64
"""How many connections beyond the bound are told why at the same time; the others are just closed."""


async def open_listener(address: Address, backlog: int = 1024) -> trio.SocketListener:
    """Listen on an IP address and port; port 0 takes a free one.

    Raises:
        OSError: the address is not ours or the port is taken.
    """
    host, port = address
    family = trio.socket.AF_INET6 if ":" in host else trio.socket.AF_INET
    sock = trio.socket.socket(family, trio.socket.SOCK_STREAM)
    try:
        sock.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_REUSEADDR, 1)
        await sock.bind((host, port))
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return trio.SocketListener(sock)


def source_of(host: str) -> str:
    """Return what one subscriber can hardly have many of: an IPv4 address, or an IPv6 /64."""
    if ":" not in host:
        return host
    network = int(ipaddress.IPv6Address(host.partition("%")[0])) >> 64
    return f"{network:x}::/64"


class HttpServer:
    """Serves one handler on any number of listeners.

    Args:
        handler: answers the requests.
        limits: what one peer may take.
        tls: with it, every connection begins with a TLS handshake.
        on_failure: told of exceptions that should not have happened, with the request where there is one.
        neighbour: gets the connections that are not meant for us; None when all are.
        on_handshake_failure: told of every TLS handshake that did not succeed: with whom, and why.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        limits: HttpLimits | None = None,
        tls: ssl.SSLContext | None = None,
        on_failure: FailureHook = lambda _request, _error: None,
        neighbour: Neighbour | None = None,
        on_handshake_failure: Callable[[Address, str], None] = lambda _peer, _reason: None,
    ) -> None:
        self._neighbour = neighbour
        self._undecided: set[trio.CancelScope] = set()
        self._handler = handler
        self._limits = limits or HttpLimits()
        self._tls = tls
        self._on_failure = on_failure
        self._on_handshake_failure = on_handshake_failure
        self.counts = HttpCounts()
        self._accepting = trio.CancelScope()
        self._nursery: trio.Nursery | None = None
        self._finished = trio.Event()
        self._connections: set[HttpConnection] = set()
        self._admitted = 0
        self._admitted_by_source: Counter[str] = Counter()
        self._refusals = 0
        self._stopping = False

    @property
    def connection_count(self) -> int:
        """How many connections are open and admitted."""
        return self._admitted

    def replace_tls(self, tls: ssl.SSLContext | None) -> None:
        """Use another context, or none, for the connections to come; those that are open go on."""
        self._tls = tls

    async def serve(
        self,
        listeners: Sequence[trio.SocketListener],
        *,
        task_status: trio.TaskStatus[list[Address]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Accept and serve until `stop`; the listeners are closed then. Cancellation cuts every connection.

        Started with `nursery.start`, it returns the addresses that it listens on.
        """
        addresses = [_address_of(listener.socket.getsockname()) for listener in listeners]
        try:
            async with trio.open_nursery() as self._nursery:
                with self._accepting:
                    task_status.started(addresses)
                    await trio.serve_listeners(self._serve_socket, list(listeners), handler_nursery=self._nursery)
        finally:
            self._nursery = None
            self._finished.set()

    async def stop(self, patience: float) -> None:
        """Take no more, finish what is under way for at most `patience` seconds, then cut the rest."""
        self._stopping = True
        self._accepting.cancel()
        for connection in self._connections:
            connection.stop()
        for scope in self._undecided:
            scope.cancel()
        if self._nursery is not None:
            with trio.move_on_after(patience):
                await self._finished.wait()
            if self._nursery is not None:
                self._nursery.cancel_scope.cancel()
                await self._finished.wait()

    async def serve_stream(
        self,
        stream: trio.abc.Stream,
        peer: Address,
        *,
        is_secure: bool = False,
        certificate_uris: frozenset[str] | None = None,
    ) -> None:
        """Serve one connection that was admitted; nothing that goes wrong in it comes out."""
        connection = HttpConnection(
            stream,
            peer=peer,
            is_secure=is_secure,
            certificate_uris=certificate_uris,
            handler=self._handler,
            limits=self._limits,
            counts=self.counts,
            new_request_id=_new_request_id,
            on_failure=self._on_failure,
        )
        self._connections.add(connection)
        if self._stopping:
            connection.stop()
        try:
            await connection.serve()
        except Exception as error:  # noqa: BLE001 - the one place where a failing connection is kept from the others
            self._on_failure(None, error)
        finally:
            self._connections.discard(connection)
            await trio.aclose_forcefully(stream)

    async def _serve_socket(self, accepted: trio.SocketStream) -> None:
        try:
            peer = _address_of(accepted.socket.getpeername())
        except OSError:  # it was gone before we looked
            self.counts.drops[DropReason.PEER_VANISHED] += 1
            await trio.aclose_forcefully(accepted)
            return
        source = source_of(peer[0])
        if (reason := self._excess(source)) is not None:
            self.counts.drops[reason] += 1
            await self._turn_away(DirectStream(accepted), reason)
            return
        self._admitted += 1
        self._admitted_by_source[source] += 1
        try:
            if self._neighbour is not None and not await self._is_ours(accepted, self._neighbour):
                return
            stream = DirectStream(accepted)
            if self._tls is None:
                await self.serve_stream(stream, peer)
            else:
                await self._serve_tls(stream, self._tls, peer)
        finally:
            self._admitted -= 1
            self._admitted_by_source[source] -= 1
            if not self._admitted_by_source[source]:
                del self._admitted_by_source[source]

    async def _is_ours(self, accepted: trio.SocketStream, neighbour: Neighbour) -> bool:
        """Wait for the first byte; whoever says none in time is closed, and whatever is the neighbour's passed on."""
        with trio.move_on_after(self._limits.header_timeout) as scope:
            self._undecided.add(scope)
            try:
                first = await first_byte(accepted)
            except OSError:
                first = None
                self.counts.drops[DropReason.PEER_VANISHED] += 1
            finally:
                self._undecided.discard(scope)
            if first is not None:
                if not neighbour.wants(first):
                    return True
                neighbour.take(socket.socket(fileno=accepted.socket.detach()))
                return False
        if scope.cancelled_caught and not self._stopping:
            self.counts.drops[DropReason.HEADER_TIMEOUT] += 1
        await trio.aclose_forcefully(accepted)
        return False

    async def _serve_tls(self, stream: DirectStream, context: ssl.SSLContext, peer: Address) -> None:
        # https_compatible: browsers close without TLS's own goodbye, and lengths tell us where a request ends.
        secured = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
        with trio.move_on_after(self._limits.header_timeout) as scope:
            try:
                await secured.do_handshake()
            except (trio.BrokenResourceError, ssl.SSLError) as error:
                self.counts.drops[DropReason.TLS_HANDSHAKE] += 1
                self._on_handshake_failure(peer, str(error.__cause__ or error))
                await trio.aclose_forcefully(stream)
                return
        if scope.cancelled_caught:
            self.counts.drops[DropReason.TLS_HANDSHAKE] += 1
            await trio.aclose_forcefully(stream)
            return
        # Of a server that has not asked for it, ssl returns nothing.
        certificate = secured.getpeercert()
        uris = uris_of(certificate) if certificate else None
        await self.serve_stream(secured, peer, is_secure=True, certificate_uris=uris)

    def _excess(self, source: str) -> DropReason | None:
        if self._admitted >= self._limits.connections:
            return DropReason.CONNECTION_LIMIT
        if self._admitted_by_source[source] >= self._limits.connections_per_source:
            return DropReason.SOURCE_LIMIT
        return None

    async def _turn_away(self, stream: DirectStream, reason: DropReason) -> None:
        """Say why without reading a request, if that costs little; over TLS it would cost a handshake."""
        if self._tls is not None or self._refusals >= _REFUSALS_AT_A_TIME:
            await trio.aclose_forcefully(stream)
            return
        self._refusals += 1
        try:
            with trio.move_on_after(self._limits.linger_timeout):
                await stream.send_all(_refusal(reason))
                await linger(stream, self._limits)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.counts.drops[DropReason.PEER_VANISHED] += 1
        finally:
            self._refusals -= 1
            await trio.aclose_forcefully(stream)


def _refusal(reason: DropReason) -> bytes:
    message = "Too many connections. Try again in a few seconds."
    response = error_response(503, reason.replace("-", "_"), message)
    headers = [
        *response.headers,
        ("Content-Length", str(len(response.body))),
        ("Retry-After", str(1 + secrets.randbelow(5))),  # not all of a crowd at once
        ("X-Request-Id", _new_request_id()),
        ("Connection", "close"),
    ]
    return write_head(503, headers) + response.body


def _new_request_id() -> str:
    return "req_" + secrets.token_hex(12)


def _address_of(sockaddr: tuple[object, ...]) -> Address:
    """Return a socket's address with an IPv4 address in its own form, also on a socket for both families."""
    host, port = str(sockaddr[0]), sockaddr[1]
    if not isinstance(port, int):
        raise TypeError("not an internet address")
    return host.removeprefix("::ffff:") if "." in host else host, port
