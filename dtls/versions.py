"""Protocol versions as the wire spells them, and the two roles."""

import enum

__all__ = ["Role", "Version"]


class Version(enum.IntEnum):
    """DTLS versions; the wire counts backwards (RFC 9147 §5.3)."""

    DTLS_1_0 = 0xFEFF
    DTLS_1_2 = 0xFEFD
    DTLS_1_3 = 0xFEFC

    @property
    def label(self) -> str:
        """The name for people: "DTLS 1.3"."""
        return self.name.replace("DTLS_", "DTLS ").replace("_", ".")


class Role(enum.Enum):
    """Who sends the ClientHello."""

    CLIENT = "client"
    SERVER = "server"
