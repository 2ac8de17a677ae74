"""From a DTLS handshake to the master keys of both directions.

What DTLS exports is cut in the order of RFC 5764 §4.2:

    client write key | server write key | client write salt | server write salt

and "client" is whoever was the DTLS client, whatever its part in the call.
"""

import attrs

from srtp.profile import ProtectionProfile
from wire.errors import LocalProtocolError

__all__ = ["EXPORTER_LABEL", "MasterKey", "split_keying_material"]

# RFC 5764 §4.2: the label for the exporter, without a context.
EXPORTER_LABEL = "EXTRACTOR-dtls_srtp"


@attrs.frozen
class MasterKey:
    """The secret from which the session keys of one direction are derived.

    Attributes:
        key: as long as the profile's `key_length`.
        salt: as long as the profile's `salt_length`.
    """

    key: bytes = attrs.field(repr=False)
    salt: bytes = attrs.field(repr=False)

    def check(self, profile: ProtectionProfile) -> None:
        """Make sure that this key belongs to `profile`.

        Raises:
            LocalProtocolError: a length is not the profile's.
        """
        if len(self.key) != profile.key_length or len(self.salt) != profile.salt_length:
            raise LocalProtocolError(f"a master key of {profile.name} needs other lengths")


def split_keying_material(profile: ProtectionProfile, material: bytes, is_client: bool) -> tuple[MasterKey, MasterKey]:
    """Cut what DTLS exported into the keys of both directions.

    Args:
        profile: the negotiated profile.
        material: `profile.keying_material_length` bytes exported under `EXPORTER_LABEL`.
        is_client: whether we were the DTLS client.

    Returns:
        What we protect with, and what the peer protects with.

    Raises:
        LocalProtocolError: `material` has another length.
    """
    if len(material) != profile.keying_material_length:
        raise LocalProtocolError(f"{profile.name} needs {profile.keying_material_length} bytes of keying material")
    key, salt = profile.key_length, profile.salt_length
    salts = 2 * key
    client = MasterKey(material[:key], material[salts : salts + salt])
    server = MasterKey(material[key:salts], material[salts + salt :])
    return (client, server) if is_client else (server, client)
