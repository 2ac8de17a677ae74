"""A session out of its parts, and into its parts again: `Session.snapshot` and `Session.restore`.

A restored session is made like a new one, and filled then. Moved exactly, it goes on as if nothing had happened: with
the next numbers, on the same grid of time. Taken over, it does not know what its old owner has done since the snapshot:

    our indices        all above what the snapshot has reserved (`ceilings`)
    RTP timestamps     count the time that has passed; the first speech carries the marker
    data channels      SCTP is restarted inside of the DTLS association; what waited to be sent is lost
    the client's       what it was last known to have sent counts as received, so that nothing old passes; what it sent
                       since, and nobody tells us of, does not count as lost
    consent            every path keeps what was left of it: the old owner may have heard the client until it died
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dtls.association import DtlsAssociation
from dtls.options import DtlsOptions, Role
from srtp.keying import EXPORTER_LABEL, split_keying_material
from srtp.profile import ProtectionProfile
from srtp.session import SrtpSession
from transceiver.audio.sender import SendingState
from transceiver.backends.echo import Echo
from transceiver.data_transport import DataTransport
from transceiver.dtls_transport import DtlsTransport
from transceiver.handover import ceilings as margins
from transceiver.handover.ceilings import Indices
from transceiver.handover.media_snapshot import EchoState, MediaSnapshot
from transceiver.handover.session_snapshot import SessionSnapshot
from transceiver.media import Media
from transceiver.states import State
from wire.core import Path
from wire.errors import LocalProtocolError, MalformedError

if TYPE_CHECKING:
    from transceiver.session import Session

__all__ = ["forget_keys", "indices_of", "is_near_ceiling", "limit", "resume", "take_snapshot"]

_LONGEST_MOVE = 5.0
"""Seconds that an exact move takes at most. If more seem to have passed, the two clocks differ."""

_LONGEST_TAKE_OVER = 120.0
"""Seconds after which there is nothing left to be taken over: no record lives longer (`ownership.RECORD_LIFE`)."""

_USUAL_TAKE_OVER = 20.0
"""Seconds that count as passed when the clocks tell nonsense: about the oldest snapshot that is taken over. A timestamp
that leaps too far is played at once; one that steps back is not played until the old one is reached."""


# Out -----------------------------------------------------------------------------------------------------------------


def take_snapshot(session: "Session", now: float) -> SessionSnapshot:
    """Return all that another process needs to go on; see `Session.snapshot`."""
    media, transport = session.media, session._transport
    dtls = transport.dtls
    if session.state is not State.ESTABLISHED or media is None or dtls is None or not dtls.association.is_connected:
        raise LocalProtocolError(f"a call that is {session.state} cannot go on elsewhere")
    data = session.data
    return SessionSnapshot(
        made_at=now + session._unix_offset,
        is_reachable=transport.is_reachable,
        ends_in=session._end_at - now,
        gives_up_in=session._give_up_at - now,
        ufrag=transport.ice.local.ufrag,
        password=transport.ice.local.password,
        remote=transport.remote,
        media_description=session._description,
        data_description=session.data_description,
        paths=transport.ice.snapshot(now),
        dtls=dtls.association.snapshot(now),
        srtp=media._srtp.snapshot(),
        media=_media_snapshot(session, media, now),
        sctp=None if data is None else data.snapshot(now),
        indices=indices_of(session),
        ceilings=session.ceilings,
        timeline={step: now - at for step, at in session.timeline.times.items()},
    )


def indices_of(session: "Session") -> Indices:
    """Return the next index that each key of an established session may be used with.

    Raises:
        LocalProtocolError: it has no keys.
    """
    media, dtls = session.media, session.dtls
    if media is None or dtls is None:
        raise LocalProtocolError("the session has no keys")
    source = media._outbound
    return Indices(
        rtp={source.ssrc: source.sequence_number},
        rtcp=media._srtp.next_rtcp_index,
        dtls=dtls.association.next_sequences(),
    )


def _media_snapshot(session: "Session", media: Media, now: float) -> MediaSnapshot:
    source, reports, backend = media._outbound, media._reports, media._backend
    return MediaSnapshot(
        clock_rate=source.clock_rate,
        timestamp=source.timestamp,
        silent_for=None if source.sent_at is None else now - source.sent_at,
        packet_count=source.packet_count,
        octet_count=source.octet_count,
        packets_in=media.packets_in,
        has_opened=session._has_opened,
        echo=_echo_state(backend) if isinstance(backend, Echo) else None,
        sending=None if media.voice is None else media.voice.state(),
        sources=reports.states(),
        feedback_count=reports.feedback_count,
        feedback_clock=now + reports.clock_offset,
    )


def _echo_state(echo: Echo) -> EchoState | None:
    if echo.theirs is None:
        return None
    return EchoState(
        ssrc=echo.theirs,
        sequence_offset=echo.sequence_offset & 0xFFFF,
        timestamp_offset=echo.timestamp_offset & 0xFFFF_FFFF,
    )


# In ------------------------------------------------------------------------------------------------------------------


def resume(
    session: "Session",
    snapshot: SessionSnapshot,
    *,
    is_exact: bool,
    age: float | None,
    now: float,
    dtls_options: DtlsOptions,
) -> None:
    """Fill a new session; see `Session.restore`."""
    first = snapshot.indices if is_exact else snapshot.indices.reserved()
    passed = _passed(snapshot, age, now + session._unix_offset, is_exact=is_exact)
    transport = session._transport
    session.timeline.times.clear()
    session.timeline.times.update({step: now - passed - ago for step, ago in snapshot.timeline.items()})
    transport.ice.resume(snapshot.paths, now, passed)
    transport.is_reachable = snapshot.is_reachable
    association = DtlsAssociation.restore(
        snapshot.dtls, now=now, options=dtls_options, sequence_margin=0 if is_exact else margins.DTLS_MARGIN
    )
    if association.next_sequences() != first.dtls:
        raise MalformedError("indices", 0, "are not those of the DTLS association")
    agreed = association.agreed
    assert agreed is not None  # noqa: S101 - it has just been restored
    transport.role = association.role
    anywhere = Path(("", 0))
    transport.dtls = dtls = DtlsTransport(association, association.role, anywhere, transport.ice.is_validated)
    dtls.path, dtls.secured = transport.ice.selected, agreed
    session.media = media = Media(
        srtp=_srtp(snapshot, association, first),
        description=session._description,
        timeline=session.timeline,
        entropy=session._entropy,
        now=now,
        unix_time=now + session._unix_offset,
        options=session._options,
        speech=session._speech,
        hears_at=session._hears_at,
    )
    _resume_media(media, snapshot.media, first.rtp, now, passed, is_exact=is_exact)
    session._has_opened = snapshot.media.has_opened
    if snapshot.sctp is not None:
        session.data = DataTransport.restore(
            association, snapshot.sctp, entropy=session._entropy, now=now, is_exact=is_exact
        )
    session._end_at = now + snapshot.ends_in - passed
    session._give_up_at = now + snapshot.gives_up_in - passed
    session.state = State.ESTABLISHED
    session.ceilings = snapshot.ceilings if is_exact else first
    limit(session, session.ceilings)
    session._schedule(media.next_timeout())


def limit(session: "Session", ceilings: Indices | None) -> None:
    """Have the layers of an established session keep to these ceilings; None for none."""
    media, dtls = session.media, session.dtls
    if media is not None:
        media._srtp.limit(*((None, None) if ceilings is None else (ceilings.rtp, ceilings.rtcp)))
    if dtls is not None:
        dtls.association.limit(None if ceilings is None else ceilings.dtls)


def is_near_ceiling(session: "Session") -> bool:
    """Whether less than half of some margin is left."""
    ceilings, media, dtls = session.ceilings, session.media, session.dtls
    if ceilings is None or media is None or dtls is None:
        return False
    source = media._outbound
    return (
        ceilings.rtp.get(source.ssrc, 0) - source.sequence_number < margins.RTP_MARGIN // 2
        or ceilings.rtcp - media._srtp.next_rtcp_index < margins.RTCP_MARGIN // 2
        or dtls.association.room < margins.DTLS_MARGIN // 2
    )


def forget_keys(session: "Session") -> None:
    """Make sure that nothing is sent any more, and let go of what it would be sent with."""
    limit(session, Indices(rtp={}, rtcp=0, dtls={}))
    if session.dtls is not None:
        session.dtls.association.forget()
    session.data = None
    session.outgoing.clear()


def _srtp(snapshot: SessionSnapshot, association: DtlsAssociation, first: Indices) -> SrtpSession:
    number = association.srtp_profile
    if number not in frozenset(ProtectionProfile):
        raise MalformedError("srtp_profile", 0, "is none that media can be protected with")
    profile = ProtectionProfile(number)
    material = association.export_keying_material(EXPORTER_LABEL, profile.keying_material_length)
    keys = split_keying_material(profile, material, is_client=association.role is Role.CLIENT)
    srtp = SrtpSession.restore(profile, *keys, snapshot.srtp, first_rtp=first.rtp, first_rtcp=first.rtcp)
    if srtp.next_rtcp_index != first.rtcp or any(srtp.next_index(ssrc) != index for ssrc, index in first.rtp.items()):
        raise MalformedError("indices", 0, "are not those of SRTP")
    return srtp


def _resume_media(
    media: Media, snapshot: MediaSnapshot, first_rtp: Mapping[int, int], now: float, passed: float, *, is_exact: bool
) -> None:
    source, backend, sending = media._outbound, media._backend, snapshot.sending
    if (first := first_rtp.get(source.ssrc)) is None:
        raise MalformedError("indices", 0, "our source is not among them")
    source.sequence_number = first
    source.clock_rate = snapshot.clock_rate
    source.timestamp = snapshot.timestamp
    source.sent_at = None if snapshot.silent_for is None else now - passed - snapshot.silent_for
    source.reports_from = now + media._unix_offset
    source.packet_count, source.octet_count = snapshot.packet_count, snapshot.octet_count
    media._reports.packets_in = snapshot.packets_in
    if isinstance(backend, Echo) and snapshot.echo is not None and is_exact:
        # Taken over, it would echo into the numbers of the old owner; the next packet finds it a new place.
        backend.theirs = snapshot.echo.ssrc
        backend.sequence_offset = snapshot.echo.sequence_offset
        backend.timestamp_offset = snapshot.echo.timestamp_offset
    if media.voice is not None and sending is not None:
        if not is_exact:
            # As many numbers as packets may have been used; each packet has one.
            sending = SendingState(is_quiet=True, tail=0, next_number=sending.next_number + margins.RTP_MARGIN)
        media.voice.resume(sending, now)
    media._reports.resume(
        snapshot.sources,
        feedback_count=snapshot.feedback_count,
        clock_offset=snapshot.feedback_clock + passed - now,
        is_exact=is_exact,
    )


def _passed(snapshot: SessionSnapshot, age: float | None, unix_time: float, *, is_exact: bool) -> float:
    """Return how many seconds have passed since the snapshot: as was told, or by the wall clocks if they make sense."""
    passed = unix_time - snapshot.made_at if age is None else age
    if is_exact:
        return passed if 0.0 <= passed <= _LONGEST_MOVE else 0.0
    return passed if 0.0 <= passed <= _LONGEST_TAKE_OVER else _USUAL_TAKE_OVER
