"""The certificates of the control API, from their files; with words for what is wrong with them."""

import ssl
import time
from collections.abc import Callable
from pathlib import Path

from cryptography import x509

from edge.config.model import SignalConfig, TransceiverConfig
from edge.config.problems import Problem, describe
from edge.config.values import format_address
from edge.control.tls import ControlTls, control_server_context, role_uri, roles_of
from edge.reports import Report
from edge.start import StartError
from wire.core import Address

__all__ = ["handshake_reports", "peer_tls", "server_context", "signal_tls"]

_REPORT_INTERVAL = 10.0


def server_context(config: TransceiverConfig) -> ssl.SSLContext | None:
    """Make the TLS context of a transceiver's control API; None where it is plain HTTP.

    Raises:
        StartError: a file cannot be used.
    """
    if config.tls_certificate is None or config.tls_key is None or config.tls_client_ca is None:
        return None
    _check("transceiver.tls_certificate", config.tls_certificate, "transceiver")
    try:
        return control_server_context(config.tls_certificate, config.tls_key, config.tls_client_ca)
    except (OSError, ssl.SSLError) as error:
        files = f"{describe(config.tls_certificate)}, {describe(config.tls_key)} and {describe(config.tls_client_ca)}"
        raise _unusable("transceiver.tls_certificate", files, error) from None


def peer_tls(config: TransceiverConfig) -> ControlTls | None:
    """Make what a transceiver shows when it asks another; None where control APIs are plain HTTP.

    Raises:
        StartError: a file cannot be used.
    """
    if config.tls_certificate is None or config.tls_key is None or config.tls_client_ca is None:
        return None
    _check("transceiver.tls_certificate", config.tls_certificate, "transceiver")
    return _client("transceiver.tls_certificate", config.tls_certificate, config.tls_key, config.tls_client_ca)


def signal_tls(config: SignalConfig) -> ControlTls | None:
    """Make what signal shows to transceivers; None where it has no certificate for them.

    Raises:
        StartError: a file cannot be used.
    """
    if config.control_certificate is None or config.control_key is None or config.control_ca is None:
        return None
    _check("signal.control_certificate", config.control_certificate, "signal", "operator")
    return _client("signal.control_certificate", config.control_certificate, config.control_key, config.control_ca)


def handshake_reports(report: Report) -> Callable[[Address, str], None]:
    """Report TLS handshakes that failed; now and then, for a client that is refused tries again each second."""
    next_at = 0.0

    def failed(peer: Address, reason: str) -> None:
        nonlocal next_at
        now = time.monotonic()
        if now >= next_at:
            next_at = now + _REPORT_INTERVAL
            report("tls-handshake-failed", {"peer": format_address(peer), "reason": reason})

    return failed


def _client(name: str, certificate: str, key: str, ca: str) -> ControlTls:
    try:
        return ControlTls(certificate, key, ca)
    except (OSError, ssl.SSLError) as error:
        files = f"{describe(certificate)}, {describe(key)} and {describe(ca)}"
        raise _unusable(name, files, error) from None


def _check(name: str, certificate: str, *roles: str) -> None:
    """Find in a certificate of our own what every peer would refuse it for."""
    try:
        own = x509.load_pem_x509_certificate(Path(certificate).read_bytes())
        names = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = frozenset(names.get_values_for_type(x509.UniformResourceIdentifier))
    except x509.ExtensionNotFound:
        uris = frozenset()
    except (OSError, ValueError) as error:
        raise _unusable(name, describe(certificate), error) from None
    if time.time() >= own.not_valid_after_utc.timestamp():
        found = f"{describe(certificate)} expired on {own.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
        raise StartError([Problem(name, found, "Have it issued again; `trio-voice keys ca DIR` does that.")])
    if not roles_of(uris) & set(roles):
        told = ", ".join(sorted(roles_of(uris))) or "none"
        right = f"Its alternative names need the URI {role_uri(roles[0])}."
        raise StartError([Problem(name, f"{describe(certificate)} tells the role {told}", right)])


def _unusable(name: str, files: str, error: Exception) -> StartError:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    right = "They must be PEM files: a certificate, its private key, and the authority of the other end's certificate."
    return StartError([Problem(name, f"{files} cannot be used: {said}", right)])
