"""RTP and RTCP of a session, spoken to by a peer with the other half of the keys."""

import itertools
import random
from collections.abc import Callable

import attrs
import pytest

from srtp.extensions import pack_extensions, pack_sequence_number
from srtp.keying import MasterKey
from srtp.profile import ProtectionProfile
from srtp.rtcp.compound import Packet, parse_compound, serialize_compound
from srtp.rtcp.goodbye import Goodbye
from srtp.rtcp.ntp import ntp_timestamp
from srtp.rtcp.receiver_report import ReceiverReport
from srtp.rtcp.report_block import ReportBlock
from srtp.rtcp.sender_report import SenderReport
from srtp.rtcp.source_description import SourceDescription
from srtp.rtcp.transport_feedback import TransportFeedback
from srtp.rtp import RtpPacket, pack_packet
from srtp.secure_rtp import RtpSender
from srtp.sending import RtpSource
from srtp.session import MAX_PACKET, SrtpSession
from transceiver.backends.silence import SILENT_FRAMES
from transceiver.media import DropReason, Media
from transceiver.media_description import MediaDescription
from transceiver.options import SessionOptions
from transceiver.reports import MAX_NOTED
from transceiver.sdp import negotiate, parse_offer
from transceiver.sdp.attributes import Codec
from transceiver.timeline import Step, Timeline
from wire.buffer import Reader, Writer

OURS, THEIRS = 0x0E5, 0x7E125
OPUS, EVENTS, PCMU = 111, 110, 0
PROFILE = ProtectionProfile.AEAD_AES_128_GCM
UNIX = 1.7e9
START = 500.0
DESCRIPTION = MediaDescription(
    ssrc=OURS,
    cname="c0ffee",
    msid="stream track",
    clock_rates={OPUS: 48000, EVENTS: 48000, PCMU: 8000},
    codecs={OPUS: "opus", EVENTS: "telephone-event", PCMU: "pcmu"},
    spoken=Codec(payload_type=OPUS, name="opus", clock=48000, channels=2),
    sends=True,
    transport_cc_id=3,
    is_reduced_size=True,
)


@attrs.define
class Peer:
    """A client that has the keys, and the media that it talks to."""

    media: Media
    srtp: SrtpSession
    key: MasterKey
    timeline: Timeline
    now: float = START

    def says(self, data: bytes) -> RtpPacket | None:
        """Send an RTP packet; return what comes back."""
        reply = self.media.receive_rtp(self.srtp.protect_rtp(data), self.now)
        assert reply is not None
        if not reply:
            return None
        packet = self.srtp.unprotect_rtp(reply)
        assert packet is not None
        return RtpPacket.parse(Reader(packet))

    def talks(self, sequence_number: int, **changes: object) -> RtpPacket | None:
        """Send the packet of that number, 20 ms of Opus behind the one before."""
        timestamp = sequence_number * 960 & 0xFFFFFFFF
        payload = b"voice %d" % sequence_number
        return self.says(
            rtp(**{"sequence_number": sequence_number & 0xFFFF, "timestamp": timestamp, "payload": payload, **changes})
        )

    def reports(self, *packets: Packet) -> bool:
        return self.media.receive_rtcp(self.srtp.protect_rtcp(serialize_compound(packets)), self.now)

    def hears(self, datagrams: list[bytes]) -> list[tuple[Packet, ...]]:
        return [parse_compound(self.srtp.unprotect_rtcp(datagram)) for datagram in datagrams]

    def waits(self, seconds: float) -> list[tuple[float, tuple[Packet, ...]]]:
        """Let time pass as the media wants it to; return the RTCP of that time."""
        end, heard = self.now + seconds, []
        while (when := max(self.media.next_timeout(), self.now)) <= end:
            self.now = when
            heard += [(when, packets) for packets in self.hears(self.media.handle_timeout(when))]
        self.now = end
        return heard


def rtp(**fields: object) -> bytes:
    writer = Writer()
    RtpPacket(**{"payload_type": OPUS, "ssrc": THEIRS, **fields}).serialize(writer)
    return writer.finish()


def numbered(number: int) -> dict[str, object]:
    """The transport-wide number of a packet, as an extension."""
    extension = pack_extensions([(1, b"\x1e"), (3, pack_sequence_number(number))])
    return {"extension_profile": 0xBEDE, "extension": extension[4:]}


@pytest.fixture
def make_peer() -> Callable[..., Peer]:
    def make(profile: ProtectionProfile = PROFILE, **changes: object) -> Peer:
        chance = random.Random(3)
        keys = [MasterKey(chance.randbytes(profile.key_length), chance.randbytes(profile.salt_length)) for _ in "ab"]
        timeline = Timeline()
        media = Media(
            srtp=SrtpSession(profile, keys[0], keys[1]),
            description=attrs.evolve(DESCRIPTION, **changes),
            timeline=timeline,
            entropy=chance.randbytes,
            now=START,
            unix_time=UNIX,
            options=SessionOptions(),
        )
        return Peer(media, SrtpSession(profile, keys[1], keys[0]), keys[1], timeline)

    return make


@pytest.fixture
def peer(make_peer: Callable[..., Peer]) -> Peer:
    return make_peer()


# -- RTP


@pytest.mark.parametrize("profile", list(ProtectionProfile))
def test_audio_comes_back_under_our_source(make_peer, profile: ProtectionProfile) -> None:
    peer = make_peer(profile)
    for number in range(100, 120):
        heard = peer.talks(number, marker=number == 100)
        assert heard.ssrc == OURS
        assert heard.payload == b"voice %d" % number
        assert heard.payload_type == OPUS
        assert heard.marker == (number == 100)
    assert peer.media.packets_in == 20
    assert not peer.media.drops
    assert not peer.media.srtp_drops


def test_csrcs_extension_and_padding_stay_behind(peer: Peer) -> None:
    heard = peer.talks(
        1, csrcs=(7, 8), extension_profile=0xBEDE, extension=b"\x10\x55\0\0", padding_size=9, payload=b"voice"
    )
    assert heard.payload == b"voice"
    assert (heard.csrcs, heard.extension_profile, heard.padding_size) == ((), None, 0)


def test_an_empty_payload_comes_back_empty(peer: Peer) -> None:
    assert peer.talks(1, payload=b"").payload == b""


def test_dtmf_comes_back(peer: Peer) -> None:
    assert peer.talks(1, payload_type=EVENTS, marker=True).payload_type == EVENTS


def test_a_payload_type_that_was_not_negotiated_is_dropped(peer: Peer) -> None:
    assert peer.talks(1, payload_type=96) is None
    assert peer.talks(2, payload_type=96, marker=True) is None
    assert peer.media.drops == {DropReason.PAYLOAD_TYPE: 2}
    assert peer.media.packets_in == 0
    assert Step.FIRST_AUDIO_IN not in peer.timeline.times


def test_a_packet_that_is_authentic_and_malformed_is_dropped(peer: Peer) -> None:
    data = bytearray(rtp(sequence_number=1, timestamp=0, payload=b"voice", padding_size=4))
    data[-1] = 200  # more padding than packet
    assert peer.says(bytes(data)) is None
    assert peer.media.drops == {DropReason.MALFORMED_RTP: 1}


def test_a_packet_that_would_not_fit_is_dropped_for_that_reason(peer: Peer) -> None:
    # The longest that pylibsrtp unprotects is longer than what it protects: a foreign client may use that.
    longest = MAX_PACKET - 12
    assert len(peer.talks(1, payload=bytes(longest)).payload) == longest
    too_long = RtpSender(PROFILE, peer.key).protect(pack_packet(OPUS, 2, 960, THEIRS, bytes(longest + 1)))
    assert peer.media.receive_rtp(too_long, peer.now) == b""
    assert peer.media.drops == {DropReason.TOO_LONG: 1}
    assert peer.talks(3).payload == b"voice 3"


def test_what_is_not_authentic_is_nobodys(peer: Peer) -> None:
    good = peer.srtp.protect_rtp(rtp(sequence_number=1, timestamp=0, payload=b"voice"))
    assert peer.media.receive_rtp(good[:-1] + bytes([good[-1] ^ 1]), peer.now) is None
    assert peer.media.receive_rtp(good, peer.now)
    assert peer.media.receive_rtp(good, peer.now) is None
    assert peer.media.receive_rtcp(bytes(40), peer.now) is False
    assert peer.media.packets_in == 1
    assert peer.media.srtp_drops == {"authentication": 2, "replayed": 1}


def test_a_client_that_does_not_want_to_hear_hears_nothing(make_peer) -> None:
    peer = make_peer(sends=False)
    assert [peer.talks(number) for number in range(5)] == [None] * 5
    assert peer.media.packets_in == 5
    assert not peer.media.drops
    assert Step.FIRST_AUDIO_OUT not in peer.timeline.times
    # Reports it gets all the same, as a receiver's.
    (_, (report, _)), *_ = [item for item in peer.waits(2) if isinstance(item[1][0], ReceiverReport)]
    assert report.report_blocks[0].ssrc == THEIRS


@pytest.mark.parametrize(
    ("direction", "sends"), [("sendrecv", True), ("recvonly", True), ("sendonly", False), ("inactive", False)]
)
def test_the_offer_says_whether_the_client_wants_to_hear(direction: str, sends: bool) -> None:
    offer = (
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 110\r\nc=IN IP4 0.0.0.0\r\n"
        "a=ice-ufrag:cliF\r\na=ice-pwd:clientPassword0123456789\r\na=setup:actpass\r\na=rtcp-mux\r\na=rtcp-rsize\r\n"
        f"a=fingerprint:sha-256 {':'.join(['AB'] * 32)}\r\na={direction}\r\na=rtpmap:111 opus/48000/2\r\n"
        "a=rtpmap:110 telephone-event/48000\r\n"
    )
    description = MediaDescription.create(negotiate(parse_offer(offer)), random.Random(1).randbytes)
    assert description.sends is sends
    assert description.clock_rates == {111: 48000, 110: 48000}
    assert description.is_reduced_size
    assert description.transport_cc_id is None
    # RFC 7022 §4.2: unpredictable, and unrelated from call to call.
    another = MediaDescription.create(negotiate(parse_offer(offer)), random.Random(2).randbytes)
    assert not {description.cname, description.msid, description.ssrc} & {another.cname, another.msid, another.ssrc}


def test_the_first_audio_is_noted_once(peer: Peer) -> None:
    peer.talks(1)
    peer.now += 1
    peer.talks(2)
    assert peer.timeline.times == {Step.FIRST_AUDIO_IN: START, Step.FIRST_AUDIO_OUT: START}


# -- RTCP


def test_before_any_audio_we_are_a_receiver_with_a_name(peer: Peer) -> None:
    (_, packets), *_ = peer.waits(2)
    assert packets == (ReceiverReport(ssrc=OURS), SourceDescription.of_cname(OURS, "c0ffee"))


def test_reports_come_about_once_a_second_and_never_together(peer: Peer) -> None:
    times = [when for when, packets in peer.waits(60) if isinstance(packets[0], ReceiverReport)]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    # RFC 3550 §6.2: between half and one and a half of the mean.
    assert all(0.5 <= gap <= 1.5 for gap in gaps)
    assert max(gaps) - min(gaps) > 0.5
    assert 0.8 < sum(gaps) / len(gaps) < 1.2


def test_a_sender_report_tells_what_was_sent_and_what_was_heard(peer: Peer) -> None:
    sent = 0
    for number in range(10, 60):
        peer.now += 0.02
        if number not in (20, 21, 30):
            last = peer.talks(number)
            sent += len(last.payload)
    ((when, (report, name)),) = [item for item in peer.waits(1.6) if isinstance(item[1][0], SenderReport)][:1]
    assert isinstance(name, SourceDescription)
    assert report.ssrc == OURS
    assert (report.packet_count, report.octet_count) == (47, sent)
    assert report.ntp_timestamp == pytest.approx(ntp_timestamp(UNIX + when - START), abs=2**12)
    # RFC 3550 §6.4.1: the RTP timestamp of the instant of the report.
    since = when - (START + 1.0)
    assert (report.rtp_timestamp - last.timestamp) & 0xFFFFFFFF == pytest.approx(since * 48000, abs=2)
    (block,) = report.report_blocks
    assert (block.ssrc, block.cumulative_lost, block.extended_highest_sequence_number) == (THEIRS, 3, 59)
    assert block.fraction_lost == 3 * 256 // 50
    assert block.jitter < 5
    assert block.last_sender_report == 0
    # The next tells of nothing new, so it has no block (§6.4.1).
    again = [packets[0] for _, packets in peer.waits(1.6) if isinstance(packets[0], SenderReport)]
    assert again[0].report_blocks == ()
    assert peer.media.describe()["sources"] == [{"received": 47, "lost": 3, "jitter_ms": pytest.approx(0, abs=0.1)}]
    assert peer.media.packet_counts == (50, 47, 47, 0)


def test_packets_are_told_of_at_once_and_wait_for_it_in_bounded_memory(peer: Peer) -> None:
    for number in range(1, 10 * MAX_NOTED):
        peer.talks(number)
        assert sum(map(len, peer.media._reports.noted.values())) < MAX_NOTED
        if number < 20 or number % 100 == 0:
            assert peer.media.describe()["packets_in"] == number
            (source,) = peer.media.describe()["sources"]
            assert (source["received"], source["lost"]) == (number, 0)


def test_pcmu_ticks_eight_thousand_times_a_second(peer: Peer) -> None:
    for number in range(50):
        peer.now += 0.02
        heard = peer.talks(number, payload_type=PCMU, timestamp=number * 160)
    last = peer.now
    peer.now += 0.1
    when, (report, _) = next(item for item in peer.waits(1.6) if isinstance(item[1][0], SenderReport))
    (block,) = report.report_blocks
    assert block.jitter <= 1
    assert (report.rtp_timestamp - heard.timestamp) & 0xFFFFFFFF == pytest.approx((when - last) * 8000, abs=1)


def test_round_trips_are_measured_both_ways(peer: Peer) -> None:
    peer.talks(1)
    when, (report, _) = next(item for item in peer.waits(2) if isinstance(item[1][0], SenderReport))
    # The client gets our report 30 ms later, answers 100 ms after that, and 50 ms later it is here.
    middle = report.ntp_timestamp >> 16 & 0xFFFFFFFF
    block = ReportBlock(
        ssrc=OURS,
        fraction_lost=64,
        cumulative_lost=5,
        jitter=480,
        last_sender_report=middle,
        delay_since_last_sender_report=round(0.1 * 65536),
    )
    foreign = attrs.evolve(block, ssrc=12345, cumulative_lost=99)
    peer.now = when + 0.18
    theirs = SenderReport(
        ssrc=THEIRS,
        ntp_timestamp=ntp_timestamp(UNIX + 77),
        rtp_timestamp=0,
        packet_count=1,
        octet_count=7,
        report_blocks=(foreign, block),
    )
    assert peer.reports(theirs, SourceDescription.of_cname(THEIRS, "them"))
    state = peer.media.describe()
    assert state["round_trip_ms"] == pytest.approx(80, abs=1)
    assert state["lost_out"] == 5
    # And our next report lets the client measure: which of its reports came last, and how long ago.
    arrived = peer.now
    peer.talks(2)
    when, (report, _) = next(item for item in peer.waits(2) if isinstance(item[1][0], SenderReport))
    (ours,) = report.report_blocks
    assert ours.last_sender_report == theirs.ntp_timestamp >> 16 & 0xFFFFFFFF
    assert ours.delay_since_last_sender_report / 65536 == pytest.approx(when - arrived, abs=0.001)


def test_a_receiver_report_counts_like_a_senders(peer: Peer) -> None:
    peer.reports(ReceiverReport(ssrc=THEIRS, report_blocks=(ReportBlock(ssrc=OURS, cumulative_lost=9),)))
    assert peer.media.describe()["lost_out"] == 9
    assert peer.media.packet_counts == (0, 0, 0, 9)


def test_rtcp_that_tells_nothing_new_is_taken_without_complaint(peer: Peer) -> None:
    assert peer.reports(Goodbye(ssrcs=(THEIRS,)))
    assert peer.reports(SenderReport(ssrc=4711, ntp_timestamp=1, rtp_timestamp=1, packet_count=1, octet_count=1))
    assert not peer.media.drops


def test_malformed_rtcp_is_authentic_all_the_same(peer: Peer) -> None:
    assert peer.media.receive_rtcp(peer.srtp.protect_rtcp(b"\x81\xc8\x00\x01\x00\x00\x00\x01"), peer.now)
    assert peer.media.drops == {DropReason.MALFORMED_RTCP: 1}


def test_feedback_tells_the_sender_when_each_packet_arrived(peer: Peer) -> None:
    arrivals = {}
    for number in range(1000, 1012):
        peer.now += 0.02
        if number != 1005:
            arrivals[number] = peer.now
            peer.talks(number - 1000, **numbered(number))
    heard = [packets for _, packets in peer.waits(0.3) if isinstance(packets[0], TransportFeedback)]
    ((feedback,),) = heard  # reduced size: nothing in front of it
    assert (feedback.sender_ssrc, feedback.media_ssrc) == (OURS, THEIRS)
    assert feedback.feedback_packet_count == 0
    told = dict(feedback.arrivals())
    assert list(told) == list(range(1000, 1012))
    assert told.pop(1005) is None
    first = told[1000]
    assert {number: at - first for number, at in told.items()} == {
        number: pytest.approx(at - arrivals[1000], abs=0.0005) for number, at in arrivals.items()
    }
    assert not [packets for _, packets in peer.waits(0.3) if isinstance(packets[0], TransportFeedback)]


def test_feedback_comes_four_times_a_second(peer: Peer) -> None:
    times = []
    for number in range(100):
        times += [when for when, packets in peer.waits(0.02) if isinstance(packets[-1], TransportFeedback)]
        peer.talks(number, **numbered(number))
    assert len(times) in (7, 8)
    assert all(after - before == pytest.approx(0.25) for before, after in itertools.pairwise(times))


def test_a_report_leaves_with_the_next_feedback(peer: Peer) -> None:
    told = []
    for number in range(500):
        told += peer.waits(0.02)
        peer.talks(number, **numbered(number))
    assert {tuple(type(packet) for packet in packets) for _, packets in told} == {
        (TransportFeedback,),
        (SenderReport, SourceDescription, TransportFeedback),
    }
    reports = [when for when, packets in told if len(packets) == 3]
    assert 6 <= len(reports) <= 12
    assert all(0.5 <= after - before <= 1.8 for before, after in itertools.pairwise(reports))


def test_feedback_has_a_report_in_front_where_reduced_size_was_not_negotiated(make_peer) -> None:
    peer = make_peer(is_reduced_size=False)
    peer.talks(1, **numbered(1))
    heard = [packets for _, packets in peer.waits(0.3) if isinstance(packets[-1], TransportFeedback)]
    assert [type(packet) for packet in heard[0]] == [SenderReport, SourceDescription, TransportFeedback]


def test_no_feedback_where_it_was_not_negotiated(make_peer) -> None:
    peer = make_peer(transport_cc_id=None)
    peer.talks(1, **numbered(1))
    assert not [packets for _, packets in peer.waits(3) if isinstance(packets[-1], TransportFeedback)]


def test_no_feedback_of_packets_without_a_number(peer: Peer) -> None:
    peer.talks(1)
    peer.talks(2, extension_profile=0xBEDE, extension=b"\x30\x55\0\0")  # one byte is no number
    assert not [packets for _, packets in peer.waits(3) if isinstance(packets[-1], TransportFeedback)]


def test_the_last_report_says_goodbye(peer: Peer) -> None:
    peer.talks(1)
    ((report, name, goodbye),) = peer.hears(peer.media.goodbye(peer.now))
    assert isinstance(report, SenderReport)
    assert isinstance(name, SourceDescription)
    assert goodbye == Goodbye(ssrcs=(OURS,))


def test_a_clients_clocks_stop_at_four_sources(peer: Peer) -> None:
    for number in range(6):
        peer.media.receive_rtp(peer.srtp.protect_rtp(pack_packet(OPUS, 1, 0, 1000 + number, b"voice")), peer.now)
    assert len(peer.media.describe()["sources"]) == 4
    assert peer.media.srtp_drops == {"source-limit": 2}


def test_our_source_starts_unpredictably_and_far_from_its_rollover() -> None:
    starts = [RtpSource.start(random.Random(seed).randbytes, OURS) for seed in range(50)]
    assert len({(start.sequence_number, start.timestamp) for start in starts}) == 50
    assert all(start.sequence_number < 0x8000 for start in starts)


# -- the opening packet


def test_the_pause_between_the_opening_packet_and_the_first_echo_passes_in_the_timestamps(peer: Peer) -> None:
    opening = RtpPacket.parse(Reader(peer.srtp.unprotect_rtp(peer.media.opening(peer.now))))
    assert (opening.payload_type, opening.payload, opening.ssrc) == (OPUS, SILENT_FRAMES["opus"], OURS)
    assert Step.FIRST_AUDIO_OUT in peer.timeline.times
    peer.now += 0.25
    first = peer.talks(7)
    assert first.sequence_number == (opening.sequence_number + 1) & 0xFFFF
    assert (first.timestamp - opening.timestamp) & 0xFFFFFFFF == 0.25 * 48000
    second = peer.talks(8)
    assert second.sequence_number == (first.sequence_number + 1) & 0xFFFF
    assert (second.timestamp - first.timestamp) & 0xFFFFFFFF == 960


def test_nothing_opens_for_a_client_that_does_not_want_to_hear(make_peer: Callable[..., Peer]) -> None:
    assert make_peer(sends=False).media.opening(START) is None


@pytest.mark.parametrize(("codec", "size"), [("opus", 3), ("pcmu", 160), ("pcma", 160)])
def test_silent_frames_are_20_ms(codec: str, size: int) -> None:
    assert len(SILENT_FRAMES[codec]) == size
