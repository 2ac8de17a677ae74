"""Choosing and answering, in text; foreign parsers read the answers in test_sdp_foreign.py."""

from collections.abc import Callable

import pytest

from transceiver.calls import AnswerIngress
from transceiver.sdp import SdpRefused, negotiate, parse_offer
from transceiver.sdp.attributes import candidates
from transceiver.sdp.description import first, parse_description, values

Write = Callable[..., str]


def test_chromium_answer_line_by_line(chromium: str, write_answer: Write) -> None:
    assert write_answer(negotiate(parse_offer(chromium))).split("\r\n") == [
        "v=0",
        "o=- 9223372036854775807 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0 1",
        "a=ice-lite",
        "m=audio 3478 UDP/TLS/RTP/SAVPF 111 0 8 63 110 126",
        "c=IN IP4 192.0.2.1",
        "a=mid:0",
        "a=sendrecv",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        "a=rtpmap:111 opus/48000/2",
        "a=fmtp:111 minptime=10;useinbandfec=1",
        "a=rtcp-fb:111 transport-cc",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:63 red/48000/2",
        "a=fmtp:63 111/111",
        "a=rtpmap:110 telephone-event/48000",
        "a=rtpmap:126 telephone-event/8000",
        "a=ptime:20",
        "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        "a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
        "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid",
        "a=msid:stream track",
        "a=ssrc:3735928559 cname:trio-voice",
        "a=ice-ufrag:serverUfrag+/0123456789",
        "a=ice-pwd:serverPassword0123456789abcdefgh",
        "a=ice-options:trickle",
        "a=fingerprint:sha-256 " + ":".join(f"{byte:02X}" for byte in range(32)),
        "a=setup:active",
        "a=candidate:1 1 udp 2130706431 192.0.2.1 3478 typ host",
        "a=candidate:2 1 udp 2130706175 2001:db8::7 3479 typ host",
        "a=end-of-candidates",
        "m=application 3478 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 192.0.2.1",
        "a=mid:1",
        "a=sctp-port:5000",
        "a=max-message-size:262144",
        "a=ice-ufrag:serverUfrag+/0123456789",
        "a=ice-pwd:serverPassword0123456789abcdefgh",
        "a=ice-options:trickle",
        "a=fingerprint:sha-256 " + ":".join(f"{byte:02X}" for byte in range(32)),
        "a=setup:active",
        "a=candidate:1 1 udp 2130706431 192.0.2.1 3478 typ host",
        "a=candidate:2 1 udp 2130706175 2001:db8::7 3479 typ host",
        "a=end-of-candidates",
        "",
    ]


@pytest.mark.parametrize(
    "change",
    [
        ("a=sctp-port:5000\r\n", ""),
        ("a=sctp-port:5000", "a=sctp-port:0"),
        ("a=sctp-port:5000", "a=sctp-port:65536"),
        ("a=max-message-size:262144", "a=max-message-size:much"),
        ("webrtc-datachannel", "something-else"),
        ("UDP/DTLS/SCTP", "SCTP"),
    ],
)
def test_data_channels_that_cannot_be_read_are_refused_and_the_call_is_not(
    chromium: str, write_answer: Write, change: tuple[str, str]
) -> None:
    negotiated = negotiate(parse_offer(chromium.replace(*change)))
    assert negotiated.offer.data is None
    answered = parse_description(write_answer(negotiated))
    assert [media.port for media in answered.media] == [3478, 0]
    assert first(answered, "group") == "BUNDLE 0"


def test_the_longest_message_of_the_client(chromium: str) -> None:
    def longest(line: str) -> int | None:
        data = parse_offer(chromium.replace("a=max-message-size:262144\r\n", line)).data
        assert data is not None
        return data.max_message_size

    assert longest("a=max-message-size:1000\r\n") == 1000
    assert longest("a=max-message-size:0\r\n") is None  # RFC 8841 §6.1: any
    assert longest("") == 65536


def test_redundancy_goes_where_the_client_put_it(chromium: str) -> None:
    later, first_of_all = "SAVPF 111 63 9 0 8 13 110 126", "SAVPF 63 111 0 126"
    negotiated = negotiate(parse_offer(chromium))
    assert [codec.payload_type for codec in negotiated.formats] == [111, 0, 8, 63, 110, 126]
    negotiated = negotiate(parse_offer(chromium.replace(later, first_of_all)))
    assert [codec.payload_type for codec in negotiated.formats] == [63, 111, 0, 126]
    assert negotiated.spoken.payload_type == 111
    for foreign in ("a=fmtp:63 0/0", "a=fmtp:63 111", "a=fmtp:63 111/0"):
        assert negotiate(parse_offer(chromium.replace("a=fmtp:63 111/111", foreign))).redundancy is None


def test_sections_keep_their_order_and_mids(offers: dict[str, str], write_answer: Write) -> None:
    offered = parse_description(offers["chromium-156-audio-video-data"])
    answered = parse_description(write_answer(negotiate(parse_offer(offers["chromium-156-audio-video-data"]))))
    assert [media.kind for media in answered.media] == ["audio", "video", "audio", "application"]
    assert [first(media, "mid") for media in answered.media] == ["0", "1", "2", "3"]
    assert [media.protocol for media in answered.media] == [media.protocol for media in offered.media]
    assert [media.port for media in answered.media] == [3478, 3478, 3478, 3478]
    assert first(answered, "group") == "BUNDLE 0 1 2 3"
    for extra in answered.media[1:3]:
        assert first(extra, "inactive") == ""
        assert len(extra.formats) == 1
        assert first(extra, "msid") is None
        assert first(extra, "ice-ufrag") == "serverUfrag+/0123456789"
    assert answered.media[1].formats[0] == offered.media[1].formats[0]


def test_what_has_a_transport_of_its_own_is_refused(offers: dict[str, str], write_answer: Write) -> None:
    for change in ("a=group:BUNDLE 0 1 2 3", "a=group:BUNDLE 0"), ("a=group:BUNDLE 0 1 2 3\r\n", ""):
        text = offers["chromium-156-audio-video-data"].replace(*change)
        answered = parse_description(write_answer(negotiate(parse_offer(text))))
        assert [media.port for media in answered.media] == [3478, 0, 0, 0]
        assert list(values(answered, "group")) == (["BUNDLE 0"] if change[1] else [])


def test_an_offer_without_mids_gets_an_answer_without(chromium: str, write_answer: Write) -> None:
    text = chromium.replace("a=mid:0\r\n", "").replace("a=mid:1\r\n", "").replace("a=group:BUNDLE 0 1\r\n", "")
    answered = write_answer(negotiate(parse_offer(text)))
    assert "a=mid" not in answered
    assert "a=group" not in answered


def test_opus_comes_first_whatever_the_order_and_numbers_are_kept(chromium: str) -> None:
    text = chromium.replace("SAVPF 111 63 9 0 8 13 110 126", "SAVPF 8 126 0 111")
    negotiated = negotiate(parse_offer(text))
    assert [(codec.name, codec.payload_type) for codec in negotiated.codecs] == [
        ("opus", 111),
        ("PCMU", 0),
        ("PCMA", 8),
    ]
    assert [event.payload_type for event in negotiated.telephone_events] == [126]


def test_telephone_events_only_at_a_clock_that_the_audio_has(chromium: str) -> None:
    negotiated = negotiate(parse_offer(chromium.replace("SAVPF 111 63 9 0 8 13 110 126", "SAVPF 0 110 126")))
    assert [codec.name for codec in negotiated.codecs] == ["PCMU"]
    assert [event.payload_type for event in negotiated.telephone_events] == [126]


def test_no_common_codec_is_refused_by_name(chromium: str) -> None:
    with pytest.raises(SdpRefused, match="speaks opus, PCMU and PCMA; offered: CN, G722"):
        negotiate(parse_offer(chromium.replace("SAVPF 111 63 9 0 8 13 110 126", "SAVPF 9 13")))


def test_opus_parameters_are_the_clients_wishes_without_stereo(offers: dict[str, str]) -> None:
    negotiated = negotiate(parse_offer(offers["firefox-like"]))
    assert negotiated.codecs[0].parameters == "maxplaybackrate=48000;useinbandfec=1"
    assert negotiated.telephone_events[0].parameters == "0-15"


def test_extension_directions_are_turned_round(offers: dict[str, str], write_answer: Write) -> None:
    text = write_answer(negotiate(parse_offer(offers["firefox-like"])))
    assert "a=extmap:3/recvonly urn:ietf:params:rtp-hdrext:sdes:mid\r\n" in text
    assert "csrc-audio-level" not in text


@pytest.mark.parametrize(
    ("offered", "answered", "sends"),
    [
        ("sendrecv", "sendrecv", True),
        ("sendonly", "recvonly", False),
        ("recvonly", "sendonly", True),
        ("inactive", "inactive", False),
    ],
)
def test_direction(chromium: str, write_answer: Write, offered: str, answered: str, sends: bool) -> None:
    negotiated = negotiate(parse_offer(chromium.replace("a=sendrecv", f"a={offered}")))
    text = write_answer(negotiated)
    assert negotiated.direction == answered
    assert f"a={answered}\r\n" in text
    assert ("a=msid:" in text) == ("a=ssrc:" in text) == sends == negotiated.sends


@pytest.mark.parametrize(("offered", "chosen"), [("actpass", "active"), ("active", "passive"), ("passive", "active")])
def test_dtls_role(chromium: str, write_answer: Write, offered: str, chosen: str) -> None:
    negotiated = negotiate(parse_offer(chromium.replace("a=setup:actpass", f"a=setup:{offered}")))
    assert negotiated.setup == chosen
    assert f"a=setup:{chosen}\r\n" in write_answer(negotiated)
    assert "a=setup:passive\r\n" in write_answer(negotiated, setup="passive")


@pytest.mark.parametrize("missing", ["a=rtcp-fb:111 transport-cc\r\n", "a=extmap:3 "])
def test_transport_cc_needs_the_extension_and_the_feedback(chromium: str, write_answer: Write, missing: str) -> None:
    assert negotiate(parse_offer(chromium)).transport_cc == {111}
    negotiated = negotiate(parse_offer(chromium.replace(missing, "a=nothing:")))
    assert not negotiated.transport_cc
    assert "transport" not in write_answer(negotiated)


def test_options_not_offered_are_not_answered(chromium: str, write_answer: Write) -> None:
    text = chromium.replace("a=ice-options:trickle\r\n", "").replace("a=rtcp-rsize\r\n", "")
    answered = write_answer(negotiate(parse_offer(text)))
    assert "ice-options" not in answered
    assert "rtcp-rsize" not in answered
    sped = write_answer(negotiate(parse_offer(chromium.replace("ice-options:trickle", "ice-options:ice2 sped"))))
    assert "a=ice-options:ice2\r\n" in sped


def test_ipv6_is_the_default_destination_when_it_is_preferred(chromium: str, write_answer: Write) -> None:
    only = AnswerIngress(id=9, host="2001:db8::7", port=3479, priority=2130706431)
    answered = parse_description(write_answer(negotiate(parse_offer(chromium)), candidates=[only]))
    assert answered.media[0].connection == "IN IP6 2001:db8::7"
    assert [(c.host, c.port, c.foundation) for c in candidates(answered.media[0])] == [("2001:db8::7", 3479, "9")]


def test_tcp_candidates_are_passive_and_the_default_destination_is_udp(chromium: str, write_answer: Write) -> None:
    ingresses = [
        AnswerIngress(id=3, host="192.0.2.1", port=443, priority=1518305279, protocol="tcp"),
        AnswerIngress(id=1, host="192.0.2.2", port=3478, priority=2130706431),
    ]
    text = write_answer(negotiate(parse_offer(chromium)), candidates=ingresses)
    assert "a=candidate:3 1 tcp 1518305279 192.0.2.1 443 typ host tcptype passive\r\n" in text
    assert "m=audio 3478 UDP/TLS/RTP/SAVPF" in text
    assert "c=IN IP4 192.0.2.2\r\n" in text


def test_without_udp_there_is_no_default_destination(chromium: str, write_answer: Write) -> None:
    only = AnswerIngress(id=3, host="192.0.2.1", port=443, priority=1, protocol="tcp")
    text = write_answer(negotiate(parse_offer(chromium)), candidates=[only])
    assert "m=audio 9 UDP/TLS/RTP/SAVPF" in text
    assert "c=IN IP4 0.0.0.0\r\n" in text
