"""Any chunk: finding the record for it.

Source: RFC 9260 §3.2, table 1; RFC 6525 §3.1; RFC 3758 §3.2.
"""

from collections.abc import Callable
from typing import TypeAlias

from sctp.chunks.abort import Abort
from sctp.chunks.cookie_ack import CookieAck
from sctp.chunks.cookie_echo import CookieEcho
from sctp.chunks.data import Data
from sctp.chunks.error import Error
from sctp.chunks.forward_tsn import ForwardTsn
from sctp.chunks.heartbeat import Heartbeat
from sctp.chunks.heartbeat_ack import HeartbeatAck
from sctp.chunks.init import Init
from sctp.chunks.init_ack import InitAck
from sctp.chunks.reconfig import ReConfig
from sctp.chunks.sack import Sack
from sctp.chunks.shutdown import Shutdown
from sctp.chunks.shutdown_ack import ShutdownAck
from sctp.chunks.shutdown_complete import ShutdownComplete
from sctp.chunks.unknown import UnknownChunk
from wire.buffer import Reader, Writer

__all__ = ["Chunk", "parse_chunk", "serialize_chunk"]

Chunk: TypeAlias = (
    Data
    | Init
    | InitAck
    | Sack
    | Heartbeat
    | HeartbeatAck
    | Abort
    | Shutdown
    | ShutdownAck
    | Error
    | CookieEcho
    | CookieAck
    | ShutdownComplete
    | ReConfig
    | ForwardTsn
    | UnknownChunk
)

_BY_TYPE: dict[int, Callable[[int, Reader], Chunk]] = {
    Data.TYPE: Data.parse,
    Init.TYPE: Init.parse,
    InitAck.TYPE: InitAck.parse,
    Sack.TYPE: Sack.parse,
    Heartbeat.TYPE: Heartbeat.parse,
    HeartbeatAck.TYPE: HeartbeatAck.parse,
    Abort.TYPE: Abort.parse,
    Shutdown.TYPE: Shutdown.parse,
    ShutdownAck.TYPE: ShutdownAck.parse,
    Error.TYPE: Error.parse,
    CookieEcho.TYPE: CookieEcho.parse,
    CookieAck.TYPE: CookieAck.parse,
    ShutdownComplete.TYPE: ShutdownComplete.parse,
    ReConfig.TYPE: ReConfig.parse,
    ForwardTsn.TYPE: ForwardTsn.parse,
}


def parse_chunk(chunk_type: int, flags: int, value: Reader) -> Chunk:
    """Read the value of a chunk whose header was read by `sctp.chunks.header.read_chunk`.

    Raises:
        MalformedError: it does not parse.
    """
    if parse := _BY_TYPE.get(chunk_type):
        return parse(flags, value)
    return UnknownChunk(type=chunk_type, flags=flags, value=value.rest())


def serialize_chunk(chunk: Chunk) -> bytes:
    """Write one chunk and its padding, to measure it or to hand it back in an error cause.

    Raises:
        LocalProtocolError: a field is out of range.
    """
    writer = Writer()
    chunk.serialize(writer)
    return writer.finish()
