"""A session as a record and as bytes: all that another process needs to go on with the same client.

It holds keys: whoever stores it, or sends it anywhere, seals it (`sealing`). It holds ages, never a time of the clock
it was made by, but for one: when it was made, of the wall clock.

    | format 1 | section, length u24, bytes | section, length u24, bytes | ...

The first byte is the format. Within a format, sections are added and never changed: a reader takes what it knows, and
gives what is missing its default, so a later version reads what an earlier one wrote. The other way round, sections
whose number has its highest bit set are passed over by who does not know them; all others are refused, and the call
waits for a process that knows them.
"""

import enum
from collections.abc import Callable, Mapping
from typing import Self, TypeVar

import attrs

from transceiver.handover.ceilings import Indices
from transceiver.handover.descriptions import (
    read_data,
    read_media,
    read_remote,
    write_data,
    write_media,
    write_remote,
)
from transceiver.handover.media_snapshot import MediaSnapshot
from transceiver.media_description import MediaDescription
from transceiver.session_events import DataDescription, RemoteDescription
from transceiver.timeline import Step
from wire.buffer import Reader, Writer
from wire.errors import MalformedError
from wire.snapshot_fields import read_flag, read_float, read_text, write_float, write_text

__all__ = ["SessionSnapshot"]

_T = TypeVar("_T")
_FORMAT = 1
_MAY_BE_PASSED_OVER = 0x80


class _Section(enum.IntEnum):
    """The parts of a snapshot."""

    CALL = 1
    LOCAL = 2
    REMOTE = 3
    MEDIA_DESCRIPTION = 4
    DATA_DESCRIPTION = 5
    PATHS = 6
    DTLS = 7
    SRTP = 8
    MEDIA = 9
    SCTP = 10
    INDICES = 11
    CEILINGS = 12
    TIMELINE = _MAY_BE_PASSED_OVER | 1


@attrs.frozen(kw_only=True)
class SessionSnapshot:
    """An established session.

    Attributes:
        made_at: when, by the wall clock of who made it, in seconds of Unix time.
        is_reachable: whether some path was validated.
        ends_in: seconds until the call has lasted as long as it may.
        gives_up_in: seconds until a call is given up to which no path leads.
        ufrag: our ICE username fragment since the last restart.
        password: our ICE password since the last restart.
        remote: what the offer said of the client.
        media_description: what was negotiated about the audio.
        data_description: what was negotiated about data channels; None for none.
        paths: what `IceLite.snapshot` returned; all credentials that count are in it.
        dtls: what `DtlsAssociation.snapshot` returned.
        srtp: what `SrtpSession.snapshot` returned.
        media: how far the media has come.
        sctp: what `DataChannels.snapshot` returned; None when there are none, or they have ended.
        indices: the next index that each of our keys may be used with.
        ceilings: those of the session; None for none.
        timeline: how long ago each step of the set-up was taken, in seconds.
    """

    made_at: float
    is_reachable: bool
    ends_in: float
    gives_up_in: float
    ufrag: str
    password: str = attrs.field(repr=False)
    remote: RemoteDescription
    media_description: MediaDescription
    data_description: DataDescription | None
    paths: bytes = attrs.field(repr=False)
    dtls: bytes = attrs.field(repr=False)
    srtp: bytes = attrs.field(repr=False)
    media: MediaSnapshot
    sctp: bytes | None = attrs.field(repr=False)
    indices: Indices
    ceilings: Indices | None
    timeline: Mapping[Step, float]

    def serialize(self, writer: Writer) -> None:
        """Write it."""
        writer.u8(_FORMAT)
        _write(writer, _Section.CALL, self._write_call)
        _write(writer, _Section.LOCAL, self._write_local)
        _write(writer, _Section.REMOTE, lambda section: write_remote(section, self.remote))
        _write(writer, _Section.MEDIA_DESCRIPTION, lambda section: write_media(section, self.media_description))
        if (data := self.data_description) is not None:
            _write(writer, _Section.DATA_DESCRIPTION, lambda section: write_data(section, data))
        for number, state in (
            (_Section.PATHS, self.paths),
            (_Section.DTLS, self.dtls),
            (_Section.SRTP, self.srtp),
            (_Section.SCTP, self.sctp),
        ):
            if state is not None:
                writer.u8(number).vector(3, state, number.name)
        _write(writer, _Section.MEDIA, self.media.serialize)
        _write(writer, _Section.TIMELINE, self._write_timeline)
        if self.ceilings is not None:
            _write(writer, _Section.CEILINGS, self.ceilings.serialize)
        # The last is one that nobody can do without, so that half a snapshot is none.
        _write(writer, _Section.INDICES, self.indices.serialize)

    def _write_call(self, writer: Writer) -> None:
        for value in (self.made_at, self.ends_in, self.gives_up_in):
            write_float(writer, value)
        writer.u8(self.is_reachable)

    def _write_local(self, writer: Writer) -> None:
        write_text(writer, self.ufrag, "ufrag")
        write_text(writer, self.password, "password")

    def _write_timeline(self, writer: Writer) -> None:
        writer.u8(len(self.timeline), "steps")
        for step, age in self.timeline.items():
            write_text(writer, step.value, "step")
            write_float(writer, age)

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read a snapshot to the end of `reader`.

        Raises:
            MalformedError: it is something else, or of another format, or holds what only a later version understands.
        """
        at = reader.offset
        if (number := reader.u8("format")) != _FORMAT:
            raise MalformedError("format", at, f"format {number} is not known")
        sections = _read_sections(reader)
        made_at, ends_in, gives_up_in, is_reachable = _read(sections, _Section.CALL, _read_call)
        ufrag, password = _read(sections, _Section.LOCAL, _read_local)
        return cls(
            made_at=made_at,
            is_reachable=is_reachable,
            ends_in=ends_in,
            gives_up_in=gives_up_in,
            ufrag=ufrag,
            password=password,
            remote=_read(sections, _Section.REMOTE, read_remote),
            media_description=_read(sections, _Section.MEDIA_DESCRIPTION, read_media),
            data_description=_read(sections, _Section.DATA_DESCRIPTION, read_data)
            if _Section.DATA_DESCRIPTION in sections
            else None,
            paths=_read(sections, _Section.PATHS, Reader.rest),
            dtls=_read(sections, _Section.DTLS, Reader.rest),
            srtp=_read(sections, _Section.SRTP, Reader.rest),
            media=_read(sections, _Section.MEDIA, MediaSnapshot.parse),
            sctp=_read(sections, _Section.SCTP, Reader.rest) if _Section.SCTP in sections else None,
            indices=_read(sections, _Section.INDICES, Indices.parse),
            ceilings=_read(sections, _Section.CEILINGS, Indices.parse) if _Section.CEILINGS in sections else None,
            timeline=_read(sections, _Section.TIMELINE, _read_timeline) if _Section.TIMELINE in sections else {},
        )


def _write(writer: Writer, section: _Section, serialize: Callable[[Writer], None]) -> None:
    inside = Writer()
    serialize(inside)
    writer.u8(section).vector(3, inside.finish(), section.name)


def _read_sections(reader: Reader) -> dict[int, Reader]:
    known = frozenset(_Section)
    sections: dict[int, Reader] = {}
    while len(reader):
        at, number = reader.offset, reader.u8("section")
        content = reader.vector(3, "section")
        if number in sections:
            raise MalformedError("section", at, f"{number} comes twice")
        if number in known:
            sections[number] = content
        elif not number & _MAY_BE_PASSED_OVER:
            raise MalformedError("section", at, f"{number} is of a later version")
    return sections


def _read(sections: Mapping[int, Reader], section: _Section, parse: Callable[[Reader], _T]) -> _T:
    reader = sections.get(section)
    if reader is None:
        raise MalformedError(section.name, 0, "is missing")
    value = parse(reader)
    reader.finish(section.name)
    return value


def _read_call(reader: Reader) -> tuple[float, float, float, bool]:
    made_at, ends_in = read_float(reader, "made at"), read_float(reader, "ends in")
    return made_at, ends_in, read_float(reader, "gives up in"), read_flag(reader, "is reachable")


def _read_local(reader: Reader) -> tuple[str, str]:
    return read_text(reader, "ufrag"), read_text(reader, "password")


def _read_timeline(reader: Reader) -> dict[Step, float]:
    names = {step.value: step for step in Step}
    timeline: dict[Step, float] = {}
    for _ in range(reader.u8("steps")):
        name, age = read_text(reader, "step"), read_float(reader, "age")
        if name in names:  # a later version may know more
            timeline[names[name]] = age
    return timeline
