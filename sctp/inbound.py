"""Whether a packet belongs to the association at all.

Source: RFC 9260 §6.10 (what stands alone), §8.4 (out of the blue), §8.5 (verification tags).
"""

from sctp.chunks.abort import Abort
from sctp.chunks.cookie_echo import CookieEcho
from sctp.chunks.init import Init
from sctp.chunks.init_ack import InitAck
from sctp.chunks.shutdown_ack import ShutdownAck
from sctp.chunks.shutdown_complete import ShutdownComplete
from sctp.control_block import ControlBlock
from sctp.drops import DropReason
from sctp.packet import Packet
from sctp.states import State

__all__ = ["admit"]

_ALONE = (Init, InitAck, ShutdownComplete)
_UNKNOWN_ASSOCIATION = frozenset({State.CLOSED, State.COOKIE_WAIT, State.COOKIE_ECHOED})


def admit(packet: Packet, block: ControlBlock) -> DropReason | None:
    """Decide about a packet by its verification tag and what stands together in it.

    Returns:
        None when it may be read; else why it is dropped. A SHUTDOWN ACK out of the blue is answered here.
    """
    chunks, tag = packet.chunks, packet.verification_tag
    first = chunks[0]
    if len(chunks) > 1 and any(isinstance(chunk, _ALONE) for chunk in chunks):
        # §6.10: MUST NOT be bundled with any other chunks.
        return DropReason.BUNDLED
    if isinstance(first, Init):
        # §8.5.1 A.
        return DropReason.VERIFICATION_TAG if tag else None
    if tag == 0:
        return DropReason.VERIFICATION_TAG
    for chunk in chunks:
        if isinstance(chunk, Abort | ShutdownComplete):
            # §8.5.1 B, C: our tag without the T bit, or the peer's with it.
            expected = block.peer_tag if chunk.is_tag_reflected else block.local_tag
            is_known = block.state is not State.CLOSED and expected != 0
            return None if is_known and tag == expected else DropReason.VERIFICATION_TAG
    if isinstance(first, CookieEcho):
        # §8.5.1 D: the cookie itself says which tag belongs to it.
        return None
    if isinstance(first, ShutdownAck) and block.state in _UNKNOWN_ASSOCIATION:
        # §8.4 (5), §8.5.1 E: the peer ends an association that we know nothing of.
        block.outbox.add_packet(tag, ShutdownComplete(is_tag_reflected=True))
        return DropReason.OUT_OF_THE_BLUE
    if block.state is State.CLOSED:
        # DEVIATES: RFC 9260 §8.4 (8) answers with an ABORT. Inside of DTLS nobody sends to the wrong host; what comes
        # before the peer's INIT was overtaken by it, and an ABORT would end what is just beginning.
        return DropReason.OUT_OF_THE_BLUE
    # §8.5.
    return None if tag == block.local_tag else DropReason.VERIFICATION_TAG
