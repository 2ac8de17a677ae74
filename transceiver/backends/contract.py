"""What a backend is asked to do.

There are two kinds. A `PacketBackend` works on encoded packets, inline. Everything else is reached through a
`BackendLink`, which carries events and PCM of one call to something that speaks the Realtime protocol: an agent in this
process, or a server behind a WebSocket. A link never blocks its caller: the bridge (`transceiver.realtime.bridge`)
calls it from the worker's loop, between two datagrams.
"""

from collections.abc import Mapping
from typing import Protocol

import attrs

__all__ = ["BackendLink", "BackendSink", "BackendUnavailable", "PacketBackend", "Speech"]


class PacketBackend(Protocol):
    """A backend that works on encoded packets, inline: one packet in, at most one out, no task and no queue."""

    def reply(
        self, packet: bytes, start: int, end: int, marker_and_type: int, sequence: int, timestamp: int, ssrc: int
    ) -> bytes | None:
        """Take one authentic RTP packet of the caller's and return the one to send back, if any.

        The fields come parsed, since this is called for each packet of each call: an object for them would cost more
        than the echo itself.

        Args:
            packet: the whole RTP packet.
            start: offset of its payload.
            end: offset behind its payload (padding is left out).
            marker_and_type: the marker bit (0x80) and the payload type, which was negotiated.
            sequence: RTP sequence number, 16 bits.
            timestamp: RTP timestamp, 32 bits.
            ssrc: the caller's source.

        Returns:
            An RTP packet for `RtpSender`'s SSRC, or None to stay silent.
        """


@attrs.frozen
class Speech:
    """Names a stretch of speech of a backend's: the part of an item of a response.

    Attributes:
        response_id: the response that it belongs to.
        item_id: the conversation item.
        content_index: which part of the item's content.
    """

    response_id: str
    item_id: str
    content_index: int = 0


class BackendUnavailable(Exception):  # noqa: N818 - named for what happened, like an HTTP reason
    """The backend refused, could not be reached, or has gone; the text says which, in words for the operator."""


class BackendSink(Protocol):
    """Where a link delivers; none of the calls blocks or raises."""

    def backend_opened(self) -> None:
        """The backend has accepted the connection; events may go both ways."""

    def backend_event(self, event: Mapping[str, object]) -> None:
        """An event of the Realtime protocol in its GA shape, audio deltas excepted."""

    def backend_audio(self, speech: Speech, pcm: bytes) -> None:
        """A piece of speech, as 16-bit little-endian mono PCM at the link's `output_rate`."""


class BackendLink(Protocol):
    """One call's connection to its backend.

    Attributes:
        input_rate: sample rate in Hz of the PCM that the backend hears: 8000, 16000, 24000 or 48000.
        output_rate: of the PCM that it speaks.
    """

    input_rate: int
    output_rate: int

    async def run(self, sink: BackendSink) -> None:
        """Connect, and deliver to `sink` until the backend ends the connection or `close` is called.

        Cancellation closes the connection.

        Raises:
            BackendUnavailable: it could not be reached, or was lost.
        """

    def send_event(self, event: Mapping[str, object]) -> None:
        """Send a client event in its GA shape. Queued, in order with the audio; a link whose queue overflows ends."""

    def send_audio(self, pcm: bytes) -> None:
        """Send what the caller said: 16-bit little-endian mono PCM at `input_rate`, of any length."""

    def close(self) -> None:
        """End the connection soon; `run` then returns."""
