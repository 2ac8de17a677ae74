"""Snapshots as bytes: what an earlier version wrote is read, and whatever is wrong is one kind of error."""

import random
from pathlib import Path

import attrs
import pytest

from dtls.options import DtlsOptions
from dtls.versions import Version
from transceiver.audio.speech_queue import SpeechQueue
from transceiver.handover.session_snapshot import SessionSnapshot
from wire.buffer import Reader, Writer
from wire.errors import MalformedError

GOLDEN = Path(__file__).with_name("session_snapshots_1.txt")
"""Snapshots of format 1, one a line in hex: DTLS 1.3 and 1.2, with ceilings and without, with an echo and a voice. They
stay as they are: calls outlive the version of who began them."""


def goldens() -> list[bytes]:
    return [bytes.fromhex(line) for line in GOLDEN.read_text().split()]


def parse(data: bytes) -> SessionSnapshot:
    return SessionSnapshot.parse(Reader(data))


@pytest.fixture
def make_snapshot(call_with_events):
    """Make a snapshot of a call that has all there is."""

    def make(version=Version.DTLS_1_3, *, has_voice=False, has_ceilings=True, **changes):
        speech = SpeechQueue(rate=24000) if has_voice else None
        network, channel_id = call_with_events(dtls=DtlsOptions(versions=(version,)), speech=speech, **changes)
        network.server.send_message(channel_id, "under way", network.now)
        if has_ceilings:
            network.server.raise_ceilings(network.server.snapshot(network.now))
        network.run(0.3)
        return network.server.snapshot(network.now)

    return make


@pytest.mark.parametrize("has_ceilings", [False, True])
@pytest.mark.parametrize("has_voice", [False, True])
@pytest.mark.parametrize("version", [Version.DTLS_1_2, Version.DTLS_1_3])
def test_what_is_written_is_read(make_snapshot, packed, version, has_voice, has_ceilings):
    snapshot = make_snapshot(version, has_voice=has_voice, has_ceilings=has_ceilings)
    data = packed(snapshot)
    assert parse(data) == snapshot
    assert packed(parse(data)) == data
    assert (snapshot.ceilings is not None) == has_ceilings
    assert (snapshot.media.sending is not None) == has_voice
    # A call waits in a store by the thousand.
    assert len(data) < 6000


def test_secrets_are_not_printed(make_snapshot):
    snapshot = make_snapshot()
    assert snapshot.password not in repr(snapshot)
    assert snapshot.remote.password not in repr(snapshot)
    assert snapshot.dtls[10:20].hex() not in repr(snapshot)
    assert repr(snapshot.dtls)[5:30] not in repr(snapshot)


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("is_exact", [True, False])
def test_format_1_is_read(restore, packed, number, is_exact):
    data = goldens()[number]
    assert packed(parse(data)) == data
    speech = SpeechQueue(rate=24000) if parse(data).media.sending is not None else None
    server = restore(data, 100.0, is_exact=is_exact, speech=speech)
    assert server.path is not None
    assert server.dtls.association.is_connected
    server.raise_ceilings(server.snapshot(100.0))
    server.close("done", 100.0)
    assert len(list(server.datagrams_to_send(100.0))) >= 2


def test_every_prefix_is_refused():
    for data in goldens():
        for size in range(len(data)):
            with pytest.raises(MalformedError):
                parse(data[:size])


@pytest.mark.parametrize("wrong", [b"", b"\0", b"\2", b"\xff"])
def test_other_formats_are_refused(wrong):
    with pytest.raises(MalformedError, match="format"):
        parse(wrong + goldens()[0][1:] if wrong else b"")


def test_sections_of_a_later_version():
    data = goldens()[0]
    later = Writer().octets(data).u8(0xFE).vector(3, b"what it means is not known").finish()
    assert parse(later) == parse(data)
    with pytest.raises(MalformedError, match="later version"):
        parse(Writer().octets(data).u8(0x7E).vector(3, b"").finish())
    with pytest.raises(MalformedError, match="twice"):
        parse(Writer().octets(data).u8(2).vector(3, b"").finish())


def test_a_step_of_a_later_version(packed):
    data = goldens()[0]
    assert parse(data.replace(b"first-check", b"later-check")).timeline.keys() < parse(data).timeline.keys()


def sections_of(data: bytes) -> dict[int, bytes]:
    reader, sections = Reader(data), {}
    reader.u8("format")
    while len(reader):
        number = reader.u8("section")
        sections[number] = reader.vector(3, "section").rest()
    return sections


def test_sections_that_an_earlier_version_does_not_write():
    whole = sections_of(goldens()[0])
    for missing in whole:
        writer = Writer().u8(1)
        for number, content in whole.items():
            if number != missing:
                writer.u8(number).vector(3, content)
        if missing in (5, 10, 12, 0x81):
            assert parse(writer.finish()) != parse(goldens()[0])
        else:
            with pytest.raises(MalformedError, match="is missing"):
                parse(writer.finish())


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_wrong_is_malformed(restore, seed):
    """Also what only restoring finds."""
    chance = random.Random(seed)
    data = goldens()[seed % 4]
    speech = SpeechQueue(rate=24000) if parse(data).media.sending is not None else None
    outcomes = set()
    for _ in range(60):
        changed = bytearray(data)
        for _ in range(chance.choice((1, 1, 1, 2, 5))):
            at = chance.randrange(len(changed))
            match chance.randrange(4):
                case 0:
                    changed[at] ^= 1 << chance.randrange(8)
                case 1:
                    changed[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
                case 2:
                    del changed[at : at + chance.randrange(1, 9)]
                case _:
                    changed[at:at] = chance.randbytes(chance.randrange(1, 9))
        try:
            server = restore(bytes(changed), 100.0, is_exact=chance.random() < 0.5, speech=speech)
            server.release_ceilings()
            server.handle_timeout(101.0)
            list(server.datagrams_to_send(101.0))
            server.close("done", 101.0)
            outcomes.add("restored")
        except MalformedError:
            outcomes.add("refused")
    assert outcomes == {"restored", "refused"}


def test_noise_is_malformed():
    chance = random.Random(9)
    for _ in range(2000):
        with pytest.raises(MalformedError):
            parse(b"\1" + chance.randbytes(chance.randrange(300)))


def test_the_sources_have_to_be_ours(make_snapshot, restore, packed):
    snapshot = make_snapshot()
    for indices in (
        attrs.evolve(snapshot.indices, rtp={}),
        attrs.evolve(snapshot.indices, dtls={}),
        attrs.evolve(snapshot.indices, dtls={epoch: number + 1 for epoch, number in snapshot.indices.dtls.items()}),
    ):
        with pytest.raises(MalformedError, match="indices"):
            restore(packed(attrs.evolve(snapshot, indices=indices)), 100.0, is_exact=True)
