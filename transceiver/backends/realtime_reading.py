"""What a Realtime server sends, as a link delivers it: events in the GA shape, and speech as PCM.

The server is one of the operator's, but it may be of any make and any quality. What makes no sense is dropped and
counted; a server that says nothing else is given up by the link.
"""

import enum
import json
from collections import Counter
from collections.abc import Mapping

import trio

from transceiver.backends.contract import BackendSink, Speech
from transceiver.backends.tunnel_ticket import Reading
from transceiver.realtime.base64_audio import AudioNotBase64, decoded_slices
from transceiver.realtime.dialect import speaks_beta, to_ga
from transceiver.realtime.fields import Event, integer_at, text_at
from wire.core import Drops

__all__ = ["DropReason", "ServerEvents"]

_AUDIO_DELTAS = frozenset({"response.output_audio.delta", "response.audio.delta"})
_BYTES_PER_SAMPLE = 2


class DropReason(enum.StrEnum):
    """Why something of a server's was dropped."""

    NOT_JSON = "not-json"
    NOT_AN_EVENT = "not-an-event"
    NAMELESS_AUDIO = "nameless-audio"
    INVALID_BASE64 = "invalid-base64"
    HALF_SAMPLE = "half-sample"


class ServerEvents:
    """Reads one server's texts.

    Attributes:
        is_beta: whether the server has shown that it speaks the beta shape; may be set by who knows.
        drops: what made no sense, by reason.
    """

    def __init__(self) -> None:
        self.is_beta = False
        self.drops: Drops = Counter()
        self._speech: Speech | None = None
        self._half_sample = b""

    @property
    def reading(self) -> Reading:
        """How far it has understood the server, between two texts; may be set before the first."""
        return Reading(is_beta=self.is_beta, speech=self._speech, half_sample=self._half_sample)

    @reading.setter
    def reading(self, reading: Reading) -> None:
        self.is_beta, self._speech, self._half_sample = reading.is_beta, reading.speech, reading.half_sample

    async def deliver(self, text: str, sink: BackendSink) -> bool:
        """Give an event to a sink; others run between the slices of a long piece of speech.

        Returns:
            Whether the text was an event at all.
        """
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            self.drops[DropReason.NOT_JSON] += 1
            return False
        if not isinstance(event, dict) or not text_at(event, "type"):
            self.drops[DropReason.NOT_AN_EVENT] += 1
            return False
        if event["type"] in _AUDIO_DELTAS:
            await self._deliver_audio(event, sink)
            return True
        self.is_beta |= speaks_beta(event)
        for each in to_ga(event):
            sink.backend_event(each)
        return True

    async def _deliver_audio(self, event: Event, sink: BackendSink) -> None:
        speech = Speech(
            text_at(event, "response_id"), text_at(event, "item_id"), integer_at(event, "content_index") or 0
        )
        if not speech.response_id or not speech.item_id:
            self.drops[DropReason.NAMELESS_AUDIO] += 1
            return
        if speech != self._speech:
            if self._half_sample:
                self.drops[DropReason.HALF_SAMPLE] += 1
            self._speech, self._half_sample = speech, b""
        slices = 0
        try:
            for pcm in decoded_slices(_audio_of(event)):
                if slices:
                    await trio.lowlevel.checkpoint()
                slices += 1
                self._deliver_pcm(speech, pcm, sink)
        except AudioNotBase64:
            self.drops[DropReason.INVALID_BASE64] += 1

    def _deliver_pcm(self, speech: Speech, pcm: bytes, sink: BackendSink) -> None:
        """Deliver whole samples; a server may cut its audio anywhere, and the rest of a sample comes next."""
        pcm = self._half_sample + pcm
        whole = len(pcm) - len(pcm) % _BYTES_PER_SAMPLE
        self._half_sample = pcm[whole:]
        if whole:
            sink.backend_audio(speech, pcm[:whole])


def _audio_of(event: Event) -> str:
    # Some versions of vLLM-Omni put an object there: {"audio": …, "sample_rate_hz": …}.
    delta = event.get("delta")
    return text_at(delta, "audio") if isinstance(delta, Mapping) else text_at(event, "delta")
