"""The answer: one section for each of the offer's, in the same order, all on one transport.

The call's audio and its data channels are accepted; what else shares their transport is answered `inactive`, because
a refused section stops the browser's transceiver for good; what we do not speak, and what asks for a transport of its
own, is refused with port 0.

Source: RFC 8829 §5.3.1, RFC 3264 §6, RFC 9143 §7.3, RFC 8839 §4.3.2, RFC 8842 §5.3, RFC 8841 §5 and §6.
"""

import ipaddress
from collections.abc import Iterator, Sequence

from aioice import Candidate

from transceiver.calls import AnswerIngress
from transceiver.sdp.attributes import Codec
from transceiver.sdp.description import Attribute, MediaDescription, SessionDescription, serialize_description
from transceiver.sdp.negotiation import Negotiated, Setup
from transceiver.sdp.offer import Section

__all__ = ["MAX_MESSAGE_SIZE", "SCTP_PORT", "answer", "candidate_value"]

SCTP_PORT = 5000
"""Ours, inside of DTLS; every WebRTC implementation uses this one."""

MAX_MESSAGE_SIZE = 262_144
"""The longest message that we take, in bytes: what browsers take too."""

_PTIME_MS = 20
_NO_CONNECTION = "IN IP4 0.0.0.0"
_DISCARD_PORT = 9
_READ_BEFORE_THE_PORT = ("ice-ufrag", "ice-pwd", "fingerprint", "setup")
_INACTIVE_KINDS = ("audio", "video")


def answer(
    negotiated: Negotiated,
    *,
    ice_ufrag: str,
    ice_pwd: str,
    fingerprint: str,
    setup: Setup,
    candidates: Sequence[AnswerIngress],
    session_id: int,
    ssrc: int,
    cname: str,
    msid: str,
) -> str:
    """Write the answer.

    Args:
        negotiated: what the call gets.
        ice_ufrag: our ICE user name fragment.
        ice_pwd: our ICE password.
        fingerprint: of our DTLS certificate, "sha-256 AB:CD:…".
        setup: our DTLS role, "active" or "passive"; `negotiated.setup` unless there is a reason.
        candidates: where the client can reach us, the preferred first; at least one.
        session_id: for the origin line, 0 to 2^63 - 1 (RFC 8829 §5.2.1).
        ssrc: of the audio that we send.
        cname: names our end in RTCP (RFC 7022), and groups what we send.
        msid: "stream track" ids of the audio that we send; the client's script sees a stream with that id.

    Returns:
        The SDP, with CRLF line ends.
    """
    transport = _transport_attributes(negotiated, ice_ufrag, ice_pwd, fingerprint, setup, candidates)
    port, connection = _default_destination(candidates)
    offer = negotiated.offer
    data_index = None if offer.data is None else offer.data.index
    accepted = [section for index, section in enumerate(offer.sections) if index == data_index or _is_accepted(section)]
    sections = []
    for index, section in enumerate(offer.sections):
        body: Iterator[Attribute]
        formats: tuple[str, ...]
        if index == offer.audio.index:
            body, formats = _call_attributes(negotiated, ssrc, cname, msid), _call_formats(negotiated)
        elif index == data_index:
            body, formats = _data_attributes(), section.formats
        elif _is_accepted(section):
            body, formats = _inactive_attributes(section), _format_of_inactive(section)
        else:
            sections.append(_refused(section, transport))
            continue
        sections.append(
            MediaDescription(
                kind=section.kind,
                port=port,
                protocol=section.protocol,
                formats=formats,
                connection=connection,
                attributes=(*_mid(section), *body, *transport),
            )
        )
    # RFC 9143 §7.3.3: refused sections leave the group.
    mids = {section.mid for section in accepted}
    group = [mid for mid in offer.bundle if mid in mids]
    return serialize_description(
        SessionDescription(
            # RFC 8829 §5.2.1: the address is not for use, and a loopback one gives nothing away.
            origin=f"- {session_id} 1 IN IP4 127.0.0.1",
            attributes=(
                *([Attribute("group", f"BUNDLE {' '.join(group)}")] if group else []),
                # RFC 8839 §5.3: a lite agent says so, and the client then controls whoever offered.
                Attribute("ice-lite"),
            ),
            media=tuple(sections),
        )
    )


def _is_accepted(section: Section) -> bool:
    return (
        section.bundled and not section.disabled and section.kind in _INACTIVE_KINDS and "RTP/" in section.protocol
    ) and bool(section.codecs)


def _mid(section: Section) -> Iterator[Attribute]:
    # RFC 8829 §5.3.1: if and only if present in the offer.
    if section.mid:
        yield Attribute("mid", section.mid)


def _refused(section: Section, transport: Sequence[Attribute]) -> MediaDescription:
    # RFC 3264 §6: port 0 refuses; a format is there because the grammar wants one. The rest is for clients that
    # look at a section's transport before its port (aiortc); browsers ignore it.
    transport = [attribute for attribute in transport if attribute.name in _READ_BEFORE_THE_PORT]
    return MediaDescription(
        kind=section.kind,
        port=0,
        protocol=section.protocol,
        formats=section.formats[:1],
        connection=_NO_CONNECTION,
        attributes=(*_mid(section), Attribute("inactive"), *_rtcp_mux(section), *transport),
    )


def _rtcp_mux(section: Section) -> Iterator[Attribute]:
    if "RTP/" in section.protocol:
        yield Attribute("rtcp-mux")


def _format_of_inactive(section: Section) -> tuple[str, ...]:
    return (str(section.codecs[0].payload_type),)


def _inactive_attributes(section: Section) -> Iterator[Attribute]:
    yield Attribute("inactive")
    yield from _rtcp_mux(section)
    yield from _codec_attributes(section.codecs[0])


def _data_attributes() -> Iterator[Attribute]:
    yield Attribute("sctp-port", str(SCTP_PORT))
    yield Attribute("max-message-size", str(MAX_MESSAGE_SIZE))


def _call_formats(negotiated: Negotiated) -> tuple[str, ...]:
    return tuple(str(codec.payload_type) for codec in negotiated.formats)


def _call_attributes(negotiated: Negotiated, ssrc: int, cname: str, msid: str) -> Iterator[Attribute]:
    yield Attribute(negotiated.direction)
    yield Attribute("rtcp-mux")
    if negotiated.rtcp_rsize:
        yield Attribute("rtcp-rsize")
    for codec in negotiated.formats:
        yield from _codec_attributes(codec)
        if codec.payload_type in negotiated.transport_cc:
            yield Attribute("rtcp-fb", f"{codec.payload_type} transport-cc")
    yield Attribute("ptime", str(_PTIME_MS))
    for uri, identifier in negotiated.extensions.items():
        # RFC 8285 §7: an extension offered for one direction is answered for the same, seen from our side.
        direction = negotiated.extension_directions.get(uri)
        yield Attribute("extmap", f"{identifier}/{direction} {uri}" if direction else f"{identifier} {uri}")
    if negotiated.sends:
        # RFC 8830 §2: the script finds our audio as event.streams[0].
        yield Attribute("msid", msid)
        yield Attribute("ssrc", f"{ssrc} cname:{cname}")


def _codec_attributes(codec: Codec) -> Iterator[Attribute]:
    yield Attribute("rtpmap", codec.rtpmap)
    if codec.parameters:
        yield Attribute("fmtp", f"{codec.payload_type} {codec.parameters}")


def _transport_attributes(
    negotiated: Negotiated,
    ice_ufrag: str,
    ice_pwd: str,
    fingerprint: str,
    setup: Setup,
    candidates: Sequence[AnswerIngress],
) -> tuple[Attribute, ...]:
    # RFC 8829 §5.3.1: these ICE options are answered only if they were offered. Others are ignored.
    options = [option for option in ("trickle", "ice2") if option in negotiated.offer.ice_options]
    return (
        Attribute("ice-ufrag", ice_ufrag),
        Attribute("ice-pwd", ice_pwd),
        *([Attribute("ice-options", " ".join(options))] if options else []),
        # DEVIATES: RFC 8842 §5.3 wants a tls-id; nobody is known to offer one, and a call is one DTLS association.
        Attribute("fingerprint", fingerprint),
        Attribute("setup", setup),
        *(Attribute("candidate", candidate_value(ingress)) for ingress in candidates),
        # RFC 8840 §8.2: all candidates are here; the client need not wait for more.
        Attribute("end-of-candidates"),
    )


def candidate_value(ingress: AnswerIngress) -> str:
    """Write the value of the `a=candidate` line of a relay address."""
    # RFC 8445 §5.1.1.3: candidates with different bases have different foundations.
    return Candidate(
        foundation=str(ingress.id),
        component=1,
        transport=ingress.protocol,
        priority=ingress.priority,
        host=ingress.host,
        port=ingress.port,
        type="host",
        # RFC 6544 §4.4: a lite agent only waits to be connected to.
        tcptype="passive" if ingress.protocol == "tcp" else None,
    ).to_sdp()


def _default_destination(candidates: Sequence[AnswerIngress]) -> tuple[int, str]:
    # RFC 8839 §4.2.1.2: the default destination is one of the candidates, else the client sees an ICE mismatch.
    # RFC 6544 §4.3: one for UDP; without any, none, as where candidates are still to come.
    preferred = next((ingress for ingress in candidates if ingress.protocol == "udp"), None)
    if preferred is None:
        return _DISCARD_PORT, _NO_CONNECTION
    version = ipaddress.ip_address(preferred.host).version
    return preferred.port, f"IN IP{version} {preferred.host}"
