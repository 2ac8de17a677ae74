"""The voice of a call: what the caller says as PCM, and PCM that is said to the caller.

    SRTP ─▶ AudioReceiver ─▶ PCM ─▶ whoever listens          at once, as packets come
    SRTP ◀─ AudioSender ◀─ SpeechQueue ◀─ whoever speaks     20 ms at each tick

Neither direction has a task of its own: `receive` runs inline with the packet, `tick` with the worker's clock.

A caller has one source at a time. When another begins, it takes over, and what the one before still sends is not heard
any more: it comes late, or two sources are mixed in a way that no listener could make sense of.
"""

import enum
import math
from collections import Counter
from collections.abc import Mapping, Sequence

import attrs

from srtp.rtcp.transport_feedback import TransportFeedback
from srtp.sending import RtpSource
from transceiver.audio.adaptation import FRAME_SECONDS, SendingOptions
from transceiver.audio.receiver import AudioReceiver
from transceiver.audio.sender import AudioSender, SendingState
from transceiver.audio.speech_queue import SpeechQueue
from transceiver.audio.telephone_event import DtmfReceived
from transceiver.media_description import MediaDescription
from transceiver.options import VoiceOptions
from transceiver.sdp.attributes import Codec
from wire.core import Drops

__all__ = ["DropReason", "Voice"]

_LEAST_BITRATE = 6000  # of Opus, in bit/s
_RETURN_SECONDS = 1.0
"""After so much quiet a source that was left may come back."""


class DropReason(enum.StrEnum):
    """Why an audio packet of the caller's was not listened to."""

    FORMER_SOURCE = "former-source"
    """Another source has taken over."""


class Voice:
    """PCM both ways of one call.

    Args:
        description: what was negotiated.
        source: ours.
        speech: what is to be said.
        hears_at: sample rate in Hz of the caller's PCM.
        options: how to listen and how to speak.
        now: monotonic seconds.

    Attributes:
        due: when `tick` wants to be called; a plain attribute, as it is looked at fifty times a second.
        quiet_until: until then `hear` has nothing, unless a packet comes; as `due`.
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
        self._source = source
        self._speech = speech
        self._options = options
        self._hears_at = hears_at
        self._ssrc: int | None = None
        self._former: set[int] = set()
        self._received_at = now
        self._receiver: AudioReceiver | None = None
        self._drops: Drops = Counter()  # of this and of receivers before
        self._told: Mapping[str, object] = {}  # what the receiver had to say when it was closed
        self._heard: list[bytes] = []  # of sources before, not taken yet
        self._digits: list[DtmfReceived] = []
        self._sender: AudioSender | None = None
        self._resumed: SendingState | None = None
        self.due = now
        self.quiet_until = math.inf

    # -- the caller speaks

    def receive(
        self, ssrc: int, marker_and_type: int, sequence: int, timestamp: int, payload: bytes, now: float
    ) -> None:
        """Take the payload of one authentic RTP packet; see `PacketBackend.reply` for the fields."""
        receiver = self._receiver
        if receiver is None or ssrc != self._ssrc:
            if ssrc in self._former and now - self._received_at < _RETURN_SECONDS:
                self._drops[DropReason.FORMER_SOURCE] += 1
                return
            receiver = self._listen_to(ssrc, now)
        self._received_at = now
        receiver.receive(marker_and_type & 0x7F, sequence, timestamp, marker_and_type > 0x7F, payload, now)

    def hear(self, now: float) -> bytes:
        """Take what the caller has said by now: 16-bit little-endian mono PCM, of any length."""
        receiver = self._receiver
        if receiver is None:
            return b""
        pcm = receiver.take(now)
        self.quiet_until = receiver.quiet_until
        if self._heard:
            pcm = b"".join([*self._heard, pcm])
            self._heard.clear()
        return pcm

    def digits(self) -> Sequence[DtmfReceived]:
        """Take the keys that the caller has pressed."""
        receiver = self._receiver
        if not self._digits and (receiver is None or not receiver.events.received):
            return ()  # nearly always; asked for with each packet
        digits = receiver.take_events() if receiver is not None else []
        if self._digits:
            digits, self._digits = [*self._digits, *digits], []
        return digits

    def _listen_to(self, ssrc: int, now: float) -> AudioReceiver:
        # SrtpSession bounds how many sources there can be. What the last one said stays in its place.
        before = self._receiver
        if before is not None and self._ssrc is not None:
            self._former.add(self._ssrc)
            self._heard.append(before.take(now))
            self._digits += before.take_events()
            self._drops.update(before.drops)
        self._former.discard(ssrc)
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
        if now < self.due:
            return None
        # A tick that comes late does not make the next one late. How many were missed, the sender knows by the clock.
        self.due = max(self.due + FRAME_SECONDS, now - FRAME_SECONDS)
        sender = self._sender
        if sender is not None:
            return sender.tick(now)
        if self._description.sends:
            return self._begin_to_speak(now).tick(now)
        # The client does not want to hear. What is said to it passes in its own time all the same.
        self._speech.take(round(self._speech.rate * FRAME_SECONDS))
        return None

    def _begin_to_speak(self, now: float) -> AudioSender:
        """Make the sender with the first tick: the packet that opens our audio was sent before, and is on its clock."""
        spoken = self._description.spoken
        self._sender = AudioSender(
            source=self._source,
            codec=spoken.name.lower(),
            payload_type=spoken.payload_type,
            queue=self._speech,
            options=_within_wishes(self._options.sending, spoken),
            now=now,
            transport_cc_id=self._description.transport_cc_id,
            resumed=self._resumed,
        )
        return self._sender

    def peer_reported(self, fraction_lost: float, round_trip_time: float | None, now: float) -> None:
        """Learn how the caller receives us: share of packets lost, 0 to 1, and seconds."""
        if self._sender is not None:
            self._sender.peer_reported(fraction_lost, round_trip_time, now)

    def transport_reported(self, feedback: TransportFeedback, now: float) -> None:
        """Learn when the client received which of our packets."""
        if self._sender is not None:
            self._sender.transport_reported(feedback, now)

    # -- moving house

    def state(self) -> SendingState | None:
        """Return where we have come to in speaking; None before we have begun."""
        return self._resumed if self._sender is None else self._sender.state()

    def resume(self, state: SendingState, now: float) -> None:
        """Speak on, before the first tick, where another process has stopped.

        Args:
            state: where.
            now: monotonic seconds; our source knows when it has sent last.
        """
        self._resumed = state
        if self._source.sent_at is not None:
            # Twenty milliseconds after the last frame, or a multiple of it.
            self.due = now + (self._source.sent_at - now) % FRAME_SECONDS

    # -- the end

    def close(self) -> None:
        """Free the codecs; nothing may follow but questions."""
        if self._sender is not None:
            self._sender.close()
        if self._receiver is not None:
            self._drops.update(self._receiver.drops)
            self._told = self._receiver.describe()
            self._receiver = None

    # -- state for others

    @property
    def drops(self) -> Drops:
        """What of the caller's audio was not used, by reason."""
        return self._drops if self._receiver is None else self._drops + self._receiver.drops

    def describe(self) -> Mapping[str, object]:
        """Tell how both directions are, in JSON types."""
        return {
            "in": self._told if self._receiver is None else self._receiver.describe(),
            "out": {} if self._sender is None else self._sender.describe(),
        }


def _within_wishes(options: SendingOptions, codec: Codec) -> SendingOptions:
    """Keep to what the client says it likes to receive (RFC 7587 §6.1), as long as Opus can."""
    wishes = codec.named_parameters()
    most = max(int(wishes.get("maxaveragebitrate", options.max_bitrate)), _LEAST_BITRATE)
    return attrs.evolve(
        options,
        min_bitrate=min(options.min_bitrate, most),
        bitrate=min(options.bitrate, most),
        max_bitrate=min(options.max_bitrate, most),
        # RFC 7587 §6.1: a receiver that says nothing cannot make use of FEC.
        uses_fec=options.uses_fec and wishes.get("useinbandfec") == "1",
    )
