"""aiortc calls us: DTLS 1.2 (OpenSSL), a peer that shares no code with ours, through three separate processes."""

import asyncio
import fractions
import math
import struct
import urllib.request
from typing import Any

import aioice.ice
import attrs
import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import AudioFrame

from .conftest import TONE_HZ, Edge

pytestmark = pytest.mark.e2e

RATE = 48000
FRAME = 960  # samples: 20 ms
LISTEN = 60  # frames that are looked at, after the first ones have settled
SETTLE = 20
SECONDS = 15.0  # until a test gives up


class Tone(MediaStreamTrack):
    """A pure tone in real time."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._sample = 0
        self._began = 0.0

    async def recv(self) -> AudioFrame:
        now = asyncio.get_running_loop().time()
        self._began = self._began or now
        await asyncio.sleep(max(self._began + self._sample / RATE - now, 0))
        samples = [round(12000 * math.sin(2 * math.pi * TONE_HZ * (self._sample + n) / RATE)) for n in range(FRAME)]
        frame = AudioFrame(format="s16", layout="mono", samples=FRAME)
        frame.planes[0].update(struct.pack(f"<{FRAME}h", *samples))
        frame.pts, frame.sample_rate, frame.time_base = self._sample, RATE, fractions.Fraction(1, RATE)
        self._sample += FRAME
        return frame


def share_of_tone(samples: list[int], hz: float) -> float:
    """Goertzel: which part of the energy is at one frequency; 1.0 for a pure tone."""
    energy = sum(sample * sample for sample in samples)
    angle = 2 * math.pi * hz / RATE
    real = sum(sample * math.cos(angle * n) for n, sample in enumerate(samples))
    imaginary = sum(sample * math.sin(angle * n) for n, sample in enumerate(samples))
    return 2 * (real**2 + imaginary**2) / (len(samples) * energy) if energy else 0.0


@attrs.define
class Call:
    """What a call was like."""

    answer: str
    location: str
    state: dict[str, Any]
    samples: list[int]
    ended: int
    gone: dict[str, Any] | None


def post_offer(url: str, offer: str) -> tuple[str, str]:
    request = urllib.request.Request(
        f"{url}/v1/realtime/calls", offer.encode(), {"Content-Type": "application/sdp"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=SECONDS) as response:
        assert response.status == 201
        return response.read().decode(), response.headers["Location"]


def hang_up(url: str) -> int:
    with urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=SECONDS) as response:
        return int(response.status)


async def call(edge: Edge, setup: str) -> Call:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    frames: asyncio.Queue[AudioFrame] = asyncio.Queue()
    tasks = []

    @connection.on("track")
    def on_track(track: MediaStreamTrack) -> None:
        async def listen() -> None:
            while True:
                frames.put_nowait(await track.recv())

        tasks.append(asyncio.create_task(listen()))

    try:
        connection.addTrack(Tone())
        await connection.setLocalDescription(await connection.createOffer())
        offer = connection.localDescription.sdp.replace("a=setup:actpass", f"a=setup:{setup}")
        answer, location = await asyncio.to_thread(post_offer, edge.signal_url, offer)
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        samples: list[int] = []
        async with asyncio.timeout(SECONDS):
            for number in range(SETTLE + LISTEN):
                frame = await frames.get()
                if number >= SETTLE:
                    channels = len(frame.layout.channels)
                    data = bytes(frame.planes[0])[: frame.samples * channels * 2]
                    samples += struct.unpack(f"<{frame.samples * channels}h", data)[::channels]
        state = await asyncio.to_thread(edge.call_state, location)
        assert state is not None
        ended = await asyncio.to_thread(hang_up, edge.signal_url + location)
        gone = await asyncio.to_thread(edge.call_state, location)
        return Call(answer, location, state, samples, ended, gone)
    finally:
        for task in tasks:
            task.cancel()
        await connection.close()


@pytest.fixture
def on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """aioice leaves loopback out, and our ingress is nowhere else."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])


@pytest.mark.parametrize(
    ("setup", "answered", "our_role", "srtp_profile"),
    [
        ("actpass", "active", "client", "AEAD_AES_256_GCM"),  # the DTLS server chooses, and aiortc likes this one best
        ("active", "passive", "server", "AEAD_AES_128_GCM"),
    ],
)
@pytest.mark.usefixtures("on_loopback")
def test_a_tone_comes_back_over_dtls_12(
    edge: Edge, setup: str, answered: str, our_role: str, srtp_profile: str
) -> None:
    flows_before = edge.metric(edge.relay_url, "trio_voice_relay_flows")
    made = asyncio.run(call(edge, setup))
    assert f"a=setup:{answered}" in made.answer
    assert share_of_tone(made.samples, TONE_HZ) > 0.9
    assert share_of_tone(made.samples, TONE_HZ * 1.5) < 0.01
    assert made.state["state"] == "established"
    assert made.state["dtls"] == {
        "version": "DTLS 1.2",
        "role": our_role,
        "group": "x25519",
        "cipher_suite": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "srtp_profile": srtp_profile,
    }
    assert (made.ended, made.gone) == (200, None)
    edge.wait_until(
        "the relay has forgotten the flow",
        lambda: edge.metric(edge.relay_url, "trio_voice_relay_flows") == flows_before,
    )
