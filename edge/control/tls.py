"""The control API over mutual TLS: who commands, and who is commanded, shown by certificates.

Goal: nobody reads or changes a command on its way, and only who is meant to can give one, even should the bearer key be
known. Attacker: is on the network between signal and transceivers; or holds a certificate of the same authority that
was issued for something else, such as a relay's, or an operator's laptop that should command and not be commanded.

Construction: TLS 1.3. Both ends show a certificate of the fleet's own authority, whose alternative names hold a URI
that tells the role, `urn:trio-voice:role:ROLE`. A transceiver obeys who has the role signal or operator, and hears who
has the role transceiver when it asks after us, hands over calls or goes on with one of ours; what is said in a tunnel
to the backend of a call that has moved is for transceivers only; commands are given to who has the role transceiver.
The bearer key stays as a second factor.

Host names are not compared: transceivers come and go, and are asked by address; what matters is that it is one of ours.
The price is that a transceiver can stand in for another, if it can redirect connections too.

A transceiver asks for a certificate and goes on without one, since those who probe its health have none; the refusal
is an ordinary response then (`edge.control.server`).
"""

import ssl
import time
from pathlib import Path
from urllib.parse import urlsplit

import trio
from cryptography import x509

from edge.http.tls import server_tls_context, uris_of
from transceiver.websocket.connecting import Connect

__all__ = [
    "ControlTls",
    "control_server_context",
    "may_ask",
    "role_uri",
    "roles_of",
    "way_of_sockets",
    "words_of",
]

_ROLE = "urn:trio-voice:role:"
_TRANSCEIVER = "transceiver"
_COMMANDERS = frozenset({"signal", "operator"})
_AMONG_TRANSCEIVERS = ("/control/v1/arrivals/", "/control/v1/status", "/control/v1/tunnels/")
"""What transceivers ask each other: how they are, to take over calls, and for the backends of those."""
_OF_TRANSCEIVERS_ONLY = "/control/v1/tunnels/"

# X509_V_ERR_… of OpenSSL's x509_vfy.h
_NOT_YET_VALID, _EXPIRED = 9, 10
_UNKNOWN_ISSUER = frozenset({18, 19, 20, 21})


def role_uri(role: str) -> str:
    """Write the URI that stands for a role in a certificate."""
    return _ROLE + role


def roles_of(uris: frozenset[str]) -> frozenset[str]:
    """Read the roles that the URIs of a certificate stand for."""
    return frozenset(uri.removeprefix(_ROLE) for uri in uris if uri.startswith(_ROLE))


def may_ask(roles: frozenset[str], path: str) -> bool:
    """Whether a client of these roles may ask a transceiver for this path of the control API."""
    if roles & _COMMANDERS and not path.startswith(_OF_TRANSCEIVERS_ONLY):
        return True
    return _TRANSCEIVER in roles and path.startswith(_AMONG_TRANSCEIVERS)


def control_server_context(certificate: str | Path, key: str | Path, client_ca: str | Path) -> ssl.SSLContext:
    """Make the TLS context of a transceiver's control API; see `server_tls_context`."""
    context = server_tls_context(certificate, key, client_ca=client_ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_3  # both ends are ours
    return context


class ControlTls:
    """Signal's end of the TLS: shows our certificate, and looks at the transceiver's.

    Args:
        certificate: PEM file with our certificate first.
        key: PEM file with its private key.
        ca: PEM file with the authority of the transceivers' certificates.

    Raises:
        OSError: a file cannot be read.
        ssl.SSLError: a file is no PEM, or the key is not that of the certificate.
    """

    def __init__(self, certificate: str | Path, key: str | Path, ca: str | Path) -> None:
        self._certificate, self._ca = certificate, ca
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._context.check_hostname = False  # the role is what is checked instead
        self._context.load_cert_chain(certificate, key)
        self._context.load_verify_locations(ca)
        own = x509.load_pem_x509_certificate(Path(certificate).read_bytes())
        self._not_after = own.not_valid_after_utc

    async def secure(self, stream: trio.abc.Stream, host: str) -> trio.abc.Stream:
        """Do the handshake over a connection.

        Raises:
            OSError: it did not succeed; the text says why. The connection is closed then.
        """
        secured = trio.SSLStream(stream, self._context, server_hostname=host, https_compatible=True)
        try:
            await secured.do_handshake()
        except trio.BrokenResourceError as error:
            await trio.aclose_forcefully(stream)
            raise OSError(self._explain(error.__cause__)) from error
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        roles = roles_of(uris_of(secured.getpeercert()))
        if _TRANSCEIVER not in roles:
            await trio.aclose_forcefully(stream)
            said = ", ".join(sorted(roles)) or "none"
            raise OSError(f"its certificate is not a transceiver's: it tells the role {said}")
        return secured

    def hint(self) -> str:
        """Tell what may be wrong when a transceiver closes the connection right behind the handshake.

        In TLS 1.3 the client is done before the server has looked at its certificate.
        """
        if time.time() >= self._not_after.timestamp():
            return f"our certificate {self._certificate} expired on {self._not_after:%Y-%m-%d %H:%M} UTC"
        return f"it may not accept our certificate {self._certificate}: is that of its transceiver.tls_client_ca?"

    def _explain(self, cause: BaseException | None) -> str:
        if not isinstance(cause, ssl.SSLCertVerificationError):
            return f"no TLS: {words_of(cause)}"
        if cause.verify_code == _EXPIRED:
            return "its certificate has expired"
        if cause.verify_code == _NOT_YET_VALID:
            return "its certificate is not valid yet; is a clock wrong?"
        if cause.verify_code in _UNKNOWN_ISSUER:
            return f"its certificate is not one of {self._ca}"
        return f"its certificate is not accepted: {cause.verify_message}"


def way_of_sockets(url: str, tls: ControlTls | None, below: Connect) -> tuple[str, Connect]:
    """Return URL and connector for WebSockets: with TLS of ours, what connects is secure already.

    Args:
        url: base URL of a control address.
        tls: for https.
        below: how to connect.
    """
    parts = urlsplit(url)
    if tls is None or parts.scheme != "https":
        return url, below

    async def connect(host: str, port: int) -> trio.abc.Stream:
        return await tls.secure(await below(host, port), host)

    authority = parts.netloc if parts.port else f"{parts.netloc}:443"
    return f"http://{authority}{parts.path}", connect


def words_of(error: BaseException | None) -> str:
    """Say what a TLS library says, without its line numbers."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return str(error) if error is not None and str(error) else "the connection was closed"
