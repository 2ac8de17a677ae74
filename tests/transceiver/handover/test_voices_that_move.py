"""A voice goes on speaking on its grid of 20 ms, with the next numbers, wherever it is moved to."""

import math
from array import array
from functools import cache
from itertools import pairwise

import attrs
import pytest

from srtp.extensions import read_extension
from srtp.rtcp.compound import parse_compound
from srtp.rtcp.sender_report import SenderReport
from srtp.rtcp.transport_feedback import REFERENCE_SECONDS, TransportFeedback
from srtp.rtp import read_header
from transceiver.audio.speech_queue import SpeechQueue
from transceiver.backends.contract import Speech
from transceiver.handover.ceilings import RTP_MARGIN
from wire.demux import Kind, kind_of

RATE = 24000
SPEECH = Speech("resp_1", "item_1")


@attrs.frozen
class Spoken:
    """An RTP packet of the server's, as the client has read it."""

    at: float
    marker: bool
    sequence: int
    timestamp: int
    number: int | None
    size: int


class Listener:
    """Reads along with the client's SRTP."""

    def __init__(self, network) -> None:
        self.network = network
        self.srtp = network.caller.media._srtp
        self.number_id = network.server.media._description.transport_cc_id
        self.packets: list[Spoken] = []
        self.reports: list[tuple[float, object]] = []
        network.caller.media._srtp = self

    def __getattr__(self, name: str) -> object:
        return getattr(self.srtp, name)

    def unprotect_rtp(self, data):
        packet = self.srtp.unprotect_rtp(data)
        assert packet is not None
        marker_and_type, sequence, timestamp, _, start, end = read_header(packet)
        number = read_extension(packet, self.number_id)
        value = None if number is None else int.from_bytes(number, "big")
        self.packets.append(Spoken(self.network.now, marker_and_type > 0x7F, sequence, timestamp, value, end - start))
        return packet

    def unprotect_rtcp(self, data):
        packet = self.srtp.unprotect_rtcp(data)
        assert packet is not None
        self.reports += [(self.network.now, part) for part in parse_compound(packet)]
        return packet

    def of_kind(self, kind):
        return [(at, part) for at, part in self.reports if isinstance(part, kind)]


@cache
def tone(seconds: float) -> bytes:
    return array("h", [int(9000 * math.sin(n / 9)) for n in range(round(seconds * RATE))]).tobytes()


def speech(seconds: float) -> SpeechQueue:
    queue = SpeechQueue(rate=RATE)
    if seconds:
        queue.push(SPEECH, tone(seconds))
        queue.finish(SPEECH.response_id)
    return queue


@pytest.fixture
def speaking(connect):
    """A call whose server has begun to speak."""

    def make(seconds: float = 30.0):
        queue = speech(seconds)
        network = connect(speech=queue)
        network.run(1, until=lambda: network.caller.media is not None)
        listener = Listener(network)
        network.run(1)
        return network, listener, queue

    return make


def ahead(after: int, before: int, bits: int) -> int:
    return (after - before) % (1 << bits)


def test_an_exact_move_in_the_middle_of_speech(speaking, move):
    network, listener, queue = speaking()
    for _ in range(4):
        network.run(0.333)
        move(network, speech=queue)
    network.run(1)
    packets = listener.packets
    assert {ahead(after.sequence, before.sequence, 16) for before, after in pairwise(packets)} == {1}
    assert {ahead(after.timestamp, before.timestamp, 32) for before, after in pairwise(packets)} == {960}
    numbered = [packet for packet in packets if packet.number is not None]
    assert len(numbered) > 100
    assert {ahead(after.number, before.number, 16) for before, after in pairwise(numbered)} == {1}
    # The pace of one in 20 ms is kept, and the talkspurt is still the first one.
    assert max(after.at - before.at for before, after in pairwise(packets)) < 0.03
    assert sum(packet.marker for packet in packets) <= 1
    assert packets[-1].at - packets[0].at == pytest.approx(0.02 * (len(packets) - 1), abs=0.03)


def test_an_exact_move_in_a_pause(speaking, move):
    network, listener, queue = speaking(0)
    move(network, speech=queue)
    network.run(1.013)
    queue.push(SPEECH, tone(1))
    move(network, speech=queue)
    network.run(1)
    for before, after in pairwise(listener.packets):
        assert ahead(after.sequence, before.sequence, 16) == 1
        assert ahead(after.timestamp, before.timestamp, 32) == pytest.approx((after.at - before.at) * 48000, abs=1000)
        assert ahead(after.timestamp, before.timestamp, 32) % 960 == 0
    assert sum(packet.marker for packet in listener.packets) == 1


def test_a_take_over_goes_on_with_a_marker(speaking, packed, take_over):
    network, listener, _ = speaking()
    checkpoint = packed(network.server.snapshot(network.now))
    network.run(3)
    last = listener.packets[-1]
    network.is_cut = True
    network.run(0.5)
    network.is_cut = False
    listener.packets.clear()
    take_over(network, checkpoint, speech=speech(10))
    network.run(1)
    first = listener.packets[0]
    assert first.marker
    assert 0 < ahead(first.sequence, last.sequence, 16) <= RTP_MARGIN
    assert ahead(first.timestamp, last.timestamp, 32) == pytest.approx((first.at - last.at) * 48000, abs=2000)
    assert 0 < ahead(first.number, last.number, 16) <= RTP_MARGIN
    assert not any(packet.marker for packet in listener.packets[1:])
    assert {ahead(after.timestamp, before.timestamp, 32) for before, after in pairwise(listener.packets)} == {960}


@pytest.mark.parametrize("is_exact", [True, False])
def test_reports_go_on(speaking, packed, move, take_over, is_exact):
    network, listener, queue = speaking()
    network.run(3)
    if is_exact:
        move(network, speech=queue, ahead=1e5)
    else:
        checkpoint = packed(network.server.snapshot(network.now))
        network.run(4)
        take_over(network, checkpoint, speech=speech(20), ahead=1e5)
    moved_at = network.now
    network.run(3)
    # What was sent: counts go on, and wall clock and media clock belong together as before.
    reports = listener.of_kind(SenderReport)
    after = [report for at, report in reports if at > moved_at + 0.1]
    before = [report for at, report in reports if at <= moved_at]
    assert len(after) >= 2
    assert after[0].ssrc == before[-1].ssrc
    assert after[0].packet_count > (before[-1].packet_count if is_exact else 100)
    seconds = (after[0].ntp_timestamp - before[-1].ntp_timestamp) / (1 << 32)
    assert ahead(after[0].rtp_timestamp, before[-1].rtp_timestamp, 32) == pytest.approx(seconds * 48000, abs=2000)
    # How the client is received: its numbers go on, and a take-over is not loss.
    blocks = [block for report in after for block in report.report_blocks]
    assert blocks
    assert all(block.fraction_lost == 0 for block in blocks)
    old = [block for report in before for block in report.report_blocks][-1]
    assert blocks[0].extended_highest_sequence_number > old.extended_highest_sequence_number
    assert blocks[0].cumulative_lost == old.cumulative_lost == 0
    assert blocks[0].jitter < 480
    # When its packets arrived, on one clock, with the next counts.
    feedback = listener.of_kind(TransportFeedback)
    counts = [part.feedback_packet_count for at, part in feedback if is_exact or at > moved_at]
    assert {ahead(after, before, 8) for before, after in pairwise(counts)} == {1}
    offsets = [part.reference_time * REFERENCE_SECONDS - at for at, part in feedback]
    assert max(offsets) - min(offsets) < 0.5


@pytest.mark.parametrize("skew", [-0.5, 0.5])
def test_round_trips_are_measured_by_reports_of_our_own(speaking, move, skew):
    """The clocks of two hosts differ; with what one has sent, the other cannot measure."""
    network, _, queue = speaking()
    network.run(12)
    assert network.server.media.round_trip_time == pytest.approx(0.04, abs=0.02)
    # Just before the client reports once more, of what the old one has sent.
    network.run(9, until=lambda: network.now > network.caller.media.reports.next_at - 0.1)
    move(network, speech=queue, skew=skew)
    measured = set()
    for _ in range(2400):
        network.run(0.005)
        measured.add(network.server.media.round_trip_time)
    assert {value for value in measured if value is None or not 0.02 < value < 0.06} == {None}
    assert len(measured) > 1


def test_what_the_client_says_is_heard_on(speaking, move):
    network, _, queue = speaking()
    network.server.media.voice.hear(network.now)
    move(network, speech=queue, ahead=700.0)
    network.run(1.5)
    heard = network.server.media.voice.hear(network.now + 700.0)
    assert len(heard) / 2 / RATE > 1.2
    assert not [data for _, _, data in network.downstream if kind_of(data) is Kind.UNKNOWN]
