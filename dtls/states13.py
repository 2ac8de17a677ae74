"""The order of messages in DTLS 1.3 (RFC 8446 appendix A, without resumption, early data and retry).

Both sides always authenticate: WebRTC has no anonymous client (RFC 5763 §5), so the server always asks, and a client
refuses a server that does not.
"""

import enum

from dtls.handshake.message import HandshakeType
from dtls.states import StateTable

__all__ = ["CLIENT_13", "SERVER_13", "ClientState13", "ServerState13"]


class ClientState13(enum.Enum):
    """States of a client, with the RFC's names."""

    WAIT_SH = "wait-sh"
    WAIT_EE = "wait-ee"
    WAIT_CERT_CR = "wait-cert-cr"
    WAIT_CERT = "wait-cert"
    WAIT_CV = "wait-cv"
    WAIT_FINISHED = "wait-finished"
    CONNECTED = "connected"


class ServerState13(enum.Enum):
    """States of a server, with the RFC's names."""

    START = "start"
    WAIT_CERT = "wait-cert"
    WAIT_CV = "wait-cv"
    WAIT_FINISHED = "wait-finished"
    CONNECTED = "connected"


CLIENT_13 = StateTable(
    name="DTLS 1.3 client",
    initial=ClientState13.WAIT_SH,
    rows={
        ClientState13.WAIT_SH: {HandshakeType.SERVER_HELLO: ClientState13.WAIT_EE},
        ClientState13.WAIT_EE: {HandshakeType.ENCRYPTED_EXTENSIONS: ClientState13.WAIT_CERT_CR},
        ClientState13.WAIT_CERT_CR: {HandshakeType.CERTIFICATE_REQUEST: ClientState13.WAIT_CERT},
        ClientState13.WAIT_CERT: {HandshakeType.CERTIFICATE: ClientState13.WAIT_CV},
        ClientState13.WAIT_CV: {HandshakeType.CERTIFICATE_VERIFY: ClientState13.WAIT_FINISHED},
        ClientState13.WAIT_FINISHED: {HandshakeType.FINISHED: ClientState13.CONNECTED},
        ClientState13.CONNECTED: {},
    },
)

SERVER_13 = StateTable(
    name="DTLS 1.3 server",
    initial=ServerState13.START,
    rows={
        ServerState13.START: {HandshakeType.CLIENT_HELLO: ServerState13.WAIT_CERT},
        ServerState13.WAIT_CERT: {HandshakeType.CERTIFICATE: ServerState13.WAIT_CV},
        ServerState13.WAIT_CV: {HandshakeType.CERTIFICATE_VERIFY: ServerState13.WAIT_FINISHED},
        ServerState13.WAIT_FINISHED: {HandshakeType.FINISHED: ServerState13.CONNECTED},
        ServerState13.CONNECTED: {},
    },
)
