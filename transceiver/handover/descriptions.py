"""What offer and answer settled, as bytes."""

from dtls.certificate import Fingerprint
from transceiver.backends.silence import SILENT_FRAMES
from transceiver.media_description import MediaDescription
from transceiver.sdp.attributes import Codec
from transceiver.session_events import DataDescription, RemoteDescription
from wire.buffer import Reader, Writer
from wire.errors import MalformedError
from wire.snapshot_fields import read_flag, read_optional_number, read_text, write_optional_number, write_text

__all__ = ["read_data", "read_media", "read_remote", "write_data", "write_media", "write_remote"]


def write_remote(writer: Writer, remote: RemoteDescription) -> None:
    """Write what is known of the client."""
    write_text(writer, remote.ufrag, "ufrag")
    write_text(writer, remote.password, "password")
    writer.u8(len(remote.fingerprints), "fingerprints")
    for fingerprint in remote.fingerprints:
        write_text(writer, fingerprint.algorithm, "algorithm")
        writer.vector(1, fingerprint.digest, "digest")


def read_remote(reader: Reader) -> RemoteDescription:
    """Read what `write_remote` wrote."""
    return RemoteDescription(
        ufrag=read_text(reader, "ufrag"),
        password=read_text(reader, "password"),
        fingerprints=tuple(
            Fingerprint(read_text(reader, "algorithm"), reader.vector(1, "digest").rest())
            for _ in range(reader.u8("fingerprints"))
        ),
    )


def write_media(writer: Writer, media: MediaDescription) -> None:
    """Write what was negotiated about the audio."""
    writer.u32(media.ssrc, "ssrc")
    write_text(writer, media.cname, "cname")
    write_text(writer, media.msid, "msid")
    writer.u8(len(media.clock_rates), "payload types")
    for payload_type, clock_rate in media.clock_rates.items():
        writer.u8(payload_type, "payload type").u32(clock_rate, "clock rate")
        write_text(writer, media.codecs[payload_type], "codec")
    spoken = media.spoken
    writer.u8(spoken.payload_type, "payload type").u32(spoken.clock, "clock").u8(spoken.channels, "channels")
    write_text(writer, spoken.name, "name")
    write_text(writer, spoken.parameters, "parameters")
    writer.u8(media.sends).u8(media.is_reduced_size)
    write_optional_number(writer, media.transport_cc_id)


def read_media(reader: Reader) -> MediaDescription:
    """Read what `write_media` wrote."""
    ssrc, cname, msid = reader.u32("ssrc"), read_text(reader, "cname"), read_text(reader, "msid")
    clock_rates: dict[int, int] = {}
    codecs: dict[int, str] = {}
    for _ in range(reader.u8("payload types")):
        payload_type, clock_rate = _read_payload_type(reader), _read_clock_rate(reader)
        clock_rates[payload_type], codecs[payload_type] = clock_rate, read_text(reader, "codec")
    spoken_type, clock, channels = _read_payload_type(reader), _read_clock_rate(reader), reader.u8("channels")
    at = reader.offset
    if clock_rates.get(spoken_type) != clock:
        raise MalformedError("spoken", at, "was not negotiated")
    spoken = Codec(
        payload_type=spoken_type,
        clock=clock,
        channels=channels,
        name=read_text(reader, "name"),
        parameters=read_text(reader, "parameters"),
    )
    if spoken.name.lower() not in SILENT_FRAMES:
        raise MalformedError("spoken", at, "is no codec that we speak")
    sends, is_reduced_size = read_flag(reader, "sends"), read_flag(reader, "is reduced size")
    at, transport_cc_id = reader.offset, read_optional_number(reader, "transport-cc id")
    if transport_cc_id is not None and not 1 <= transport_cc_id <= 255:
        raise MalformedError("transport-cc id", at, f"{transport_cc_id} is none")
    return MediaDescription(
        ssrc=ssrc,
        cname=cname,
        msid=msid,
        clock_rates=clock_rates,
        codecs=codecs,
        spoken=spoken,
        sends=sends,
        transport_cc_id=transport_cc_id,
        is_reduced_size=is_reduced_size,
    )


def write_data(writer: Writer, data: DataDescription) -> None:
    """Write what was negotiated about data channels."""
    writer.u32(data.max_message_size, "max_message_size")


def read_data(reader: Reader) -> DataDescription:
    """Read what `write_data` wrote."""
    return DataDescription(max_message_size=reader.u32("max_message_size"))


def _read_payload_type(reader: Reader) -> int:
    at, payload_type = reader.offset, reader.u8("payload type")
    if payload_type > 127:
        raise MalformedError("payload type", at, f"{payload_type} is none")
    return payload_type


def _read_clock_rate(reader: Reader) -> int:
    at, clock_rate = reader.offset, reader.u32("clock rate")
    if not clock_rate:
        raise MalformedError("clock rate", at, "is 0")
    return clock_rate
