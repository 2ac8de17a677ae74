"""The parts of an association, and how they hang together: all that has a state."""

from sctp.answering import Answering
from sctp.bundling import Bundler
from sctp.control_block import ControlBlock
from sctp.cookie import CookieJar
from sctp.handshake import Handshake
from sctp.heartbeats import Heartbeats
from sctp.options import SctpOptions
from sctp.shutdown import GracefulShutdown
from sctp.stream_reset import StreamResets
from wire.core import Entropy

__all__ = ["Parts"]


class Parts:
    """Made anew for each association.

    Args:
        options: of the association.
        entropy: for tags, numbers and nonces.
        jar: for cookies.

    Attributes:
        block: what all others share.
        jar: makes and opens cookies.
        handshake: ours, from INIT to COOKIE ACK.
        answering: the peer's.
        shutdown: the graceful end.
        resets: of streams.
        heartbeats: signs of life.
        bundler: makes packets.
    """

    __slots__ = ("answering", "block", "bundler", "handshake", "heartbeats", "jar", "resets", "shutdown")

    def __init__(self, options: SctpOptions, entropy: Entropy, jar: CookieJar) -> None:
        self.block = ControlBlock(options, entropy)
        self.jar = jar
        self.handshake = Handshake(self.block)
        self.answering = Answering(self.block, jar, self.handshake)
        self.shutdown = GracefulShutdown(self.block)
        self.resets = StreamResets(self.block)
        self.heartbeats = Heartbeats(self.block)
        self.bundler = Bundler(self.block, self.handshake)
