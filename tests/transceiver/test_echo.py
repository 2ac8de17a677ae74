"""The law of the echo: a constant offset for each of the caller's sources, and no number twice."""

from hypothesis import given
from hypothesis import strategies as st

from srtp.keying import MasterKey
from srtp.profile import ProtectionProfile
from srtp.rtp import pack_packet, read_header
from srtp.secure_rtp import REPLAY_WINDOW
from srtp.sending import RtpSource
from srtp.session import SrtpSession
from transceiver.backends.echo import Echo
from transceiver.backends.silence import Silence
from transceiver.media import DropReason, Media, MediaDescription
from transceiver.options import SessionOptions
from transceiver.sdp.attributes import Codec
from transceiver.timeline import Timeline

OURS = 0x0E5
OPUS = 111


def make_echo(sequence_number: int = 1000, timestamp: int = 5000) -> Echo:
    return Echo(RtpSource(ssrc=OURS, sequence_number=sequence_number, timestamp=timestamp))


def reply(echo: Echo, sequence_number: int, timestamp: int, ssrc: int = 1) -> tuple[int, int]:
    """Echo a packet; return the sequence number and timestamp of what comes back."""
    packet = pack_packet(OPUS, sequence_number & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, b"voice")
    marker_and_type, sequence, stamp, source, start, end = read_header(packet)
    answer = echo.reply(packet, start, end, marker_and_type, sequence, stamp, source)
    back = read_header(answer)
    assert back[0] == OPUS
    assert back[3] == OURS
    assert answer[back[4] : back[5]] == b"voice"
    return back[1], back[2]


numbers16 = st.integers(0, 0xFFFF)
numbers32 = st.integers(0, 0xFFFFFFFF)


@given(
    first=numbers16,
    stamp=numbers32,
    start=st.integers(0, 0x7FFF),
    steps=st.lists(st.integers(-50, 3000), min_size=1, max_size=60),
)
def test_the_offset_is_constant_whatever_is_lost_or_late(first: int, stamp: int, start: int, steps: list[int]) -> None:
    echo = make_echo(start)
    base = reply(echo, first, stamp)
    assert base[0] == start
    position = 0
    for step in steps:
        position += step
        if start + position < 0:  # before our first
            position -= step
            continue
        back = reply(echo, first + position, stamp + 960 * position)
        assert (back[0] - base[0]) & 0xFFFF == position & 0xFFFF
        assert (back[1] - base[1]) & 0xFFFFFFFF == 960 * position & 0xFFFFFFFF


@given(start=st.integers(0, 0x7FFF), lengths=st.lists(st.integers(1, 200), min_size=1, max_size=5), first=numbers16)
def test_another_source_of_the_callers_goes_on_behind_the_last(start: int, lengths: list[int], first: int) -> None:
    echo = make_echo(start)
    expected = start
    for source, length in enumerate(lengths):
        for number in range(length):
            back = reply(echo, first * (source + 1) + number, 960 * number, ssrc=source)
            assert back[0] == expected & 0xFFFF
            expected += 1
    assert echo.source.sequence_number == expected


def test_between_two_sources_a_packets_time_passes() -> None:
    echo = make_echo()
    _, before = reply(echo, 7, 1_000_000)
    _, after = reply(echo, 9000, 3, ssrc=2)
    assert after - before == 960
    narrow = make_echo()
    narrow.source.clock_rate = 8000
    _, before = reply(narrow, 7, 1_000_000)
    _, after = reply(narrow, 9000, 3, ssrc=2)
    assert after - before == 160


def test_the_source_knows_what_comes_next() -> None:
    echo = make_echo(65530)
    for number in range(20):
        reply(echo, number, 960 * number)
    assert echo.source.sequence_number == 65530 + 20
    assert echo.source.timestamp == (5000 + 960 + 960 * 19) & 0xFFFFFFFF
    reply(echo, 3, 960 * 3)  # a late one moves nothing
    assert echo.source.sequence_number == 65530 + 20


def test_what_came_before_the_first_has_no_number_and_stays_silent() -> None:
    echo = make_echo(2)
    reply(echo, 0, 0)
    assert reply(echo, -2, -1920)[0] == 0
    late = pack_packet(OPUS, 0xFFFD, 0, 1, b"voice")
    assert echo.reply(late, 12, len(late), OPUS, 0xFFFD, 0, 1) is None
    assert reply(echo, 1, 960)[0] == 3


def test_a_marker_stays_where_it_was() -> None:
    echo = make_echo()
    packet = pack_packet(OPUS, 1, 0, 1, b"voice", marker=True)
    answer = echo.reply(packet, 12, len(packet), 0x80 | OPUS, 1, 0, 1)
    assert answer[1] == 0x80 | OPUS


# -- through SRTP: no number is used twice, whatever comes


def make_media(start: int = 1000) -> tuple[Media, SrtpSession]:
    ours, theirs = MasterKey(b"a" * 16, b"a" * 12), MasterKey(b"b" * 16, b"b" * 12)
    profile = ProtectionProfile.AEAD_AES_128_GCM
    description = MediaDescription(
        ssrc=OURS,
        cname="c",
        msid="s t",
        clock_rates={OPUS: 48000},
        codecs={OPUS: "opus"},
        spoken=Codec(payload_type=OPUS, name="opus", clock=48000, channels=2),
        sends=True,
        transport_cc_id=None,
        is_reduced_size=True,
    )
    media = Media(
        srtp=SrtpSession(profile, ours, theirs),
        description=description,
        timeline=Timeline(),
        entropy=lambda size: start.to_bytes(6, "big") + bytes(size - 6) if size > 6 else bytes(size),
        now=0.0,
        unix_time=0.0,
        options=SessionOptions(),
    )
    return media, SrtpSession(profile, theirs, ours)


@given(packets=st.lists(st.tuples(st.integers(0, 3), st.integers(0, REPLAY_WINDOW - 1)), max_size=150))
def test_no_index_is_used_twice_whatever_sources_do(packets: list[tuple[int, int]]) -> None:
    media, peer = make_media()
    sent: set[tuple[int, int]] = set()
    protected: set[bytes] = set()
    for source, number in packets:
        if (source, number) in sent:
            continue
        sent.add((source, number))
        data = peer._protect(pack_packet(OPUS, number, number * 960, source, b"voice"))
        echoed = media.receive_rtp(data, 0.0)
        assert echoed is not None
        if echoed:
            # Under one key and one SSRC, the sequence number stands for the index: the run is far shorter than a turn.
            assert echoed[:4] not in protected
            protected.add(echoed[:4])
            assert peer.unprotect_rtp(echoed) is not None
    assert len(protected) + media.drops[DropReason.INDEX_USED] == len(sent)


def test_a_late_packet_of_a_source_that_is_over_costs_a_number_and_no_index() -> None:
    media, peer = make_media()
    for source, number in [(1, 10), (1, 12), (2, 50), (1, 11), (2, 51), (2, 49)]:
        echoed = media.receive_rtp(peer._protect(pack_packet(OPUS, number, 960 * number, source, b"v")), 0.0)
        if (source, number) == (2, 49):  # where it belonged, (1, 11) is now
            assert echoed == b""
        else:
            assert peer.unprotect_rtp(echoed)
    assert media.drops == {DropReason.INDEX_USED: 1}


def test_an_hour_of_echo_goes_through_three_rollovers() -> None:
    media, peer = make_media(0x7FFF)
    for number in range(0, 200_000, 37):  # lossy, or it would take a second
        voice = pack_packet(OPUS, number & 0xFFFF, number * 960 & 0xFFFFFFFF, 1, b"voice")
        echoed = media.receive_rtp(peer.protect_rtp(voice), 0.0)
        packet = peer.unprotect_rtp(echoed)
        assert packet is not None
        assert read_header(packet)[1] == (number + 0x7FFF) & 0xFFFF
    assert not media.drops


def test_silence_is_silent() -> None:
    assert Silence().reply(b"packet", 0, 6, OPUS, 1, 2, 3) is None
