"""The HTTP half of a call: POST the offer, PATCH or DELETE the call, and what a server may say instead of an answer."""

import json
import ssl
from collections.abc import Sequence
from urllib.parse import urlencode, urlsplit

import attrs
import httpcore

__all__ = ["CallFailed", "SignalClient", "Signalled"]

_CALLS = "/v1/realtime/calls"
_FRAGMENT_TYPE = "application/trickle-ice-sdpfrag"
_SECONDS = 15.0
_CONNECTIONS = 32
_KEEPALIVE_SECONDS = 30.0


class CallFailed(Exception):  # noqa: N818 - named for what happened to the call
    """A call could not be made or ended early; the text says why, for whoever typed the command."""


@attrs.frozen(kw_only=True)
class Signalled:
    """A call that the server has answered.

    Attributes:
        answer: the SDP.
        path: of the call's URL; empty when the server gave none.
    """

    answer: str
    path: str


class SignalClient:
    """Talks HTTP with one server.

    Args:
        url: the server's base URL, or that of its calls.
        key: API key; None for none.
        model: whom to ask for; None leaves it to the server.

    Raises:
        CallFailed: the URL is none.
    """

    def __init__(self, url: str, key: str | None = None, *, model: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise CallFailed(f"{url!r} is no URL of a server; it should look like http://127.0.0.1:8080")
        self._base = url.rstrip("/").removesuffix(_CALLS)
        self._offers = _CALLS if model is None else f"{_CALLS}?{urlencode({'model': model})}"
        self._server = parts.netloc.rpartition("@")[2]
        self._headers = [("Authorization", f"Bearer {key}")] if key else []
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context() if parts.scheme == "https" else None,
            max_connections=_CONNECTIONS,
            max_keepalive_connections=_CONNECTIONS,
            keepalive_expiry=_KEEPALIVE_SECONDS,
        )

    async def offer(self, offer: str) -> Signalled:
        """Send an offer and return what the server makes of it; cancellation leaves the outcome unknown.

        Raises:
            CallFailed: the server is gone, or refuses.
        """
        response = await self._request("POST", self._offers, offer.encode())
        if response.status not in (200, 201):
            raise CallFailed(f"the server refused the call: {_refusal(response)}")
        location = next((value for name, value in response.headers if name.lower() == b"location"), b"")
        # Only the call's name is taken from there: a caller follows no URL to elsewhere.
        identifier = urlsplit(location.decode("latin-1")).path.rpartition("/")[2]
        return Signalled(
            answer=response.content.decode("utf-8", "replace"), path=f"{_CALLS}/{identifier}" if identifier else ""
        )

    async def restart_ice(self, path: str, fragment: str) -> str:
        """Send new ICE credentials, and return the fragment with the server's.

        Raises:
            CallFailed: the server is gone, or refuses.
        """
        headers = (("If-Match", "*"),)  # RFC 9725 §4.3.3
        response = await self._request("PATCH", path, fragment.encode(), _FRAGMENT_TYPE, headers)
        if response.status != 200:
            raise CallFailed(f"the server did not restart ICE: {_refusal(response)}")
        return response.content.decode("utf-8", "replace")

    async def end(self, path: str) -> None:
        """Tell the server that a call is over.

        Raises:
            CallFailed: the server is gone, or does not know the call.
        """
        response = await self._request("DELETE", path)
        if response.status >= 300:
            raise CallFailed(f"the server did not end the call: {_refusal(response)}")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._pool.aclose()

    async def _request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        body_type: str = "application/sdp",
        more: Sequence[tuple[str, str]] = (),
    ) -> httpcore.Response:
        headers = [*self._headers, *more, *([("Content-Type", body_type)] if body is not None else [])]
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), _SECONDS)
        try:
            return await self._pool.request(
                method, self._base + path, headers=headers, content=body, extensions={"timeout": timeouts}
            )
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, ssl.SSLError) as error:
            said = str(error) or type(error).__name__
            raise CallFailed(f"the server at {self._server} cannot be reached: {said}") from error


def _refusal(response: httpcore.Response) -> str:
    try:
        error = json.loads(response.content)["error"]
        return f"{error['message']} (HTTP {response.status}, {error['code']})"
    except (ValueError, KeyError, TypeError):
        return f"HTTP {response.status}, without an explanation"
