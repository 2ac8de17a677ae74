"""One connection, from its first byte to its end.

h11 parses requests and keeps the rules of HTTP/1.1; it also refuses what request smuggling is made of (conflicting
lengths, obsolete folding, stray control characters). This module reads, writes and keeps the time. Each request is read
by an h11 connection of its own, which need not be told of the response, and so not go through its headers.

One cancel scope spans the connection, and its deadline moves from phase to phase; when it passes, the phase tells
what the peer was late with. A peer that sends slowly cannot move the deadline.
"""

import enum
import time
from collections.abc import Callable
from email.utils import formatdate

import attrs
import h11
import trio

from edge.http import refusals
from edge.http.limits import HttpLimits
from edge.http.messages import FailureHook, Handler, Request, Response, split_target, write_head
from edge.http.reasons import DropReason, HttpCounts
from edge.http.socket_service import SocketService
from edge.http.websocket import Upgrade
from wire.core import Address

__all__ = ["HttpConnection"]

_READ_SIZE = 16_384
_CONTINUE = h11.InformationalResponse(status_code=100, headers=[])
# For h11 all responses are alike, but for those that begin another protocol; and this is none of them.
_NO_SWITCH = h11.Response(status_code=400, headers=[("Content-Length", "0")])


class Phase(enum.Enum):
    """What a connection waits for."""

    IDLE = "the first byte of a request"
    HEADER = "the rest of the headers"
    BODY = "the rest of the content"
    HANDLER = "the handler"
    RESPONSE = "the peer to accept the response"
    SOCKET = "the end of a WebSocket"


class HttpConnection:
    """Serves the requests of one connection, one after the other.

    Args:
        stream: the bytes, after TLS.
        peer: address and port at the other end.
        is_secure: whether the stream is TLS.
        certificate_uris: see `Request`.
        handler: answers requests.
        limits: what the peer may take.
        counts: where refusals and responses are counted.
        new_request_id: makes the id of a request.
        on_failure: told of exceptions of the handler.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        *,
        peer: Address,
        is_secure: bool,
        certificate_uris: frozenset[str] | None = None,
        handler: Handler,
        limits: HttpLimits,
        counts: HttpCounts,
        new_request_id: Callable[[], str],
        on_failure: FailureHook,
    ) -> None:
        self._stream = stream
        self._peer = peer
        self._is_secure = is_secure
        self._certificate_uris = certificate_uris
        self._handler = handler
        self._limits = limits
        self._counts = counts
        self._new_request_id = new_request_id
        self._on_failure = on_failure
        self._http = self._new_reader()
        self._phase = Phase.IDLE
        self._deadline = trio.current_time() + limits.header_timeout  # of the phase
        self._scope = trio.CancelScope(deadline=self._deadline)
        self._request: Request | None = None  # the one under way, once its head is read
        self._served = 0
        self._stopping = False
        self._socket: SocketService | None = None

    async def serve(self) -> None:
        """Serve until either side has had enough; cancellation cuts the connection."""
        refused: refusals.Refused | None = None
        with self._scope:
            try:
                while await self._serve_request():
                    pass
            except refusals.Refused as refusal:
                refused = refusal
            except h11.RemoteProtocolError as error:
                refused = self._refusal_of(error)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self._counts.drops[DropReason.PEER_VANISHED] += 1
        if self._scope.cancelled_caught:
            refused = self._refusal_of_lateness()
        if refused is not None:
            self._counts.drops[refused.reason] += 1
            await self._send_refusal(refused.response)
        with trio.move_on_after(self._limits.write_timeout):
            await self._stream.aclose()

    def stop(self) -> None:
        """Finish the request under way, and take no other; a WebSocket is told that we go away."""
        self._stopping = True
        if self._phase is Phase.IDLE:
            self._scope.cancel()
        elif self._phase is Phase.SOCKET and self._socket is not None:
            self._socket.stop()

    # A request and its response, in order

    async def _serve_request(self) -> bool:
        event = await self._next_event()
        if not isinstance(event, h11.Request):
            return False  # the peer closed the connection between two requests
        self._request = self._read_head(event)
        request = await self._read_body(self._request)
        self._enter(Phase.HANDLER, self._limits.handler_timeout)
        self._keep_time()
        response = await self._answer(request)
        if isinstance(response, Upgrade):
            headers = (("Date", _http_date()), ("X-Request-Id", request.id))
            received = self._http.trailing_data[0]
            self._socket = SocketService(self._stream, self._handler, self._counts, self._on_failure, self._opened)
            try:
                instead = await self._socket.serve(request, response, received, headers)
            finally:
                self._socket = None  # the two refer to each other
            if instead is None:
                return False
            response = instead
        self._enter(Phase.RESPONSE, self._limits.write_timeout)
        await self._send(response, request.method, request.id)
        self._request = None
        self._served += 1
        if not self._may_stay_open():
            return False
        received = self._http.trailing_data[0]
        self._http = self._new_reader()
        if received:
            self._http.receive_data(received)
            await trio.lowlevel.checkpoint()  # who sends requests in one piece does not hold up the others
        self._enter(Phase.IDLE, self._limits.idle_timeout)
        return True

    async def _next_event(self) -> object:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self._phase is Phase.IDLE and self._http.trailing_data[0]:
                self._enter(Phase.HEADER, self._limits.header_timeout)  # the beginning came behind the last request
            self._keep_time()
            data = await self._stream.receive_some(_READ_SIZE)
            if self._phase is Phase.IDLE and data:
                if self._served:
                    self._enter(Phase.HEADER, self._limits.header_timeout)
                self._phase = Phase.HEADER  # of the first request: the time has been running since the connection
            self._http.receive_data(bytes(data))

    def _read_head(self, event: h11.Request) -> Request:
        headers: dict[str, str] = {}
        size = len(event.target)
        for name, value in event.headers:
            size += len(name) + len(value) + 4
            key, text = name.decode("ascii"), value.decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
        path, query, authority = split_target(event.target.decode("ascii"))
        if authority is not None:
            headers["host"] = authority
        request = Request(
            method=event.method.decode("ascii"),
            path=path,
            query=query,
            headers=headers,
            peer=self._peer,
            is_secure=self._is_secure,
            certificate_uris=self._certificate_uris,
            id=self._new_request_id(),
        )
        if size > self._limits.header_bytes or len(event.headers) > self._limits.header_count:
            raise refusals.header_too_large()
        # RFC 9112 §6.1: both lengths at once "ought to be handled as an error", because two readers of the connection
        # may disagree on where the message ends; HTTP/1.0 knows no transfer codings at all.
        if "transfer-encoding" in headers and ("content-length" in headers or event.http_version < b"1.1"):
            raise refusals.ambiguous_length()
        return request

    async def _read_body(self, head: Request) -> Request:
        declared = head.headers.get("content-length")
        if declared is None and "transfer-encoding" not in head.headers:
            await self._next_event()  # h11's EndOfMessage, which is there already
            return head
        if declared is not None and int(declared) > self._limits.body_bytes:
            raise refusals.body_too_large(self._limits)
        self._enter(Phase.BODY, self._limits.body_timeout)
        if self._http.they_are_waiting_for_100_continue:
            self._keep_time()
            await self._stream.send_all(self._http.send(_CONTINUE) or b"")
        body = bytearray()
        while isinstance(data := await self._next_event(), h11.Data):
            body += data.data
            if len(body) > self._limits.body_bytes:
                raise refusals.body_too_large(self._limits)
        return attrs.evolve(head, body=bytes(body))

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._handler.handle(request)
        except Exception as error:  # noqa: BLE001 - whatever a handler did wrong, nobody else suffers
            self._counts.drops[DropReason.HANDLER_FAILED] += 1
            self._on_failure(request, error)
            return self._handler.refuse(request, refusals.internal_error(request.id))

    def _opened(self) -> None:
        """The request has become a WebSocket, which has no deadline but its own."""
        self._phase = Phase.SOCKET
        self._deadline = self._scope.deadline = float("inf")
        if self._stopping and self._socket is not None:
            self._socket.stop()

    async def _send(self, response: Response, method: str, request_id: str) -> None:
        self._counts.responses[response.status] += 1
        headers = [*response.headers, ("Date", _http_date()), ("X-Request-Id", request_id)]
        # RFC 9110 §8.6: no Content-Length with 204; with 304 and to HEAD it would be that of the content left out.
        has_body = response.status not in {204, 304}
        if has_body:
            headers.append(("Content-Length", str(len(response.body))))
        if self._http.their_state is h11.MIGHT_SWITCH_PROTOCOL:  # type: ignore[attr-defined]  # documented, not in __all__
            self._http.send(_NO_SWITCH)  # the peer goes on in HTTP then, or has asked for the end
        if not self._may_stay_open():
            headers.append(("Connection", "close"))
        output = write_head(response.status, headers)
        if has_body and method != "HEAD":
            output += response.body
        self._keep_time()
        await self._stream.send_all(output)

    def _new_reader(self) -> h11.Connection:
        return h11.Connection(h11.SERVER, max_incomplete_event_size=self._limits.header_bytes)

    def _may_stay_open(self) -> bool:
        """Whether the request is read to its end, and neither side wants it to be the last."""
        return self._http.their_state is h11.DONE and not self._stopping

    # Refusals

    def _refusal_of(self, error: h11.RemoteProtocolError) -> refusals.Refused | None:
        if error.error_status_hint == 431:
            return refusals.header_too_large()
        if self._http.trailing_data[1]:
            self._counts.drops[DropReason.PEER_VANISHED] += 1
            return None  # it closed the connection in the middle of a request
        return refusals.malformed(error.error_status_hint, str(error))

    def _refusal_of_lateness(self) -> refusals.Refused | None:
        match self._phase:
            case Phase.IDLE:
                if not self._served and not self._stopping:
                    self._counts.drops[DropReason.HEADER_TIMEOUT] += 1  # it connected and said nothing
                return None
            case Phase.RESPONSE:
                self._counts.drops[DropReason.WRITE_TIMEOUT] += 1
                return None
            case Phase.SOCKET:
                return None  # it has no deadline; the whole server was cut
            case _ if self._stopping:
                return refusals.stopping()
            case Phase.HEADER:
                return refusals.header_late(self._limits)
            case Phase.BODY:
                return refusals.body_late(self._limits)
            case Phase.HANDLER:
                return refusals.handler_late()

    async def _send_refusal(self, response: Response) -> None:
        if self._phase in {Phase.RESPONSE, Phase.SOCKET}:
            return  # a response has begun; there is no way to take it back
        method, request_id = "", ""
        if self._request is None:
            request_id = self._new_request_id()
        else:
            method, request_id = self._request.method, self._request.id
            response = self._handler.refuse(self._request, response)
        self._stopping = True
        with trio.move_on_after(self._limits.write_timeout):
            try:
                await self._send(response, method, request_id)
                await linger(self._stream, self._limits)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self._counts.drops[DropReason.PEER_VANISHED] += 1

    def _enter(self, phase: Phase, timeout: float) -> None:
        self._phase = phase
        self._deadline = trio.current_time() + timeout

    def _keep_time(self) -> None:
        """Let Trio know of the phase's deadline, before it can matter: most phases pass without a wait."""
        if self._scope.deadline != self._deadline:
            self._scope.deadline = self._deadline


async def linger(stream: trio.abc.Stream, limits: HttpLimits) -> None:
    """Let a refused peer read the refusal: end our side, and throw away what it still sends.

    Source: RFC 9112 §9.6. Closing while data is unread would make the kernel send a reset, and the peer's kernel
    might then throw away our response before the peer has read it.
    """
    if not isinstance(stream, trio.abc.HalfCloseableStream):
        return
    with trio.move_on_after(limits.linger_timeout):
        await stream.send_eof()
        left = limits.linger_bytes
        while left > 0 and (data := await stream.receive_some(_READ_SIZE)):
            left -= len(data)


_date_cache = (0, "")


def _http_date() -> str:
    """Return the time as RFC 9110 §5.6.7 writes it; made once a second, for it is as dear as the rest of a response."""
    global _date_cache  # noqa: PLW0603 - a cache of a pure function of the wall clock
    now = int(time.time())
    if _date_cache[0] != now:
        _date_cache = (now, formatdate(now, usegmt=True))
    return _date_cache[1]
