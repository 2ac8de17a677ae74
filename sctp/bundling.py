"""Making packets: which chunks go together, and in which order.

    COOKIE ECHO or COOKIE ACK | SACK | other control chunks | FORWARD TSN | DATA

Source: RFC 9260 §6.1, §6.10; RFC 3758 §3.5 F2.
"""

from sctp.chunks.chunk import serialize_chunk
from sctp.chunks.forward_tsn import ForwardTsn
from sctp.control_block import ControlBlock
from sctp.data_path import PacketHeader, pack_sack
from sctp.handshake import Handshake
from sctp.states import RECEIVES_DATA, SENDS_DATA, State
from sctp.tx.composing import compose, has_something
from sctp.tx.sender import COMMON_HEADER_SIZE
from sctp.tx.series import take_series

__all__ = ["Bundler"]

_COOKIE_ECHOED, _ESTABLISHED = State.COOKIE_ECHOED, State.ESTABLISHED
_NUMBERS = 0xFFFF_FFFF


class Bundler:
    """Fills packets.

    Args:
        block: the association.
        handshake: for the COOKIE ECHO.
    """

    __slots__ = ("_block", "_handshake", "_header", "_room")

    def __init__(self, block: ControlBlock, handshake: Handshake) -> None:
        self._block = block
        self._handshake = handshake
        self._room = block.options.mtu - COMMON_HEADER_SIZE
        self._header = PacketHeader(0)

    def take_packets(self, now: float) -> list[bytes]:
        """Take all that may be sent now."""
        block = self._block
        outbox, state = block.outbox, block.state
        packets, outbox.packets = outbox.packets, []
        terms, receiver = block.terms, block.receiver
        if terms is None or receiver is None:
            return packets
        if terms.peer_tag != self._header.verification_tag:
            self._header = PacketHeader(terms.peer_tag)
        if state is _COOKIE_ECHOED:
            # §5.1 C: until the COOKIE ACK comes, nothing else MUST be sent.
            if self._handshake.is_echo_due:
                self._handshake.is_echo_due = False
                packets.append(self._pack_with_data([self._handshake.cookie_echo], now))
            return packets
        sender = block.sender
        sends_data = (state is _ESTABLISHED or state in SENDS_DATA) and not sender.is_done
        while receiver.sacks.is_owed or outbox.control or outbox.first:
            chunks = self._control_chunks(now, sends_data=sends_data)
            if not chunks:
                break
            packets.append(self._pack_with_data(chunks, now) if sends_data else self._header.pack(chunks))
        if sends_data:
            if sender.forwarding.is_due:
                packets.append(self._pack_with_data([], now))
            self._add_data(packets, now)
        return packets

    def _add_data(self, packets: list[bytes], now: float) -> None:
        """Add packets of nothing but DATA."""
        sender, header, room = self._block.sender, self._header, self._room
        # §6.1, RFC 7053: the last DATA before a shutdown asks for its SACK at once.
        is_immediate = self._block.state is not _ESTABLISHED
        while True:
            if series := take_series(sender, room, now):
                packets += header.pack_series(series, is_immediate)
            if not (chunks := compose(sender, room, now)):
                return
            packets.append(header.pack_data(chunks, is_immediate))

    def take_sack(self) -> None:
        """Make a packet of the SACK that is due, so that the next one tells of the next packet (§6.7)."""
        block = self._block
        if block.receiver is not None and block.receiver.sacks.is_due and block.state in RECEIVES_DATA:
            block.outbox.add_serialized(block.peer_tag, [pack_sack(*block.receiver.take_sack(self._room))])

    def _control_chunks(self, now: float, *, sends_data: bool) -> list[bytes]:
        block = self._block
        outbox, receiver = block.outbox, block.receiver
        room = self._room
        chunks: list[bytes] = []
        if outbox.first:
            chunks.append(outbox.first)
            room -= len(outbox.first)
            outbox.first = b""
        # §6.1: what is owed goes along with DATA.
        if (
            receiver is not None
            and receiver.sacks.is_owed
            and (receiver.sacks.is_due or (sends_data and has_something(block.sender, now)))
            and (block.state is _ESTABLISHED or block.state in RECEIVES_DATA)
        ):
            sack = pack_sack(*receiver.take_sack(room))
            chunks.append(sack)
            room -= len(sack)
        if outbox.control:
            chunks += outbox.take_control(room)
        return chunks

    def _pack_with_data(self, chunks: list[bytes], now: float) -> bytes:
        """Write a packet of control chunks, a FORWARD TSN if one is due, and as much DATA as fits behind them."""
        block = self._block
        sender = block.sender
        room = self._room - sum([len(chunk) for chunk in chunks])
        forward = sender.forward_tsn(now) if sender.forwarding.is_due and room >= self._room // 2 else None
        if forward is not None:
            tsn, skipped = forward
            numbers = tuple((stream_id, ssn & 0xFFFF) for stream_id, ssn in skipped)
            data = serialize_chunk(ForwardTsn(new_cumulative_tsn=tsn & _NUMBERS, skipped=numbers))
            chunks.append(data)
            room -= len(data)
        return self._header.pack_data(compose(sender, room, now), block.state is not _ESTABLISHED, chunks)
