"""What single attributes mean.

Each reader takes a section and returns records; a line that does not fit its grammar is stepped over, as
RFC 8866 §5.13 asks for attributes that are not understood, unless the call cannot do without it.
"""

import re
from collections.abc import Iterator, Mapping

import attrs
from aioice import Candidate

from transceiver.sdp.description import MediaDescription, SessionDescription, first, values

__all__ = [
    "AUDIO_LEVEL",
    "MID",
    "TRANSPORT_WIDE_CC",
    "Codec",
    "Extension",
    "bundle_groups",
    "candidates",
    "codecs",
    "direction",
    "extensions",
    "feedback",
    "msid",
    "reversed_direction",
    "ssrcs",
]

AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
"""RFC 6464: how loud the packet's audio is."""

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
"""RFC 9143 §15: which section a packet belongs to."""

TRANSPORT_WIDE_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
"""A packet number over all streams of the transport, for the feedback of the same draft."""

_MAX_SSRCS = 64
_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")

# RFC 8866 §6.6: <payload type> <encoding name>/<clock rate>[/<encoding parameters>]
_RTPMAP = re.compile(r"([0-9]{1,3}) ([0-9A-Za-z][0-9A-Za-z._+-]{0,63})/([0-9]{1,6})(?:/([0-9]{1,2}))? *")
# RFC 8285 §8: 1*5DIGIT ["/" direction] SP extensionname
_EXTMAP = re.compile(r"([0-9]{1,5})(?:/(sendrecv|sendonly|recvonly|inactive))? ([!-~]{1,512})(?: .*)?")
_FORMAT = re.compile(r"[0-9]{1,3}")
_SSRC = re.compile(r"([0-9]{1,10}) ([!-9;-~]+)(?::(.*))?")

# RFC 3551 §6: these payload types mean the same everywhere, with or without an a=rtpmap line.
_STATIC = {0: ("PCMU", 8000, 1), 8: ("PCMA", 8000, 1), 9: ("G722", 8000, 1), 13: ("CN", 8000, 1)}


@attrs.frozen(kw_only=True)
class Codec:
    """A payload type and what it carries.

    Attributes:
        payload_type: 0 to 127.
        name: encoding name as the peer spells it; names compare without regard to case.
        clock: RTP clock rate in Hz (48000 for Opus whatever its bandwidth).
        channels: 2 for Opus, always (RFC 7587 §7), else 1 where nothing is said.
        parameters: value of the `a=fmtp` line, empty without one.
    """

    payload_type: int
    name: str
    clock: int
    channels: int = 1
    parameters: str = ""

    @property
    def rtpmap(self) -> str:
        """The value of the codec's `a=rtpmap` line."""
        channels = f"/{self.channels}" if self.channels != 1 else ""
        return f"{self.payload_type} {self.name}/{self.clock}{channels}"

    def named_parameters(self) -> Mapping[str, str]:
        """Read each `name=value` of the parameters, names in lower case; the first of a name stands."""
        named: dict[str, str] = {}
        for item in self.parameters.split(";"):
            name, separator, value = item.partition("=")
            if separator:
                named.setdefault(name.strip().lower(), value.strip())
        return named


@attrs.frozen(kw_only=True)
class Extension:
    """An RTP header extension that a peer knows.

    Attributes:
        id: the local identifier that stands in packets, 1 to 14 (one-byte headers).
        uri: what the extension means.
        direction: from the view of the peer that wrote the line; "" for that of the section.
    """

    id: int
    uri: str
    direction: str = ""


def codecs(media: MediaDescription) -> tuple[Codec, ...]:
    """Read the codecs of an RTP section in the order of its `m=` line; the first definition of a number stands."""
    mapped: dict[int, tuple[str, int, int]] = {}
    for value in values(media, "rtpmap"):
        if match := _RTPMAP.fullmatch(value):
            mapped.setdefault(int(match[1]), (match[2], int(match[3]), int(match[4] or 1)))
    parameters: dict[str, str] = {}
    for value in values(media, "fmtp"):
        number, _, rest = value.partition(" ")
        parameters.setdefault(number, rest.strip())
    found: dict[int, Codec] = {}
    for text in media.formats:
        # RFC 3550 §5.1: a payload type has seven bits.
        if not _FORMAT.fullmatch(text) or (payload_type := int(text)) > 127 or payload_type in found:
            continue
        if known := mapped.get(payload_type) or _STATIC.get(payload_type):
            name, clock, channels = known
            found[payload_type] = Codec(
                payload_type=payload_type,
                name=name,
                clock=clock,
                channels=channels,
                parameters=parameters.get(text, ""),
            )
    return tuple(found.values())


def feedback(media: MediaDescription) -> Mapping[str, frozenset[str]]:
    """Read which RTCP feedback goes with which format; the key "*" goes with all (RFC 4585 §4.2)."""
    found: dict[str, frozenset[str]] = {}
    for value in values(media, "rtcp-fb"):
        number, _, kind = value.partition(" ")
        found[number] = found.get(number, frozenset()) | {kind.strip()}
    return found


def extensions(media: MediaDescription) -> tuple[Extension, ...]:
    """Read the header extensions that fit one-byte headers; the first use of a number or a URI stands."""
    found: dict[str, Extension] = {}
    taken: set[int] = set()
    for value in values(media, "extmap"):
        match = _EXTMAP.fullmatch(value)
        # RFC 8285 §4.2: 15 is reserved, 0 is padding; §4.3's two-byte headers, for larger numbers, are not spoken here.
        if match is None or not 1 <= int(match[1]) <= 14 or match[3] in found or int(match[1]) in taken:
            continue
        taken.add(int(match[1]))
        found[match[3]] = Extension(id=int(match[1]), uri=match[3], direction=match[2] or "")
    return tuple(found.values())


def direction(session: SessionDescription, media: MediaDescription) -> str:
    """Read which way media flows, from the view of who wrote it."""
    for holder in (media, session):
        for attribute in holder.attributes:
            if attribute.name in _DIRECTIONS:
                return attribute.name
    # RFC 8866 §6.7: without a direction, it is sendrecv.
    return "sendrecv"


def reversed_direction(offered: str) -> str:
    """Say the same direction from the other side's view (RFC 3264 §6.1)."""
    return {"sendonly": "recvonly", "recvonly": "sendonly"}.get(offered, offered)


def ssrcs(media: MediaDescription) -> Mapping[int, Mapping[str, str]]:
    """Read the announced streams: SSRC to its source attributes such as "cname" (RFC 5576 §4.1)."""
    found: dict[int, dict[str, str]] = {}
    for value in values(media, "ssrc"):
        match = _SSRC.fullmatch(value)
        if match is None or int(match[1]) > 0xFFFFFFFF:
            continue
        if int(match[1]) in found or len(found) < _MAX_SSRCS:
            found.setdefault(int(match[1]), {}).setdefault(match[2], match[3] or "")
    return found


def msid(media: MediaDescription) -> str:
    """Read the stream and track ids ("stream track"), empty without them (RFC 8830 §2)."""
    return first(media, "msid") or ""


def bundle_groups(session: SessionDescription) -> tuple[tuple[str, ...], ...]:
    """Read the groups of sections that share one transport; the first mid of each is the tagged one (RFC 9143 §7)."""
    return tuple(tuple(words[1:]) for value in values(session, "group") if (words := value.split())[:1] == ["BUNDLE"])


def candidates(media: MediaDescription) -> Iterator[Candidate]:
    """Read the ICE candidates that can be read (RFC 8839 §5.1: others are ignored)."""
    for value in values(media, "candidate"):
        try:
            yield Candidate.from_sdp(value)
        except ValueError:
            continue
