"""Session descriptions as lines and sections, without their meaning.

A description is a list of `letter=value` lines: first those of the session, then a group for every `m=` line. This
module checks that shape, and bounds it, so that whoever reads the meaning may be simple. It keeps what WebRTC uses
(attributes, media lines, connection lines) and steps over the rest.

Source: RFC 8866 §5 and §9.
"""

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import attrs

from wire.errors import RemoteProtocolError

__all__ = [
    "MAX_LINE",
    "MAX_SECTIONS",
    "MAX_TEXT",
    "Attribute",
    "MediaDescription",
    "SdpRefused",
    "SessionDescription",
    "parse_description",
    "serialize_description",
]

MAX_TEXT = 64 * 1024
"""Characters of a whole description; a large offer of Chrome (audio, video, data) has 8,000."""

MAX_LINE = 4096
"""Characters of one line."""

MAX_SECTIONS = 32
"""`m=` lines of one description."""

# RFC 8866 §5: a parser ignores or rejects a description with a type letter that it does not understand.
_VALUE = r"[^\x00-\x08\x0a-\x1f\x7f]*"
_LINE = re.compile(rf"[vosiuepcbtrzkam]={_VALUE}")
# RFC 8866 §9: media-field = "m=" media SP port ["/" integer] SP proto 1*(SP fmt), all made of token characters.
_WORD = r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+"
_MEDIA = re.compile(rf"({_WORD}) ([0-9]{{1,5}})(?:/[0-9]{{1,5}})? ({_WORD}(?:/{_WORD})*)((?: {_WORD})+) *")
# Nine lines of ten are attributes: this one takes such a line apart and holds it to the form of `_LINE` in one step.
_ATTRIBUTE = re.compile(rf"a=({_WORD})(?::({_VALUE}))?")


@attrs.frozen
class SdpRefused(RemoteProtocolError):  # noqa: N818 - named for what happened, like calls.OfferRefused
    """A description cannot be used.

    Attributes:
        reason: why, in a sentence for the developer of the client; safe to show, holds no secret.
    """

    reason: str

    def __str__(self) -> str:
        return self.reason


class Attribute(NamedTuple):
    """An `a=` line.

    Attributes:
        name: what stands before the first colon.
        value: what stands behind it; empty for a flag such as `a=rtcp-mux`.
    """

    name: str
    value: str = ""


class _HasAttributes(Protocol):
    """What session and media descriptions have in common."""

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """The `a=` lines, in order."""

    @property
    def values_by_name(self) -> Mapping[str, Sequence[str]]:
        """The values of the `a=` lines, in order, under the attributes' names."""


def values(holder: _HasAttributes, name: str) -> Sequence[str]:
    """Return the values of every attribute of that name, in order."""
    return holder.values_by_name.get(name, ())


def first(holder: _HasAttributes, name: str) -> str | None:
    """Return the value of the first attribute of that name; None when there is none."""
    found = holder.values_by_name.get(name)
    return found[0] if found else None


def _values_by_name(attributes: Iterable[Attribute]) -> Mapping[str, Sequence[str]]:
    """Index attributes: forty questions are asked of a browser's fifty lines."""
    index: dict[str, list[str]] = {}
    for name, value in attributes:
        index.setdefault(name, []).append(value)
    return index


@attrs.frozen(kw_only=True)
class MediaDescription:
    """One `m=` line and what follows it.

    Attributes:
        kind: "audio", "video", "application" and so on.
        port: 0 means refused or disabled, or sharing the port of another section (`a=bundle-only`).
        protocol: transport and profile, such as "UDP/TLS/RTP/SAVPF".
        formats: payload types for RTP, else a word of the protocol.
        connection: value of the `c=` line, empty without one.
        attributes: the section's attributes.
    """

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    connection: str = ""
    attributes: tuple[Attribute, ...] = ()

    @functools.cached_property
    def values_by_name(self) -> Mapping[str, Sequence[str]]:
        """The attributes' values under their names."""
        return _values_by_name(self.attributes)


@attrs.frozen(kw_only=True)
class SessionDescription:
    """A whole description.

    Attributes:
        origin: value of the `o=` line, empty without one.
        attributes: the session's attributes, those above the first `m=` line.
        media: the sections in order.
    """

    origin: str
    attributes: tuple[Attribute, ...]
    media: tuple[MediaDescription, ...]

    @functools.cached_property
    def values_by_name(self) -> Mapping[str, Sequence[str]]:
        """The attributes' values under their names."""
        return _values_by_name(self.attributes)


def parse_description(text: str) -> SessionDescription:
    """Split a description into its session and media parts.

    Line ends may be CRLF or LF, for people write offers by hand. `o=`, `s=` and `t=` lines may be missing:
    nothing here depends on them.

    Args:
        text: the description, at most `MAX_TEXT` characters.

    Raises:
        SdpRefused: it has not the shape of a session description, or exceeds a bound.
    """
    origin = ""
    session: list[Attribute] = []
    sections: list[tuple[re.Match[str], list[Attribute], list[str]]] = []
    attributes = session
    for number, line in enumerate(_lines(text), start=1):
        if match := _ATTRIBUTE.fullmatch(line):
            attributes.append(Attribute(match[1], match[2] or ""))
            continue
        if not _LINE.fullmatch(line):
            raise SdpRefused(f"line {number} of the SDP is not of the form letter=value")
        letter, value = line[0], line[2:]
        if letter == "m":
            attributes = []
            sections.append((_media_line(value, number, len(sections)), attributes, []))
        elif letter == "a":
            raise SdpRefused(f"line {number} of the SDP has no attribute name behind a=")
        elif letter == "c" and sections:
            sections[-1][2].append(value)
        elif letter == "o":
            origin = value
    return SessionDescription(
        origin=origin,
        attributes=tuple(session),
        media=tuple(_media(*section) for section in sections),
    )


def _lines(text: str) -> Iterator[str]:
    if len(text) > MAX_TEXT:
        raise SdpRefused(f"the SDP has {len(text)} characters; at most {MAX_TEXT} are read")
    if not text.startswith("v=0"):
        raise SdpRefused("this is not SDP: it does not begin with v=0" + _hint(text))
    for number, line in enumerate(text.rstrip("\r\n").split("\n"), start=1):
        line = line.removesuffix("\r")
        if len(line) > MAX_LINE:
            raise SdpRefused(f"line {number} of the SDP has {len(line)} characters; at most {MAX_LINE} are read")
        yield line


def _hint(text: str) -> str:
    if text.lstrip().startswith("{"):
        return " (it looks like JSON: send the sdp field alone)"
    return " (it is empty)" if not text.strip() else ""


def _media_line(value: str, number: int, sections: int) -> re.Match[str]:
    if sections == MAX_SECTIONS:
        raise SdpRefused(f"the SDP has more than {MAX_SECTIONS} m= lines")
    match = _MEDIA.fullmatch(value)
    if match is None or int(match[2]) > 0xFFFF:
        raise SdpRefused(f"line {number} of the SDP is not a valid m= line")
    return match


def _media(line: re.Match[str], attributes: Iterable[Attribute], connections: list[str]) -> MediaDescription:
    return MediaDescription(
        kind=line[1],
        port=int(line[2]),
        protocol=line[3],
        formats=tuple(line[4].split()),
        connection=connections[0] if connections else "",
        attributes=tuple(attributes),
    )


def serialize_description(description: SessionDescription) -> str:
    """Write a description with CRLF line ends, in the order that RFC 8866 §5 prescribes."""
    lines = ["v=0", f"o={description.origin}", "s=-", "t=0 0", *map(_attribute_line, description.attributes)]
    for media in description.media:
        lines.append(f"m={media.kind} {media.port} {media.protocol} {' '.join(media.formats)}")
        if media.connection:
            lines.append(f"c={media.connection}")
        lines.extend(map(_attribute_line, media.attributes))
    return "".join(f"{line}\r\n" for line in lines)


def _attribute_line(attribute: Attribute) -> str:
    return f"a={attribute.name}:{attribute.value}" if attribute.value else f"a={attribute.name}"
