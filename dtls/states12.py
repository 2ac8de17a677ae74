"""The order of messages in DTLS 1.2 (RFC 5246 §7.3, RFC 6347 §4.2.4; without resumption and renegotiation).

Both sides always authenticate: WebRTC has no anonymous client (RFC 5763 §5), so the server always asks, and a client
refuses a server that does not. The RFCs name no states; these are named after the message that is waited for.

ChangeCipherSpec is no handshake message and is not here: see `handshake12`.
"""

import enum

from dtls.handshake.message import HandshakeType
from dtls.states import StateTable

__all__ = ["CLIENT_12", "SERVER_12", "ClientState12", "ServerState12"]


class ClientState12(enum.Enum):
    """States of a client."""

    WAIT_SH = "wait-sh"
    WAIT_SH_AFTER_COOKIE = "wait-sh-after-cookie"
    WAIT_CERT = "wait-cert"
    WAIT_SKE = "wait-ske"
    WAIT_CR = "wait-cr"
    WAIT_SHD = "wait-shd"
    WAIT_FINISHED = "wait-finished"
    CONNECTED = "connected"


class ServerState12(enum.Enum):
    """States of a server."""

    START = "start"
    WAIT_CERT = "wait-cert"
    WAIT_CKE = "wait-cke"
    WAIT_CV = "wait-cv"
    WAIT_FINISHED = "wait-finished"
    CONNECTED = "connected"


CLIENT_12 = StateTable(
    name="DTLS 1.2 client",
    initial=ClientState12.WAIT_SH,
    rows={
        ClientState12.WAIT_SH: {
            HandshakeType.HELLO_VERIFY_REQUEST: ClientState12.WAIT_SH_AFTER_COOKIE,
            HandshakeType.SERVER_HELLO: ClientState12.WAIT_CERT,
        },
        # DEVIATES: RFC 6347 §4.2.1 has a client answer every HelloVerifyRequest. Nobody has authenticated them, so
        # one has to do: an endless row of them must not keep us sending.
        ClientState12.WAIT_SH_AFTER_COOKIE: {HandshakeType.SERVER_HELLO: ClientState12.WAIT_CERT},
        ClientState12.WAIT_CERT: {HandshakeType.CERTIFICATE: ClientState12.WAIT_SKE},
        ClientState12.WAIT_SKE: {HandshakeType.SERVER_KEY_EXCHANGE: ClientState12.WAIT_CR},
        ClientState12.WAIT_CR: {HandshakeType.CERTIFICATE_REQUEST: ClientState12.WAIT_SHD},
        ClientState12.WAIT_SHD: {HandshakeType.SERVER_HELLO_DONE: ClientState12.WAIT_FINISHED},
        ClientState12.WAIT_FINISHED: {HandshakeType.FINISHED: ClientState12.CONNECTED},
        ClientState12.CONNECTED: {},
    },
)

SERVER_12 = StateTable(
    name="DTLS 1.2 server",
    initial=ServerState12.START,
    rows={
        ServerState12.START: {HandshakeType.CLIENT_HELLO: ServerState12.WAIT_CERT},
        ServerState12.WAIT_CERT: {HandshakeType.CERTIFICATE: ServerState12.WAIT_CKE},
        ServerState12.WAIT_CKE: {HandshakeType.CLIENT_KEY_EXCHANGE: ServerState12.WAIT_CV},
        ServerState12.WAIT_CV: {HandshakeType.CERTIFICATE_VERIFY: ServerState12.WAIT_FINISHED},
        ServerState12.WAIT_FINISHED: {HandshakeType.FINISHED: ServerState12.CONNECTED},
        ServerState12.CONNECTED: {},
    },
)
