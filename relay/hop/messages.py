"""What is inside a sealed control message of the hop.

    HELLO    relay → transceiver   nonce (16), padding (23)
    WELCOME  transceiver → relay   nonce echoed (16), cookie (16), cluster u16, incarnation u32, worker u8
    CONFIRM  relay → transceiver   cookie echoed (16)
    GONE     transceiver → relay   session u64, flow tag (8)
    WORKERS  transceiver → relay   count u8

The kind stands in the envelope. HELLO is padded to the length of WELCOME, so that a HELLO replayed from a false
address brings that address no more bytes than its sender spent.
"""

from typing import ClassVar, Self

import attrs

from relay.hop.header import TAG_SIZE
from wire.buffer import Reader, Writer

__all__ = ["COOKIE_SIZE", "NONCE_SIZE", "Confirm", "Gone", "Hello", "Message", "Welcome", "Workers", "parse_message"]

NONCE_SIZE = 16
COOKIE_SIZE = 16
_HELLO_PADDING = COOKIE_SIZE + 2 + 4 + 1


@attrs.frozen(kw_only=True)
class Hello:
    """A relay asks who is there.

    Attributes:
        nonce: fresh for this question; the answer must echo it.
    """

    KIND: ClassVar = 1
    nonce: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the body."""
        nonce = reader.octets(NONCE_SIZE, "nonce")
        reader.skip(_HELLO_PADDING, "padding")
        return cls(nonce=nonce)

    def serialize(self, writer: Writer) -> None:
        """Write the body."""
        writer.octets(self.nonce).octets(bytes(_HELLO_PADDING))


@attrs.frozen(kw_only=True)
class Welcome:
    """A transceiver says who it is.

    Attributes:
        nonce: the HELLO's.
        cookie: to be echoed, which proves that the relay receives at the address it sends from.
        cluster: where it is; with the next two, what routes name.
        incarnation: which process it is; random at each start.
        worker: which of the process's sockets this is.
    """

    KIND: ClassVar = 2
    nonce: bytes
    cookie: bytes
    cluster: int
    incarnation: int
    worker: int

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the body."""
        return cls(
            nonce=reader.octets(NONCE_SIZE, "nonce"),
            cookie=reader.octets(COOKIE_SIZE, "cookie"),
            cluster=reader.u16("cluster"),
            incarnation=reader.u32("incarnation"),
            worker=reader.u8("worker"),
        )

    def serialize(self, writer: Writer) -> None:
        """Write the body."""
        writer.octets(self.nonce).octets(self.cookie)
        writer.u16(self.cluster, "cluster").u32(self.incarnation, "incarnation").u8(self.worker, "worker")


@attrs.frozen(kw_only=True)
class Confirm:
    """A relay proves that it received the WELCOME.

    Attributes:
        cookie: the WELCOME's.
    """

    KIND: ClassVar = 3
    cookie: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the body."""
        return cls(cookie=reader.octets(COOKIE_SIZE, "cookie"))

    def serialize(self, writer: Writer) -> None:
        """Write the body."""
        writer.octets(self.cookie)


@attrs.frozen(kw_only=True)
class Gone:
    """A session has ended, or one of its paths has died: its claim may be forgotten.

    Attributes:
        session: the session's number.
        tag: the flow tag of the path.
    """

    KIND: ClassVar = 4
    session: int
    tag: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the body."""
        return cls(session=reader.u64("session"), tag=reader.octets(TAG_SIZE, "tag"))

    def serialize(self, writer: Writer) -> None:
        """Write the body."""
        writer.u64(self.session, "session").octets(self.tag)


@attrs.frozen(kw_only=True)
class Workers:
    """A transceiver has several workers, on consecutive ports in the order of their numbers.

    A message of its own, and sent by nobody who is alone: a relay of an earlier version does not know the kind, refuses
    it, and goes on with the workers that it was told of.

    Attributes:
        count: how many there are, the sender included; 1 to 255.
    """

    KIND: ClassVar = 5
    count: int

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the body."""
        return cls(count=reader.u8("count"))

    def serialize(self, writer: Writer) -> None:
        """Write the body."""
        writer.u8(self.count, "count")


Message = Hello | Welcome | Confirm | Gone | Workers

_BY_KIND: dict[int, type[Message]] = {record.KIND: record for record in (Hello, Welcome, Confirm, Gone, Workers)}


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
