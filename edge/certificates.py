"""A certificate authority for development: certificates by which signal and transceivers know each other.

Goal: mutual TLS of the control API (`edge.control.tls`) can be tried, and small fleets run, without a PKI. Whoever has
one lets it issue the same: the role as a URI among the alternative names, for clients and servers both.

Construction: the authority signs with ECDSA on P-256 and SHA-256, may issue end certificates only, and lives a year.
A certificate lives weeks, since nothing revokes it. Keys are readable for their owner only.

Source: RFC 5280 §4.2.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge.config.problems import UserError
from edge.control.tls import role_uri

__all__ = ["CERTIFIED_ROLES", "Authority", "CertificatesError"]

CERTIFIED_ROLES = ("signal", "transceiver", "operator")
"""Who takes part in the control API; relays do not."""

_AUTHORITY_DAYS = 365
_BACKDATED = timedelta(minutes=5)  # for clocks that are behind ours


class CertificatesError(UserError):
    """A file of the authority is missing, broken, or in the way; the text names it and says what would be right."""


class Authority:
    """Issues certificates.

    Args:
        certificate: its own.
        key: the private key of that.
        folder: where its files are.
    """

    def __init__(self, certificate: x509.Certificate, key: EllipticCurvePrivateKey, folder: Path) -> None:
        self._certificate = certificate
        self._key = key
        self._folder = folder

    @property
    def path(self) -> Path:
        """Its certificate, which everybody gets."""
        return self._folder / "ca.crt"

    @classmethod
    def create(cls, folder: Path, unix_time: float) -> "Authority":
        """Make a new one, and write `ca.crt` and `ca.key`.

        Raises:
            CertificatesError: one is there already, or the folder cannot be written.
        """
        if (folder / "ca.key").exists():
            raise CertificatesError(f"{folder / 'ca.key'} is there already")
        key = generate_private_key(SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "trio-voice development CA")])
        builder = (
            _builder(name, name, key, unix_time, _at(unix_time) + timedelta(days=_AUTHORITY_DAYS))
            # It issues certificates for ends, and none for further authorities.
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(is_authority=True), critical=True)
        )
        authority = cls(builder.sign(key, SHA256()), key, folder)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_key(folder / "ca.key", key)
            authority.path.write_bytes(authority._certificate.public_bytes(Encoding.PEM))
        except OSError as error:
            raise CertificatesError(f"{folder} cannot be written: {error.strerror}") from None
        return authority

    @classmethod
    def load(cls, folder: Path, unix_time: float) -> "Authority":
        """Read the one in a folder.

        Raises:
            CertificatesError: it is not there, broken, or has expired.
        """
        try:
            certificate = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
            key = load_pem_private_key((folder / "ca.key").read_bytes(), None)
        except FileNotFoundError as error:
            raise CertificatesError(f"there is no {error.filename}; `trio-voice keys ca {folder}` makes it") from None
        except (OSError, ValueError, TypeError):
            raise CertificatesError(f"{folder} holds no ca.crt and ca.key that can be read") from None
        if not isinstance(key, EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise CertificatesError(f"{folder / 'ca.key'} is not the key of ca.crt")
        if unix_time >= certificate.not_valid_after_utc.timestamp():
            raise CertificatesError(
                f"the authority in {folder} expired on {certificate.not_valid_after_utc:%Y-%m-%d}: make another one in "
                "an empty folder, and let everybody trust both until all certificates are replaced"
            )
        return cls(certificate, key, folder)

    def issue(
        self, role: str, *, name: str, hosts: Sequence[str] = (), days: float, unix_time: float
    ) -> tuple[Path, Path]:
        """Issue a certificate with a new key, and write both.

        Args:
            role: what the holder is in the fleet.
            name: what the files are called, and the certificate's common name.
            hosts: names and addresses that it may be asked by, for others than our own clients.
            days: how long it is valid; not longer than the authority.
            unix_time: now.

        Returns:
            The paths of certificate and key.

        Raises:
            CertificatesError: the files cannot be written.
        """
        key = generate_private_key(SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
        names = [x509.UniformResourceIdentifier(role_uri(role)), *_host_names(hosts)]
        until = min(_at(unix_time) + timedelta(days=days), self._certificate.not_valid_after_utc)
        usage = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            _builder(subject, self._certificate.subject, key, unix_time, until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(is_authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(issuer, critical=False)
            .sign(self._key, SHA256())
        )
        paths = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        try:
            _write_key(paths[1], key)
            paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
        except OSError as error:
            raise CertificatesError(f"{self._folder} cannot be written: {error.strerror}") from None
        return paths


def _builder(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, unix_time: float, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_at(unix_time) - _BACKDATED)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _host_names(hosts: Iterable[str]) -> Iterable[x509.GeneralName]:
    for host in hosts:
        try:
            yield x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            yield x509.DNSName(host)


def _write_key(path: Path, key: EllipticCurvePrivateKey) -> None:
    """Write a private key, readable for its owner only from the first byte on."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    with path.open("wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _at(unix_time: float) -> datetime:
    return datetime.fromtimestamp(int(unix_time), UTC)
