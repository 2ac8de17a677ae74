"""The vectors of RFC 3711 appendix B, RFC 6188 §7 and RFC 7714 §16 and §17, and that no byte of one may change."""

import pytest

from srtp.aes_cm import keystream_xor
from srtp.aes_gcm import AesGcmTransform
from srtp.derivation import Label, SessionKeys, derive, rtp_session_keys
from srtp.keying import MasterKey
from srtp.profile import ProtectionProfile
from wire.errors import AuthenticationError

SALT = bytes.fromhex("51756964 2070726f 2071756f")
KEYS = {
    128: SessionKeys(encryption=bytes(range(16)), salt=SALT),
    256: SessionKeys(encryption=bytes(range(32)), salt=SALT),
}

# RFC 7714 §16: header of 12 bytes, then "Gallia est omnis divisa in partes tres".
RTP_HEADER = bytes.fromhex("8040f17b 8041f8d3 5501a0b2")
RTP = RTP_HEADER + b"Gallia est omnis divisa in partes tres"
RTP_INDEX = 0xF17B

ENCRYPTED_RTP = {
    # §16.1.1, §16.1.2
    128: "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5"
    "0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
    # §16.2.1, §16.2.2
    256: "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238"
    "9a58e2f3 b50b2a02 76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
}
# §16.1.3, §16.1.4 and §16.2.3, §16.2.4: the whole packet is associated data.
TAGGED_RTP = {
    128: RTP.hex() + "22493f82 d2bce397 e9d79e3b 19aa4216",
    256: RTP.hex() + "a866d591 0f887463 067ceefe c45215d4",
}

# RFC 7714 §17.
RTCP = bytes.fromhex(
    "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61"
    "deadbeef deadbeef deadbeef deadbeef deadbeef"
)
RTCP_INDEX = 0x5D4

PROTECTED_RTCP = {
    # §17.1
    (128, True): "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d"
    "c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
    # §17.2
    (256, True): "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50"
    "a2eaa5c1 110555be 8415f658 c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4",
    # §17.3
    (128, False): RTCP.hex() + "841dd968 3dd78ec9 2ae58790 125f62b3 000005d4",
    # §17.4
    (256, False): RTCP.hex() + "91db4afb feee5a97 8fab4393 ed2615fe 000005d4",
}

# RFC 3711 B.3.
MASTER = MasterKey(bytes.fromhex("E1F97A0D3E018BE0D64FA32C06DE4139"), bytes.fromhex("0EC675AD498AFEEBB6960B3AABE6"))
CIPHER_KEY = bytes.fromhex("C61E7A93744F39EE10734AFE3FF7A087")
CIPHER_SALT = bytes.fromhex("30CBBC08863D8C85D49DB34A9AE1")
# The RFC prints 94 bytes: five blocks and 14 bytes of the sixth.
AUTHENTICATION_KEY = bytes.fromhex(
    "CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA48F0A0ACF3C34E2359E6CDBCE E049646C43D9327AD175578EF7227098"
    "6371C10C9A369AC2F94A8C5FBCDDDC25 6D6E919A48B610EF17C2041E47403576 6B68642C59BBFC2F34DB60DBDFB2"
)

# RFC 3711 B.2: block number in the segment, keystream.
KEYSTREAM = [
    (0x0000, "E03EAD0935C95E80E166B16DD92B4EB4"),
    (0x0001, "D23513162B02D0F72A43A2FE4A5F97AB"),
    (0x0002, "41E95B3BB0A2E8DD477901E4FCA894C0"),
    (0xFEFF, "EC8CDF7398607CB0F2D21675EA9EA1E4"),
    (0xFF00, "362B7C3C6773516318A077D7FC5073AE"),
    (0xFF01, "6A2CC3787889374FBEB4C81B17BA6C44"),
]

# RFC 6188 §7.1, the same with AES-256.
KEYSTREAM_256 = [
    (0x0000, "92bdd28a93c3f52511c677d08b5515a4"),
    (0x0001, "9da71b2378a854f67050756ded165bac"),
    (0x0002, "63c4868b7096d88421b563b8c94c9a31"),
    (0xFEFF, "cea518c90fd91ced9cbb18c078a54711"),
    (0xFF00, "3dbc4814f4da5f00a08772b63c6a046d"),
    (0xFF01, "6eb246913062a16891433e97dd01a57f"),
]


def changed(data: bytes) -> list[bytes]:
    """Every copy of `data` with one byte changed."""
    return [data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :] for i in range(len(data))]


def test_aes_cm_keystream() -> None:
    key = bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C")
    salt = bytes.fromhex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD")
    stream = keystream_xor(key, salt, ssrc=0, index=0, data=bytes(1_044_512))
    for block, expected in KEYSTREAM:
        assert stream[16 * block : 16 * block + 16] == bytes.fromhex(expected)
    assert len(stream) == 16 * (0xFF01 + 1)


def test_aes_256_cm_keystream() -> None:
    """RFC 6188 §7.1."""
    key = bytes.fromhex("57f82fe3613fd170a85ec93c40b1f092 2ec4cb0dc025b58272147cc438944a98")
    salt = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfd")
    stream = keystream_xor(key, salt, ssrc=0, index=0, data=bytes(1_044_512))
    for block, expected in KEYSTREAM_256:
        assert stream[16 * block : 16 * block + 16] == bytes.fromhex(expected)


def test_aes_256_key_derivation() -> None:
    """RFC 6188 §7.2."""
    master = MasterKey(
        bytes.fromhex("f0f04914b513f2763a1b1fa130f10e29 98f6f6e43e4309d1e622a0e332b9f1b6"),
        bytes.fromhex("3b04803de51ee7c96423ab5b78d2"),
    )
    cipher_key = "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4"
    assert derive(master, Label.RTP_ENCRYPTION, 32).hex() == cipher_key
    assert derive(master, Label.RTP_SALT, 14).hex() == "fa31791685ca444a9e07c6c64e93"
    assert derive(master, Label.RTP_AUTHENTICATION, 20).hex() == "fd9c32d39ed5fbb5a9dc96b30818454d1313dc05"


def test_key_derivation() -> None:
    assert derive(MASTER, Label.RTP_ENCRYPTION, 16) == CIPHER_KEY
    assert derive(MASTER, Label.RTP_SALT, 14) == CIPHER_SALT
    assert derive(MASTER, Label.RTP_AUTHENTICATION, 94) == AUTHENTICATION_KEY
    keys = rtp_session_keys(ProtectionProfile.AES128_CM_SHA1_80, MASTER)
    assert keys == SessionKeys(encryption=CIPHER_KEY, salt=CIPHER_SALT, authentication=AUTHENTICATION_KEY[:20])


def test_key_derivation_depends_on_every_byte() -> None:
    for key in changed(MASTER.key):
        assert derive(MasterKey(key, MASTER.salt), Label.RTP_ENCRYPTION, 16) != CIPHER_KEY
    for salt in changed(MASTER.salt):
        assert derive(MasterKey(MASTER.key, salt), Label.RTP_ENCRYPTION, 16) != CIPHER_KEY


@pytest.mark.parametrize("bits", [128, 256])
@pytest.mark.parametrize(
    ("vectors", "header_size"), [(ENCRYPTED_RTP, 12), (TAGGED_RTP, len(RTP))], ids=["encrypted", "tagged"]
)
def test_gcm_rtp(bits: int, vectors: dict[int, str], header_size: int) -> None:
    transform = AesGcmTransform(KEYS[bits])
    protected = bytes.fromhex(vectors[bits])
    assert transform.protect_rtp(RTP, header_size, RTP_INDEX) == protected
    assert transform.unprotect_rtp(protected, header_size, RTP_INDEX) == RTP
    for forged in changed(protected):
        with pytest.raises(AuthenticationError):
            transform.unprotect_rtp(forged, header_size, RTP_INDEX)
    for wrong_index in (RTP_INDEX + 1, RTP_INDEX + (1 << 16)):
        with pytest.raises(AuthenticationError):
            transform.unprotect_rtp(protected, header_size, wrong_index)


@pytest.mark.parametrize(("bits", "encrypt"), list(PROTECTED_RTCP))
def test_gcm_rtcp(bits: int, encrypt: bool) -> None:
    transform = AesGcmTransform(KEYS[bits])
    protected = bytes.fromhex(PROTECTED_RTCP[bits, encrypt])
    assert transform.protect_rtcp(RTCP, RTCP_INDEX, encrypt=encrypt) == protected
    assert transform.rtcp_index(protected) == RTCP_INDEX
    assert transform.unprotect_rtcp(protected) == RTCP
    for forged in changed(protected):
        with pytest.raises(AuthenticationError):
            transform.unprotect_rtcp(forged)


@pytest.mark.parametrize("what", ["encryption", "salt"])
def test_gcm_depends_on_every_byte_of_the_keys(what: str) -> None:
    protected = bytes.fromhex(ENCRYPTED_RTP[128])
    for wrong in changed(getattr(KEYS[128], what)):
        fields = {"encryption": KEYS[128].encryption, "salt": SALT} | {what: wrong}
        with pytest.raises(AuthenticationError):
            AesGcmTransform(SessionKeys(**fields)).unprotect_rtp(protected, 12, RTP_INDEX)
