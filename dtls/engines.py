"""Which engine speaks which version in which role; a new version is a new entry here."""

from collections.abc import Callable, Mapping
from typing import Protocol

from dtls.channel import HandshakeChannel
from dtls.client12 import Client12
from dtls.client13 import Client13
from dtls.established12 import Established12
from dtls.established13 import Established13
from dtls.events import SecurityParameters
from dtls.handshake.client_hello import ClientHello
from dtls.handshake.message import HandshakeMessage
from dtls.handshake.server_hello import ServerHello
from dtls.offer import ClientOffer
from dtls.server12 import Server12
from dtls.server13 import Server13
from dtls.stage import Context, Established, Stage
from dtls.versions import Version
from wire.buffer import Reader
from wire.core import Drops
from wire.errors import MalformedError

__all__ = ["ClientEngine", "ServerEngine", "client_engine", "restore_established", "server_engine"]


class ServerEngine(Stage, Protocol):
    """A server's handshake in one version."""

    def begin(self, message: HandshakeMessage, hello: ClientHello, now: float) -> Stage:
        """Answer a ClientHello; return the stage that goes on.

        Raises:
            AbortError: there is no answer.
        """


class ClientEngine(Stage, Protocol):
    """A client's handshake in one version."""

    def begin(self, message: HandshakeMessage, hello: ServerHello | None, now: float) -> Stage:
        """Take the first message of the server: a ServerHello, or a HelloVerifyRequest when `hello` is None.

        Raises:
            AbortError: it is not acceptable.
        """


def server_engine(version: Version, context: Context) -> ServerEngine:
    """Make the engine that answers a ClientHello."""
    engines: Mapping[Version, Callable[[Context], ServerEngine]] = {
        Version.DTLS_1_3: Server13,
        Version.DTLS_1_2: Server12,
    }
    return engines[version](context)


def client_engine(version: Version, context: Context, offer: ClientOffer) -> ClientEngine:
    """Make the engine that goes on after the server's first message."""
    engines: Mapping[Version, Callable[[Context, ClientOffer], ClientEngine]] = {
        Version.DTLS_1_3: Client13,
        Version.DTLS_1_2: Client12,
    }
    return engines[version](context, offer)


def restore_established(
    reader: Reader,
    *,
    channel: HandshakeChannel,
    drops: Drops,
    security: SecurityParameters,
    sequence_margin: int,
    now: float,
) -> Established:
    """Read the part of a snapshot that its version wrote.

    Raises:
        MalformedError: it is something else.
    """
    stages: Mapping[Version, type[Established13 | Established12]] = {
        Version.DTLS_1_3: Established13,
        Version.DTLS_1_2: Established12,
    }
    stage = stages.get(security.version)
    if stage is None:
        raise MalformedError("version", reader.offset, f"{security.version.label} is not spoken here")
    return stage.restore(
        reader, channel=channel, drops=drops, security=security, sequence_margin=sequence_margin, now=now
    )
