"""What an association reports, besides `wire.core.Closed`.

Reasons of `Closed`: "shutdown" (both sides have said all), "peer-abort" (the peer ended it), "handshake-timeout",
"peer-unreachable" (nobody answers any more), "zero-window" (the peer takes nothing for too long), "shutdown-timeout",
"misbehaved" and "message-too-large" (the peer broke a rule that nothing can be saved from), "incompatible" (the peer's
INIT leaves nothing to talk about).
"""

import attrs

from wire.core import Event

__all__ = ["Connected", "MessageReceived", "Restarted", "StreamsReset", "StreamsResetDone"]


@attrs.frozen(kw_only=True)
class Connected(Event):
    """The association is established.

    Attributes:
        outbound_streams: how many streams we may send on: identifiers 0 to one less.
        inbound_streams: how many streams the peer may send on.
    """

    outbound_streams: int
    inbound_streams: int


@attrs.frozen
class MessageReceived(Event):
    """The peer sent a message.

    Its fields are positional, because one is made for every message.

    Attributes:
        stream_id: the stream it came on.
        ppid: payload protocol identifier.
        data: the whole message, at least one byte.
    """

    stream_id: int
    ppid: int
    data: bytes


@attrs.frozen(kw_only=True)
class StreamsReset(Event):
    """The peer has reset streams that it sends on; all that it had sent on them was reported before.

    Attributes:
        stream_ids: which; empty means all.
    """

    stream_ids: tuple[int, ...]


@attrs.frozen(kw_only=True)
class StreamsResetDone(Event):
    """The peer has answered a reset of streams that we send on.

    Attributes:
        stream_ids: which.
        is_performed: False when it refused, or knows no resets; the streams go on as they were.
    """

    stream_ids: tuple[int, ...]
    is_performed: bool


@attrs.frozen(kw_only=True)
class Restarted(Event):
    """The peer has lost its state and begun anew inside the same association (RFC 9260 §5.2.4 A).

    What was on its way is lost in both directions; messages that had not begun to be sent are sent now. Stream
    sequence numbers begin again at 0. Data channels stay open.
    """
