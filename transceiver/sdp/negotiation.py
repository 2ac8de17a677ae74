"""What a call gets of what its offer asks for. Pure choice: the same offer gives the same result.

A chosen codec keeps the payload type of the offer in both directions, so that an echo may send back what came in,
byte for byte: the client has offered to receive exactly what it was allowed to send.
"""

import re
from collections.abc import Mapping
from typing import Literal

import attrs

from transceiver.sdp.attributes import AUDIO_LEVEL, MID, TRANSPORT_WIDE_CC, Codec, reversed_direction
from transceiver.sdp.description import SdpRefused
from transceiver.sdp.offer import AudioSection, Offer

__all__ = ["Negotiated", "Setup", "negotiate"]

Setup = Literal["active", "passive"]
"""A DTLS role in an answer: "active" is the DTLS client, "passive" the server."""

_SPOKEN = (("opus", 48000, 2), ("pcmu", 8000, 1), ("pcma", 8000, 1))
"""Name, clock and channels of the audio codecs that are spoken, the best first."""

# Only what is implemented is negotiated: a client that is promised feedback, or a redundant payload, waits for it.
_EXTENSIONS = (AUDIO_LEVEL, TRANSPORT_WIDE_CC, MID)

# A browser prefers AES128_CM_SHA1_80 of what a ClientHello offers it, although it has AEAD_AES_128_GCM, which is
# faster and authenticates in one pass; so it is offered nothing else. Small clients may have the old profile only.
# An offer does not tell which SRTP profiles its writer has, but all browsers of today say a=extmap-allow-mixed.
_BROWSER_PROFILES = (7,)
_ALL_PROFILES = (7, 8, 1)

# RFC 7587 §7.1: each of these says what its writer likes to receive. An echo makes the client's own wishes the
# server's. Stereo is not among them: without it the client sends mono, which is right for a voice.
_OPUS_PARAMETERS = ("minptime", "maxplaybackrate", "maxaveragebitrate", "useinbandfec", "usedtx", "cbr")
_NUMBER = re.compile(r"[0-9]{1,6}")
_EVENTS = re.compile(r"[0-9]{1,3}(?:-[0-9]{1,3})?(?:,[0-9]{1,3}(?:-[0-9]{1,3})?)*")


@attrs.frozen(kw_only=True)
class Negotiated:
    """The outcome for one call.

    Attributes:
        offer: what was offered.
        codecs: audio codecs in our order of preference, never empty, with our parameters; all may come in and go out.
        spoken: the codec that we use when we speak by ourselves.
        redundancy: RED over the spoken codec (RFC 2198), which may come in; None when it was not offered.
        redundancy_first: the client prefers RED, and is to send it.
        telephone_events: DTMF codecs (RFC 4733), one for each clock rate among `codecs` that the offer has one for.
        extensions: header extensions in use, URI to identifier.
        extension_directions: URI to direction, from our view, for those that are restricted to one.
        direction: from our view: "sendrecv", "sendonly", "recvonly" or "inactive".
        setup: our DTLS role: "active" is the DTLS client, "passive" the server.
        transport_cc: payload types whose packets the client wants transport-wide feedback for; empty for none.
        rtcp_rsize: RTCP may go without an SR or RR in front.
        srtp_profiles: SRTP protection profiles that our ClientHello offers, by their numbers in use_srtp; a DTLS
            server's own preference decides among them.
    """

    offer: Offer
    codecs: tuple[Codec, ...]
    spoken: Codec
    redundancy: Codec | None
    redundancy_first: bool
    telephone_events: tuple[Codec, ...]
    extensions: Mapping[str, int]
    extension_directions: Mapping[str, str]
    direction: str
    setup: Setup
    transport_cc: frozenset[int]
    rtcp_rsize: bool
    srtp_profiles: tuple[int, ...]

    @property
    def formats(self) -> tuple[Codec, ...]:
        """All payload types of the answer in its order: a client sends the first (RFC 3264 §6.1)."""
        redundancy = () if self.redundancy is None else (self.redundancy,)
        if self.redundancy_first:
            return (*redundancy, *self.codecs, *self.telephone_events)
        return (*self.codecs, *redundancy, *self.telephone_events)

    @property
    def sends(self) -> bool:
        """Whether we send audio."""
        return self.direction in ("sendrecv", "sendonly")


def negotiate(offer: Offer) -> Negotiated:
    """Choose codecs, extensions, direction and role.

    Raises:
        SdpRefused: there is no codec in common.
    """
    audio = offer.audio
    codecs = _choose_codecs(audio)
    redundancy = _choose_redundancy(audio, codecs[0])
    # Feedback needs both: the packet numbers of the extension, and the client's wish to hear of them.
    has_packet_numbers = TRANSPORT_WIDE_CC in audio.extensions
    transport_cc = frozenset(
        codec.payload_type
        for codec in (*codecs, *((redundancy,) if redundancy else ()))
        if has_packet_numbers and _wants_transport_cc(audio, codec)
    )
    extensions = {
        uri: audio.extensions[uri]
        for uri in _EXTENSIONS
        if uri in audio.extensions and (transport_cc or uri != TRANSPORT_WIDE_CC)
    }
    return Negotiated(
        offer=offer,
        codecs=codecs,
        spoken=codecs[0],
        redundancy=redundancy,
        redundancy_first=redundancy is not None and audio.codecs.index(redundancy) < _place(audio, codecs[0]),
        telephone_events=_choose_telephone_events(audio, codecs),
        extensions=extensions,
        extension_directions={
            uri: reversed_direction(direction)
            for uri, direction in audio.extension_directions.items()
            if uri in extensions
        },
        direction=reversed_direction(audio.direction),
        # RFC 8842 §5.3: a fixed role in the offer is honoured. RFC 8829 §5.3.1: with actpass the answerer SHOULD be
        # active, and the ClientHello then follows right behind the first STUN response.
        setup="passive" if offer.setup == "active" else "active",
        transport_cc=transport_cc,
        rtcp_rsize=audio.rtcp_rsize,
        srtp_profiles=_BROWSER_PROFILES if offer.allows_mixed_extensions else _ALL_PROFILES,
    )


def _choose_codecs(audio: AudioSection) -> tuple[Codec, ...]:
    chosen: list[Codec] = []
    for spoken in _SPOKEN:
        for codec in audio.codecs:
            if (codec.name.lower(), codec.clock, codec.channels) == spoken:
                chosen.append(attrs.evolve(codec, parameters=_opus_parameters(codec) if spoken[0] == "opus" else ""))
                break
    if not chosen:
        offered = ", ".join(sorted({codec.name for codec in audio.codecs})) or "none that is known"
        raise SdpRefused(f"no audio codec in common: this server speaks opus, PCMU and PCMA; offered: {offered}")
    return tuple(chosen)


def _choose_redundancy(audio: AudioSection, spoken: Codec) -> Codec | None:
    # RFC 2198 §5: the parameters name the payload types of the generations, the primary one first.
    for codec in audio.codecs:
        if (codec.name.lower(), codec.clock, codec.channels) == ("red", spoken.clock, spoken.channels):
            generations = codec.parameters.split("/")
            if len(generations) > 1 and set(generations) == {str(spoken.payload_type)}:
                return codec
    return None


def _place(audio: AudioSection, codec: Codec) -> int:
    return next(place for place, each in enumerate(audio.codecs) if each.payload_type == codec.payload_type)


def _opus_parameters(offered: Codec) -> str:
    wishes = offered.named_parameters()
    return ";".join(f"{name}={wishes[name]}" for name in _OPUS_PARAMETERS if _NUMBER.fullmatch(wishes.get(name, "")))


def _wants_transport_cc(audio: AudioSection, codec: Codec) -> bool:
    return any("transport-cc" in audio.rtcp_fb.get(key, ()) for key in ("*", str(codec.payload_type)))


def _choose_telephone_events(audio: AudioSection, codecs: tuple[Codec, ...]) -> tuple[Codec, ...]:
    chosen: dict[int, Codec] = {}
    # RFC 4733 §2.1: events share the timestamps of the audio, so there is one codec for each clock rate.
    clocks = {codec.clock for codec in codecs}
    for codec in audio.codecs:
        if codec.name.lower() == "telephone-event" and codec.clock in clocks and codec.clock not in chosen:
            # RFC 4733 §2.4.1: without parameters, events 0 to 15 are meant.
            events = codec.parameters if _EVENTS.fullmatch(codec.parameters) else ""
            chosen[codec.clock] = attrs.evolve(codec, parameters=events)
    return tuple(chosen[clock] for clock in sorted(chosen, reverse=True))
