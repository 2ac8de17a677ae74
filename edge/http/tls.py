"""Certificates from files, replaced without a restart."""

import ssl
from pathlib import Path

__all__ = ["reload_certificate", "server_tls_context"]


def server_tls_context(certificate: str | Path, key: str | Path) -> ssl.SSLContext:
    """Make the TLS context of a server.

    Args:
        certificate: PEM file with the server's certificate first, then those of the authorities between it and a root.
        key: PEM file with the private key.

    Raises:
        OSError: a file cannot be read.
        ssl.SSLError: a file is no PEM, or the key is not that of the certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996 retires what is older
    context.set_alpn_protocols(["http/1.1"])  # RFC 7301: so that nobody tries HTTP/2 with us
    context.load_cert_chain(certificate, key)
    return context


def reload_certificate(context: ssl.SSLContext, certificate: str | Path, key: str | Path) -> None:
    """Use what the files hold now for every handshake from here on; open connections keep what they have.

    Raises:
        OSError: a file cannot be read; the context keeps the certificate it has.
        ssl.SSLError: as for `server_tls_context`; the context keeps the certificate it has.
    """
    server_tls_context(certificate, key)  # a pair that does not fit is found here, before the live context is touched
    context.load_cert_chain(certificate, key)
