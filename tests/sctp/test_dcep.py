"""DCEP: laws of the two messages, and what is wrong with others."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sctp.dcep import ChannelType, DataChannelAck, DataChannelOpen, Message, parse_message, serialize_message
from wire.errors import LocalProtocolError, MalformedError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
OPENS = st.builds(
    DataChannelOpen,
    channel_type=st.sampled_from([kind for kind in ChannelType if not kind.is_reliable]),
    priority=st.integers(0, 0xFFFF),
    reliability=st.integers(0, 0xFFFF_FFFF),
    label=TEXT,
    protocol=TEXT,
) | st.builds(
    DataChannelOpen,
    channel_type=st.sampled_from([ChannelType.RELIABLE, ChannelType.RELIABLE_UNORDERED]),
    label=TEXT,
    protocol=TEXT,
)
MESSAGES = OPENS | st.just(DataChannelAck())


@given(MESSAGES)
def test_round_trip(message: Message) -> None:
    data = serialize_message(message)
    assert parse_message(data) == message
    assert serialize_message(parse_message(data)) == data


@given(MESSAGES)
def test_no_strict_prefix_and_no_trailing_byte(message: Message) -> None:
    data = serialize_message(message)
    for size in range(len(data)):
        with pytest.raises(MalformedError):
            parse_message(data[:size])
    with pytest.raises(MalformedError, match="trailing"):
        parse_message(data + b"\0")


@given(MESSAGES, st.data())
def test_mutated_bytes_raise_only_malformed(message: Message, data: st.DataObject) -> None:
    mutated = bytearray(serialize_message(message))
    for _ in range(data.draw(st.integers(1, 3))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MalformedError):
        parsed = parse_message(bytes(mutated))
        assert parse_message(serialize_message(parsed)) == parsed


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("02", DataChannelAck()),
        ("030001000000 0000000a 0000 6f61692d6576656e7473", DataChannelOpen(label="oai-events")),
        (
            "0381008000000003 0002 0001 c3a9 78",
            DataChannelOpen(
                channel_type=ChannelType.PARTIAL_RELIABLE_REXMIT_UNORDERED,
                priority=128,
                reliability=3,
                label="é",
                protocol="x",
            ),
        ),
    ],
)
def test_examples(data: str, message: Message) -> None:
    assert parse_message(bytes.fromhex(data)) == message
    assert serialize_message(message) == bytes.fromhex(data)


def test_the_reliability_of_a_reliable_channel_is_ignored() -> None:
    """RFC 8832 §5.1."""
    assert parse_message(bytes.fromhex("038001000000000700000000")) == DataChannelOpen(
        channel_type=ChannelType.RELIABLE_UNORDERED
    )


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ("", "Message Type"),
        ("00", "Message Type"),
        ("01", "Message Type"),
        ("04", "Message Type"),
        ("ff", "Message Type"),
        ("0200", "DCEP message"),
        ("037f01000000000000000000", "Channel Type"),
        ("03ff01000000000000000000", "Channel Type"),
        ("030301000000000000000000", "Channel Type"),
        ("030001000000000000010000", "Label"),
        ("03000100000000000001000141", "Protocol"),
        ("030001000000000000020000c3", "Label"),
        ("030001000000000000010000ff", "Label"),
        ("030001000000000000000001ff", "Protocol"),
        ("0300010000000000000000004141", "DCEP message"),
    ],
)
def test_malformed(data: str, field: str) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_message(bytes.fromhex(data))
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("kind", "is_ordered", "is_reliable"),
    [
        (0x00, True, True),
        (0x01, True, False),
        (0x02, True, False),
        (0x80, False, True),
        (0x81, False, False),
        (0x82, False, False),
    ],
)
def test_channel_types(kind: int, is_ordered: bool, is_reliable: bool) -> None:
    assert (ChannelType(kind).is_ordered, ChannelType(kind).is_reliable) == (is_ordered, is_reliable)


@pytest.mark.parametrize(
    "wrong",
    [DataChannelOpen(label="é" * 32768), DataChannelOpen(protocol="x" * 65536), DataChannelOpen(priority=1 << 16)],
    ids=["label", "protocol", "priority"],
)
def test_what_does_not_fit_is_our_mistake(wrong: Message) -> None:
    with pytest.raises(LocalProtocolError):
        serialize_message(wrong)
