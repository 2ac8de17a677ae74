"""A packet of audio on its way to the decoder, and the reasons why one never gets there."""

import enum

import attrs

__all__ = ["AudioPacket", "DropReason"]


class DropReason(enum.StrEnum):
    """Why a packet of audio, or a part of one, was not used."""

    LATE = "audio-late"
    """It was given up before it came."""
    DUPLICATE = "audio-duplicate"
    OVERFLOW = "audio-overflow"
    """More came at once than is held."""
    PAYLOAD_TYPE = "audio-payload-type"
    """Of a payload type that was not negotiated; also inside of redundant audio."""
    UNDECODABLE = "audio-undecodable"
    """The codec cannot make sense of it; its time is concealed."""
    MALFORMED_RED = "red-malformed"
    MALFORMED_EVENT = "telephone-event-malformed"
    UNKNOWN_EVENT = "telephone-event-unknown"
    """A telephone event that is no key."""
    TOO_MANY_EVENTS = "telephone-event-overflow"


@attrs.define
class AudioPacket:
    """One packet on its way to the decoder; made for each packet of each call, so it is no frozen record.

    Attributes:
        sequence: its sequence number, unwrapped by the buffer.
        timestamp: of its first sample, 32 bits.
        marker: whether a talkspurt begins with it.
        codec: lower-case name of its codec; empty for a packet that holds no audio and only takes a number.
        payload: what the codec made.
        duration: how long it is, in ticks of 1/48000 s.
        arrived_at: when it came, in seconds, monotonic.
        lateness: by how much it was later than the quickest, in seconds.
        is_copy: whether it came inside another packet (redundant audio).
        missing: how many packets right before it were given up.
    """

    sequence: int
    timestamp: int
    marker: bool
    codec: str
    payload: bytes
    duration: int
    arrived_at: float
    lateness: float
    is_copy: bool = False
    missing: int = 0
