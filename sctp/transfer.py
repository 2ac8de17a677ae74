"""Reading DATA and SACK, of which a transfer consists: packets that hold nothing else take a short way (`data_path`).

Most of those hold a single chunk: a piece from the middle of a large message, or a SACK that tells of no gap. They are
read right here, with one look at their first sixteen bytes.

Source: RFC 9260 §6.2, §6.7.
"""

from collections.abc import Sequence

import google_crc32c

from sctp.bundling import Bundler
from sctp.causes.no_user_data import NoUserData
from sctp.chunks.data import Data
from sctp.chunks.sack import Sack
from sctp.control_block import ControlBlock
from sctp.data_path import (
    COMMON_HEADER_SIZE,
    DATA_CHUNK,
    SACK_CHUNK,
    START_AND_CHECKSUM,
    PacketHeader,
    read_chunks,
    unpack_sack,
)
from sctp.drops import DropReason
from sctp.states import State
from sctp.tx.message import DATA_HEADER_SIZE
from sctp.tx.sack_check import check_sack

__all__ = ["Transfer"]

_SACK, _SACK_SIZE = Sack.TYPE, SACK_CHUNK.size
_FIRST_CHUNK_END = COMMON_HEADER_SIZE + DATA_HEADER_SIZE
"""A DATA chunk up to its user data is as long as a SACK without gaps and duplicates."""

_ESTABLISHED = State.ESTABLISHED
_unpack_start = START_AND_CHECKSUM.unpack_from
_unpack_data, _unpack_sack = DATA_CHUNK.unpack, SACK_CHUNK.unpack
_extend_crc32c = google_crc32c.extend


class Transfer:
    """The way of DATA and SACK to the two halves.

    Args:
        block: the association.
        bundler: for the SACK of the packet before.
    """

    __slots__ = ("_block", "_bundler", "_header")

    def __init__(self, block: ControlBlock, bundler: Bundler) -> None:
        self._block = block
        self._bundler = bundler
        self._header = PacketHeader(block.local_tag)

    def receive(self, data: bytes, now: float) -> bool:
        """Read a packet of an established association that is nothing but DATA and SACK.

        Returns:
            False when it is something else, and has to be parsed in full; nothing has changed then.
        """
        block, header = self._block, self._header
        receiver = block.receiver
        if block.state is not _ESTABLISHED or receiver is None or len(data) < _FIRST_CHUNK_END:
            return False
        if header.verification_tag != block.local_tag:
            header = self._header = PacketHeader(block.local_tag)
        start, checksum = _unpack_start(data)
        # The checksum is that of two pieces, because the second is kept: it is the user data.
        first, rest = data[COMMON_HEADER_SIZE:_FIRST_CHUNK_END], data[_FIRST_CHUNK_END:]
        if start != header.start or checksum != _extend_crc32c(_extend_crc32c(header.checksum, first), rest):
            return False
        if rest and not first[0]:
            _, flags, length, tsn, stream_id, number, ppid = _unpack_data(first)
            size = length - DATA_HEADER_SIZE
            if size > 0 and (size + 3) & ~3 == len(rest):
                if receiver.sacks.is_due and receiver.tracker.has_gap:
                    # As in `receive_data`.
                    self._bundler.take_sack()
                receiver.receive_data(tsn, stream_id, number, ppid, flags, rest[:size])
                return True
        elif not rest and first[0] == _SACK:
            _, _, length, cumulative, a_rwnd, block_count, duplicate_count = _unpack_sack(first)
            if length == _SACK_SIZE and not block_count and not duplicate_count:
                self.receive_sack(cumulative, a_rwnd, (), now)
                return True
        return self._receive_chunks(data, now)

    def _receive_chunks(self, data: bytes, now: float) -> bool:
        """Read the chunks one by one, if they are all of the two kinds."""
        block = self._block
        chunks = read_chunks(data)
        if chunks is None:
            return False
        for chunk_type, flags, start, end in chunks:
            if chunk_type == Data.TYPE:
                _, _, _, tsn, stream_id, number, ppid = DATA_CHUNK.unpack_from(data, start)
                self.receive_data(tsn, stream_id, number, ppid, flags, data[start + DATA_CHUNK.size : end])
            else:
                cumulative, a_rwnd, blocks = unpack_sack(data, start)
                self.receive_sack(cumulative, a_rwnd, blocks, now)
            if block.state is not _ESTABLISHED:
                break
        return True

    def receive_data(
        self, tsn: int, stream_id: int, stream_sequence_number: int, ppid: int, flags: int, payload: bytes
    ) -> None:
        """Hand a DATA chunk to the receiving half; the numbers are wrapped, the flags those of the chunk.

        Raises:
            RemoteProtocolError: it contradicts other chunks, or belongs to a message that is too large.
        """
        block = self._block
        receiver = block.receiver
        if receiver is None:
            return
        if not payload:
            # RFC 9260 §6.2: SHOULD abort.
            block.abort("misbehaved", "DATA without user data", NoUserData(tsn=tsn))
            return
        if not receiver.was_touched and receiver.sacks.is_due and receiver.tracker.has_gap:
            # §6.7: with a gap, every packet gets its own SACK; three of them make a fast retransmit.
            self._bundler.take_sack()
        receiver.receive_data(tsn, stream_id, stream_sequence_number, ppid, flags, payload)

    def receive_sack(self, cumulative: int, a_rwnd: int, blocks: Sequence[tuple[int, int]], now: float) -> None:
        """Hand a SACK to the sending half, if it may be believed; the numbers are as in the chunk."""
        block = self._block
        checked = check_sack(block.sender.outstanding, cumulative, blocks)
        if isinstance(checked, DropReason):
            block.drop(checked)
        elif block.sender.acknowledge(checked[0], a_rwnd, checked[1], now):
            # RFC 9260 §8.1.
            block.errors = 0
