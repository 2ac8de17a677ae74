"""An established association as bytes, to go on in another process.

It holds keys: whoever stores it encrypts it. It holds ages, never a time of the clock it was made by. The first byte
is the version of the format; a reader refuses one that it does not know.

Only one process may go on: two that seal with the same key and number give its plaintext away (RFC 8446 §5.3). Who
restores a snapshot that is not the very last word of its old owner skips record numbers with `sequence_margin`.
"""

from typing import Self

import attrs

from dtls.certificate import Fingerprint
from dtls.events import SecurityParameters
from dtls.versions import Role, Version
from wire.buffer import Reader, Writer
from wire.errors import MalformedError

__all__ = ["Snapshot"]

_FORMAT = 1
_ROLES = (Role.CLIENT, Role.SERVER)


@attrs.frozen(kw_only=True)
class Snapshot:
    """What all versions have in common, and the part of the stage.

    Attributes:
        role: who sent the ClientHello.
        security: what was agreed on.
        peer_certificate: in DER; fingerprints announced later are compared with it.
        matched: the announced fingerprint that it has.
        stage: what `Established.snapshot` wrote.
    """

    role: Role
    security: SecurityParameters
    peer_certificate: bytes = attrs.field(repr=False)
    matched: Fingerprint
    stage: bytes = attrs.field(repr=False)

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read a snapshot.

        Raises:
            MalformedError: it is something else, or of another format.
        """
        if (number := reader.u8("format")) != _FORMAT:
            raise MalformedError("format", 0, f"format {number} is not known")
        at, role_number = reader.offset, reader.u8("role")
        version_number = reader.u16("version")
        if role_number >= len(_ROLES) or version_number not in frozenset(Version):
            raise MalformedError("role", at, "no role or version")
        return cls(
            role=_ROLES[role_number],
            security=SecurityParameters(
                version=Version(version_number),
                cipher_suite=_read_text(reader, "cipher_suite"),
                group=_read_text(reader, "group"),
                # 0x0000 is reserved in the registry of profiles (RFC 5764 §4.1.2), so it stands for none.
                srtp_profile=reader.u16("srtp_profile") or None,
            ),
            peer_certificate=reader.vector(3, "peer_certificate").rest(),
            matched=Fingerprint(_read_text(reader, "algorithm"), reader.vector(1, "digest").rest()),
            stage=reader.vector(3, "stage").rest(),
        )

    def serialize(self, writer: Writer) -> None:
        """Write a snapshot."""
        security = self.security
        writer.u8(_FORMAT, "format").u8(_ROLES.index(self.role), "role").u16(security.version, "version")
        writer.vector(1, security.cipher_suite.encode(), "cipher_suite").vector(1, security.group.encode(), "group")
        writer.u16(security.srtp_profile or 0, "srtp_profile").vector(3, self.peer_certificate, "peer_certificate")
        writer.vector(1, self.matched.algorithm.encode(), "algorithm").vector(1, self.matched.digest, "digest")
        writer.vector(3, self.stage, "stage")


def _read_text(reader: Reader, field: str) -> str:
    at, data = reader.offset, reader.vector(1, field).rest()
    if not data.isascii():
        raise MalformedError(field, at, "not ASCII")
    return data.decode("ascii")
