"""All that another transceiver needs to go on with a call: the session, the ways to the client, the conversation.

     format 1 | call id | owner digest | wishes, JSON
     | count u8 | UP header, relay's address ...            each behind its length
     | session (`session_snapshot`) | conversation, JSON (`realtime.memory`)

It holds keys: whoever stores or sends it seals it (`sealing`). A reader refuses a format that it does not know.
"""

import json
from types import UnionType
from typing import Any, Self

import attrs

from relay.hop.header import parse_header
from transceiver.calls import NO_WISHES, CallWishes
from wire.buffer import Reader, Writer
from wire.core import Address
from wire.errors import MalformedError

__all__ = ["CallSnapshot", "FlowSnapshot"]

_FORMAT = 1


@attrs.frozen(kw_only=True)
class FlowSnapshot:
    """One way to the client.

    Attributes:
        up_header: what relays put before each datagram of the path, with the flow tag.
        relay: hop address of the relay that forwarded last.
    """

    up_header: bytes
    relay: Address


@attrs.frozen(kw_only=True)
class CallSnapshot:
    """A call.

    Attributes:
        call_id: what signal calls it.
        owner: digest of the key that made it.
        wishes: what it was made with.
        flows: the ways to the client whose paths are validated.
        session: a serialised `SessionSnapshot`.
        conversation: what the backend's leg remembers; empty for an echo.
    """

    call_id: str
    owner: str
    wishes: CallWishes = NO_WISHES
    flows: tuple[FlowSnapshot, ...] = ()
    session: bytes = attrs.field(repr=False)
    conversation: bytes = attrs.field(default=b"", repr=False)

    def to_bytes(self) -> bytes:
        """Write it."""
        writer = Writer()
        writer.u8(_FORMAT).vector(1, self.call_id.encode(), "call_id").vector(1, self.owner.encode(), "owner")
        writer.vector(3, json.dumps(attrs.asdict(self.wishes)).encode(), "wishes")
        writer.u8(len(self.flows), "flows")
        for flow in self.flows:
            host, port = flow.relay
            writer.vector(1, flow.up_header, "up_header").vector(1, host.encode(), "relay").u16(port, "port")
        writer.vector(3, self.session, "session").vector(3, self.conversation, "conversation")
        return writer.finish()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read it.

        Raises:
            MalformedError: it is something else, or of another format.
        """
        reader = Reader(data)
        if (number := reader.u8("format")) != _FORMAT:
            raise MalformedError("format", 0, f"format {number} is not known")
        call = cls(
            call_id=_read_text(reader, "call_id"),
            owner=_read_text(reader, "owner"),
            wishes=_read_wishes(reader),
            flows=tuple(_read_flow(reader) for _ in range(reader.u8("flow count"))),
            session=reader.vector(3, "session").rest(),
            conversation=reader.vector(3, "conversation").rest(),
        )
        reader.finish("call snapshot")
        return call


def _read_text(reader: Reader, field: str) -> str:
    at, data = reader.offset, reader.vector(1, field).rest()
    if not data.isascii():
        raise MalformedError(field, at, "not ASCII")
    return data.decode("ascii")


def _read_flow(reader: Reader) -> FlowSnapshot:
    at, up_header = reader.offset, reader.vector(1, "up_header").rest()
    header = parse_header(up_header)
    if header is None or header.size != len(up_header):
        raise MalformedError("up_header", at, "is none")
    return FlowSnapshot(up_header=up_header, relay=(_read_text(reader, "relay"), reader.u16("port")))


def _read_wishes(reader: Reader) -> CallWishes:
    at = reader.offset
    try:
        fields = json.loads(reader.vector(3, "wishes").rest())
    except (ValueError, RecursionError) as error:
        raise MalformedError("wishes", at, "are no JSON") from error
    if not isinstance(fields, dict):
        raise MalformedError("wishes", at, "are no object")

    def take(name: str, kind: type | UnionType, default: object) -> Any:
        value = fields.get(name, default)  # a field of a later version is not looked at, one that is missing is older
        if not isinstance(value, kind):
            raise MalformedError("wishes", at, f"{name} is of another type")
        return value

    reasons = take("placed_because", list, [])
    return CallWishes(
        model=take("model", str | None, None),
        session=take("session", dict, {}),
        max_call=take("max_call", int | float | None, None),
        is_locked=take("is_locked", bool, False),
        caller_network=take("caller_network", str, ""),
        placed_because=tuple(str(reason) for reason in reasons),
    )
