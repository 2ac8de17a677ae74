"""RFC 5769, all of it, and RFC 8489 appendix B.1; a changed byte anywhere in a covered part is noticed."""

import hashlib
import hmac
from typing import NamedTuple

import pytest

from stun.attributes import AttributeType, MappedAddress, xor_address
from stun.integrity import (
    add_fingerprint,
    add_message_integrity,
    add_message_integrity_sha256,
    verify_fingerprint,
    verify_message_integrity,
)
from stun.message import BINDING, Message, MessageClass, read_username
from wire.buffer import Reader
from wire.errors import MalformedError

PASSWORD = b"VOkJxbRl1RmTxUk/WvJxBt"
TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
LONG_TERM_USER = "\u30de\u30c8\u30ea\u30c3\u30af\u30b9"


class Vector(NamedTuple):
    data: bytes
    key: bytes
    has_fingerprint: bool


# RFC 5769 §2.1
REQUEST = Vector(
    bytes.fromhex(
        "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff80290008"
        "932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004"
        "e57a3bcf"
    ),
    PASSWORD,
    has_fingerprint=True,
)
# RFC 5769 §2.2
RESPONSE_IPV4 = Vector(
    bytes.fromhex(
        "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643"
        "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96"
    ),
    PASSWORD,
    has_fingerprint=True,
)
# RFC 5769 §2.3
RESPONSE_IPV6 = Vector(
    bytes.fromhex(
        "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9faa5d3f179"
        "bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c"
    ),
    PASSWORD,
    has_fingerprint=True,
)
# RFC 5769 §2.4
REQUEST_LONG_TERM = Vector(
    bytes.fromhex(
        "000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382afe382b900000015001c662f2f34"
        "39396b39353464364f4c33346f4c39465354767936347341001400"
        "0b6578616d706c652e6f72670000080014f67024656dd64a3e02b8e0712e85c9a28ca89666"
    ),
    # RFC 8489 §9.2.2: key = MD5(username ":" realm ":" password), the password after SASLprep.
    hashlib.md5(f"{LONG_TERM_USER}:example.org:TheMatrIX".encode()).digest(),  # noqa: S324 - the vector is made so
    has_fingerprint=False,
)
_SHA256_PARTS = (
    "2112a44278ad3433c6ad72c029da412e001e00204a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704"
    "001500296f624d61744a6f7332414141"
    "43662f2f3439396b39353464364f4c33346f4c3946535476793634734100000000140"
    "00b6578616d706c652e6f726700"
)
# RFC 8489 §9.2.2: with PASSWORD-ALGORITHM SHA-256, key = SHA-256(username ":" realm ":" password).
_SHA256_KEY = hashlib.sha256(f"{LONG_TERM_USER}:example.org:TheMatrIX".encode()).digest()
# RFC 8489 appendix B.1 as corrected by its verified erratum 6268: the length is right, PASSWORD-ALGORITHM is there.
REQUEST_SHA256 = Vector(
    bytes.fromhex(
        "00010090" + _SHA256_PARTS + "001d000400020000"
        "001c0020b5c7bf005b6c52a21c51c5e892f81924136296cb927c43149309278cc6518e65"
    ),
    _SHA256_KEY,
    has_fingerprint=False,
)
# RFC 8489 appendix B.1 as printed: its length field says 156 where 136 bytes follow.
REQUEST_SHA256_AS_PRINTED = bytes.fromhex(
    "0001009c" + _SHA256_PARTS + "001c0020e4686c8f0edeb59013e07090010a93efccbccc544c0a45d9f830aa6d6f735a01"
)
VECTORS = {
    "request": REQUEST,
    "response-ipv4": RESPONSE_IPV4,
    "response-ipv6": RESPONSE_IPV6,
    "request-long-term": REQUEST_LONG_TERM,
    "request-sha256": REQUEST_SHA256,
}
each_vector = pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS)


@each_vector
def test_integrity_and_fingerprint_verify(vector: Vector):
    assert verify_message_integrity(vector.data, vector.key)
    assert verify_fingerprint(vector.data) is vector.has_fingerprint


@each_vector
def test_every_changed_byte_is_noticed(vector: Vector):
    # The type and length of FINGERPRINT, which is behind the integrity, are fingerprint's to notice.
    for position in range(len(vector.data)):
        changed = bytearray(vector.data)
        changed[position] ^= 0x01
        if vector.has_fingerprint:
            assert not verify_fingerprint(bytes(changed))
        # RFC 8489 §14.5: the length field is replaced before computing, so its own two bytes are not covered.
        if position in (2, 3) or (vector.has_fingerprint and position >= len(vector.data) - 8):
            continue
        assert not verify_message_integrity(bytes(changed), vector.key), position


@each_vector
def test_another_key_does_not_verify(vector: Vector):
    assert not verify_message_integrity(vector.data, vector.key + b"x")
    assert not verify_message_integrity(vector.data, b"")


def test_request_fields():
    message = Message.parse(REQUEST.data)
    assert (message.method, message.message_class) == (BINDING, MessageClass.REQUEST)
    assert message.transaction_id == TRANSACTION
    assert message.get(AttributeType.SOFTWARE) == b"STUN test client"
    assert message.get(AttributeType.PRIORITY) == bytes.fromhex("6e0001ff")
    assert message.get(AttributeType.ICE_CONTROLLED) == bytes.fromhex("932ff9b151263b36")
    assert message.get(AttributeType.USERNAME) == b"evtj:h6vY"
    assert read_username(REQUEST.data) == ("evtj", "h6vY")


@pytest.mark.parametrize(
    ("vector", "address"),
    [(RESPONSE_IPV4, "192.0.2.1"), (RESPONSE_IPV6, "2001:db8:1234:5678:11:2233:4455:6677")],
)
def test_mapped_addresses(vector: Vector, address: str):
    message = Message.parse(vector.data)
    assert message.message_class is MessageClass.SUCCESS
    assert message.get(AttributeType.SOFTWARE) == b"test vector"
    value = message.get(AttributeType.XOR_MAPPED_ADDRESS)
    assert value is not None
    mapped = MappedAddress.parse(Reader(xor_address(value, TRANSACTION)))
    assert mapped == MappedAddress(address=(address, 32853))


def test_long_term_fields():
    message = Message.parse(REQUEST_LONG_TERM.data)
    assert message.get(AttributeType.USERNAME) == LONG_TERM_USER.encode()
    assert message.get(AttributeType.NONCE) == b"f//499k954d6OL34oL9FSTvy64sA"
    assert message.get(AttributeType.REALM) == b"example.org"


def test_userhash_and_nonce_of_appendix_b():
    message = Message.parse(REQUEST_SHA256.data)
    userhash = hashlib.sha256(f"{LONG_TERM_USER}:example.org".encode()).digest()
    assert message.get(AttributeType.USERHASH) == userhash
    assert message.get(AttributeType.NONCE) == b"obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA"


def test_we_write_the_same_bytes():
    """The vectors whose padding is zero can be made again, byte for byte."""
    bare = Message.parse(REQUEST_LONG_TERM.data)
    bare = Message(
        message_class=bare.message_class, transaction_id=bare.transaction_id, attributes=tuple(bare.believable())
    )
    assert add_message_integrity(bare.serialize(), REQUEST_LONG_TERM.key) == REQUEST_LONG_TERM.data

    bare = Message.parse(REQUEST_SHA256.data)
    bare = Message(
        message_class=bare.message_class, transaction_id=bare.transaction_id, attributes=tuple(bare.believable())
    )
    assert add_message_integrity_sha256(bare.serialize(), REQUEST_SHA256.key) == REQUEST_SHA256.data

    # The others are padded with spaces, so start from their own bytes.
    for vector in (REQUEST, RESPONSE_IPV4, RESPONSE_IPV6):
        bytes_before_integrity = vector.data[: len(vector.data) - 8 - 24]
        assert add_fingerprint(add_message_integrity(bytes_before_integrity, vector.key)) == vector.data


def test_appendix_b_as_printed_has_a_wrong_length():
    """Its HMAC was computed with that length in the header, which erratum 6268 corrects."""
    with pytest.raises(MalformedError, match="message length at byte 2: says 156, 136 bytes follow"):
        Message.parse(REQUEST_SHA256_AS_PRINTED)
    assert not verify_message_integrity(REQUEST_SHA256_AS_PRINTED, _SHA256_KEY)
    covered, value = REQUEST_SHA256_AS_PRINTED[:-36], REQUEST_SHA256_AS_PRINTED[-32:]
    assert hmac.digest(_SHA256_KEY, covered, "sha256") == value
