"""From a request to a WebSocket.

A handler answers with an `Upgrade` instead of a whole response. What it names then runs with a socket that is not open
yet: its first use accepts the request, and until then the request can still be refused with an ordinary response,
which also carries what lets a page read it. So whoever has to ask somebody else first, such as signal asking a
transceiver, does so in the same place that uses the answer, and owns it there.

Source: RFC 6455 §4.2 for the handshake; wsproto does what follows it.
"""

import base64
import binascii
from collections.abc import Awaitable, Callable

import attrs
import trio
from wsproto.connection import Connection, ConnectionType
from wsproto.utilities import generate_accept_token

from edge.http.errors import error_response
from edge.http.messages import HeaderList, Request, Response, write_head
from transceiver.websocket.connection import WebSocket
from transceiver.websocket.limits import SocketLimits

__all__ = ["Upgrade", "UpgradeRefused", "new_socket", "offered_subprotocols", "refuse_plain_request"]

RunSocket = Callable[[WebSocket], Awaitable[None]]
"""Uses a socket; it is closed when this returns: with 1000, or as `WebSocket.close` was called."""

_VERSION = "13"
_KEY_BYTES = 16


@attrs.frozen(kw_only=True)
class Upgrade(Response):
    """The request becomes a WebSocket.

    Attributes:
        run: uses the socket. Until it does so for the first time it may raise `UpgradeRefused`.
        subprotocol: of those that the client offered, the one that is spoken; None for none.
        limits: what the client may take.
    """

    status: int = 101
    run: RunSocket
    subprotocol: str | None = None
    limits: SocketLimits = attrs.field(factory=SocketLimits)

    def with_headers(self, *headers: tuple[str, str]) -> "Upgrade":
        """Return the same upgrade with more headers."""
        return attrs.evolve(self, headers=self.headers + headers)


class UpgradeRefused(Exception):  # noqa: N818 - named for what happened to the request
    """The request does not become a WebSocket after all.

    Args:
        response: what it gets instead.
    """

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def refuse_plain_request(request: Request) -> Response | None:
    """Return what a request gets that cannot become a WebSocket; None when it can."""
    if request.method != "GET" or not (
        _lists(request, "upgrade", "websocket") and _lists(request, "connection", "upgrade")
    ):
        message = "This address speaks WebSocket: send GET with Upgrade: websocket and Connection: Upgrade."
        # RFC 9110 §15.5.22: a 426 MUST say to which protocol.
        return error_response(426, "websocket_required", message, headers=(("Upgrade", "websocket"),))
    if request.headers.get("sec-websocket-version") != _VERSION:
        # RFC 6455 §4.4: the response names the versions that are understood.
        message = f"Only version {_VERSION} of WebSocket is spoken here."
        headers = (("Upgrade", "websocket"), ("Sec-WebSocket-Version", _VERSION))
        return error_response(426, "websocket_version", message, headers=headers)
    if not _is_key(request.headers.get("sec-websocket-key", "")):
        message = "Sec-WebSocket-Key is not the base64 of 16 bytes."
        return error_response(400, "websocket_key", message)
    return None


def offered_subprotocols(request: Request) -> list[str]:
    """Return the subprotocols that the client would speak, in its order of preference."""
    names = request.headers.get("sec-websocket-protocol", "").split(",")
    return [name.strip() for name in names if name.strip()]


def new_socket(
    stream: trio.abc.Stream,
    request: Request,
    upgrade: Upgrade,
    received: bytes,
    headers: HeaderList,
    on_open: Callable[[], None],
) -> WebSocket:
    """Return our end of a socket that is not open yet.

    Args:
        stream: the connection, with nothing read beyond the request but `received`.
        request: one that `refuse_plain_request` has nothing against.
        upgrade: what the handler answered.
        received: what came behind the request.
        headers: of the response, beside those of the upgrade.
        on_open: called when the request is accepted.
    """
    fields = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", generate_accept_token(request.headers["sec-websocket-key"].encode()).decode()),
        *([("Sec-WebSocket-Protocol", upgrade.subprotocol)] if upgrade.subprotocol else []),
        *upgrade.headers,
        *headers,
    ]
    frames = Connection(ConnectionType.SERVER, trailing_data=received)
    return WebSocket(stream, frames, upgrade.limits, write_head(upgrade.status, fields), on_open)


def _lists(request: Request, header: str, token: str) -> bool:
    return token in (each.strip().lower() for each in request.headers.get(header, "").split(","))


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == _KEY_BYTES
    except (binascii.Error, ValueError):
        return False
