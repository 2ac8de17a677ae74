"""Integrity on raw bytes: which attribute is verified, and what it covers. The RFCs' vectors are in their own file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stun.attributes import Attribute, AttributeType
from stun.integrity import (
    Integrity,
    add_fingerprint,
    add_integrity,
    add_message_integrity,
    add_message_integrity_sha256,
    verify_fingerprint,
    verify_message_integrity,
)
from stun.message import Message, MessageClass

KEY = b"VOkJxbRl1RmTxUk/WvJxBt"
BARE = Message(
    message_class=MessageClass.REQUEST,
    transaction_id=bytes(range(12)),
    attributes=(Attribute(AttributeType.USERNAME, b"evtj:h6vY"),),
).serialize()


def flip(data: bytes, position: int) -> bytes:
    changed = bytearray(data)
    changed[position] ^= 0x80
    return bytes(changed)


def extend(data: bytes, attribute_type: int, value: bytes) -> bytes:
    packed = attribute_type.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value
    return data[:2] + (len(data) - 20 + len(packed)).to_bytes(2, "big") + data[4:] + packed


@given(st.binary(max_size=70), st.sampled_from(Integrity), st.booleans())
def test_what_is_added_verifies(key, integrity, with_fingerprint):
    data = add_integrity(BARE, key, integrity)
    if with_fingerprint:
        data = add_fingerprint(data)
        assert verify_fingerprint(data)
    assert verify_message_integrity(data, key)
    assert not verify_message_integrity(data, key + b"x")
    assert Message.parse(data).has_integrity()


def test_no_integrity_does_not_verify():
    assert not verify_message_integrity(BARE, KEY)
    assert not verify_message_integrity(add_fingerprint(BARE), KEY)


def test_both_integrities_have_to_verify_when_both_are_there():
    """RFC 8489 §9.1.3 would look at SHA-256 only; then the bytes before SHA-1 alone could be anything."""
    both = add_message_integrity_sha256(add_message_integrity(BARE, KEY), KEY)
    assert verify_message_integrity(both, KEY)
    assert verify_message_integrity(add_fingerprint(both), KEY)
    # Where the type of the last one is changed there is only one left, which covers all that is believed.
    for position in set(range(4, len(both))) - {len(both) - 36, len(both) - 35}:
        assert not verify_message_integrity(flip(both, position), KEY), position
    turned = add_message_integrity(add_message_integrity_sha256(BARE, KEY), KEY)
    assert verify_message_integrity(turned, KEY)
    for position in set(range(4, len(turned))) - {len(turned) - 24, len(turned) - 23}:
        assert not verify_message_integrity(flip(turned, position), KEY), position


def test_one_wrong_integrity_beside_a_right_one():
    assert not verify_message_integrity(add_message_integrity_sha256(add_message_integrity(BARE, b"?"), KEY), KEY)
    assert not verify_message_integrity(add_message_integrity_sha256(add_message_integrity(BARE, KEY), b"?"), KEY)
    assert not verify_message_integrity(add_message_integrity(add_message_integrity_sha256(BARE, b"?"), KEY), KEY)
    assert not verify_message_integrity(add_message_integrity(add_message_integrity_sha256(BARE, KEY), b"?"), KEY)


def test_attributes_behind_do_not_matter_but_neither_help():
    data = add_message_integrity(BARE, KEY)
    assert verify_message_integrity(extend(data, 0x0025, b""), KEY)
    # A second integrity is behind the first, and cannot replace it.
    wrong_then_right = add_message_integrity(add_message_integrity(BARE, b"?"), KEY)
    assert not verify_message_integrity(wrong_then_right, KEY)


@pytest.mark.parametrize("size", [0, 4, 16, 19, 21, 24])
def test_a_sha1_integrity_of_another_size(size):
    value = add_message_integrity(BARE, KEY)[-20:].ljust(size, b"\0")[:size]
    assert not verify_message_integrity(extend(BARE, AttributeType.MESSAGE_INTEGRITY, value), KEY)


@pytest.mark.parametrize("size", [0, 16, 28, 36])
def test_a_truncated_sha256_is_refused(size):
    # RFC 8489 §14.6: the full 32 bytes unless the usage allows truncation, which ICE does not.
    value = add_message_integrity_sha256(BARE, KEY)[-32:].ljust(size, b"\0")[:size]
    assert not verify_message_integrity(extend(BARE, AttributeType.MESSAGE_INTEGRITY_SHA256, value), KEY)


def test_an_attribute_that_ends_beyond_the_message():
    data = add_message_integrity(BARE, KEY)
    assert not verify_message_integrity(data[:-1], KEY)
    assert not verify_message_integrity(data + b"\x00\x1c\x00\x20abc", KEY)
    assert not verify_message_integrity(BARE[:20] + b"\x80\x22\xff\xff", KEY)


def test_fingerprint_has_to_be_the_last_attribute():
    data = add_fingerprint(BARE)
    assert verify_fingerprint(data)
    assert not verify_fingerprint(extend(data, 0x8022, b"more"))
    assert not verify_fingerprint(BARE)
    for position in range(len(data)):
        assert not verify_fingerprint(flip(data, position))
    for end in range(len(data)):
        assert not verify_fingerprint(data[:end])
