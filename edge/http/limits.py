"""What one peer may take."""

import attrs

__all__ = ["HttpLimits"]


@attrs.frozen(kw_only=True)
class HttpLimits:
    """Bounds of a server; sizes in bytes, times in seconds.

    Times are for the whole of a thing and not for each of its pieces: a peer that sends one byte at a time gains
    nothing.

    Attributes:
        header_bytes: request line and headers together.
        header_count: number of header fields.
        body_bytes: the content of a request. The longest offers seen are under 10 KB.
        header_timeout: from the connection, or from the first byte of a later request, to the end of the headers.
        body_timeout: from the end of the headers to the end of the content.
        idle_timeout: how long a connection may stay open between two requests.
        handler_timeout: how long the handler may take.
        write_timeout: how long a peer may take to accept a response.
        linger_timeout: how long a refused peer is listened to, so that it can read the refusal.
        linger_bytes: how much of what a refused peer still sends is thrown away before the connection is cut.
        connections: open connections of the whole server; one more gets a 503.
        connections_per_source: of these, how many from one IPv4 address or one IPv6 /64. Generous, because a reverse
            proxy is one address too.
    """

    header_bytes: int = 16_384
    header_count: int = 100
    body_bytes: int = 65_536
    header_timeout: float = 10.0
    body_timeout: float = 10.0
    idle_timeout: float = 60.0
    handler_timeout: float = 30.0
    write_timeout: float = 10.0
    linger_timeout: float = 2.0
    linger_bytes: int = 4_194_304
    connections: int = 1024
    connections_per_source: int = 256
