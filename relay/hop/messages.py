"""What is inside a sealed control message of the hop: one record for each kind.

The kind stands in the envelope (`relay.hop.sealing`), the bodies in `relay.hop.link_messages` and
`relay.hop.flow_messages`. A kind that this version does not know is refused; so nothing new is said to an end of an
earlier revision, except WORKERS, which is older than revisions are.
"""

from relay.hop.flow_messages import Announce, Announced, Ended, Gone, Moved
from relay.hop.link_messages import Confirm, Hello, Ping, Pong, Suspect, Welcome, Workers
from wire.buffer import Reader

__all__ = [
    "Announce",
    "Announced",
    "Confirm",
    "Ended",
    "Gone",
    "Hello",
    "Message",
    "Moved",
    "Ping",
    "Pong",
    "Suspect",
    "Welcome",
    "Workers",
    "parse_message",
]

Message = Hello | Welcome | Confirm | Gone | Workers | Announce | Announced | Ping | Pong | Ended | Moved | Suspect

_KINDS: tuple[type[Message], ...] = (
    Hello,
    Welcome,
    Confirm,
    Gone,
    Workers,
    Announce,
    Announced,
    Ping,
    Pong,
    Ended,
    Moved,
    Suspect,
)
_BY_KIND: dict[int, type[Message]] = {record.KIND: record for record in _KINDS}


def parse_message(kind: int, body: bytes) -> Message | None:
    """Read the body of an opened message.

    Returns:
        The message; None for a kind that this version does not know.

    Raises:
        MalformedError: the body is not one of its kind.
    """
    record = _BY_KIND.get(kind)
    if record is None:
        return None
    reader = Reader(body)
    message = record.parse(reader)
    reader.finish("control message")
    return message
