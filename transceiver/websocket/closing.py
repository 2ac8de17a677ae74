"""How a socket ended, and whose fault it was."""

import enum

from transceiver.calls import SocketClosed

__all__ = ["CloseCode", "Fault", "WebSocketClosed"]


class CloseCode(enum.IntEnum):
    """The codes that we close with, and the one that stands for no goodbye at all.

    Source: RFC 6455 §7.4.1; 1013 is IANA's WebSocket Close Code Number registry.
    """

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    ABNORMAL = 1006  # never sent (RFC 6455 §7.1.5)
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    TRY_AGAIN_LATER = 1013


class Fault(enum.StrEnum):
    """What the other end did, for which the socket was ended."""

    BINARY = "binary"
    TOO_LARGE = "too-large"
    MALFORMED = "malformed"
    SILENT = "silent"
    STALLED = "stalled"
    IDLE = "idle"
    VANISHED = "vanished"


class WebSocketClosed(SocketClosed):
    """There will be no further message.

    Args:
        code: the close code, sent or received; 1005 when the other end gave none, 1006 when it just vanished.
        reason: what was said with it.
        fault: set when this end closed because of something that the other did.
    """

    def __init__(self, code: int, reason: str = "", fault: Fault | None = None) -> None:
        super().__init__(f"closed with {code}" + (f": {reason}" if reason else ""))
        self.code = code
        self.reason = reason
        self.fault = fault

    def again(self) -> "WebSocketClosed":
        """Make another one to raise: one that was raised refers to all who were on the way."""
        return WebSocketClosed(self.code, self.reason, self.fault)
