"""The caller's side of SDP: an offer like a browser's, and what it needs of the answer.

The shape and the attributes are read and written by the same code as the transceiver's (`transceiver.sdp`).
"""

import ipaddress
from typing import Literal

import attrs

from transceiver.sdp.attributes import (
    AUDIO_LEVEL,
    MID,
    TRANSPORT_WIDE_CC,
    candidates,
    codecs,
    extensions,
)
from transceiver.sdp.description import (
    Attribute,
    MediaDescription,
    SdpRefused,
    SessionDescription,
    first,
    parse_description,
    serialize_description,
    values,
)

__all__ = [
    "MID_VALUE",
    "OPUS_PAYLOAD_TYPE",
    "Answer",
    "AnswerUnusable",
    "Candidate",
    "OfferedSetup",
    "make_offer",
    "parse_answer",
    "read_candidates",
]

OPUS_PAYLOAD_TYPE = 111
MID_VALUE = "0"
"""Names the audio's section."""
_DATA_MID_VALUE = "1"
_EXTENSION_IDS = {AUDIO_LEVEL: 1, TRANSPORT_WIDE_CC: 3, MID: 4}

OfferedSetup = Literal["actpass", "active", "passive"]
"""DTLS role offered: "active" is the client, "passive" the server, "actpass" leaves it to the answer."""


class AnswerUnusable(Exception):  # noqa: N818 - named for what it says about the answer
    """The server's answer cannot be used; the text says why."""


@attrs.frozen(kw_only=True)
class Candidate:
    """An address of the server's to try.

    Attributes:
        host: IP address in its shortest text form.
        port: UDP or TCP port.
        priority: the higher, the better (RFC 8445 §5.1.2).
    """

    host: str
    port: int
    priority: int


@attrs.frozen(kw_only=True)
class Answer:
    """What the server answered.

    Attributes:
        ice_ufrag: the server's ICE user name fragment.
        ice_pwd: the server's ICE password.
        fingerprints: of the server's certificate, "sha-256 AB:…".
        is_dtls_client: whether the server starts the DTLS handshake.
        candidates: where to reach it over the protocol that was asked for, the best first.
        payload_type: the number of Opus.
        extension_ids: header extensions in use, URI to identifier.
        sends: the server will send audio.
        max_message_size: the longest message that it takes over data channels, in bytes; None when it has none.
    """

    ice_ufrag: str
    ice_pwd: str = attrs.field(repr=False)
    fingerprints: tuple[str, ...]
    is_dtls_client: bool
    candidates: tuple[Candidate, ...]
    payload_type: int
    extension_ids: dict[str, int]
    sends: bool
    max_message_size: int | None


def make_offer(
    *,
    ice_ufrag: str,
    ice_pwd: str,
    fingerprint: str,
    setup: OfferedSetup,
    session_id: int,
    ssrc: int,
    cname: str,
    has_data: bool = False,
) -> str:
    """Write an offer as Chrome writes it: audio, perhaps data channels, no candidates, everything bundled.

    Args:
        ice_ufrag: our ICE user name fragment.
        ice_pwd: our ICE password.
        fingerprint: of our certificate, "sha-256 AB:…".
        setup: our DTLS role.
        session_id: for the origin line.
        ssrc: of the audio that we send.
        cname: our name in RTCP.
        has_data: whether data channels are wanted.
    """
    transport = (
        Attribute("ice-ufrag", ice_ufrag),
        Attribute("ice-pwd", ice_pwd),
        Attribute("ice-options", "trickle"),
        Attribute("fingerprint", fingerprint),
        Attribute("setup", setup),
    )
    audio = [
        Attribute("rtcp", "9 IN IP4 0.0.0.0"),
        *transport,
        Attribute("mid", MID_VALUE),
        *(Attribute("extmap", f"{number} {uri}") for uri, number in _EXTENSION_IDS.items()),
        Attribute("sendrecv"),
        Attribute("msid", f"- {cname}"),
        Attribute("rtcp-mux"),
        Attribute("rtcp-rsize"),
        Attribute("rtpmap", f"{OPUS_PAYLOAD_TYPE} opus/48000/2"),
        Attribute("rtcp-fb", f"{OPUS_PAYLOAD_TYPE} transport-cc"),
        Attribute("fmtp", f"{OPUS_PAYLOAD_TYPE} minptime=10;useinbandfec=1"),
        Attribute("ssrc", f"{ssrc} cname:{cname}"),
    ]
    return serialize_description(
        SessionDescription(
            origin=f"- {session_id} 2 IN IP4 127.0.0.1",
            attributes=(
                Attribute("group", f"BUNDLE {MID_VALUE} {_DATA_MID_VALUE}" if has_data else f"BUNDLE {MID_VALUE}"),
                Attribute("extmap-allow-mixed"),
            ),
            media=(
                MediaDescription(
                    kind="audio",
                    port=9,
                    protocol="UDP/TLS/RTP/SAVPF",
                    formats=(str(OPUS_PAYLOAD_TYPE),),
                    connection="IN IP4 0.0.0.0",
                    attributes=tuple(audio),
                ),
                *((_data_section(transport),) if has_data else ()),
            ),
        )
    )


def _data_section(transport: tuple[Attribute, ...]) -> MediaDescription:
    return MediaDescription(
        kind="application",
        port=9,
        protocol="UDP/DTLS/SCTP",
        formats=("webrtc-datachannel",),
        connection="IN IP4 0.0.0.0",
        attributes=(
            *transport,
            Attribute("mid", _DATA_MID_VALUE),
            Attribute("sctp-port", "5000"),
            Attribute("max-message-size", "262144"),
        ),
    )


def parse_answer(text: str, *, over_tcp: bool = False) -> Answer:
    """Read an answer to our offer.

    Args:
        text: the SDP.
        over_tcp: whether TCP candidates are wanted instead of those for UDP.

    Raises:
        AnswerUnusable: it is no SDP, or no call can be made with it.
    """
    try:
        session = parse_description(text)
    except SdpRefused as error:
        raise AnswerUnusable(str(error)) from error
    if not session.media or session.media[0].kind != "audio" or session.media[0].port == 0:
        raise AnswerUnusable("the server refused the audio")
    audio = session.media[0]
    opus = [codec for codec in codecs(audio) if codec.name.lower() == "opus"]
    if not opus:
        raise AnswerUnusable("the server does not take Opus")
    found = read_candidates(audio, over_tcp=over_tcp)
    fingerprints = tuple(values(audio, "fingerprint")) or tuple(values(session, "fingerprint"))
    if not fingerprints:
        raise AnswerUnusable("the answer has no a=fingerprint")
    setup = _either(session, audio, "setup")
    if setup not in ("active", "passive"):
        raise AnswerUnusable("the answer's a=setup is neither active nor passive")
    return Answer(
        ice_ufrag=_either(session, audio, "ice-ufrag"),
        ice_pwd=_either(session, audio, "ice-pwd"),
        fingerprints=fingerprints,
        is_dtls_client=setup == "active",
        candidates=found,
        payload_type=opus[0].payload_type,
        extension_ids={
            extension.uri: extension.id
            for extension in extensions(audio)
            if _EXTENSION_IDS.get(extension.uri) == extension.id
        },
        sends=any(first(audio, direction) is not None for direction in ("sendrecv", "sendonly")),
        max_message_size=_max_message_size(session),
    )


def _max_message_size(session: SessionDescription) -> int | None:
    for media in session.media:
        if media.kind == "application" and media.port and first(media, "sctp-port") == "5000":
            # RFC 8841 §6.1: 64 KB when nothing is said.
            size = first(media, "max-message-size") or "65536"
            return int(size) if size.isdecimal() and len(size) < 10 else None
    return None


def _either(session: SessionDescription, audio: MediaDescription, name: str) -> str:
    value = first(audio, name) or first(session, name)
    if not value:
        raise AnswerUnusable(f"the answer has no a={name}")
    return value


def read_candidates(audio: MediaDescription, *, over_tcp: bool) -> tuple[Candidate, ...]:
    """Read where the server can be reached, the preferred address first.

    Raises:
        AnswerUnusable: nowhere that we know how to reach.
    """
    found = sorted(_usable_candidates(audio, over_tcp=over_tcp), key=lambda candidate: -candidate.priority)
    if not found:
        raise AnswerUnusable(f"the answer has no {'TCP' if over_tcp else 'UDP'} candidate with an IP address")
    return tuple(found)


def _usable_candidates(audio: MediaDescription, *, over_tcp: bool) -> list[Candidate]:
    transport, tcp_type = ("tcp", "passive") if over_tcp else ("udp", None)
    found = []
    for candidate in candidates(audio):
        try:
            host = str(ipaddress.ip_address(candidate.host))
        except ValueError:  # a name: nothing here resolves one
            continue
        if (candidate.transport.lower(), candidate.tcptype, candidate.component) != (transport, tcp_type, 1):
            continue
        if 0 < candidate.port < 0x10000:
            found.append(Candidate(host=host, port=candidate.port, priority=candidate.priority))
    return found
