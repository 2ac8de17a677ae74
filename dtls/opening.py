"""Before the version is known: a server waits for a whole ClientHello, a client for the first answer to its own.

A ClientHello with a post-quantum share comes in two datagrams, and the extension that names the versions may be in
the second: so the version is chosen after reassembly, never from the first fragment.
"""

from dtls.alerts import AbortError, AlertDescription
from dtls.drops import DropReason
from dtls.engines import client_engine, server_engine
from dtls.handshake.body import parse_body
from dtls.handshake.client_hello import ClientHello
from dtls.handshake.message import HandshakeMessage, HandshakeType
from dtls.handshake.server_hello import ServerHello
from dtls.negotiation import check_version, choose_version
from dtls.offer import ClientOffer, build_client_hello
from dtls.records import ContentType, Record
from dtls.stage import Context, Established, Stage
from dtls.versions import Version

__all__ = ["ClientOpening", "ServerOpening"]


class ServerOpening:
    """Waits for a ClientHello. Holds one message at most, and sends nothing.

    Args:
        context: of the association.
    """

    established: Established | None = None

    def __init__(self, context: Context) -> None:
        self._context = context

    def receive(self, record: Record, now: float) -> Stage:
        """Take a record; return the engine of the version that the ClientHello leads to."""
        message = _next_plaintext_message(self._context, record, now)
        if message is None:
            return self
        if message.type != HandshakeType.CLIENT_HELLO:
            raise _unexpected(message)
        hello = parse_body(ClientHello, message.body)
        version = choose_version(hello, self._context.options.versions)
        return server_engine(version, self._context).begin(message, hello, now)

    def next_timeout(self) -> float | None:
        """Nothing is waited for actively."""
        return None

    def handle_timeout(self, now: float) -> None:
        """Nothing is ever due."""


class ClientOpening:
    """Sends a ClientHello and waits for what answers it.

    Args:
        context: of the association.
        now: the present; the ClientHello is due at once.
    """

    established: Established | None = None

    def __init__(self, context: Context, now: float) -> None:
        self._context = context
        hello, key_exchanges = build_client_hello(context.options, context.entropy)
        message = context.channel.message(hello, 0)
        self._offer = ClientOffer(hello=hello, message=message, key_exchanges=key_exchanges)
        context.channel.send_flight([message], now)
        if Version.DTLS_1_2 in context.options.versions:
            # The ServerHello of 1.2 shares its record with the unprotected rest of the flight.
            context.channel.reassembly.believe(0)

    def receive(self, record: Record, now: float) -> Stage:
        """Take a record; return the engine of the version that the server chose."""
        message = _next_plaintext_message(self._context, record, now)
        if message is None:
            return self
        versions = self._context.options.versions
        if message.type == HandshakeType.HELLO_VERIFY_REQUEST and Version.DTLS_1_2 in versions:
            # RFC 9147 §5.2: only a 1.2 server asks like this.
            return client_engine(Version.DTLS_1_2, self._context, self._offer).begin(message, None, now)
        if message.type != HandshakeType.SERVER_HELLO:
            raise _unexpected(message)
        hello = parse_body(ServerHello, message.body)
        version = check_version(hello, versions)
        return client_engine(version, self._context, self._offer).begin(message, hello, now)

    def next_timeout(self) -> float | None:
        """When the ClientHello is sent again."""
        return self._context.channel.timer.deadline

    def handle_timeout(self, now: float) -> None:
        """Send the ClientHello again if it is time."""
        self._context.channel.handle_timeout(now)


def _next_plaintext_message(context: Context, record: Record, now: float) -> HandshakeMessage | None:
    if record.content_type != ContentType.HANDSHAKE:
        # An ACK that nobody has authenticated must not make us send, nor keep us from sending.
        context.drops[DropReason.UNEXPECTED_CONTENT_TYPE] += 1
        return None
    context.channel.receive(record, now)
    return context.channel.next_message()


def _unexpected(message: HandshakeMessage) -> AbortError:
    detail = f"handshake message {message.type} before any hello"
    return AbortError(AlertDescription.UNEXPECTED_MESSAGE, "unexpected-message", detail)
