"""What TCP clients may take."""

import attrs

__all__ = ["TcpOptions"]


@attrs.frozen(kw_only=True)
class TcpOptions:
    """Bounds of each relay worker's TCP side; sizes in bytes, times in seconds.

    Attributes:
        connections: how many connections of clients there may be.
        connections_per_source: of these, how many from one IPv4 address or one IPv6 /64. Generous: the networks that
            block UDP are the offices with one address for everybody.
        opening: how many of them may be waiting to show a right. The rest of `connections` is thus kept for calls.
        opening_timeout: from the connection to the end of its first frame; and how long a connection stays that no
            session claims any more.
        grace: for how long a connection that has shown nothing keeps its place when all of `opening` are taken.
        queue: how much may wait for a connection that takes it slowly. A handshake's flight is a tenth of this, a
            burst of data channels fills it.
        media_queue: how much may wait before audio is dropped, where the kernel takes no more: half a second of it.
        stuck_timeout: how long a connection may take nothing. Whoever sits behind it has lost the path: his ICE will
            try another one.
    """

    connections: int = 4096
    connections_per_source: int = 256
    opening: int = 1024
    opening_timeout: float = 5.0
    grace: float = 1.0
    queue: int = 65_536
    media_queue: int = 4096
    stuck_timeout: float = 10.0
