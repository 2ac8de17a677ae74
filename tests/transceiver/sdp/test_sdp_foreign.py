"""Offers of aiortc, answers read by aiortc, and offers that were tampered with."""

import asyncio
import contextlib
from collections.abc import Callable

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import SessionDescription
from hypothesis import given
from hypothesis import strategies as st

from transceiver.sdp import SdpRefused, negotiate, parse_offer
from transceiver.sdp.description import parse_description, serialize_description

Write = Callable[..., str]


@pytest.mark.parametrize("kinds", [("audio",), ("audio", "data"), ("video", "audio", "data")])
def test_aiortc_offers_and_takes_the_answer(kinds: tuple[str, ...], write_answer: Write) -> None:
    async def exchange() -> tuple[str, str, list[str | None]]:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        try:
            for kind in kinds:
                if kind == "data":
                    peer.createDataChannel("oai-events")
                else:
                    peer.addTransceiver(kind)
            await peer.setLocalDescription(await peer.createOffer())
            offered = peer.localDescription.sdp
            answered = write_answer(negotiate(parse_offer(offered)))
            await peer.setRemoteDescription(RTCSessionDescription(sdp=answered, type="answer"))
            directions = {transceiver.kind: transceiver.currentDirection for transceiver in peer.getTransceivers()}
            return offered, answered, [directions.get(kind) for kind in kinds]
        finally:
            await peer.close()

    offered, answered, directions = asyncio.run(exchange())
    assert directions == [{"audio": "sendrecv", "video": "inactive"}.get(kind) for kind in kinds]
    assert len(parse_offer(offered).fingerprints) == 3
    parsed = SessionDescription.parse(answered)
    assert [media.kind for media in parsed.media] == [media.kind for media in SessionDescription.parse(offered).media]
    audio = next(media for media in parsed.media if media.kind == "audio")
    assert audio.rtp.codecs[0].mimeType == "audio/opus"
    assert [(c.ip, c.port) for c in audio.ice_candidates] == [("192.0.2.1", 3478), ("2001:db8::7", 3479)]
    assert audio.ice_candidates_complete
    assert audio.dtls.role == "client"
    assert audio.msid == "stream track"


def test_the_shape_round_trips(offers: dict[str, str]) -> None:
    for text in offers.values():
        once = parse_description(text)
        assert parse_description(serialize_description(once)) == once


def survives(text: str, write_answer: Write) -> None:
    """Whatever comes in, the only failure is the refusal, and an answer is never malformed."""
    with contextlib.suppress(SdpRefused):
        answered = write_answer(negotiate(parse_offer(text)))
        answered.encode("ascii")
        parse_description(answered)


@given(data=st.data())
def test_tampered_offers_are_answered_or_refused(
    offers: dict[str, str], write_answer: Write, data: st.DataObject
) -> None:
    text = offers[data.draw(st.sampled_from(sorted(offers)))]
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 12)))
        text = text[:start] + data.draw(st.text(max_size=8)) + text[end:]
    survives(text, write_answer)


@given(data=st.data())
def test_shuffled_lines_are_answered_or_refused(
    offers: dict[str, str], write_answer: Write, data: st.DataObject
) -> None:
    lines = offers[data.draw(st.sampled_from(sorted(offers)))].splitlines(keepends=True)
    picked = data.draw(st.lists(st.sampled_from(lines), max_size=60))
    survives("v=0\r\n" + "".join(picked), write_answer)


@given(text=st.text(max_size=200))
def test_arbitrary_text_is_refused(text: str, write_answer: Write) -> None:
    survives(text, write_answer)
    survives("v=0\r\nm=audio 9 RTP/AVP 0\r\na=" + text, write_answer)
