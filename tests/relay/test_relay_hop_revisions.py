"""Ends of revision 0 and of this one get along: the old ones here are written from the old protocol, on their own.

An old end refuses what it does not know, so a test fails if it is told anything newer.
"""

import struct

import attrs
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from relay.hop.drops import HopDropReason
from relay.hop.header import UP, pack_header
from relay.hop.links import FlowGone, LinkUp, RelayLinks, RelaySeen, TransceiverLink
from relay.hop.sealing import REVISION

RELAY = ("10.0.0.1", 4001)
TRANSCEIVER = ("10.0.1.1", 5000)
HELLO, WELCOME, CONFIRM, GONE, WORKERS = 1, 2, 3, 4, 5
LENGTHS = {HELLO: (39,), WELCOME: (39,), CONFIRM: (16,), GONE: (16,), WORKERS: (1,)}
ENVELOPE = struct.Struct(">BBBBQQ")


@attrs.define
class OldEnd:
    """What both ends of revision 0 have in common."""

    number: int
    peer: int = 0
    counter: int = 0
    cipher: AESSIV = attrs.field(
        factory=lambda: AESSIV(
            HKDF(algorithm=SHA256(), length=64, salt=None, info=b"trio-voice hop control 1").derive(b"h" * 32)
        )
    )

    def seal(self, kind: int, body: bytes) -> bytes:
        self.counter += 1
        front = ENVELOPE.pack(0x13, kind, 1, 0, self.number, self.counter)
        receiver = 0 if kind == HELLO else self.peer
        return front + self.cipher.encrypt(body, [front, receiver.to_bytes(8, "big")])

    def open(self, data: bytes) -> tuple[int, bytes]:
        front = data[:20]
        first, kind, key_id, _, sender, _ = ENVELOPE.unpack(front)
        assert (first, key_id) == (0x13, 1)
        assert kind in LENGTHS, "an old end knows no such message"
        receiver = 0 if kind == HELLO else self.number
        body = self.cipher.decrypt(data[20:], [front, receiver.to_bytes(8, "big")])
        assert len(body) in LENGTHS[kind], "an old end takes no other length"
        self.peer = sender
        return kind, body


def run_old_relay(old, link, now, ticks=1):
    """An old relay says HELLO and follows what comes of it; the kinds that it is told."""
    kinds, events = [], []
    for _ in range(ticks):
        events += link.receive_control(old.seal(HELLO, bytes(39)), RELAY, now)
        for _ in range(3):
            for data, address in link.datagrams_to_send(now):
                assert address == RELAY
                kind, body = old.open(data)
                kinds.append(kind)
                if kind == WELCOME:
                    events += link.receive_control(old.seal(CONFIRM, body[16:32]), RELAY, now)
        events += link.handle_timeout(now)
        now += 1.0
    return kinds, events


def make_transceiver(kit, **options):
    return TransceiverLink(
        keys=kit.hop_keys, cluster=1, incarnation=2, worker=0, entropy=kit.seeded(1), now=100.0, **options
    )


def test_an_old_relay_is_told_nothing_new(kit):
    link, old = make_transceiver(kit), OldEnd(number=77)
    kinds, events = run_old_relay(old, link, 100.0, ticks=60)
    assert set(kinds) == {WELCOME}
    assert events == [RelaySeen(address=RELAY)]
    flow = pack_header(UP, ingress=1, client=("192.0.2.1", 4000), session=7, tag=b"flow tag")
    link.tell.announce_to_others(flow, ("10.0.0.9", 1))
    link.tell.session_moved(7, 1, (1, 2, 3))
    assert list(link.datagrams_to_send(160.0)) == []
    assert not link.drops


def test_an_old_relay_hears_of_ends_as_it_used_to(kit):
    link, old = make_transceiver(kit), OldEnd(number=77)
    run_old_relay(old, link, 100.0)
    flow = pack_header(UP, ingress=1, client=("192.0.2.1", 4000), session=7, tag=b"flow tag")
    link.tell.no_such_session(flow, RELAY)
    link.tell.session_ended(7, [(flow, RELAY)])
    link.tell.release(flow, RELAY)
    told = [old.open(data) for data, _ in link.datagrams_to_send(100.0)]
    assert told == [(GONE, (7).to_bytes(8, "big") + b"flow tag")] * 3


def test_an_old_relay_is_told_of_workers(kit):
    link, old = make_transceiver(kit, workers=3), OldEnd(number=77)
    kinds, _ = run_old_relay(old, link, 100.0)
    assert kinds == [WELCOME, WORKERS]


def test_an_old_relay_is_refused_where_data_must_be_sealed(kit):
    link, old = make_transceiver(kit, sealed=True), OldEnd(number=77)
    _, events = run_old_relay(old, link, 100.0)
    assert events == []
    assert not link.accepts(RELAY)
    assert link.drops == {HopDropReason.NOT_SEALED: 1}


def run_old_transceiver(old, links, now):
    """An old transceiver answers; the kinds that it is told, and what the relay reports."""
    kinds, events = [], list(links.handle_timeout(now))
    for _ in range(3):
        for data, _ in links.datagrams_to_send(now):
            kind, body = old.open(data)
            kinds.append(kind)
            if kind == HELLO:
                identity = struct.pack(">HIB", 1, 2, 0)
                welcome = old.seal(WELCOME, body[:16] + b"an opaque cookie" + identity)
                events += links.receive_control(welcome, TRANSCEIVER, now)
            if kind == CONFIRM:
                assert body == b"an opaque cookie"
    return kinds, events


def make_relay(kit, **options):
    return RelayLinks(
        keys=kit.hop_keys, transceivers=[TRANSCEIVER], entropy=kit.seeded(1), now=100.0, ingresses=[1, 2], **options
    )


def test_an_old_transceiver_is_told_nothing_new(kit):
    links, old = make_relay(kit), OldEnd(number=88)
    for second in range(60):
        kinds, events = run_old_transceiver(old, links, 100.0 + 1.01 * second)
        assert kinds == [HELLO, CONFIRM]
        assert events == ([] if second else [LinkUp(identity=(1, 2, 0), address=TRANSCEIVER)])
    assert links.health(160.0) == {}
    assert not links.drops


def test_an_old_transceiver_is_heard(kit):
    links, old = make_relay(kit), OldEnd(number=88)
    run_old_transceiver(old, links, 100.0)
    gone = old.seal(GONE, (7).to_bytes(8, "big") + b"flow tag")
    assert list(links.receive_control(gone, TRANSCEIVER, 100.0)) == [
        FlowGone(session=7, tag=b"flow tag", address=TRANSCEIVER)
    ]


def test_an_old_transceiver_is_refused_where_data_must_be_sealed(kit):
    links, old = make_relay(kit, sealed=True), OldEnd(number=88)
    kinds, events = run_old_transceiver(old, links, 100.0)
    assert (kinds, events) == ([HELLO], [])
    assert links.drops == {HopDropReason.NOT_SEALED: 1}


@pytest.mark.parametrize(("relay", "transceiver"), [(2, 3), (3, 2), (2, 2), (3, 3)])
def test_bundles_are_for_who_says_that_they_are_read(kit, monkeypatch, relay, transceiver):
    monkeypatch.setattr("relay.hop.relay_end.REVISION", relay)
    links, link = make_relay(kit), make_transceiver(kit, revision=transceiver)
    asked = []
    for _ in range(4):
        asked.append((links.takes_bundles(TRANSCEIVER), link.takes_bundles(RELAY)))
        list(links.handle_timeout(100.0))
        for data, _ in links.datagrams_to_send(100.0):
            list(link.receive_control(data, RELAY, 100.0))
        for data, _ in link.datagrams_to_send(100.0):
            list(links.receive_control(data, TRANSCEIVER, 100.0))
    assert asked[0] == (False, False)
    assert asked[-1] == (transceiver == 3, relay == 3)
    datagrams = [(pack_header(UP, ingress=1, client=("192.0.2.1", 1), session=7, tag=bytes(8)), RELAY)] * 4
    assert len(link.bundle(datagrams)) == (1 if relay == 3 else 4)
    # Who is not heard any more gets none.
    list(links.set_transceivers([], 101.0))
    list(link.handle_timeout(140.0))
    assert (links.takes_bundles(TRANSCEIVER), link.takes_bundles(RELAY)) == (False, False)
    assert link.bundle(datagrams) == datagrams


def test_a_transceiver_that_goes_back_to_an_earlier_version_gets_no_bundles(kit):
    links, link = make_relay(kit), make_transceiver(kit)
    now = 100.0
    for end in (link, make_transceiver(kit, revision=2)):
        for _ in range(4):
            now += 1.0
            list(links.handle_timeout(now))
            for data, _ in links.datagrams_to_send(now):
                list(end.receive_control(data, RELAY, now))
            for data, _ in end.datagrams_to_send(now):
                list(links.receive_control(data, TRANSCEIVER, now))
        assert links.up == (TRANSCEIVER,)
        assert links.takes_bundles(TRANSCEIVER) is (end is link)


def test_nobody_can_talk_two_ends_down(kit):
    """The byte that says what an end speaks is authenticated as all others are."""
    links, link = make_relay(kit), make_transceiver(kit)
    list(links.handle_timeout(100.0))
    ((hello, _),) = links.datagrams_to_send(100.0)
    assert hello[3] == REVISION
    assert list(link.receive_control(hello[:3] + b"\0" + hello[4:], RELAY, 100.0)) == []
    assert link.drops == {HopDropReason.NOT_AUTHENTIC: 1}


@pytest.mark.parametrize("revision", [4, 0x7F])
def test_a_later_revision_gets_what_we_speak(kit, monkeypatch, revision):
    links, link = make_relay(kit), make_transceiver(kit)
    for end in ("relay_end", "transceiver_end"):
        monkeypatch.setattr(f"relay.hop.{end}.REVISION", revision)
    for _ in range(3):
        list(links.handle_timeout(100.0))
        for data, _ in links.datagrams_to_send(100.0):
            list(link.receive_control(data, RELAY, 100.0))
        for data, _ in link.datagrams_to_send(100.0):
            list(links.receive_control(data, TRANSCEIVER, 100.0))
    assert links.up == (TRANSCEIVER,)
    assert link.accepts(RELAY)
