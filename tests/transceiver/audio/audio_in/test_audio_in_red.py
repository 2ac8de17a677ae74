"""Redundant audio: taking a packet apart, and using copies for what is missing and nothing else."""

import random

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transceiver.audio.red import MAX_BLOCKS, RedBlock, parse_red
from wire.errors import MalformedError


def build(blocks: list[tuple[int, int, bytes]]) -> bytes:
    """RFC 2198 §3, written apart from what is tried."""
    *earlier, own = blocks
    heads = b"".join(
        (1 << 31 | kind << 24 | offset << 10 | len(payload)).to_bytes(4, "big") for kind, offset, payload in earlier
    )
    return heads + bytes([own[0]]) + b"".join(payload for _, _, payload in blocks)


def test_blocks_come_in_the_order_of_the_packet():
    payload = build([(111, 1920, b"older"), (8, 960, b"old"), (111, 0, b"now")])
    assert parse_red(payload) == [RedBlock(111, 1920, b"older"), RedBlock(8, 960, b"old"), RedBlock(111, 0, b"now")]


def test_a_packet_may_hold_nothing_but_itself():
    assert parse_red(b"\x6fabc") == [RedBlock(111, 0, b"abc")]
    assert parse_red(b"\x6f") == [RedBlock(111, 0, b"")]


@given(
    st.lists(
        st.tuples(st.integers(0, 127), st.integers(0, 0x3FFF), st.binary(max_size=0x3FF)),
        min_size=1,
        max_size=MAX_BLOCKS,
    )
)
def test_what_was_built_is_taken_apart(blocks):
    blocks[-1] = (blocks[-1][0], 0, blocks[-1][2])
    assert parse_red(build(blocks)) == [RedBlock(*block) for block in blocks]


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        (b"", "primary block header"),
        (b"\xef", "block header"),
        (b"\xef\x00\x00", "block header"),
        (b"\xef\x0f\x00\x03", "primary block header"),
        (b"\xef\x0f\x00\x03\x6fab", "block"),
        (build([(111, 1, b"")] * (MAX_BLOCKS + 1)), "block header"),
        (b"\xff" * 1200, "block header"),
    ],
)
def test_what_is_cut_short_is_refused(payload, field):
    with pytest.raises(MalformedError) as error:
        parse_red(payload)
    assert error.value.field == field


@given(st.binary(max_size=200))
def test_any_bytes_parse_or_are_malformed(payload):
    try:
        blocks = parse_red(payload)
    except MalformedError:
        return
    assert sum(len(block.payload) for block in blocks) + 4 * len(blocks) - 3 == len(payload)


# -- in a call


@pytest.fixture(scope="module")
def packets(caller, speech_frames):
    return caller.packets(speech_frames)


def test_a_copy_is_as_good_as_the_packet(caller, network, listen, packets):
    """One copy of the packet before, every third packet lost: nothing is missing, and nothing is waited for."""
    expected = listen(network.carry(packets), rate=16000)
    numbers = iter(range(len(packets)))
    next(numbers)
    heard = listen(network.carry(caller.redundant(packets), is_lost=lambda: next(numbers) % 3 == 1), rate=16000)
    assert heard.pcm == expected.pcm
    assert heard.facts["recovered_red"] == 100
    assert heard.facts["concealed_ms"] == 0
    assert heard.facts["delay_added_ms"] == 0


def test_two_copies_bridge_two_losses(caller, network, listen, packets):
    expected = listen(network.carry(packets), rate=16000)
    numbers = iter(range(1, len(packets)))
    heard = listen(network.carry(caller.redundant(packets, 2), is_lost=lambda: next(numbers) % 5 in (1, 2)), rate=16000)
    assert heard.pcm == expected.pcm
    assert heard.facts["recovered_red"] == 120
    assert not heard.drops


def test_two_losses_and_one_copy(caller, network, listen, packets):
    """The gap stays open, and the copies of what is held behind it are nobody's duplicates."""
    arrivals = network.carry(caller.redundant(packets))
    del arrivals[20:22]
    heard = listen(arrivals, rate=16000)
    assert heard.facts["recovered_red"] == 1
    assert heard.facts["concealed_ms"] == 20
    assert not heard.drops


def test_copies_of_what_has_come_are_not_used(caller, network, listen, packets):
    plain = listen(network.carry(packets), rate=16000)
    heard = listen(network.carry(caller.redundant(packets, 3)), rate=16000)
    assert heard.pcm == plain.pcm
    assert heard.facts["recovered_red"] == 0
    assert not heard.drops


def test_a_packet_that_comes_behind_its_copy_is_dropped(caller, network, listen, packets):
    arrivals = network.carry(caller.redundant(packets))
    late = arrivals.pop(50)
    arrivals.insert(50, attrs.evolve(late, at=arrivals[50].at + 0.001))
    arrivals.sort(key=lambda arrival: arrival.at)
    heard = listen(arrivals, rate=16000)
    assert heard.pcm == listen(network.carry(packets), rate=16000).pcm
    assert heard.facts["recovered_red"] == 1
    assert heard.drops == {caller.DropReason.DUPLICATE: 1}


def test_a_copy_that_belongs_nowhere_is_left_alone(caller, network, listen, packets):
    """Its timestamp does not end where the packet begins, so which number it had is a guess."""
    redundant = caller.redundant(packets)
    payload = bytearray(redundant[50].payload)
    offset_and_length = int.from_bytes(payload[1:4], "big")
    payload[1:4] = (offset_and_length + (480 << 10)).to_bytes(3, "big")
    redundant[50] = attrs.evolve(redundant[50], payload=bytes(payload))
    arrivals = network.carry(redundant)
    del arrivals[49]
    heard = listen(arrivals, rate=16000)
    assert heard.facts["recovered_red"] == 0
    assert heard.facts["lost"] == 1
    assert len(heard.pcm) == len(packets) * 640


def test_bad_redundant_audio_costs_one_packet(caller, network, listen, packets):
    redundant = caller.redundant(packets[:100])
    redundant[50] = attrs.evolve(redundant[50], payload=b"\xff\xff")
    heard = listen(network.carry(redundant), rate=16000)
    assert heard.drops == {caller.DropReason.MALFORMED_RED: 1}
    # The packet behind it holds its copy, but its number was taken; the time passes all the same.
    assert len(heard.pcm) == 100 * 640


def test_redundant_audio_within_redundant_audio_is_refused(caller, network, listen, packets):
    redundant = caller.redundant(packets[:20])
    redundant[10] = attrs.evolve(redundant[10], payload=bytes([caller.RED]) + redundant[10].payload)
    redundant[12] = attrs.evolve(redundant[12], payload=bytes([caller.OTHER]) + b"xyz")
    heard = listen(network.carry(redundant), rate=16000)
    assert heard.drops == {caller.DropReason.PAYLOAD_TYPE: 2}


def test_random_blocks_never_raise(caller, network, listen, packets):
    chance = random.Random(5)
    sent = []
    for packet in caller.redundant(packets[:200], 2):
        payload = bytearray(packet.payload)
        for _ in range(chance.randrange(3)):
            payload[chance.randrange(min(12, len(payload)))] = chance.randrange(256)
        sent.append(attrs.evolve(packet, payload=bytes(payload)))
    heard = listen(network.carry(sent, is_lost=network.random_loss(0.2)), rate=16000)
    assert heard.pcm
