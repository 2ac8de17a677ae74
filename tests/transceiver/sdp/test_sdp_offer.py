"""Offers: what is read from real ones, and the reason why a bad one is refused."""

import pytest

from transceiver.sdp import SdpRefused, parse_offer
from transceiver.sdp.description import MAX_LINE, MAX_SECTIONS, MAX_TEXT

DIGEST = "22:F3:23:40:8E:3D:42:3F:35:67:AF:BD:A6:DA:1D:00:8D:58:10:DB:2C:8D:BD:C0:29:1C:7C:DA:C3:65:DA:24"


def test_chromium_offer(chromium: str) -> None:
    offer = parse_offer(chromium)
    assert (offer.ice_ufrag, offer.ice_pwd) == ("9idp", "g9xxqUW+DWQhrdvj0WpGFdRI")
    assert offer.ice_options == ("trickle",)
    assert [str(fingerprint) for fingerprint in offer.fingerprints] == [f"sha-256 {DIGEST}"]
    assert offer.setup == "actpass"
    assert offer.bundle == ("0", "1")
    assert [(section.kind, section.mid) for section in offer.sections] == [("audio", "0"), ("application", "1")]
    audio = offer.audio
    assert (audio.mid, audio.direction, audio.rtcp_mux, audio.rtcp_rsize) == ("0", "sendrecv", True, True)
    assert [(codec.payload_type, codec.name, codec.clock, codec.channels) for codec in audio.codecs] == [
        (111, "opus", 48000, 2),
        (63, "red", 48000, 2),
        (9, "G722", 8000, 1),
        (0, "PCMU", 8000, 1),
        (8, "PCMA", 8000, 1),
        (13, "CN", 8000, 1),
        (110, "telephone-event", 48000, 1),
        (126, "telephone-event", 8000, 1),
    ]
    assert audio.codecs[0].named_parameters()["minptime"] == "10"
    assert audio.extensions["urn:ietf:params:rtp-hdrext:ssrc-audio-level"] == 1
    assert audio.rtcp_fb == {"111": {"transport-cc"}}
    assert audio.ssrcs[2761477496]["cname"] == "VOAswMob92ZIOyoV"
    assert audio.msid.startswith("49e64b13-")
    assert "g9xxqUW" not in repr(offer)


def test_unknown_ice_options_and_attributes_are_tolerated(offers: dict[str, str]) -> None:
    assert parse_offer(offers["chromium-156-sped"]).ice_options == ("trickle", "sped", "googspedv1")
    assert parse_offer(offers["chromium-156-snap"]).sections[1].kind == "application"


def test_session_level_attributes_hold_for_the_section(offers: dict[str, str]) -> None:
    offer = parse_offer(offers["firefox-like"])
    assert [str(fingerprint) for fingerprint in offer.fingerprints] == [f"sha-256 {DIGEST}"]
    assert offer.ice_options == ("trickle",)
    assert offer.audio.extension_directions["urn:ietf:params:rtp-hdrext:sdes:mid"] == "sendonly"


def test_transport_may_stand_in_the_tagged_section_alone(chromium: str) -> None:
    head, audio, data = chromium.split("m=")
    transport = [line for line in data.split("\r\n") if line.startswith(("a=ice-", "a=fingerprint", "a=setup"))]
    for line in transport:
        audio = audio.replace(f"{line}\r\n", "")
    moved = head.replace("BUNDLE 0 1", "BUNDLE 1 0") + "m=" + audio + "m=" + data
    assert "ice-pwd" not in audio
    assert parse_offer(moved).ice_ufrag == "9idp"
    with pytest.raises(SdpRefused, match="ice-ufrag"):
        parse_offer(moved.replace("BUNDLE 1 0", "BUNDLE 0 1"))


def test_line_feeds_alone_are_tolerated(chromium: str) -> None:
    assert parse_offer(chromium.replace("\r\n", "\n")) == parse_offer(chromium)


def test_static_payload_types_need_no_rtpmap(chromium: str) -> None:
    offer = parse_offer(chromium.replace("a=rtpmap:0 PCMU/8000\r\n", "").replace("a=rtpmap:8 PCMA/8000\r\n", ""))
    assert [codec.name for codec in offer.audio.codecs if codec.payload_type in (0, 8)] == ["PCMU", "PCMA"]


def test_setup_defaults_to_active(chromium: str) -> None:
    assert parse_offer(chromium.replace("a=setup:actpass\r\n", "")).setup == "active"


def test_disabled_audio_is_passed_over_and_bundle_only_is_not(offers: dict[str, str]) -> None:
    text = offers["chromium-156-audio-video-data"]
    disabled = text.replace("m=audio 9 ", "m=audio 0 ", 1)
    assert parse_offer(disabled).audio.index == 2
    assert parse_offer(disabled).sections[0].disabled
    assert parse_offer(disabled.replace("a=mid:0\r\n", "a=mid:0\r\na=bundle-only\r\n")).audio.index == 0


def without(text: str, *prefixes: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(prefixes))


PLAN_B = (
    "a=ssrc:1 msid:s t1\r\na=ssrc:2 msid:s t2\r\na=ssrc:3 msid:s t3\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel"
)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: "", "not SDP.*empty"),
        (lambda text: '{"sdp": "v=0"}', "JSON"),
        (lambda text: "Hello, this is not SDP", "does not begin with v=0"),
        (lambda text: "v=0\r\n<html>", "line 2 .* letter=value"),
        (lambda text: text + "y=unknown type\r\n", "letter=value"),
        (lambda text: text.replace("s=-", "s=\0"), "line 3"),
        (lambda text: text.replace("s=-", "s=a\rb"), "line 3"),
        (lambda text: text.replace("m=audio 9 ", "m=audio nine "), "not a valid m= line"),
        (lambda text: text.replace("m=audio 9 ", "m=audio 65536 "), "not a valid m= line"),
        (lambda text: text.replace("a=rtcp-mux", "a=:"), "no attribute name"),
        (lambda text: text + "a=x:" + "x" * 1_000_000, f"at most {MAX_TEXT}"),
        (lambda text: text + "a=x:" + "x" * MAX_LINE, f"at most {MAX_LINE}"),
        (lambda text: text + "m=video 9 RTP/AVP 96\r\n" * MAX_SECTIONS, f"more than {MAX_SECTIONS} m= lines"),
        (lambda text: text.split("m=")[0], "no usable m=audio"),
        (lambda text: text.replace("m=audio 9", "m=audio 0"), "no usable m=audio"),
        (lambda text: text.replace("m=audio 9 UDP/TLS/RTP/SAVPF", "m=audio 9 udp"), "not RTP under DTLS"),
        (lambda text: without(text, "a=ice-"), "needs ICE"),
        (lambda text: without(text, "a=ice-pwd"), "needs ICE"),
        (lambda text: text.replace("a=ice-ufrag:9idp", "a=ice-ufrag:9i"), "ice-ufrag is not"),
        (lambda text: text.replace("a=ice-pwd:g9xxqUW", "a=ice-pwd:g 9xxqUW"), "ice-pwd is not"),
        (lambda text: without(text, "a=fingerprint"), "no a=fingerprint"),
        (lambda text: text.replace("a=fingerprint:sha-256", "a=fingerprint:md5"), "well-formed sha-256"),
        (lambda text: text.replace(":DA:24", ""), "well-formed sha-256"),
        (lambda text: text.replace("a=setup:actpass", "a=setup:holdconn"), "a=setup is none of"),
        (lambda text: without(text, "a=rtcp-mux"), "rtcp-mux"),
        (lambda text: text.replace("a=extmap-allow-mixed", "a=ice-lite"), "ICE-lite"),
        (lambda text: text.replace("a=mid:1", "a=mid:0"), "same a=mid"),
        (lambda text: text.replace("a=mid:1", "a=mid:not a token"), "a=mid"),
        (lambda text: text.replace("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", PLAN_B), "4 tracks .*Plan B"),
    ],
)
def test_bad_offers_are_refused_with_the_reason(chromium: str, change, reason: str) -> None:
    changed = change(chromium)
    assert changed != chromium
    with pytest.raises(SdpRefused, match=reason) as refusal:
        parse_offer(changed)
    assert refusal.value.reason == str(refusal.value)


def test_plan_b_is_named_and_ssrcs_of_one_track_are_not_plan_b(offers: dict[str, str]) -> None:
    text = offers["chromium-156-audio-video-data"]
    two_layers = "a=ssrc:1 msid:stream track\r\na=ssrc:2 msid:stream track\r\n"
    parse_offer(text + two_layers)
    with pytest.raises(SdpRefused, match=r"2 tracks \(Plan B\)"):
        parse_offer(text + two_layers.replace("2 msid:stream track", "2 msid:stream other"))
