"""Record headers, and the protection of DTLS 1.3 in all forms of the unified header."""

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dtls.cipher_suites import TLS_AES_128_GCM_SHA256 as SUITE
from dtls.drops import DropReason
from dtls.key_schedule import KeySchedule
from dtls.protection13 import InboundProtection13, OutboundProtection13
from dtls.records import Record, RecordNumber, plaintext_header, split_datagram
from wire.errors import AuthenticationError, MalformedError, ReplayError
from wire.replay import ReplayWindow

SECRET = bytes(range(32))


def seal(sequence, inner, *, epoch=3, long_sequence=True, with_length=True):
    """Build a record in any form, from the RFC's words and not from our code."""
    keys = KeySchedule().traffic_keys(SECRET, 16, 12)
    first = 0x20 | (0x08 if long_sequence else 0) | (0x04 if with_length else 0) | epoch & 3
    size = 2 if long_sequence else 1
    number = (sequence % (1 << 8 * size)).to_bytes(size, "big")
    length = (len(inner) + 16).to_bytes(2, "big") if with_length else b""
    header = bytes((first,)) + number + length
    nonce = bytes(a ^ b for a, b in zip(keys.iv, bytes(4) + sequence.to_bytes(8, "big"), strict=True))
    ciphertext = AESGCM(keys.key).encrypt(nonce, inner, header)
    cipher = Cipher(algorithms.AES(keys.record_number_key), modes.ECB())  # noqa: S305  (one block, as the RFC demands)
    mask = cipher.encryptor().update(ciphertext[:16])
    masked = bytes(a ^ b for a, b in zip(number, mask, strict=False))
    return bytes((first,)) + masked + length + ciphertext


def inbound(highest=-1, epoch=3):
    return InboundProtection13(SUITE, SECRET, epoch, ReplayWindow(highest=highest))


def open_one(protection, data):
    (raw,) = split_datagram(data)
    return protection.open(raw)


@pytest.mark.parametrize("long_sequence", [True, False])
@pytest.mark.parametrize("with_length", [True, False])
@pytest.mark.parametrize("epoch", [2, 3, 7])
def test_every_form_of_the_header_opens(long_sequence, with_length, epoch):
    protection = inbound(epoch=epoch)
    for sequence in (0, 1, 5, 90):
        data = seal(sequence, b"hello\x17", epoch=epoch, long_sequence=long_sequence, with_length=with_length)
        assert open_one(protection, data) == Record(epoch, sequence, 23, b"hello")


def test_what_we_seal_is_what_the_rfc_says():
    outbound = OutboundProtection13(SUITE, SECRET, 3, next_sequence=0x12345)
    assert outbound.seal(23, b"hello") == seal(0x12345, b"hello\x17")
    assert outbound.next_sequence == 0x12346
    assert len(outbound.seal(23, b"")) == outbound.overhead


def test_the_number_on_the_wire_is_hidden():
    outbound = OutboundProtection13(SUITE, SECRET, 3)
    numbers = [outbound.seal(23, b"same")[1:3] for _ in range(20)]
    assert numbers != [number.to_bytes(2, "big") for number in range(20)]


def test_several_records_share_a_datagram_and_the_last_may_lack_its_length():
    data = seal(0, b"a\x17") + plaintext_header(22, 0, 7, 3) + b"abc" + seal(1, b"b\x17", with_length=False)
    first, second, third = split_datagram(data)
    assert (first.is_unified, first.epoch) == (third.is_unified, third.epoch) == (True, 3)
    assert second[:4] == (False, 22, 0, 7)
    assert second.payload == b"abc"
    protection = inbound()
    assert [protection.open(raw).content for raw in (first, third)] == [b"a", b"b"]


@pytest.mark.parametrize(
    ("highest", "sequence", "long_sequence"),
    [
        (-1, 0, False),
        (-1, 127, False),
        (254, 256, False),
        (256, 250, False),
        (1000, 1000 + 128, False),
        (1000, 1001 - 127, False),
        (65534, 65536, True),
        (65540, 65530, True),
        (1 << 40, (1 << 40) + 32768, True),
        (1 << 40, (1 << 40) - 100, True),
        (70000, 70001 + 32767, True),
    ],
)
def test_the_number_is_rebuilt_around_the_highest(highest, sequence, long_sequence):
    """RFC 9147 §4.2.2: the closest to one plus the highest."""
    record = open_one(inbound(highest), seal(sequence, b"x\x17", long_sequence=long_sequence))
    assert record.number == RecordNumber(3, sequence)


@pytest.mark.parametrize(
    ("highest", "sequence", "long_sequence"), [(1000, 1001 + 128, False), (1 << 40, (1 << 40) + 40000, True)]
)
def test_a_number_too_far_ahead_is_taken_for_another_and_fails(highest, sequence, long_sequence):
    with pytest.raises(AuthenticationError):
        open_one(inbound(highest), seal(sequence, b"x\x17", long_sequence=long_sequence))


def test_a_forged_record_does_not_move_the_window():
    protection = inbound()
    data = bytearray(seal(50, b"x\x17"))
    data[-1] ^= 1
    with pytest.raises(AuthenticationError):
        open_one(protection, bytes(data))
    assert protection.window.highest == -1
    assert protection.failures == 1
    assert open_one(protection, seal(0, b"y\x17")).sequence == 0


def test_repetition_is_told_after_authentication():
    protection = inbound()
    open_one(protection, seal(9, b"x\x17"))
    with pytest.raises(ReplayError):
        open_one(protection, seal(9, b"x\x17"))
    with pytest.raises(ReplayError):
        open_one(inbound(1000), seal(1000 - 128, b"x\x17"))


def test_padding_and_nothing_but_padding():
    assert open_one(inbound(), seal(0, b"x\x15" + bytes(100))).content_type == 21
    assert open_one(inbound(), seal(0, b"x\0\0\x17" + bytes(100))).content == b"x\0\0"
    with pytest.raises(MalformedError):
        open_one(inbound(), seal(0, bytes(40)))


def test_every_cut_and_every_flipped_bit_fails():
    data = seal(3, b"content\x17")
    for bit in range(8, len(data) * 8):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        items = list(split_datagram(bytes(damaged)))
        if isinstance(items[0], DropReason):
            continue
        with pytest.raises(AuthenticationError):
            inbound().open(items[0])
    without_length = seal(3, b"content\x17", with_length=False)
    for end in range(3, len(without_length)):
        (raw,) = split_datagram(without_length[:end])
        with pytest.raises(AuthenticationError):
            inbound().open(raw)


def test_splitting_ends_with_a_reason():
    good = plaintext_header(22, 0, 0, 1) + b"x"
    for rest, reason in (
        (b"\x16", DropReason.TRUNCATED_RECORD),
        (b"\x2c\x00", DropReason.TRUNCATED_RECORD),
        (b"\x2c\x00\x00\x00\x05abcd", DropReason.TRUNCATED_RECORD),
        (b"\x30\x00\x00", DropReason.CONNECTION_ID),
        (b"\x13", DropReason.NOT_DTLS),
        (b"\x80", DropReason.NOT_DTLS),
        (b"\x1b", DropReason.NOT_DTLS),
    ):
        items = list(split_datagram(good + rest))
        assert len(items) == 2
        assert items[0].payload == b"x"
        assert items[1] is reason
    assert list(split_datagram(b"")) == []


def test_record_numbers_sort_by_epoch_then_sequence():
    assert min(RecordNumber(3, 0), RecordNumber(2, 9), RecordNumber(2, 1)) == RecordNumber(2, 1)
