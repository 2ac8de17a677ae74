"""Bodies of the messages that make a link and watch over it.

    HELLO    1  relay → transceiver   nonce (16), padding (23)
    WELCOME  2  transceiver → relay   nonce echoed (16), cookie (16), cluster u16, incarnation u32, worker u8
    CONFIRM  3  relay → transceiver   cookie echoed (16), then, from revision 1: count u8, count times ingress u16
    WORKERS  5  transceiver → relay   count u8
    PING     8  relay → transceiver   number u32
    PONG     9  transceiver → relay   number echoed u32
    SUSPECT 12  relay → transceiver   cluster u16, incarnation u32, worker u8

HELLO is padded to the length of WELCOME, so that a HELLO replayed from a false address brings that address no more
bytes than its sender spent.
"""

from typing import ClassVar, Self

import attrs

from relay.hop.numbered import Numbered
from wire.buffer import Reader, Writer
from wire.errors import MalformedError

__all__ = [
    "COOKIE_SIZE",
    "MAX_INGRESSES",
    "NONCE_SIZE",
    "Confirm",
    "Hello",
    "Ping",
    "Pong",
    "Suspect",
    "Welcome",
    "Workers",
]

NONCE_SIZE = 16
COOKIE_SIZE = 16
MAX_INGRESSES = 255
"""How many ingresses a CONFIRM can name."""
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
    """A relay proves that it received the WELCOME, and says which ingresses it can send from.

    Attributes:
        cookie: the WELCOME's.
        ingresses: numbers of its ingresses, at most 255; left out towards an end of revision 0, which knows none.
    """

    KIND: ClassVar = 3
    cookie: bytes
    ingresses: tuple[int, ...] = ()

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the body."""
        cookie = reader.octets(COOKIE_SIZE, "cookie")
        if not len(reader):
            return cls(cookie=cookie)
        count = reader.u8("count")
        if not count:
            raise MalformedError("count", reader.offset, "an empty list is left out")
        return cls(cookie=cookie, ingresses=tuple(reader.u16("ingress") for _ in range(count)))

    def serialize(self, writer: Writer) -> None:
        """Write the body."""
        writer.octets(self.cookie)
        if self.ingresses:
            writer.u8(len(self.ingresses), "count")
            for ingress in self.ingresses:
                writer.u16(ingress, "ingress")


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


@attrs.frozen(kw_only=True)
class Ping(Numbered):
    """A relay asks whether its transceiver is well.

    Attributes:
        number: counts up, on each link.
    """

    KIND: ClassVar = 8


@attrs.frozen(kw_only=True)
class Pong(Numbered):
    """A transceiver answers a PING, in its turn between clients' datagrams.

    Attributes:
        number: the PING's.
    """

    KIND: ClassVar = 9


@attrs.frozen(kw_only=True)
class Suspect:
    """A relay holds a transceiver for dead (`relay.hop.suspicion`), and says so to others of its cluster.

    Attributes:
        cluster: with the next two, who is suspected.
        incarnation: which process.
        worker: which of its sockets.
    """

    KIND: ClassVar = 12
    cluster: int
    incarnation: int
    worker: int

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the body."""
        return cls(cluster=reader.u16("cluster"), incarnation=reader.u32("incarnation"), worker=reader.u8("worker"))

    def serialize(self, writer: Writer) -> None:
        """Write the body."""
        writer.u16(self.cluster, "cluster").u32(self.incarnation, "incarnation").u8(self.worker, "worker")
