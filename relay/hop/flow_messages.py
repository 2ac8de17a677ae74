"""Bodies of the messages about flows and sessions.

    GONE       4  transceiver → relay   session u64, flow tag (8)
    ANNOUNCE   6  transceiver → relay   number u32, count u8, count times an UP header (28 or 40 bytes each)
    ANNOUNCED  7  relay → transceiver   number echoed u32
    ENDED     10  transceiver → relay   session u64
    MOVED     11  transceiver → relay   session u64, generation u16, cluster u16, incarnation u32, worker u8

A flow is announced as the UP header that relays put in front of its datagrams (`relay.hop.header`): it holds all that
a relay needs to know, and the tag by which the relay recognises its own word.
"""

from typing import ClassVar, Self

import attrs

from relay.hop.header import FLAG_IPV6, IPV4_HEADER_SIZE, IPV6_HEADER_SIZE, TAG_SIZE, UP
from relay.hop.numbered import Numbered
from wire.buffer import Reader, Writer
from wire.errors import MalformedError

__all__ = ["Announce", "Announced", "Ended", "Gone", "Moved"]


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
class Announce:
    """Some of a transceiver's flows, for a relay that serves their ingresses but may not have made them.

    Attributes:
        number: of this message on its link, to be acknowledged; the same when it is sent again.
        headers: UP headers of proven paths, as relays have written them.
    """

    KIND: ClassVar = 6
    number: int
    headers: tuple[bytes, ...]

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the body; its headers are complete, and have no flag but the one of IPv6."""
        number = reader.u32("number")
        return cls(number=number, headers=tuple(_read_header(reader) for _ in range(reader.u8("count"))))

    def serialize(self, writer: Writer) -> None:
        """Write the body."""
        writer.u32(self.number, "number").u8(len(self.headers), "count")
        for header in self.headers:
            writer.octets(header)


@attrs.frozen(kw_only=True)
class Announced(Numbered):
    """A relay has learned the flows of an ANNOUNCE, as far as it believes them and has room.

    Attributes:
        number: the ANNOUNCE's.
    """

    KIND: ClassVar = 7


@attrs.frozen(kw_only=True)
class Ended:
    """A session is not here: it has ended, or never was. Requests that name it may be dropped for a while.

    Attributes:
        session: the session's number.
    """

    KIND: ClassVar = 10
    session: int

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the body."""
        return cls(session=reader.u64("session"))

    def serialize(self, writer: Writer) -> None:
        """Write the body."""
        writer.u64(self.session, "session")


@attrs.frozen(kw_only=True)
class Moved:
    """A session that was here has another owner now, who is to get what names it.

    Attributes:
        session: the session's number.
        generation: how many owners it had before the new one.
        cluster: with the next two, who owns it now.
        incarnation: which process.
        worker: which of its sockets.
    """

    KIND: ClassVar = 11
    session: int
    generation: int
    cluster: int
    incarnation: int
    worker: int

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the body."""
        return cls(
            session=reader.u64("session"),
            generation=reader.u16("generation"),
            cluster=reader.u16("cluster"),
            incarnation=reader.u32("incarnation"),
            worker=reader.u8("worker"),
        )

    def serialize(self, writer: Writer) -> None:
        """Write the body."""
        writer.u64(self.session, "session").u16(self.generation, "generation")
        writer.u16(self.cluster, "cluster").u32(self.incarnation, "incarnation").u8(self.worker, "worker")


def _read_header(reader: Reader) -> bytes:
    header = reader.octets(IPV4_HEADER_SIZE, "header")
    if header[0] != UP or header[1] & ~FLAG_IPV6:
        raise MalformedError("header", reader.offset, "is not that of a datagram to a transceiver")
    if header[1]:
        header += reader.octets(IPV6_HEADER_SIZE - IPV4_HEADER_SIZE, "header")
    return header
