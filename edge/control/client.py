"""Signal's end of the control API: the commands of `Calls`, and the same exceptions.

Connections stay open (httpcore's pool, on Trio), so a command costs one round trip. A command is never repeated here:
whether to ask another transceiver is signal's decision.
"""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlencode

import attrs
import httpcore
import trio

from edge.control.messages import BadMessage, CallRequest, TransceiverStatus, read_created_call, read_object
from transceiver.calls import AnswerIngress, CallNotFound, CreatedCall, NotOwner, OfferRefused, Overloaded

__all__ = ["ControlClient", "TransceiverUnreachable"]

_MAX_CONNECTIONS = 64
_KEEPALIVE_SECONDS = 30.0  # under the 60 s that the server keeps an idle connection for
_DEFAULT_RETRY_SECONDS = 2.0


class TransceiverUnreachable(Exception):  # noqa: N818 - named like the others that a command may raise
    """The transceiver gave no answer that can be used; the text says what happened, for logs."""


@attrs.frozen(kw_only=True)
class _Reply:
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
        network: how to connect; for tests.
    """

    def __init__(
        self, url: str, key: str, *, timeout: float = 5.0, network: httpcore.AsyncNetworkBackend | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self._timeout = timeout
        self._headers: dict[bytes | str, bytes | str] = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {key}",
        }
        self._pool = httpcore.AsyncConnectionPool(
            max_connections=_MAX_CONNECTIONS,
            max_keepalive_connections=_MAX_CONNECTIONS,
            keepalive_expiry=_KEEPALIVE_SECONDS,
            network_backend=network,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections that are kept."""
        await self._pool.aclose()

    async def create_call(self, offer: str, ingresses: Sequence[AnswerIngress], owner: str) -> CreatedCall:
        """Ask for a call; see `Calls.create_call`.

        Cancelled, the call may have been made all the same; the transceiver gives it up when nobody connects.

        Raises:
            OfferRefused: the offer cannot be answered, here or anywhere.
            Overloaded: this transceiver takes no further call now.
            TransceiverUnreachable: no answer, or one that makes no sense.
        """
        wanted = CallRequest(offer=offer, owner=owner, ingresses=tuple(ingresses))
        reply = await self._ask("POST", "/control/v1/calls", wanted.to_json())
        if reply.status == 201:
            try:
                return read_created_call(reply.body)
            except BadMessage as error:
                raise TransceiverUnreachable(f"{self.url} answered nonsense: {error}") from error
        if reply.code == "invalid_offer":
            raise OfferRefused(reply.message)
        if reply.code == "overloaded":
            raise Overloaded(reply.retry_after)
        raise self._unexpected(reply)

    async def end_call(self, call_id: str, owner: str | None) -> None:
        """End a call; see `Calls.end_call`.

        Raises:
            CallNotFound: no such call.
            NotOwner: the call was made with another key.
            TransceiverUnreachable: no answer, or one that makes no sense.
        """
        await self._ask_about(call_id, owner, "DELETE")

    async def describe_call(self, call_id: str, owner: str | None) -> Mapping[str, object]:
        """Tell a call's state; raises as `end_call`."""
        reply = await self._ask_about(call_id, owner, "GET")
        return self._object_of(reply)

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

    async def _ask_about(self, call_id: str, owner: str | None, method: str) -> _Reply:
        query = "" if owner is None else "?" + urlencode({"owner": owner})
        reply = await self._ask(method, f"/control/v1/calls/{quote(call_id, safe='')}{query}")
        if reply.status == 200:
            return reply
        if reply.code == "call_id_not_found":
            raise CallNotFound(call_id)
        if reply.code == "not_owner":
            raise NotOwner(call_id)
        raise self._unexpected(reply)

    async def _ask(self, method: str, path: str, body: bytes = b"") -> _Reply:
        try:
            with trio.fail_after(self._timeout):
                response = await self._pool.request(method, self.url + path, headers=self._headers, content=body)
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            raise TransceiverUnreachable(f"{self.url}: {str(error) or type(error).__name__}") from error
        except trio.TooSlowError as error:
            raise TransceiverUnreachable(f"{self.url}: no answer within {self._timeout:g} seconds") from error
        if response.status < 300:
            return _Reply(status=response.status, body=response.content)
        return _read_refusal(response)

    def _object_of(self, reply: _Reply) -> dict[str, object]:
        try:
            return read_object(reply.body)
        except BadMessage as error:
            raise TransceiverUnreachable(f"{self.url} answered nonsense: {error}") from error

    def _unexpected(self, reply: _Reply) -> TransceiverUnreachable:
        return TransceiverUnreachable(f"{self.url} answered {reply.status} {reply.code}: {reply.message}")


def _read_refusal(response: httpcore.Response) -> _Reply:
    code, message = "", "(no JSON error)"
    try:
        error = read_object(response.content).get("error")
        if isinstance(error, dict):
            code, message = str(error.get("code", "")), str(error.get("message", ""))
    except BadMessage:
        pass  # some other server, or a proxy; the status is all there is to tell
    retry_after = _DEFAULT_RETRY_SECONDS
    for name, value in response.headers:
        if name.lower() == b"retry-after-ms" and value.isdigit():
            retry_after = int(value) / 1000
    return _Reply(status=response.status, body=response.content, code=code, message=message, retry_after=retry_after)
