"""A client's offer: what a call needs to know of it, or why it is refused.

A refusal is read by whoever writes the client, so each names what is missing and, where it helps, what to do.
What we do not understand is ignored, as RFC 8866 §5.13 asks: unknown attributes, ICE options, codecs, extensions.

Source: RFC 8829 §5.8 (what an offer must have), RFC 8839 §5 (ICE), RFC 8122 §5 and RFC 8842 §5.1 (DTLS),
RFC 9143 §7 (BUNDLE), RFC 5761 §5.1.1 (RTP and RTCP on one port), RFC 8841 §5 and §6 (data channels).
"""

import re
from collections.abc import Mapping, Sequence

import attrs

from dtls.certificate import FINGERPRINT_ALGORITHMS, Fingerprint
from transceiver.sdp import attributes
from transceiver.sdp.attributes import Codec
from transceiver.sdp.description import (
    MediaDescription,
    SdpRefused,
    SessionDescription,
    first,
    parse_description,
    values,
)
from wire.errors import MalformedError

__all__ = ["AudioSection", "DataSection", "Offer", "Section", "check_ice_credentials", "parse_offer"]

# RFC 8839 §5.4: ufrag = 4*256ice-char, password = 22*256ice-char; ice-char = ALPHA / DIGIT / "+" / "/".
# DEVIATES: "-", "_" and "=" are accepted as well, because some clients make them and they harm nothing here.
_ICE_UFRAG = re.compile(r"[0-9A-Za-z+/_=-]{4,256}")
_ICE_PWD = re.compile(r"[0-9A-Za-z+/_=-]{22,256}")
_MAX_FINGERPRINTS = 8

# RFC 8829 §5.1.2: all of these mean DTLS-SRTP when there is a fingerprint.
_RTP_PROTOCOL = re.compile(r"(?:UDP/TLS/|TCP/DTLS/)?RTP/S?AVPF?")
_DATA_PROTOCOLS = ("UDP/DTLS/SCTP", "TCP/DTLS/SCTP")
_DATA_FORMAT = "webrtc-datachannel"
_NUMBER = re.compile(r"[0-9]{1,19}")
_MID = re.compile(r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]{1,64}")


@attrs.frozen(kw_only=True)
class Section:
    """One `m=` section of the offer, as far as the answer needs it.

    Attributes:
        kind: "audio", "video", "application" and so on.
        mid: the section's name; empty when the offer gives none.
        disabled: the offer itself switches the section off (port 0 without `a=bundle-only`).
        bundled: the section shares the transport of the call's audio.
        protocol: to be repeated in the answer.
        formats: to be repeated, or chosen from, in the answer.
        codecs: the RTP codecs among the formats.
    """

    kind: str
    mid: str
    disabled: bool
    bundled: bool
    protocol: str
    formats: tuple[str, ...]
    codecs: tuple[Codec, ...]


@attrs.frozen(kw_only=True)
class AudioSection:
    """The section of the call's audio.

    Attributes:
        index: its place among the sections.
        mid: its name; empty when the offer gives none.
        codecs: in the client's order of preference.
        extensions: header extensions, URI to identifier.
        extension_directions: URI to direction, from the client's view, for those restricted to one.
        direction: from the client's view: "sendrecv", "sendonly", "recvonly" or "inactive".
        rtcp_fb: format (or "*") to the RTCP feedback that goes with it.
        ssrcs: announced streams and their source attributes; often none.
        msid: stream and track id, empty without them.
        rtcp_mux: RTP and RTCP share a port; always true of an offer that was not refused.
        rtcp_rsize: RTCP may come without an SR or RR in front (RFC 5506).
    """

    index: int
    mid: str
    codecs: tuple[Codec, ...]
    extensions: Mapping[str, int]
    extension_directions: Mapping[str, str]
    direction: str
    rtcp_fb: Mapping[str, frozenset[str]]
    ssrcs: Mapping[int, Mapping[str, str]]
    msid: str
    rtcp_mux: bool
    rtcp_rsize: bool


@attrs.frozen(kw_only=True)
class DataSection:
    """The section of the call's data channels.

    Attributes:
        index: its place among the sections.
        sctp_port: the client's SCTP port.
        max_message_size: the longest message that the client takes, in bytes; None for any.
    """

    index: int
    sctp_port: int
    max_message_size: int | None


@attrs.frozen(kw_only=True)
class Offer:
    """What a client offers.

    Attributes:
        ice_ufrag: the client's ICE user name fragment.
        ice_pwd: the client's ICE password.
        ice_options: tokens of `a=ice-options`, known or not.
        fingerprints: of the client's certificate; only of hash functions that count.
        setup: the client's DTLS role: "actpass" (either), "active" (client) or "passive" (server).
        audio: the section that the call uses.
        data: the section of its data channels; None without one that can be answered.
        allows_mixed_extensions: `a=extmap-allow-mixed` is there (RFC 8285 §6), as browsers of today say.
        sections: all sections in order.
        bundle: mids of the group that the audio is in, the tagged one first; empty when nothing is bundled.
    """

    ice_ufrag: str
    ice_pwd: str = attrs.field(repr=False)
    ice_options: tuple[str, ...]
    fingerprints: tuple[Fingerprint, ...]
    setup: str
    audio: AudioSection
    data: DataSection | None
    allows_mixed_extensions: bool
    sections: tuple[Section, ...]
    bundle: tuple[str, ...]


def parse_offer(text: str) -> Offer:
    """Read an offer.

    Args:
        text: the SDP that the client sent, unchecked.

    Raises:
        SdpRefused: the offer cannot be answered, or is no SDP.
    """
    session = parse_description(text)
    mids = _mids(session)
    _refuse_plan_b(session)
    if first(session, "ice-lite") is not None:
        raise SdpRefused("the offer says a=ice-lite; this server is ICE-lite too, so nobody would start the checks")
    index = _audio_index(session)
    bundle = next((group for group in attributes.bundle_groups(session) if mids[index] and mids[index] in group), ())
    transport = _transport(session, session.media[index], bundle[0] if bundle else None)
    if transport.value("rtcp-mux") is None:
        raise SdpRefused("the offer's audio has no a=rtcp-mux; RTP and RTCP share one port here")
    ice_ufrag, ice_pwd = _ice_credentials(transport)
    sections = tuple(
        _section(media, mid, bundled=place == index or (bool(mid) and mid in bundle))
        for place, (media, mid) in enumerate(zip(session.media, mids, strict=True))
    )
    return Offer(
        ice_ufrag=ice_ufrag,
        ice_pwd=ice_pwd,
        ice_options=tuple(word for value in transport.values("ice-options") for word in value.split()),
        fingerprints=_fingerprints(transport),
        setup=_setup(transport),
        audio=_audio_section(session, index, sections[index], transport),
        data=_data_section(session, sections),
        allows_mixed_extensions=any(
            first(part, "extmap-allow-mixed") is not None for part in (session, session.media[index])
        ),
        sections=sections,
        bundle=tuple(mid for mid in dict.fromkeys(bundle) if mid in mids),
    )


def _mids(session: SessionDescription) -> tuple[str, ...]:
    mids = tuple(first(media, "mid") or "" for media in session.media)
    named = [mid for mid in mids if mid]
    if not all(_MID.fullmatch(mid) for mid in named):
        raise SdpRefused("an a=mid of the offer is not a token of at most 64 characters")
    # RFC 5888 §4: a mid is unique in its session.
    if len(set(named)) != len(named):
        raise SdpRefused("two sections of the offer have the same a=mid")
    return mids


def _refuse_plan_b(session: SessionDescription) -> None:
    """Refuse several tracks in one section: Plan B, which browsers dropped for the one-track sections of RFC 8829."""
    for media in session.media:
        tracks = {source["msid"] for source in attributes.ssrcs(media).values() if source.get("msid")}
        if len(tracks) > 1:
            raise SdpRefused(
                f"the offer's {media.kind} section carries {len(tracks)} tracks (Plan B); "
                "use one m= section for each track (sdpSemantics unified-plan)"
            )


def _audio_index(session: SessionDescription) -> int:
    for index, media in enumerate(session.media):
        if media.kind == "audio" and not _disabled(media):
            if not _RTP_PROTOCOL.fullmatch(media.protocol):
                raise SdpRefused("the offer's audio is not RTP under DTLS (UDP/TLS/RTP/SAVPF)")
            return index
    raise SdpRefused("the offer has no usable m=audio section; add an audio transceiver before createOffer")


def _disabled(media: MediaDescription) -> bool:
    # RFC 9143 §6: a bundle-only section has port 0 and is not disabled by it.
    return media.port == 0 and first(media, "bundle-only") is None


@attrs.frozen(kw_only=True)
class _Transport:
    """Where the attributes of the call's transport may stand, the nearest place first."""

    holders: tuple[MediaDescription | SessionDescription, ...]

    def values(self, name: str) -> Sequence[str]:
        """Return all values at the nearest place that has any."""
        for holder in self.holders:
            if found := values(holder, name):
                return found
        return ()

    def value(self, name: str) -> str | None:
        """Return the nearest value."""
        found = self.values(name)
        return found[0] if found else None


def _transport(session: SessionDescription, audio: MediaDescription, tagged_mid: str | None) -> _Transport:
    # RFC 9143 §7.1.3: attributes of the transport may stand in the tagged section alone. RFC 8839 §5.4 and
    # RFC 8122 §5: what the section does not say, the session says for all.
    tagged = (media for media in session.media if tagged_mid and first(media, "mid") == tagged_mid)
    return _Transport(holders=(audio, *tagged, session))


def _ice_credentials(transport: _Transport) -> tuple[str, str]:
    ufrag, pwd = transport.value("ice-ufrag"), transport.value("ice-pwd")
    if ufrag is None or pwd is None:
        raise SdpRefused("the offer has no a=ice-ufrag and a=ice-pwd; this server needs ICE")
    check_ice_credentials(ufrag, pwd, "offer")
    return ufrag, pwd


def check_ice_credentials(ufrag: str, pwd: str, holder: str) -> None:
    """Hold a client's credentials to their form.

    Args:
        ufrag: the username fragment.
        pwd: the password.
        holder: what they stand in, for the refusal.

    Raises:
        SdpRefused: one has another form.
    """
    if not _ICE_UFRAG.fullmatch(ufrag):
        raise SdpRefused(f"the {holder}'s a=ice-ufrag is not 4 to 256 characters of the ICE alphabet")
    if not _ICE_PWD.fullmatch(pwd):
        raise SdpRefused(f"the {holder}'s a=ice-pwd is not 22 to 256 characters of the ICE alphabet")


def _fingerprints(transport: _Transport) -> tuple[Fingerprint, ...]:
    offered = transport.values("fingerprint")
    if not offered:
        raise SdpRefused("the offer has no a=fingerprint; media is encrypted with DTLS-SRTP here, always")
    parsed = map(_fingerprint, offered[:_MAX_FINGERPRINTS])
    usable = tuple(fingerprint for fingerprint in parsed if fingerprint is not None)
    if not usable:
        raise SdpRefused("no a=fingerprint of the offer is a well-formed sha-256, sha-384 or sha-512 (sha-256 AB:CD:…)")
    return usable


def _fingerprint(value: str) -> Fingerprint | None:
    try:
        fingerprint = Fingerprint.parse(value)
    except MalformedError:
        return None
    return fingerprint if fingerprint.algorithm in FINGERPRINT_ALGORITHMS else None


def _setup(transport: _Transport) -> str:
    # RFC 4145 §4: an offer without the attribute means "active".
    setup = transport.value("setup") or "active"
    if setup not in ("actpass", "active", "passive"):
        raise SdpRefused("the offer's a=setup is none of actpass, active, passive")
    return setup


def _audio_section(session: SessionDescription, index: int, section: Section, transport: _Transport) -> AudioSection:
    media = session.media[index]
    known = attributes.extensions(media)
    return AudioSection(
        index=index,
        mid=section.mid,
        codecs=section.codecs,
        extensions={extension.uri: extension.id for extension in known},
        extension_directions={extension.uri: extension.direction for extension in known if extension.direction},
        direction=attributes.direction(session, media),
        rtcp_fb=attributes.feedback(media),
        ssrcs=attributes.ssrcs(media),
        msid=attributes.msid(media),
        rtcp_mux=transport.value("rtcp-mux") is not None,
        rtcp_rsize=transport.value("rtcp-rsize") is not None,
    )


def _data_section(session: SessionDescription, sections: Sequence[Section]) -> DataSection | None:
    """Find the first section of data channels on the call's transport; what cannot be read is refused by itself."""
    for index, (media, section) in enumerate(zip(session.media, sections, strict=True)):
        # RFC 8841 §4.4.2 and §5.1: the format names the use; the port is an attribute, which MUST be there.
        is_data = section.kind == "application" and section.protocol in _DATA_PROTOCOLS
        if not is_data or section.disabled or not section.bundled or _DATA_FORMAT not in section.formats:
            continue
        port = _number(first(media, "sctp-port") or "")
        # RFC 8841 §6.1: 64 KB when nothing is said, and zero means any size.
        size = _number(first(media, "max-message-size") or "65536")
        if port is not None and 0 < port <= 65535 and size is not None:
            return DataSection(index=index, sctp_port=port, max_message_size=size or None)
    return None


def _number(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) else None


def _section(media: MediaDescription, mid: str, *, bundled: bool) -> Section:
    return Section(
        kind=media.kind,
        mid=mid,
        disabled=_disabled(media),
        bundled=bundled,
        protocol=media.protocol,
        formats=media.formats,
        codecs=attributes.codecs(media),
    )
