"""The layout of exported keying material, and the lengths that profiles ask for."""

import pytest

from srtp.keying import EXPORTER_LABEL, MasterKey, split_keying_material
from srtp.profile import ProtectionProfile
from wire.errors import LocalProtocolError

# Key and salt lengths of RFC 5764 §4.1.2 and RFC 7714 §14.2.
LENGTHS = {
    ProtectionProfile.AES128_CM_SHA1_80: (16, 14, 60),
    ProtectionProfile.AEAD_AES_128_GCM: (16, 12, 56),
    ProtectionProfile.AEAD_AES_256_GCM: (32, 12, 88),
}


def test_label() -> None:
    assert EXPORTER_LABEL == "EXTRACTOR-dtls_srtp"


def test_numbers_are_those_of_use_srtp() -> None:
    assert [(profile.name, int(profile)) for profile in ProtectionProfile] == [
        ("AES128_CM_SHA1_80", 1),
        ("AEAD_AES_128_GCM", 7),
        ("AEAD_AES_256_GCM", 8),
    ]


def test_layout(profile: ProtectionProfile) -> None:
    key, salt, total = LENGTHS[profile]
    assert profile.keying_material_length == total
    material = b"C" * key + b"S" * key + b"c" * salt + b"s" * salt
    client, server = MasterKey(b"C" * key, b"c" * salt), MasterKey(b"S" * key, b"s" * salt)
    assert split_keying_material(profile, material, is_client=True) == (client, server)
    assert split_keying_material(profile, material, is_client=False) == (server, client)


@pytest.mark.parametrize("off", [-1, 1])
def test_other_lengths_are_refused(profile: ProtectionProfile, off: int) -> None:
    with pytest.raises(LocalProtocolError):
        split_keying_material(profile, bytes(profile.keying_material_length + off), is_client=True)
    with pytest.raises(LocalProtocolError):
        MasterKey(bytes(profile.key_length + off), bytes(profile.salt_length)).check(profile)
    with pytest.raises(LocalProtocolError):
        MasterKey(bytes(profile.key_length), bytes(profile.salt_length + off)).check(profile)


def test_secrets_are_not_shown() -> None:
    assert repr(MasterKey(b"secret", b"salt")) == "MasterKey()"
