"""Certificates from files, replaced without a restart."""

import ssl
from collections.abc import Mapping
from pathlib import Path

__all__ = ["reload_certificate", "server_tls_context", "uris_of"]


def server_tls_context(
    certificate: str | Path, key: str | Path, *, client_ca: str | Path | None = None
) -> ssl.SSLContext:
    """Make the TLS context of a server.

    Args:
        certificate: PEM file with the server's certificate first, then those of the authorities between it and a root.
        key: PEM file with the private key.
        client_ca: PEM file with the authorities of clients' certificates: whoever shows one must have it from there,
            and the handler is told what it says. Showing none is left to the handler. None: clients are not asked.

    Raises:
        OSError: a file cannot be read.
        ssl.SSLError: a file is no PEM, or the key is not that of the certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996 retires what is older
    context.set_alpn_protocols(["http/1.1"])  # RFC 7301: so that nobody tries HTTP/2 with us
    context.load_cert_chain(certificate, key)
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def uris_of(certificate: Mapping[str, object] | None) -> frozenset[str]:
    """Return the URIs that a verified certificate was issued for.

    Args:
        certificate: as `ssl.SSLSocket.getpeercert` returns it; None or empty for none.
    """
    names = (certificate or {}).get("subjectAltName", ())
    assert isinstance(names, tuple)  # noqa: S101 - of pairs, says ssl
    return frozenset(value for kind, value in names if kind == "URI")


def reload_certificate(context: ssl.SSLContext, certificate: str | Path, key: str | Path) -> None:
    """Use what the files hold now for every handshake from here on; open connections keep what they have.

    Raises:
        OSError: a file cannot be read; the context keeps the certificate it has.
        ssl.SSLError: as for `server_tls_context`; the context keeps the certificate it has.
    """
    server_tls_context(certificate, key)  # a pair that does not fit is found here, before the live context is touched
    context.load_cert_chain(certificate, key)
