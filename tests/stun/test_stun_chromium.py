"""Connectivity checks that Chromium 156 sent, and answers that it accepted."""

import json
import pathlib

import pytest

from stun.attributes import AttributeType, MappedAddress, xor_address
from stun.events import PathAppeared
from stun.integrity import verify_fingerprint, verify_message_integrity
from stun.lite import IceLite
from stun.message import Message, MessageClass, read_username
from wire.buffer import Reader
from wire.core import Path

CAPTURES = json.loads((pathlib.Path(__file__).parent / "chromium_156.json").read_text())
each_capture = pytest.mark.parametrize("capture", CAPTURES, ids=[capture["capture"] for capture in CAPTURES])


def datagrams(capture, sender: str) -> list[bytes]:
    return [bytes.fromhex(entry["hex"]) for entry in capture["datagrams"] if entry["from"] == sender]


@each_capture
def test_its_checks_verify(capture):
    checks = datagrams(capture, "client")
    assert len(checks) == 4
    for check in checks:
        assert verify_fingerprint(check)
        assert verify_message_integrity(check, capture["server_pwd"].encode())
        assert not verify_message_integrity(check, capture["client_pwd"].encode())
        assert read_username(check) == (capture["server_ufrag"], capture["client_ufrag"])
        assert Message.parse(check).serialize() == check
        assert Message.parse(check).unknown_required() == ()


@each_capture
def test_it_never_nominates_with_the_first_check(capture):
    nominations = [
        Message.parse(check).get(AttributeType.USE_CANDIDATE) is not None for check in datagrams(capture, "client")
    ]
    assert nominations == [False, True, True, True]


@each_capture
def test_we_answer_byte_for_byte_what_it_accepted(capture):
    lite = IceLite(
        local_ufrag=capture["server_ufrag"],
        local_pwd=capture["server_pwd"],
        entropy=bytes,
        now=0.0,
    )
    accepted = datagrams(capture, "server")
    first = Message.parse(accepted[0])
    mapped = xor_address(first.get(AttributeType.XOR_MAPPED_ADDRESS), first.transaction_id)
    path = Path(MappedAddress.parse(Reader(mapped)).address)
    events = []
    for number, check in enumerate(datagrams(capture, "client")):
        events += lite.receive_datagram(check, path, number * 0.05)
    assert events == [PathAppeared(path=path)]
    assert list(lite.datagrams_to_send(1.0)) == [(data, path) for data in accepted]
    assert not lite.drops


def test_dtls_in_a_check_is_kept_and_ignored():
    (capture,) = [capture for capture in CAPTURES if capture["capture"] == "sped-passive"]
    message = Message.parse(datagrams(capture, "client")[0])
    assert message.message_class is MessageClass.REQUEST
    assert message.get(0xC071) == b""
    embedded = message.get(0xC070)
    assert embedded is not None
    assert embedded[0] == 22
