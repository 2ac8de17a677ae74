"""What a handler gets and what it returns."""

import json
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs

from wire.core import Address

__all__ = ["FailureHook", "Handler", "HeaderList", "Request", "Response", "json_response", "split_target", "write_head"]

HeaderList = tuple[tuple[str, str], ...]
"""Headers of a response, in the order in which they are sent."""

_NOTHING: Mapping[str, str] = {}

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}


@attrs.frozen(kw_only=True)
class Request:
    """A whole request.

    Attributes:
        method: as sent; methods are case-sensitive (RFC 9110 §9.1).
        path: the path of the target, percent-decoded, without the query.
        query: the parameters of the query, the last of each name.
        headers: names in lower case; values of a repeated name are joined with ", " (RFC 9110 §5.3).
        body: the content, at most `HttpLimits.body_bytes`.
        peer: address and port at the other end of the connection; the address is in its shortest form.
        is_secure: whether the connection is TLS.
        certificate_uris: URIs in the certificate that the client has proven to hold; None when it showed none.
        id: names this request in logs and in the `X-Request-Id` of its response.
        parameters: what the router found in the place of `{name}` in its pattern.
    """

    method: str
    path: str
    query: Mapping[str, str] = _NOTHING
    headers: Mapping[str, str] = _NOTHING
    body: bytes = b""
    peer: Address = ("127.0.0.1", 0)
    is_secure: bool = False
    certificate_uris: frozenset[str] | None = None
    id: str = ""
    parameters: Mapping[str, str] = _NOTHING

    @property
    def media_type(self) -> str:
        """The content type in lower case without parameters; empty when there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@attrs.frozen(kw_only=True)
class Response:
    """A whole response; the server adds what HTTP itself needs (length, date, connection, request id).

    Attributes:
        status: the status code, 200 or higher.
        headers: names as they are to be sent.
        body: the content; not sent to a HEAD request, nor with 204 and 304.
    """

    status: int
    headers: HeaderList = ()
    body: bytes = b""

    def with_headers(self, *headers: tuple[str, str]) -> "Response":
        """Return the same response with more headers."""
        return Response(status=self.status, headers=self.headers + headers, body=self.body)


class Handler(Protocol):
    """Answers the requests of a server."""

    async def handle(self, request: Request) -> Response:
        """Answer one request.

        An exception becomes a 500 and harms no other request. The call is cancelled when it takes longer than
        `HttpLimits.handler_timeout`, or when the server stops and its patience is over.
        """

    def refuse(self, request: Request, response: Response) -> Response:
        """Complete a refusal that the server made by itself after it had read the request's head.

        A browser only shows an error to its page when the error carries CORS headers, and only the handler knows them.
        """


FailureHook = Callable[[Request | None, Exception], None]
"""Told of every exception that a handler, or the server itself, should not have raised."""


def json_response(status: int, value: object, headers: HeaderList = ()) -> Response:
    """Return a response whose body is `value` as JSON; answers are never kept by caches."""
    return Response(
        status=status,
        headers=(("Content-Type", "application/json"), ("Cache-Control", "no-store"), *headers),
        body=json.dumps(value, separators=(",", ":")).encode(),
    )


def split_target(target: str) -> tuple[str, Mapping[str, str], str | None]:
    """Take a request target apart.

    Returns:
        The decoded path, the query's parameters, and the authority when the target names one itself.
    """
    authority = None
    if not target.startswith("/"):
        if "://" not in target:
            return target, _NOTHING, None  # `*` of OPTIONS (RFC 9112 §3.2.4), or what no route will match
        # RFC 9112 §3.2.2: a server MUST accept the absolute form, and its authority replaces the Host header.
        try:
            parts = urlsplit(target)
        except ValueError:  # "http://[" and the like: as no route will match
            return target, _NOTHING, None
        authority = parts.netloc
        target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
    path, _, query = target.partition("?")
    if "%" in path:
        path = unquote(path)
    return path, (dict(parse_qsl(query, keep_blank_values=True)) if query else _NOTHING), authority


def write_head(status: int, headers: Sequence[tuple[str, str]]) -> bytes:
    """Write a response up to its content.

    Raises:
        ValueError: a header is not a line of Latin-1: it would end early, or be two.
    """
    # RFC 9112 §4: a status without a phrase is still followed by a space.
    lines = [_STATUS_LINES.get(status) or f"HTTP/1.1 {status} \r\n"]
    lines += [f"{name}: {value}\r\n" for name, value in headers]
    head = "".join(lines)
    if head.count("\r") != len(lines) or head.count("\n") != len(lines) or "\0" in head:
        raise ValueError("a header of the response is not one line")
    return head.encode("latin-1") + b"\r\n"
