"""Which web pages may read our answers.

A browser asks before it sends a request with a key or an SDP body (the preflight), and shows the response to its page
only when the headers here say so; that goes for errors too.

Source: the Fetch standard, "CORS protocol".
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from edge.http.messages import HeaderList, Request, Response
from edge.signal.errors import FRAGMENT_TYPE, OFFER_TYPES

__all__ = ["CorsPolicy"]

# What browsers may read beside the safe-listed headers: without `Location` a page never learns its call id.
_EXPOSED = (
    "Location, ETag, Link, Accept-Patch, Accept-Post, Retry-After, Retry-After-Ms, X-Request-Id, "
    "Access-Control-Allow-Methods"
)
_METHODS = "GET, POST, PATCH, DELETE, OPTIONS"
_USUAL_HEADERS = "authorization, api-key, content-type, x-openai-agents-sdk, openai-beta, if-match, etag"
_PREFLIGHT_SECONDS = 7200  # the longest that Chrome believes; a reconnecting page saves a round trip


class CorsPolicy:
    """The origins that may read our answers.

    Args:
        origins: such as "https://app.example.com"; "*" for any. The server's own origin always may.
    """

    def __init__(self, origins: Iterable[str] = ()) -> None:
        origins = frozenset(origin.rstrip("/").lower() for origin in origins)
        self._allows_any = "*" in origins
        self._origins = origins

    def allows(self, request: Request) -> bool:
        """Whether the page that sends this request may; a request without `Origin` comes from no page."""
        origin = request.headers.get("origin")
        return origin is None or self._allows_any or origin.lower() in self._origins or _is_own(origin, request)

    def headers(self, request: Request) -> HeaderList:
        """Return what lets the page read the response; nothing for pages that may not."""
        if self._allows_any:
            return (("Access-Control-Allow-Origin", "*"), ("Access-Control-Expose-Headers", _EXPOSED))
        origin = request.headers.get("origin")
        if origin is None or not self.allows(request):
            return (("Vary", "Origin"),)
        return (
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Expose-Headers", _EXPOSED),
            ("Vary", "Origin"),
        )

    def preflight(self, request: Request) -> Response:
        """Answer an OPTIONS request; the caller adds `headers`.

        The headers asked for are echoed: a literal "*" does not cover Authorization, and a fixed list breaks every
        client that adds a header of its own.
        """
        return Response(
            status=204,
            headers=(
                ("Allow", _METHODS),
                ("Access-Control-Allow-Methods", _METHODS),
                (
                    "Access-Control-Allow-Headers",
                    request.headers.get("access-control-request-headers") or _USUAL_HEADERS,
                ),
                ("Access-Control-Max-Age", str(_PREFLIGHT_SECONDS)),
                ("Accept-Post", OFFER_TYPES),
                ("Accept-Patch", FRAGMENT_TYPE),
            ),
        )


def _is_own(origin: str, request: Request) -> bool:
    """Whether a page comes from this server, told by host and port.

    The scheme is not compared: behind a proxy that ends TLS, the page's is https and ours is http.
    """
    try:
        parts = urlsplit(origin)
    except ValueError:  # "http://[" and the like
        return False
    default_port = {"http": ":80", "https": ":443"}.get(parts.scheme)
    if default_port is None:
        return False  # "null", of sandboxed frames and files, and what is no web page
    host = request.headers.get("host", "").lower()
    return parts.netloc.lower().removesuffix(default_port) == host.removesuffix(default_port) != ""
