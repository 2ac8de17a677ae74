"""The header of handshake messages, and the fragments they travel in.

    0        1                 4        6                 9                 12
    +--------+-----------------+--------+-----------------+-----------------+-----
    |  type  |     length      |  seq   | fragment offset | fragment length | data
    +--------+-----------------+--------+-----------------+-----------------+-----

A record holds one or more fragments. Those of one message share type, length and message_seq.

Source: RFC 9147 §5.2 (1.3), RFC 6347 §4.2.2 (1.2, the same layout).
"""

import enum
import struct
from typing import NamedTuple

import attrs

from wire.buffer import Reader, Writer
from wire.errors import MalformedError

__all__ = ["FRAGMENT_HEADER_SIZE", "Fragment", "HandshakeMessage", "HandshakeType", "parse_fragments"]

FRAGMENT_HEADER_SIZE = 12

_HEADER = struct.Struct(">BBHHBHBH")  # as drawn above; numbers of 24 bits are cut into 8 and 16


class HandshakeType(enum.IntEnum):
    """Handshake messages of both versions."""

    HELLO_REQUEST = 0
    CLIENT_HELLO = 1
    SERVER_HELLO = 2
    HELLO_VERIFY_REQUEST = 3
    NEW_SESSION_TICKET = 4
    END_OF_EARLY_DATA = 5
    ENCRYPTED_EXTENSIONS = 8
    REQUEST_CONNECTION_ID = 9
    NEW_CONNECTION_ID = 10
    CERTIFICATE = 11
    SERVER_KEY_EXCHANGE = 12
    CERTIFICATE_REQUEST = 13
    SERVER_HELLO_DONE = 14
    CERTIFICATE_VERIFY = 15
    CLIENT_KEY_EXCHANGE = 16
    FINISHED = 20
    KEY_UPDATE = 24
    MESSAGE_HASH = 254


class Fragment(NamedTuple):
    """A piece of a handshake message.

    Attributes:
        type: a `HandshakeType`, or a number that has no name here.
        length: size of the whole message's body.
        message_seq: number of the message in its direction.
        offset: where in the body this piece begins.
        data: the piece; never reaches beyond `length`.
    """

    type: int
    length: int
    message_seq: int
    offset: int
    data: bytes

    def serialize(self, writer: Writer) -> None:
        """Write header and data."""
        writer.u8(self.type, "msg_type").u24(self.length, "length").u16(self.message_seq, "message_seq")
        writer.u24(self.offset, "fragment_offset").u24(len(self.data), "fragment_length").octets(self.data)


def parse_fragments(content: bytes) -> list[Fragment]:
    """Read all fragments of a handshake record.

    Raises:
        MalformedError: a fragment is cut off or reaches beyond its message, or there is none.
    """
    reader = Reader(content)
    fragments = []
    while True:
        at = reader.offset
        header = _HEADER.unpack(reader.octets(FRAGMENT_HEADER_SIZE, "fragment header"))
        message_type, length_high, length_low, message_seq, offset_high, offset_low, size_high, size_low = header
        length, offset = length_high << 16 | length_low, offset_high << 16 | offset_low
        data = reader.octets(size_high << 16 | size_low, "fragment")
        if offset + len(data) > length:
            raise MalformedError("fragment", at, f"it ends behind the {length} bytes of its message")
        fragments.append(Fragment(message_type, length, message_seq, offset, data))
        if not len(reader):
            return fragments


@attrs.frozen(kw_only=True)
class HandshakeMessage:
    """A whole handshake message.

    Attributes:
        type: a `HandshakeType`, or a number that has no name here.
        message_seq: its number in its direction.
        epoch: of the records that it came in or goes out in.
        body: what follows the header.
    """

    type: int
    message_seq: int
    epoch: int
    body: bytes = attrs.field(repr=False)

    @property
    def transcript_bytes_13(self) -> bytes:
        """What a 1.3 transcript hashes.

        RFC 9147 §5.2: the message as in TLS, without message_seq, fragment_offset and fragment_length.
        """
        return self.type.to_bytes(1, "big") + len(self.body).to_bytes(3, "big") + self.body

    @property
    def transcript_bytes_12(self) -> bytes:
        """What a 1.2 transcript hashes.

        RFC 6347 §4.2.6: the message with its DTLS header, as if it had been sent in a single fragment.
        """
        writer = Writer()
        Fragment(self.type, len(self.body), self.message_seq, 0, self.body).serialize(writer)
        return writer.finish()
