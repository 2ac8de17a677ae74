"""The STUN message: a fixed header and a list of attributes.

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |0 0|     STUN Message Type     |         Message Length        |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                   Magic Cookie = 0x2112A442                   |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                     Transaction ID (96 bits)                  |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

A `Message` keeps every attribute in its place, unknown ones and repetitions too, so that it round-trips. Its look-ups
see only what a receiver may act on: the first attribute of a type, and none behind the message integrity.

Source: RFC 8489 §5, §14.
"""

import enum
import functools
import struct
from collections.abc import Iterator, Mapping
from typing import Self

import attrs

from stun.attributes import KNOWN_TYPES, MAGIC_COOKIE, Attribute, AttributeType, is_comprehension_required
from wire.errors import LocalProtocolError, MalformedError

__all__ = ["BINDING", "HEADER_LENGTH", "MAX_ATTRIBUTES", "Message", "MessageClass", "read_username"]

HEADER_LENGTH = 20
BINDING = 0x001
"""The one method that ICE uses (RFC 8489 §18.2)."""

MAX_ATTRIBUTES = 64
"""More attributes than this are refused: a 64 KB datagram could hold 16,000 empty ones, 25 ms of our time.

Chrome's checks hold at most nine; RFC 8489 sets no bound."""

_HEADER = struct.Struct(">HHI")
_ATTRIBUTE_HEADER = struct.Struct(">HH")
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")
"""What follows a value of some length, by the remainder of its division by 4."""
_USERNAME_TYPE = int(AttributeType.USERNAME)
_INTEGRITY_TYPES = frozenset((int(AttributeType.MESSAGE_INTEGRITY), int(AttributeType.MESSAGE_INTEGRITY_SHA256)))


class MessageClass(enum.IntEnum):
    """What a message is in its transaction (RFC 8489 §5)."""

    REQUEST = 0
    INDICATION = 1
    SUCCESS = 2
    ERROR = 3


def _pack_type(method: int, message_class: MessageClass) -> int:
    # RFC 8489 §5, figure 3: the two class bits sit inside of the method's twelve: M11-M7 C1 M6-M4 C0 M3-M0.
    class_bits = (message_class & 1) << 4 | (message_class & 2) << 7
    return (method & 0x00F) | (method & 0x070) << 1 | (method & 0xF80) << 2 | class_bits


def _unpack_type(message_type: int) -> tuple[int, MessageClass]:
    method = (message_type & 0x000F) | (message_type & 0x00E0) >> 1 | (message_type & 0x3E00) >> 2
    return method, MessageClass((message_type >> 4) & 1 | (message_type >> 7) & 2)


@attrs.frozen(kw_only=True)
class Message:
    """A STUN message.

    Attributes:
        method: 0 to 0xFFF; `BINDING` or one we do not speak.
        message_class: request, indication, success or error response.
        transaction_id: 12 bytes that tie a response to its request.
        attributes: all of them, in order.
    """

    method: int = BINDING
    message_class: MessageClass
    transaction_id: bytes
    attributes: tuple[Attribute, ...] = ()

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a datagram that holds one STUN message and nothing else.

        Raises:
            MalformedError: it does not.
        """
        # Checks are half of what a call's set-up receives, and go on as long as the call: hence `struct` over offsets,
        # here and in `serialize`, for half the time of a `Reader` or a `Writer`.
        end = len(data)
        if end < HEADER_LENGTH:
            raise MalformedError("header", 0, f"needs {HEADER_LENGTH} bytes, {end} are left")
        message_type, length, cookie = _HEADER.unpack_from(data)
        # RFC 8489 §5: the most significant 2 bits of every STUN message MUST be zeroes.
        if message_type & 0xC000:
            raise MalformedError("message type", 0, "the first two bits are not zero")
        # RFC 8489 §6.3: check that the Magic Cookie has the correct value and that the length is sensible.
        if cookie != MAGIC_COOKIE:
            raise MalformedError("magic cookie", 4, "is not 0x2112A442")
        if length != end - HEADER_LENGTH:
            raise MalformedError("message length", 2, f"says {length}, {end - HEADER_LENGTH} bytes follow the header")
        # RFC 8489 §5: attributes are padded to 4 bytes, so the last 2 bits of the length are always zero.
        if length % 4:
            raise MalformedError("message length", 2, f"{length} is not a multiple of 4")
        attributes: list[Attribute] = []
        position = HEADER_LENGTH
        # The length is a multiple of 4, and so is each attribute with its padding: a header is there, or nothing.
        while position < end:
            if len(attributes) == MAX_ATTRIBUTES:
                raise MalformedError("attributes", position, f"more than {MAX_ATTRIBUTES}")
            attribute_type, size = _ATTRIBUTE_HEADER.unpack_from(data, position)
            value = position + 4
            # RFC 8489 §14: the padding bits MUST be ignored by the receiver.
            position = value + (size + 3 & ~3)
            if position > end:
                raise MalformedError("attribute value", value, f"needs {size} bytes, {end - value} are left")
            attributes.append(Attribute(attribute_type, bytes(data[value : value + size])))
        method, message_class = _unpack_type(message_type)
        return cls(
            method=method,
            message_class=message_class,
            transaction_id=bytes(data[8:HEADER_LENGTH]),
            attributes=tuple(attributes),
        )

    def serialize(self) -> bytes:
        """Write the message as it is; integrity and fingerprint are added to the bytes (see `stun.integrity`)."""
        parts: list[bytes] = []
        try:
            for attribute_type, value in self.attributes:
                # RFC 8489 §14: the length is the one prior to padding; padding MUST be zero on sending.
                size = len(value)
                parts += (_ATTRIBUTE_HEADER.pack(attribute_type, size), value, _PADDING[size & 3])
            body = b"".join(parts)
            header = _HEADER.pack(_pack_type(self.method, self.message_class), len(body), MAGIC_COOKIE)
        except struct.error as error:
            raise LocalProtocolError(f"the message does not fit its format: {error}") from error
        return header + self.transaction_id + body

    def believable(self) -> Iterator[Attribute]:
        """Go through the attributes that a receiver may act on: those that a message integrity can cover.

        It says nothing about whether that integrity verifies, or is there at all.
        """
        end = self._end_of(AttributeType.MESSAGE_INTEGRITY)
        if end is None:
            end = self._end_of(AttributeType.MESSAGE_INTEGRITY_SHA256)
        # RFC 8489 §9: agents MUST ignore all attributes that follow MESSAGE-INTEGRITY, and those that follow
        # MESSAGE-INTEGRITY-SHA256 if the other is not present. (Integrity and fingerprint are `stun.integrity`'s.)
        return iter(self.attributes[:end])

    def _end_of(self, attribute_type: int) -> int | None:
        for position, attribute in enumerate(self.attributes):
            if attribute.type == attribute_type:
                return position
        return None

    def get(self, attribute_type: int) -> bytes | None:
        """Return the value of the first believable attribute of a type; None when there is none."""
        # RFC 8489 §14: only the first occurrence needs to be processed, duplicates MAY be ignored.
        return self._believable_by_type.get(attribute_type)

    @functools.cached_property
    def _believable_by_type(self) -> Mapping[int, bytes]:
        values: dict[int, bytes] = {}
        for attribute_type, value in self.believable():
            values.setdefault(attribute_type, value)
        return values

    def has_integrity(self) -> bool:
        """Whether there is any message integrity to verify."""
        return any(attribute.type in _INTEGRITY_TYPES for attribute in self.attributes)

    def unknown_required(self) -> tuple[int, ...]:
        """Return the types that must be understood and are not."""
        return tuple(t for t in self._believable_by_type if is_comprehension_required(t) and t not in KNOWN_TYPES)


def read_username(data: bytes) -> tuple[str, str] | None:
    """Look up whom a Binding Request is for, without parsing the rest: the relay does this for every check.

    Never raises. Agrees with `Message.parse` wherever both find a username; integrity is verified apart.

    Returns:
        The username fragments of receiver and sender ("server_ufrag:client_ufrag" at the colon); None when this is
        no Binding Request or has no such username in front of its message integrity.

    Source: RFC 8445 §7.2.2.
    """
    end = len(data)
    if end < HEADER_LENGTH or _HEADER.unpack_from(data) != (0x0001, end - HEADER_LENGTH, MAGIC_COOKIE):
        return None
    position = HEADER_LENGTH
    for _ in range(MAX_ATTRIBUTES):
        if end - position < 4:
            return None
        attribute_type, length = _ATTRIBUTE_HEADER.unpack_from(data, position)
        position += 4
        if attribute_type == _USERNAME_TYPE:
            break
        # What follows an integrity attribute must not be believed.
        if attribute_type in _INTEGRITY_TYPES:
            return None
        position += (length + 3) & ~3
    else:
        return None
    if length > end - position:
        return None
    try:
        receiver, colon, sender = str(data[position : position + length], "ascii").partition(":")
    except UnicodeDecodeError:
        return None
    return (receiver, sender) if colon else None
