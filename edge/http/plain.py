"""Requests as nearly all are: the head in one piece, and nothing in it that asks for a second look.

h11 takes longer to read such a request than most handlers take to answer it (docs/decisions.md has the numbers), since
it checks a request bit by bit and keeps the state of a connection that needs none. So what is plain is read here, and
everything else is left to h11: a head that came in pieces, chunked content, HTTP/1.0, `Expect`, `Upgrade`, `CONNECT`,
targets that are no path, and all that is malformed.

Goal: a second reader must not give anybody a second way to be understood, which is what request smuggling is made of.
Attacker: whoever sends bytes, perhaps through a proxy that reads them in its own way.
Construction: the expression below admits a part of what h11 admits. Of the fields that say where a request ends or what
becomes of its connection, a plain request has one `Content-Length` of digits, or none, and no other.
Property: what is read here, h11 reads alike; a test has both read the same bytes, mutated ones too.

Source: RFC 9112 §3 (request line), §5 (fields), §6.3 (length).
"""

import re

import attrs

from edge.http.limits import HttpLimits

__all__ = ["PlainHead", "read_plain_head"]

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"  # RFC 9110 §5.6.2
_HEAD = re.compile(
    rb"(?!CONNECT )(%(token)s) (/[!-~]*+) HTTP/1\.1\r\n((?:%(token)s:[\t -~]*+\r\n)*+)\r\n" % {b"token": _TOKEN}
)
_NOT_PLAIN = frozenset({"transfer-encoding", "expect", "upgrade"})
_ONCE = frozenset({"content-length", "host"})
_MAX_DIGITS = 9  # of a length; bounds of content are far below


@attrs.frozen
class PlainHead:
    """The head of a plain request.

    Attributes:
        method: as sent.
        target: a path, perhaps with a query.
        headers: names in lower case; values of a repeated name are joined with ", ".
        size: bytes from the request line to the empty line; the content follows.
        length: bytes of content.
    """

    method: str
    target: str
    headers: dict[str, str]
    size: int
    length: int


def read_plain_head(data: bytes, limits: HttpLimits) -> PlainHead | None:
    """Read the head of a request.

    Args:
        data: what the peer has sent, from the first byte of the request.
        limits: what is beyond them is not plain.

    Returns:
        The head; None when the request is not plain, which does not say that there is anything wrong with it.
    """
    match = _HEAD.match(data)
    if match is None or match.end() > limits.header_bytes:
        return None
    lines = match[3].decode("ascii").splitlines()
    if len(lines) > limits.header_count:
        return None
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip()
        if name not in headers:
            headers[name] = value
        elif name in _ONCE:
            return None
        else:
            headers[name] = f"{headers[name]}, {value}"
    length = headers.get("content-length", "0")
    is_plain = (
        "host" in headers
        and length.isdigit()
        and len(length) <= _MAX_DIGITS
        and headers.get("connection", "keep-alive").lower() == "keep-alive"
        and _NOT_PLAIN.isdisjoint(headers)
    )
    if not is_plain:
        return None
    return PlainHead(match[1].decode("ascii"), match[2].decode("ascii"), headers, match.end(), int(length))
