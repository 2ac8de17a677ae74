"""Laws of the codec: for the message, and for every record with a `parse` and a `serialize` in the package."""

import contextlib
import importlib
import inspect
import pkgutil

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import stun
from stun.attributes import (
    KNOWN_TYPES,
    Attribute,
    AttributeType,
    ErrorCode,
    MappedAddress,
    UnknownAttributes,
    is_comprehension_required,
    xor_address,
)
from stun.integrity import verify_fingerprint, verify_message_integrity
from stun.message import BINDING, MAX_ATTRIBUTES, Message, MessageClass, read_username
from wire.buffer import Reader, Writer
from wire.errors import MalformedError

ports = st.integers(0, 0xFFFF)
hosts = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
RECORDS = {
    MappedAddress: st.builds(MappedAddress, address=st.tuples(hosts, ports)),
    ErrorCode: st.builds(ErrorCode, code=st.integers(300, 699), reason=st.text(max_size=100)),
    UnknownAttributes: st.builds(UnknownAttributes, types=st.lists(st.integers(0, 0xFFFF), max_size=9).map(tuple)),
}
# The length of these is the attribute's, so any prefix that ends between two of their elements is another value.
OPEN_ENDED = {ErrorCode, UnknownAttributes}

types = st.one_of(st.sampled_from(sorted(KNOWN_TYPES)), st.integers(0, 0xFFFF))
messages = st.builds(
    Message,
    method=st.one_of(st.just(BINDING), st.integers(0, 0xFFF)),
    message_class=st.sampled_from(MessageClass),
    transaction_id=st.binary(min_size=12, max_size=12),
    attributes=st.lists(st.builds(Attribute, types, st.binary(max_size=24)), max_size=8).map(tuple),
)


def found_records() -> set[type]:
    """Every class of the package that writes itself into a `Writer`."""
    found = set()
    for module in pkgutil.iter_modules(stun.__path__, "stun."):
        for _, cls in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if cls.__module__.startswith("stun.") and hasattr(cls, "parse") and cls is not Message:
                found.add(cls)
    return found


def pack(record) -> bytes:
    writer = Writer()
    record.serialize(writer)
    return writer.finish()


def test_no_record_is_left_out():
    assert found_records() == set(RECORDS)


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
class TestRecords:
    @given(data=st.data())
    def test_round_trip(self, cls, data):
        record = data.draw(RECORDS[cls])
        assert cls.parse(Reader(pack(record))) == record

    @given(data=st.data())
    def test_prefixes_and_trailing_bytes(self, cls, data):
        record = data.draw(RECORDS[cls])
        packed = pack(record)
        for end in range(len(packed)):
            if cls in OPEN_ENDED:
                with contextlib.suppress(MalformedError):
                    assert cls.parse(Reader(packed[:end])) != record
            else:
                with pytest.raises(MalformedError):
                    cls.parse(Reader(packed[:end]))
        if cls not in OPEN_ENDED:
            with pytest.raises(MalformedError):
                cls.parse(Reader(packed + b"\0"))

    @given(data=st.binary(max_size=30))
    def test_noise_raises_only_malformed(self, cls, data):
        try:
            record = cls.parse(Reader(data))
        except MalformedError:
            return
        assert cls.parse(Reader(pack(record))) == record


@given(messages)
def test_messages_round_trip(message):
    data = message.serialize()
    assert Message.parse(data) == message
    assert Message.parse(data).serialize() == data
    assert len(data) % 4 == 0


@given(messages)
def test_no_strict_prefix_and_no_trailing_bytes(message):
    data = message.serialize()
    for end in range(len(data)):
        with pytest.raises(MalformedError):
            Message.parse(data[:end])
    for extra in (b"\0", b"\0\0\0\0"):
        with pytest.raises(MalformedError):
            Message.parse(data + extra)


@given(messages, st.data())
def test_mutated_messages_raise_only_malformed(message, data):
    mutated = bytearray(message.serialize())
    for position in data.draw(st.lists(st.integers(0, len(mutated) - 1), min_size=1, max_size=6)):
        mutated[position] = data.draw(st.integers(0, 255))
    look_at(bytes(mutated))


@given(st.one_of(st.binary(max_size=80), st.binary(max_size=80).map(lambda rest: b"\0\1\0\x50\x21\x12\xa4\x42" + rest)))
@example(b"")
def test_noise_raises_only_malformed(data):
    look_at(data)


def look_at(data: bytes) -> None:
    """Do all that is done to bytes from the network; what is found must agree."""
    verify_message_integrity(data, b"key")
    verify_fingerprint(data)
    username = read_username(data)
    try:
        message = Message.parse(data)
    except MalformedError:
        return
    assert Message.parse(message.serialize()) == message
    if username is not None:
        assert message.get(AttributeType.USERNAME) == ":".join(username).encode()


# Examples of single rules.


def bare(*attributes: Attribute, **fields) -> Message:
    return Message(message_class=MessageClass.REQUEST, transaction_id=bytes(12), attributes=attributes, **fields)


@pytest.mark.parametrize(
    ("method", "message_class", "expected"),
    [
        # RFC 8489 §5: Binding request 0x0001, indication 0x0011, success 0x0101, error 0x0111.
        (BINDING, MessageClass.REQUEST, 0x0001),
        (BINDING, MessageClass.INDICATION, 0x0011),
        (BINDING, MessageClass.SUCCESS, 0x0101),
        (BINDING, MessageClass.ERROR, 0x0111),
        # TURN's Send indication, and the method of all ones.
        (0x006, MessageClass.INDICATION, 0x0016),
        (0xFFF, MessageClass.ERROR, 0x3FFF),
        (0xFFF, MessageClass.REQUEST, 0x3EEF),
    ],
)
def test_class_bits_are_interleaved_with_the_method(method, message_class, expected):
    data = Message(method=method, message_class=message_class, transaction_id=bytes(12)).serialize()
    assert int.from_bytes(data[:2], "big") == expected
    assert (Message.parse(data).method, Message.parse(data).message_class) == (method, message_class)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (bytes.fromhex("4001 0000 2112a442") + bytes(12), "message type at byte 0: the first two bits are not zero"),
        (bytes.fromhex("0001 0000 2112a443") + bytes(12), "magic cookie at byte 4: is not 0x2112A442"),
        (bytes.fromhex("0001 0004 2112a442") + bytes(12), "message length at byte 2: says 4, 0 bytes follow"),
        (bytes.fromhex("0001 0002 2112a442") + bytes(14), "message length at byte 2: 2 is not a multiple of 4"),
        (bytes.fromhex("0001 0004 2112a442") + bytes(12) + b"\0\6\0\1", "attribute value at byte 24: needs 1 bytes"),
        (bytes(19), "header at byte 0: needs 20 bytes, 19 are left"),
    ],
)
def test_malformed_messages_say_where(data, problem):
    with pytest.raises(MalformedError) as caught:
        Message.parse(data)
    assert str(caught.value).startswith(problem)


def test_padding_is_ignored_on_receipt_and_zero_on_sending():
    data = bytearray(bare(Attribute(0x8022, b"abc")).serialize())
    assert data[-1] == 0
    data[-1] = 0x20
    message = Message.parse(bytes(data))
    assert message.get(0x8022) == b"abc"
    assert message.serialize()[-1] == 0


def test_the_first_of_repeated_attributes_counts_and_all_are_kept():
    message = bare(Attribute(0x8022, b"one!"), Attribute(0x8022, b"two!"))
    assert message.get(0x8022) == b"one!"
    assert Message.parse(message.serialize()).attributes == message.attributes


SHA1 = Attribute(AttributeType.MESSAGE_INTEGRITY, bytes(20))
SHA256 = Attribute(AttributeType.MESSAGE_INTEGRITY_SHA256, bytes(32))
NOMINATION = Attribute(AttributeType.USE_CANDIDATE, b"")


@pytest.mark.parametrize(
    ("attributes", "believed"),
    [
        ((NOMINATION,), True),
        ((NOMINATION, SHA1), True),
        ((SHA1, NOMINATION), False),
        ((SHA256, NOMINATION), False),
        ((SHA1, SHA256, NOMINATION), False),
        # Covered by MESSAGE-INTEGRITY, which is there.
        ((SHA256, NOMINATION, SHA1), True),
    ],
)
def test_what_follows_the_integrity_is_not_believed(attributes, believed):
    message = bare(*attributes)
    assert (message.get(AttributeType.USE_CANDIDATE) is not None) is believed
    assert NOMINATION in message.attributes


def test_unknown_required_attributes_are_listed_once_and_unknown_optional_ones_not():
    message = bare(
        Attribute(0x7001, b""),
        Attribute(0x8FFF, b""),
        Attribute(AttributeType.USERNAME, b"a:b"),
        Attribute(0x0002, b""),
        Attribute(0x7001, b""),
        SHA1,
        Attribute(0x7002, b""),
    )
    assert message.unknown_required() == (0x7001, 0x0002)
    assert is_comprehension_required(0x7FFF)
    assert not is_comprehension_required(0x8000)


def test_the_number_of_attributes_is_bounded():
    many = [Attribute(0x8FFF, b"")] * MAX_ATTRIBUTES
    assert len(Message.parse(bare(*many).serialize()).attributes) == MAX_ATTRIBUTES
    with pytest.raises(MalformedError, match="more than 64"):
        Message.parse(bare(*many, Attribute(0x8FFF, b"")).serialize())
    # The fast looks stop there too.
    hidden = bare(*many, Attribute(AttributeType.USERNAME, b"a:b")).serialize()
    assert read_username(hidden) is None
    assert not verify_message_integrity(hidden, b"")


@given(hosts, ports, st.binary(min_size=12, max_size=12))
def test_xor_undoes_itself_and_disguises_the_address(host, port, transaction_id):
    value = pack(MappedAddress(address=(host, port)))
    disguised = xor_address(value, transaction_id)
    assert xor_address(disguised, transaction_id) == value
    assert disguised[:2] == value[:2]
    assert disguised[2:4] != value[2:4]
    assert disguised[4:8] != value[4:8]


@given(st.binary(max_size=40))
def test_xor_takes_any_length(value):
    assert len(xor_address(value, bytes(12))) == len(value)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("00030050c0000201", "MAPPED-ADDRESS family at byte 1: 3 is neither"),
        ("00010050c00002", "MAPPED-ADDRESS address at byte 4"),
        ("00010050c000020100", "MAPPED-ADDRESS at byte 8: 1 trailing bytes"),
        ("00020050c0000201", "MAPPED-ADDRESS address at byte 4"),
    ],
)
def test_bad_addresses(value, problem):
    with pytest.raises(MalformedError) as caught:
        MappedAddress.parse(Reader(bytes.fromhex(value)))
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize("value", ["00000200", "00000700", "00000464", "0000", "00000400ff", "00000400" + "61" * 764])
def test_bad_error_codes(value):
    with pytest.raises(MalformedError, match="ERROR-CODE"):
        ErrorCode.parse(Reader(bytes.fromhex(value)))


def test_an_error_code_ignores_its_reserved_bits():
    assert ErrorCode.parse(Reader(bytes.fromhex("fffffc576e6f"))) == ErrorCode(code=487, reason="no")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (bare(Attribute(AttributeType.USERNAME, b"server:client")), ("server", "client")),
        (bare(Attribute(0x8FFF, b"abc"), Attribute(AttributeType.USERNAME, b"s:c")), ("s", "c")),
        (bare(Attribute(AttributeType.USERNAME, b"a:b"), Attribute(AttributeType.USERNAME, b"c:d")), ("a", "b")),
        (bare(Attribute(AttributeType.USERNAME, b"a:b:c")), ("a", "b:c")),
        (bare(Attribute(AttributeType.USERNAME, b"nocolon")), None),
        (bare(Attribute(AttributeType.USERNAME, b"\xff:a")), None),
        (bare(SHA1, Attribute(AttributeType.USERNAME, b"a:b")), None),
        (bare(SHA256, Attribute(AttributeType.USERNAME, b"a:b")), None),
        (bare(), None),
        (bare(Attribute(AttributeType.USERNAME, b"a:b"), method=2), None),
    ],
)
def test_usernames_are_read_fast(message, expected):
    data = message.serialize()
    assert read_username(data) == expected
    for end in range(len(data)):
        assert read_username(data[:end]) is None
    assert read_username(data + b"\0\0\0\0") is None


def test_a_username_is_read_only_from_binding_requests():
    for message_class in (MessageClass.INDICATION, MessageClass.SUCCESS, MessageClass.ERROR):
        message = Message(
            message_class=message_class,
            transaction_id=bytes(12),
            attributes=(Attribute(AttributeType.USERNAME, b"a:b"),),
        )
        assert read_username(message.serialize()) is None
