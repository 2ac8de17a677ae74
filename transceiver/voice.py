"""The voice of a call: what the caller says as PCM, and PCM that is said to the caller.

    SRTP ─▶ AudioReceiver ─▶ PCM ─▶ whoever listens          at once, as packets come
    SRTP ◀─ AudioSender ◀─ SpeechQueue ◀─ whoever speaks     20 ms at each tick

Neither direction has a task of its own: `receive` runs inline with the packet, `tick` with the worker's clock.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from srtp.rtcp.transport_feedback import TransportFeedback
from srtp.sending import RtpSource
from transceiver.audio.receiver import AudioReceiver
from transceiver.audio.sender import AudioSender
from transceiver.audio.speech_queue import SpeechQueue
from transceiver.audio.telephone_event import DtmfReceived
from transceiver.media_description import MediaDescription
from transceiver.options import VoiceOptions
from transceiver.ticker import TICK_SECONDS
from wire.core import Drops

__all__ = ["Voice"]

_EARLY = 0.002
"""A tick may come so much earlier than planned, in seconds, and still be this one's."""


class Voice:
    """PCM both ways of one call.

    Args:
        description: what was negotiated.
        source: ours.
        speech: what is to be said.
        hears_at: sample rate in Hz of the caller's PCM.
        options: how to listen and how to speak.
        now: monotonic seconds.
    """

    def __init__(
        self,
        *,
        description: MediaDescription,
        source: RtpSource,
        speech: SpeechQueue,
        hears_at: int,
        options: VoiceOptions,
        now: float,
    ) -> None:
        self._description = description
        self._options = options
        self._hears_at = hears_at
        self._ssrc: int | None = None
        self._receiver: AudioReceiver | None = None
        self._heard: list[bytes] = []
        self._digits: list[DtmfReceived] = []
        self._sender: AudioSender | None = None
        if description.sends:
            self._sender = AudioSender(
                source=source,
                codec=description.spoken.name.lower(),
                payload_type=description.spoken.payload_type,
                queue=speech,
                options=options.sending,
                now=now,
                transport_cc_id=description.transport_cc_id,
            )
        self._due = now

    # -- the caller speaks

    def receive(
        self, ssrc: int, marker_and_type: int, sequence: int, timestamp: int, payload: bytes, now: float
    ) -> None:
        """Take the payload of one authentic RTP packet; see `PacketBackend.reply` for the fields."""
        receiver = self._receiver
        if receiver is None or ssrc != self._ssrc:
            receiver = self._listen_to(ssrc, now)
        receiver.receive(marker_and_type & 0x7F, sequence, timestamp, marker_and_type > 0x7F, payload, now)

    def hear(self, now: float) -> bytes:
        """Take what the caller has said by now: 16-bit little-endian mono PCM, of any length."""
        receiver = self._receiver
        if receiver is None:
            return b""
        pcm = receiver.take(now)
        if self._heard:
            pcm = b"".join([*self._heard, pcm])
            self._heard.clear()
        return pcm

    def digits(self) -> Sequence[DtmfReceived]:
        """Take the keys that the caller has pressed."""
        if self._receiver is not None:
            self._digits += self._receiver.take_events()
        digits, self._digits = self._digits, []
        return digits

    def _listen_to(self, ssrc: int, now: float) -> AudioReceiver:
        # SrtpSession bounds how many sources there can be. What the last one said stays in its place.
        if self._receiver is not None:
            self._heard.append(self._receiver.take(now))
            self._digits += self._receiver.take_events()
        self._ssrc = ssrc
        self._receiver = AudioReceiver(
            codecs=self._description.codecs,
            rate=self._hears_at,
            options=self._options.listening,
            clock_rates=self._description.clock_rates,
        )
        return self._receiver

    # -- the caller is spoken to

    def tick(self, now: float) -> bytes | None:
        """Return the RTP packet of the next 20 ms, if there is anything to say."""
        if now < self._due:
            return None
        self._due = now + TICK_SECONDS - _EARLY
        return None if self._sender is None else self._sender.tick(now)

    def peer_reported(self, fraction_lost: float, round_trip_time: float | None, now: float) -> None:
        """Learn how the caller receives us: share of packets lost, 0 to 1, and seconds."""
        if self._sender is not None:
            self._sender.peer_reported(fraction_lost, round_trip_time, now)

    def transport_reported(self, feedback: TransportFeedback, now: float) -> None:
        """Learn when the client received which of our packets."""
        if self._sender is not None:
            self._sender.transport_reported(feedback, now)

    def next_timeout(self) -> float:
        """When `tick` wants to be called."""
        return self._due

    # -- the end

    @property
    def drops(self) -> Drops:
        """What of the caller's audio was not used, by reason."""
        return Counter() if self._receiver is None else self._receiver.drops

    def close(self) -> None:
        """Free the encoder."""
        if self._sender is not None:
            self._sender.close()

    def describe(self) -> Mapping[str, object]:
        """Tell how both directions are, in JSON types."""
        return {
            "in": {} if self._receiver is None else self._receiver.describe(),
            "out": {} if self._sender is None else self._sender.describe(),
        }
