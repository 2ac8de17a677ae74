"""A whole call between the caller's session and the transceiver's, in a seeded network."""

import io
import itertools
from collections.abc import Callable

import pytest

from dtls.certificate import Fingerprint
from edge.caller.description import AnswerUnusable, parse_answer
from edge.caller.opus_file import Clip, OpusRecording, read_clip
from edge.caller.progress import DropReason, Heard, Secured, Stage
from edge.caller.results import MediaStatistics, Timeline
from srtp.profile import ProtectionProfile
from transceiver.backends.silence import SILENT_FRAMES
from wire.core import Closed, Path

Make = Callable[..., object]


def reasons(weather) -> list[str]:
    return [event.reason for event in weather.events if isinstance(event, Closed)]


@pytest.mark.parametrize("setup", ["actpass", "active", "passive"])
def test_call_in_both_dtls_roles(weather: Make, setup: str) -> None:
    network = weather(setup=setup)
    network.run(2.5)
    caller = network.caller
    assert caller.stage is Stage.TALKING
    assert caller.secured is not None
    assert caller.secured.version == "DTLS 1.3"
    assert caller.secured.cipher_suite == "TLS_AES_128_GCM_SHA256"
    assert caller.secured.srtp_profile is ProtectionProfile.AEAD_AES_128_GCM
    # An answerer that may choose is active, so we are the DTLS server then.
    assert caller.secured.is_client == (setup == "active")
    kinds = [type(event) for event in network.events]
    assert kinds.count(Secured) == kinds.count(Heard) == 1
    media = MediaStatistics.of(caller)
    assert media.sent > 100
    assert 0 <= media.sent - media.received <= 4
    assert media.lost == 0
    assert media.round_trip == pytest.approx(0.04, abs=0.011)
    assert media.echo_delay == pytest.approx(0.04, abs=0.011)
    assert media.feedback > 0
    timeline = Timeline.of(caller, 99.9, 100.0)
    assert timeline.answer == pytest.approx(0.1)
    assert timeline.ice is not None
    # The server's opening packet comes with the flight that completes the handshake, or right behind it.
    assert timeline.answer < timeline.ice < timeline.dtls <= timeline.first_audio < 0.5


def test_rtcp_tells_the_caller_of_its_loss_on_the_way_there(weather: Make) -> None:
    network = weather()
    network.run(1, until=lambda: network.caller.stage is Stage.TALKING)
    network.loss = 0.2
    network.run(8)
    media = MediaStatistics.of(network.caller)
    assert media.lost_on_the_way_there is not None
    assert media.lost_on_the_way_there > 20
    assert media.lost > media.lost_on_the_way_there
    source = network.caller.media.outbound.source
    assert source.round_trip_time == pytest.approx(0.04, abs=0.011)


@pytest.mark.parametrize("seed", range(4))
def test_set_up_survives_loss(weather: Make, seed: int) -> None:
    network = weather(loss=0.3)
    network.chance.seed(seed)
    network.run(20, until=lambda: network.caller.media is not None and network.caller.media.heard_at is not None)
    assert network.caller.stage is Stage.TALKING


def test_recording_holds_what_was_said(weather: Make, clip: Clip) -> None:
    file = io.BytesIO()
    recording = OpusRecording(file, serial=1)
    network = weather(recording=recording)
    network.run(2)
    recording.finish()
    recorded = read_clip(file.getvalue()).packets
    assert recorded[0] == SILENT_FRAMES["opus"]  # the server's opening packet
    heard = tuple(itertools.dropwhile(lambda packet: packet not in clip.packets, recorded))
    assert len(heard) > 70
    start = clip.packets.index(heard[0])
    assert heard == clip.packets[start : start + len(heard)]


def test_hanging_up_says_goodbye_to_the_server(weather: Make) -> None:
    network = weather()
    network.run(1)
    network.caller.hang_up(network.now)
    assert network.caller.stage is Stage.CLOSED
    network.run(0.2)
    assert network.server.closed is not None
    assert network.server.closed.reason == "close-notify"
    assert network.caller.next_timeout() is None
    assert not list(network.caller.handle_timeout(network.now + 100))


def test_the_server_hanging_up_ends_the_call(weather: Make) -> None:
    network = weather()
    network.run(1)
    network.server.close("hang-up", network.now)
    network.run(0.2)
    assert reasons(network) == ["close-notify"]
    assert network.caller.stage is Stage.CLOSED


def test_a_server_that_never_answers_is_given_up(weather: Make) -> None:
    network = weather(is_cut=True)
    network.run(60, until=lambda: bool(network.events))
    assert reasons(network) == ["ice-failed"]
    assert network.caller.ice_at is None


def test_a_server_that_falls_silent_is_left(weather: Make) -> None:
    network = weather()
    network.run(1)
    network.is_cut = True
    network.run(45)
    assert reasons(network) == ["consent-expired"]


def test_a_server_with_another_certificate_is_not_believed(weather: Make) -> None:
    network = weather(setup="active", fingerprint=str(Fingerprint("sha-256", bytes(32))))
    network.run(3)
    assert reasons(network) == ["fingerprint-mismatch"]
    assert network.caller.media is None
    assert network.server.closed is not None
    assert network.server.closed.reason == "peer-alert"


def test_drops_before_their_time_are_counted(weather: Make) -> None:
    caller = weather(setup="active").caller
    somebody = Path(("203.0.113.9", 9))
    caller.receive_datagram(b"\x80\x6f" + bytes(30), somebody, 100.0)
    caller.receive_datagram(b"\x80\xc8" + bytes(30), somebody, 100.0)
    caller.receive_datagram(b"\x16\xfe\xfd" + bytes(30), somebody, 100.0)
    caller.receive_datagram(b"\x40" + bytes(30), somebody, 100.0)
    caller.receive_datagram(b"", somebody, 100.0)
    assert caller.drops == {DropReason.BEFORE_KEYS: 2, DropReason.NOT_STARTED: 1, DropReason.UNKNOWN_KIND: 2}


def test_malformed_rtcp_is_counted(weather: Make) -> None:
    network = weather()
    network.run(1)
    server_media = network.server.media
    protect = server_media._srtp.protect_rtcp  # an authentic server that writes nonsense
    network.caller.receive_datagram(
        protect(b"\x81\xc8\x00\x01\x00\x00\x00\x01"), Path(("192.0.2.1", 3478)), network.now
    )
    assert network.caller.dropped()[DropReason.MALFORMED_RTCP] == 1


def test_contradicting_roles_are_refused(weather: Make) -> None:
    caller = weather(setup="active").caller
    text = "\r\n".join(
        [
            "v=0",
            "m=audio 3478 UDP/TLS/RTP/SAVPF 111",
            "a=rtpmap:111 opus/48000/2",
            "a=ice-ufrag:abcd",
            "a=ice-pwd:0123456789012345678901",
            "a=setup:active",
            f"a=fingerprint:{Fingerprint('sha-256', bytes(32))}",
            "a=candidate:1 1 udp 1 192.0.2.1 3478 typ host",
        ]
    )
    with pytest.raises(AnswerUnusable, match="contradicts"):
        caller.accept(parse_answer(text), 100.0)
    with pytest.raises(AnswerUnusable, match="malformed"):
        caller.accept(parse_answer(text.replace("active", "passive").replace("sha-256 00", "sha-256 0")), 100.0)
