"""What the other end of a socket may take."""

import attrs

__all__ = ["SocketLimits"]


@attrs.frozen(kw_only=True)
class SocketLimits:
    """Bounds of one socket; times in seconds.

    Attributes:
        message_size: characters of one message. JSON that carries base64 is ASCII, so these are bytes as well.
        ping_interval: how long nothing may come before we ask whether anybody is there.
        ping_timeout: how long the answer may take. Time counts only while somebody here reads: an end that does not
            read cannot know whether the other lives.
        idle_timeout: how long there may be no message either way; pings keep a connection open, not a conversation.
        write_timeout: how long the other end may take to accept what one message has in it.
        close_timeout: how long the closing handshake may take.
    """

    message_size: int = 1_048_576
    ping_interval: float = 20.0
    ping_timeout: float = 20.0
    idle_timeout: float = float("inf")
    write_timeout: float = 20.0
    close_timeout: float = 2.0
