"""The table of channels as bytes, to go on in another process together with its association.

    | format | our parity | stream count | is connected | number of pairs |
    | identifier | phase | flags | its DATA_CHANNEL_OPEN, behind its length |  for each pair

The first byte is the version of the format; a reader refuses one that it does not know.
"""

import attrs

from sctp.channel import Channel
from sctp.dcep import DataChannelOpen, parse_message, serialize_message
from sctp.stream_pair import Phase, StreamPair
from wire.buffer import Reader, Writer
from wire.errors import MalformedError

__all__ = ["TableSnapshot"]

_FORMAT = 1
_PHASES = tuple(Phase)
_FLAGS = ("is_ours", "is_acked", "has_peer_reset", "is_resetting", "needs_reset", "is_stuck")
_NEGOTIATED = 1 << len(_FLAGS)


@attrs.frozen(kw_only=True)
class TableSnapshot:
    """All that the table holds.

    Attributes:
        our_parity: 0 if our identifiers are even, 1 if they are odd.
        stream_count: identifiers that both sides have.
        is_connected: whether the association is established.
        pairs: by stream identifier.
        association: what `SctpAssociation.snapshot` returned.
    """

    our_parity: int
    stream_count: int
    is_connected: bool
    pairs: dict[int, StreamPair]
    association: bytes = attrs.field(repr=False)

    def serialize(self, writer: Writer) -> None:
        """Write it."""
        writer.u8(_FORMAT).u8(self.our_parity).u16(self.stream_count).u8(self.is_connected).u32(len(self.pairs))
        for stream_id, pair in self.pairs.items():
            _write_pair(writer, stream_id, pair)
        writer.octets(self.association)

    @classmethod
    def parse(cls, reader: Reader) -> "TableSnapshot":
        """Read what `serialize` wrote.

        Raises:
            MalformedError: it is something else, or of another format.
        """
        if (number := reader.u8("format")) != _FORMAT:
            raise MalformedError("format", 0, f"format {number} is not known")
        our_parity = reader.u8("our parity") & 1
        stream_count = reader.u16("stream count")
        is_connected = bool(reader.u8("is connected"))
        return cls(
            our_parity=our_parity,
            stream_count=stream_count,
            is_connected=is_connected,
            pairs=dict(_read_pair(reader) for _ in range(reader.u32("number of pairs"))),
            association=reader.rest(),
        )


def _write_pair(writer: Writer, stream_id: int, pair: StreamPair) -> None:
    channel = pair.channel
    flags = sum(1 << bit for bit, name in enumerate(_FLAGS) if getattr(pair, name))
    if channel is not None and channel.is_negotiated:
        flags |= _NEGOTIATED
    writer.u16(stream_id, "stream id").u8(_PHASES.index(pair.phase)).u8(flags)
    writer.vector(3, b"" if channel is None else serialize_message(channel.to_open()))


def _read_pair(reader: Reader) -> tuple[int, StreamPair]:
    stream_id = reader.u16("stream id")
    at = reader.offset
    phase, flags = reader.u8("phase"), reader.u8("flags")
    if phase >= len(_PHASES):
        raise MalformedError("phase", at, f"{phase} is none")
    data = reader.vector(3, "DATA_CHANNEL_OPEN").rest()
    channel = None
    if data:
        message = parse_message(data)
        if not isinstance(message, DataChannelOpen):
            raise MalformedError("DATA_CHANNEL_OPEN", at, "is another message")
        channel = attrs.evolve(Channel.from_open(stream_id, message), is_negotiated=bool(flags & _NEGOTIATED))
    known = {name: bool(flags & 1 << bit) for bit, name in enumerate(_FLAGS)}
    return stream_id, StreamPair(phase=_PHASES[phase], channel=channel, **known)
