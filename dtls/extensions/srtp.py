"""use_srtp (RFC 5764 §4.1.1)."""

from typing import ClassVar, Self

import attrs

from dtls.extensions.block import ExtensionType
from dtls.number_list import read_u16_list, write_u16_list
from wire.buffer import Reader, Writer

__all__ = ["UseSrtp"]


@attrs.frozen(kw_only=True)
class UseSrtp:
    """The profiles offered, or the one chosen.

    Attributes:
        profiles: protection profiles, preferred first; unknown numbers are kept. An answer has exactly one.
        mki: the master key identifier; we offer none.
    """

    TYPE: ClassVar[ExtensionType] = ExtensionType.USE_SRTP
    profiles: tuple[int, ...]
    mki: bytes = b""

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read profiles and MKI."""
        return cls(profiles=read_u16_list(reader, 2, "SRTPProtectionProfiles"), mki=reader.vector(1, "srtp_mki").rest())

    def serialize(self, writer: Writer) -> None:
        """Write profiles and MKI."""
        write_u16_list(writer, 2, self.profiles, "SRTPProtectionProfiles")
        writer.vector(1, self.mki, "srtp_mki")
