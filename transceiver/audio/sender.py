"""Speech to RTP: one packet every 20 ms while there is something to say.

The worker's ticker sets the pace, however fast the backend speaks. The media clock is real time: a frame's timestamp is
its place on a grid of 20 ms that began with the first tick, whether packets were sent meanwhile or not. A tick that
comes late changes nothing; one that was left out leaves its place empty, and the speech goes on behind it.

While nothing is said:

* First comes a tail of coded silence (`SendingOptions.tail`), which lets the codec's last samples out. A shorter pause
  than that, because a backend is slow, stays inside of one talkspurt. Where speech breaks off, because it was flushed
  or the backend is late, its last sound fades within 5 ms instead of clicking.
* Then one frame that says "nothing", a single byte, and again one every `SendingOptions.keepalive`. Browsers play with
  libwebrtc's NetEq. To it a pause without notice is loss, which it conceals by stretching the last sound; after an Opus
  payload of one byte it makes comfort noise instead, and decides by the timestamps when the next packet is due. Without
  any packet for a second it goes back to concealing, hence the repetition; 400 ms lets two of them get lost, and is how
  often libopus itself refreshes its DTX. It costs 2.5 packets a second. Measured in Chromium with pauses of 2.8 s
  between sentences of 1.5 s: nothing is concealed; two fifths of the time without the repetition, and three fifths
  without any notice.
* The first packet of speech after that carries the marker, and no other: it asks the listener's buffer to start over.

G.711 knows no such frame, so silence is sent like speech, and no marker at all.

Source: RFC 3550 §5.1, RFC 3551 §4.1 (marker), RFC 7587 §3.1.3 and §4.1 (DTX, timestamps), libwebrtc's
`neteq/decision_logic.cc` and `opus_interface.cc` (comfort noise and its timeout).
"""

import array
from collections.abc import Mapping

import attrs

from srtp.extensions import pack_extensions, pack_sequence_number
from srtp.rtcp.transport_feedback import TransportFeedback
from srtp.sending import RtpSource
from transceiver.audio.adaptation import FRAME_SECONDS, Adaptation, SendingOptions
from transceiver.audio.send_history import SendHistory
from transceiver.audio.speech_encoding import open_encoder
from transceiver.audio.speech_queue import SpeechQueue

__all__ = ["AudioSender", "SendingState"]

_FADE_SECONDS = 0.005
_ROUNDING = 1e-6
"""Frames that floats may be off by."""


@attrs.frozen(kw_only=True)
class SendingState:
    """Where a talk has come to, for a sender in another process; the codec starts anew there.

    Attributes:
        is_quiet: whether the pause has begun in which packets are left out.
        tail: how many frames of coded silence are still to come.
        next_number: transport-wide number of the next packet, never wrapped.
    """

    is_quiet: bool
    tail: int
    next_number: int


class AudioSender:
    """Sends the speech of one call.

    Args:
        source: our RTP source; its clock rate is set to the codec's.
        codec: the codec's name in lower case: "opus", "pcmu" or "pcma".
        payload_type: its number, as negotiated.
        queue: what is to be said; its rate is that of the encoder.
        options: bitrates, complexity, silence.
        now: in seconds, monotonic.
        transport_cc_id: header extension id of the transport-wide sequence number; None when it was not negotiated.
        resumed: where another process has stopped; None for a talk that begins.

    Attributes:
        adaptation: what the peer's reports have led to.
        skipped_frames: places on the grid that no tick came for.

    Raises:
        LocalProtocolError: there is no such codec, or it cannot take the queue's rate.
        OpusUnavailable: there is no libopus.
    """

    def __init__(
        self,
        *,
        source: RtpSource,
        codec: str,
        payload_type: int,
        queue: SpeechQueue,
        options: SendingOptions,
        now: float,
        transport_cc_id: int | None = None,
        resumed: SendingState | None = None,
    ) -> None:
        self.adaptation = Adaptation(options)
        self.skipped_frames = 0
        self._source = source
        self._payload_type = payload_type
        self._queue = queue
        self._encoder = encoder = open_encoder(codec, queue.rate, options)
        self._frame_samples = round(queue.rate * FRAME_SECONDS)
        self._fade_samples = round(queue.rate * _FADE_SECONDS)
        self._silence = bytes(2 * self._frame_samples)
        self._last = b""  # the frame before, if it was speech
        self._frame_ticks = round(encoder.clock_rate * FRAME_SECONDS)
        # What was sent before, such as the packet that opens the audio, lies on the same clock.
        since = 0.0 if source.sent_at is None else now - source.sent_at
        if resumed is not None:
            # It was a frame of 20 ms: what comes next has its place on the same grid.
            since = max(round(since / FRAME_SECONDS), 1) * FRAME_SECONDS
        source.clock_rate = encoder.clock_rate
        self._first_timestamp = source.timestamp + round(since * encoder.clock_rate)
        self._started_at: float | None = None
        self._frame = -1
        self._tail_frames = round(options.tail / FRAME_SECONDS)
        self._tail = 0 if resumed is None else resumed.tail
        self._is_quiet = resumed is None or resumed.is_quiet
        self._keepalive_frames = round(options.keepalive / FRAME_SECONDS)
        self._keepalive_frame = 0
        self._reported_count = source.packet_count
        self._history = SendHistory(0 if resumed is None else resumed.next_number)
        self._extension_parts = _extension_parts(transport_cc_id)

    # -- inputs

    def tick(self, now: float) -> bytes | None:
        """Return the RTP packet of this 20 ms, to be protected; None when none is sent."""
        started_at, frame = self._started_at, self._frame + 1
        if started_at is None:
            started_at = self._started_at = now
        elapsed = (now - started_at) / FRAME_SECONDS + _ROUNDING
        if elapsed < frame - 1 + 2 * _ROUNDING:
            return None  # even the next frame is not due
        if elapsed >= frame + 1:
            # The one whose time it is.
            self.skipped_frames += int(elapsed) - frame
            frame = int(elapsed)
        self._frame = frame
        encoder = self._encoder
        pcm = self._queue.take(self._frame_samples)
        if pcm is not None:
            # RFC 3551 §4.1: the marker is for the first packet after a silence in which packets were left out.
            marker = self._is_quiet and encoder.suppresses_silence
            self._is_quiet = False
            self._tail = self._tail_frames
            self._last = pcm
            return self._packet(encoder.encode(pcm), now, marker)
        if self._tail:
            self._tail -= 1
            pcm = _fade(self._last, self._fade_samples) if self._last else self._silence
            self._last = b""
            return self._packet(encoder.encode(pcm), now)
        if not self._is_quiet:
            self._is_quiet = True
            self._keepalive_frame = self._frame
        if encoder.suppresses_silence and self._frame < self._keepalive_frame:
            return None
        self._keepalive_frame = self._frame + self._keepalive_frames
        return self._packet(encoder.nothing(), now)

    def peer_reported(self, fraction_lost: float, round_trip_time: float | None, now: float) -> None:
        """Take a receiver report of our source.

        Args:
            fraction_lost: since the report before, 0 to 1.
            round_trip_time: in seconds; None if it could not be measured.
            now: in seconds, monotonic.
        """
        count = self._source.packet_count - self._reported_count
        self._reported_count += count
        self.adaptation.peer_reported(fraction_lost, count, round_trip_time, now)
        self._adapt()

    def transport_reported(self, feedback: TransportFeedback, now: float) -> None:
        """Take the peer's transport-wide feedback."""
        reported = self._history.reported(feedback)
        if reported is not None:
            self.adaptation.packets_reported(reported.fraction_lost, reported.count, reported.transit_time, now)
            self._adapt()

    def close(self) -> None:
        """Free the encoder; nothing may follow."""
        self._encoder.close()

    def state(self) -> SendingState:
        """Return what a sender in another process has to know to go on."""
        return SendingState(is_quiet=self._is_quiet, tail=self._tail, next_number=self._history.next_number)

    def describe(self) -> Mapping[str, object]:
        """Tell how speech is sent, in JSON types."""
        return {
            "bitrate": self.adaptation.bitrate,
            "fec": self.adaptation.fec,
            "expected_loss": round(self.adaptation.expected_loss, 3),
            "skipped_frames": self.skipped_frames,
            "waiting_seconds": round(self._queue.waiting_seconds, 2),
        }

    # -- inside

    def _packet(self, payload: bytes, now: float, marker: bool = False) -> bytes:
        extension = b""
        if self._extension_parts is not None:
            head, tail = self._extension_parts
            extension = head + self._history.sent(now).to_bytes(2, "big") + tail
        timestamp = self._first_timestamp + self._frame * self._frame_ticks
        return self._source.packet(self._payload_type, payload, timestamp, now, marker, extension)

    def _adapt(self) -> None:
        adaptation = self.adaptation
        self._encoder.adapt(adaptation.bitrate, adaptation.expected_loss, fec=adaptation.fec)


def _fade(pcm: bytes, samples: int) -> bytes:
    """Return a frame that begins with the last samples of another, backwards and fading, and goes on with silence."""
    last = array.array("h", pcm)[: -samples - 1 : -1]
    fading = array.array("h", [sample * (samples - n) // (samples + 1) for n, sample in enumerate(last)])
    return fading.tobytes().ljust(len(pcm), b"\0")


def _extension_parts(transport_cc_id: int | None) -> tuple[bytes, bytes] | None:
    """Lay the header extension out once: what stands before the number, and behind it."""
    if transport_cc_id is None:
        return None
    whole = pack_extensions([(transport_cc_id, pack_sequence_number(0))])
    # One-byte headers: four bytes for the whole and one for the element; two-byte headers: one more.
    start = 5 if transport_cc_id < 15 else 6
    return whole[:start], whole[start + 2 :]
