"""Signal's end of the control API: the commands of `Calls`, and the same exceptions.

Connections stay open, so a command costs one round trip. Whether to ask another transceiver is signal's decision.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlencode

import attrs
import trio

from edge.control.connections import Connect, ConnectionFailed, Connections, Reply
from edge.control.messages import (
    WISHES_HEADER,
    BadMessage,
    CallRequest,
    TransceiverStatus,
    encode_wishes,
    ice_update_to_json,
    read_created_call,
    read_ice_updated,
    read_moved_to,
    read_object,
)
from edge.control.tls import ControlTls, way_of_sockets
from edge.http.streams import open_stream
from transceiver.calls import (
    NO_WISHES,
    AnswerIngress,
    CallNotFound,
    CallWishes,
    CreatedCall,
    FragmentRefused,
    IceSessionChanged,
    IceUpdate,
    IceUpdated,
    ModelNotAllowed,
    NotOwner,
    OfferRefused,
    Overloaded,
)
from transceiver.websocket.connecting import SocketRefused, SocketUnreachable, open_socket
from transceiver.websocket.connection import WebSocket
from transceiver.websocket.limits import SocketLimits

__all__ = ["ControlClient", "TransceiverUnreachable"]

_DEFAULT_RETRY_SECONDS = 2.0
_SOCKET_LIMITS = SocketLimits(message_size=33_554_432)  # more than a transceiver takes from a backend in one event


class TransceiverUnreachable(Exception):  # noqa: N818 - named like the others that a command may raise
    """The transceiver gave no answer that can be used; the text says what happened, for logs."""


@attrs.frozen(kw_only=True)
class _Answer:
    """An answer, with the two things that a refusal says."""

    status: int
    body: bytes
    code: str = ""
    message: str = ""
    retry_after: float = _DEFAULT_RETRY_SECONDS


class ControlClient:
    """Commands to one transceiver; an async context manager that closes its connections.

    Args:
        url: base URL of its control address.
        key: bearer key derived from the control key.
        timeout: seconds for one command, connecting included.
        connect: how to connect; for tests.
        tls: for https; the system's trust, and no certificate of ours, by default.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout: float = 5.0,
        connect: Connect = open_stream,
        tls: ControlTls | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._timeout = timeout
        self._connect = connect
        self._tls = tls
        self._authorization = {"Authorization": f"Bearer {key}"}
        headers = {"Content-Type": "application/json", **self._authorization}
        self._connections = Connections(self.url, headers, connect=connect, tls=tls)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections that are kept."""
        await self._connections.aclose()

    async def create_call(
        self, offer: str, ingresses: Sequence[AnswerIngress], owner: str, wishes: CallWishes = NO_WISHES
    ) -> CreatedCall:
        """Ask for a call; see `Calls.create_call`.

        Cancelled, the call may have been made all the same; the transceiver gives it up when nobody connects.

        Raises:
            OfferRefused: the offer cannot be answered, here or anywhere.
            Overloaded: this transceiver takes no further call now.
            ModelNotAllowed: it has no backend for the model asked for.
            TransceiverUnreachable: no answer, or one that makes no sense.
        """
        wanted = CallRequest(offer=offer, owner=owner, ingresses=tuple(ingresses), wishes=wishes)
        reply = await self._ask("POST", "/control/v1/calls", wanted.to_json())
        if reply.status == 201:
            try:
                return read_created_call(reply.body)
            except BadMessage as error:
                raise TransceiverUnreachable(f"{self.url} answered nonsense: {error}") from error
        raise self._refusal_of(reply, model=wishes.model)

    async def update_call(self, call_id: str, owner: str | None, update: IceUpdate) -> IceUpdated:
        """Tell of a client's candidates, or restart its ICE; see `Calls.update_call`.

        Raises:
            CallNotFound: no such call.
            CallMoved: another transceiver has it.
            NotOwner: the call was made with another key.
            FragmentRefused: the fragment makes no sense.
            IceSessionChanged: it is about other ICE credentials than the call has.
            Overloaded: ICE was restarted too often lately.
            TransceiverUnreachable: no answer, or one that makes no sense.
        """
        reply = await self._ask_about(call_id, owner, "PATCH", ice_update_to_json(update))
        try:
            return read_ice_updated(reply.body)
        except BadMessage as error:
            raise TransceiverUnreachable(f"{self.url} answered nonsense: {error}") from error

    async def end_call(self, call_id: str, owner: str | None) -> None:
        """End a call; see `Calls.end_call`.

        Raises:
            CallNotFound: no such call.
            CallMoved: another transceiver has it.
            NotOwner: the call was made with another key.
            TransceiverUnreachable: no answer, or one that makes no sense.
        """
        await self._ask_about(call_id, owner, "DELETE")

    async def describe_call(self, call_id: str, owner: str | None) -> Mapping[str, object]:
        """Tell a call's state; raises as `end_call`."""
        reply = await self._ask_about(call_id, owner, "GET")
        return self._object_of(reply)

    @asynccontextmanager
    async def open_sideband(self, call_id: str, owner: str | None) -> AsyncIterator[WebSocket]:
        """Take part in a call until the end of the block; see `Conversations.serve_sideband`.

        Raises:
            CallNotFound: no such call.
            CallMoved: another transceiver has it.
            NotOwner: the call was made with another key.
            Overloaded: no further connection is taken now.
            TransceiverUnreachable: no answer, or one that makes no sense.
        """
        async with AsyncExitStack() as stack:
            yield await self._open_socket(stack, _path_of(call_id, owner, "/sideband"), {}, call_id=call_id)

    @asynccontextmanager
    async def open_realtime(self, wishes: CallWishes) -> AsyncIterator[WebSocket]:
        """Reach a backend without a call until the end of the block; see `Conversations.serve_realtime`.

        Raises:
            ModelNotAllowed: it has no backend for the model asked for.
            Overloaded: no further connection is taken now.
            TransceiverUnreachable: no answer, or one that makes no sense.
        """
        headers = {WISHES_HEADER: encode_wishes(wishes)}
        async with AsyncExitStack() as stack:
            yield await self._open_socket(stack, "/control/v1/realtime", headers, model=wishes.model)

    async def _open_socket(
        self,
        stack: AsyncExitStack,
        path: str,
        headers: Mapping[str, str],
        *,
        call_id: str = "",
        model: str | None = None,
    ) -> WebSocket:
        url, connect = way_of_sockets(self.url, self._tls, self._connect)
        socket = open_socket(
            url + path,
            headers={**self._authorization, **headers},
            limits=_SOCKET_LIMITS,
            timeout=self._timeout,
            connect=connect,
        )
        try:
            return await stack.enter_async_context(socket)
        except SocketRefused as refusal:
            reply = Reply(status=refusal.status, headers=refusal.headers, body=refusal.body)
            raise self._refusal_of(_read_refusal(reply), call_id=call_id, model=model) from refusal
        except SocketUnreachable as error:
            raise TransceiverUnreachable(f"{self.url}: {error}") from error

    async def drain(self) -> None:
        """Have it take no further call and give away those it has; returns when it has begun.

        Raises:
            TransceiverUnreachable: no answer, or a refusal.
        """
        reply = await self._ask("POST", "/control/v1/drain")
        if reply.status != 202:
            raise self._unexpected(reply)

    async def status(self) -> TransceiverStatus:
        """Tell the transceiver's state.

        Raises:
            TransceiverUnreachable: no answer, or one that makes no sense.
        """
        reply = await self._ask("GET", "/control/v1/status")
        if reply.status != 200:
            raise self._unexpected(reply)
        try:
            return TransceiverStatus.from_fields(self._object_of(reply))
        except BadMessage as error:
            raise TransceiverUnreachable(f"{self.url} answered nonsense: {error}") from error

    async def _ask_about(self, call_id: str, owner: str | None, method: str, body: bytes = b"") -> _Answer:
        reply = await self._ask(method, _path_of(call_id, owner), body)
        if reply.status == 200:
            return reply
        raise self._refusal_of(reply, call_id=call_id)

    async def _ask(self, method: str, path: str, body: bytes = b"") -> _Answer:
        try:
            with trio.CancelScope(deadline=trio.current_time() + self._timeout) as scope:
                reply = await self._connections.request(method, path, body)
        except ConnectionFailed as error:
            raise TransceiverUnreachable(f"{self.url}: {error}") from error
        if scope.cancelled_caught:
            raise TransceiverUnreachable(f"{self.url}: no answer within {self._timeout:g} seconds")
        if reply.status < 300:
            return _Answer(status=reply.status, body=reply.body)
        return _read_refusal(reply)

    def _object_of(self, reply: _Answer) -> dict[str, object]:
        try:
            return read_object(reply.body)
        except BadMessage as error:
            raise TransceiverUnreachable(f"{self.url} answered nonsense: {error}") from error

    def _unexpected(self, reply: _Answer) -> TransceiverUnreachable:
        return TransceiverUnreachable(f"{self.url} answered {reply.status} {reply.code}: {reply.message}")

    def _moved(self, reply: _Answer) -> Exception:
        try:
            return read_moved_to(reply.body)
        except BadMessage:
            return self._unexpected(reply)

    def _refusal_of(self, reply: _Answer, *, call_id: str = "", model: str | None = None) -> Exception:
        match reply.code:
            case "invalid_offer":
                return OfferRefused(reply.message)
            case "overloaded":
                return Overloaded(reply.retry_after)
            case "model_not_allowed":
                return ModelNotAllowed(model or "")
            case "call_id_not_found":
                return CallNotFound(call_id)
            case "call_moved":
                return self._moved(reply)
            case "invalid_fragment":
                return FragmentRefused(reply.message)
            case "ice_session_changed":
                return IceSessionChanged(reply.message)
            case "not_owner":
                return NotOwner(call_id)
            case _:
                return self._unexpected(reply)


def _path_of(call_id: str, owner: str | None, below: str = "") -> str:
    query = "" if owner is None else "?" + urlencode({"owner": owner})
    return f"/control/v1/calls/{quote(call_id, safe='')}{below}{query}"


def _read_refusal(reply: Reply) -> _Answer:
    code, message = "", "(no JSON error)"
    try:
        error = read_object(reply.body).get("error")
        if isinstance(error, dict):
            code, message = str(error.get("code", "")), str(error.get("message", ""))
    except BadMessage:
        pass  # some other server, or a proxy; the status is all there is to tell
    retry_after = _DEFAULT_RETRY_SECONDS
    milliseconds = reply.headers.get(b"retry-after-ms", b"")
    if milliseconds.isdigit():
        retry_after = int(milliseconds) / 1000
    return _Answer(status=reply.status, body=reply.body, code=code, message=message, retry_after=retry_after)
