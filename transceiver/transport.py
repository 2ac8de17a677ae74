"""ICE-lite and DTLS of one client: from its first check to the keys of its media.

    first authenticated check   PathAppeared   ->  the DTLS association is made; one flight may leave
    our own check was answered  PathValidated  ->  DTLS may repeat itself
    DTLS completes              Secured        ->  its exporter keys SRTP; the path that it came over is proven

What belongs to DTLS alone, where its flights may go, is in `dtls_transport`.
"""

from collections import deque
from collections.abc import Iterable

import attrs

from dtls.association import DtlsAssociation
from dtls.certificate import Certificate
from dtls.events import ApplicationData, Connected
from dtls.options import DtlsOptions, Role
from srtp.keying import EXPORTER_LABEL, split_keying_material
from srtp.profile import ProtectionProfile
from srtp.session import SrtpSession
from stun.events import PathAppeared, PathExpired, PathSelected, PathValidated
from stun.lite import IceLite
from transceiver.dtls_transport import DtlsTransport
from transceiver.session_events import RemoteDescription
from transceiver.timeline import Step, Timeline
from wire.core import Closed, Entropy, Event, Path

__all__ = ["Secured", "Transport"]


@attrs.frozen(kw_only=True)
class Secured(Event):
    """The client is authenticated.

    Attributes:
        path: the path over which DTLS completed.
        srtp_profile: what media is protected with; None when the client negotiated nothing for it.
    """

    path: Path
    srtp_profile: ProtectionProfile | None


class Transport:
    """What carries a call.

    Args:
        ufrag: our ICE username fragment, which routes.
        password: our ICE password.
        remote: what the offer said of the client.
        role: our role in DTLS.
        certificate: ours; its fingerprint is in the answer.
        options: versions, groups, profiles.
        timeline: where the steps of the set-up are noted.
        entropy: source of unpredictable bytes.
        now: monotonic seconds.

    Attributes:
        ice: the agent that finds and validates the client's paths.
        dtls: the handshake and where it talks to; None before the first check.
        role: as given.
        remote: as given; `ice` knows the credentials since the last restart.
        is_reachable: whether some path was validated.
        outgoing: what is to be sent, each datagram with its path; the session puts its media here, too.
    """

    def __init__(
        self,
        *,
        ufrag: str,
        password: str,
        remote: RemoteDescription,
        role: Role,
        certificate: Certificate,
        options: DtlsOptions,
        timeline: Timeline,
        entropy: Entropy,
        now: float,
    ) -> None:
        self.ice = IceLite(
            local_ufrag=ufrag,
            local_pwd=password,
            remote_ufrag=remote.ufrag,
            remote_pwd=remote.password,
            entropy=entropy,
            now=now,
        )
        self.dtls: DtlsTransport | None = None
        self.role = role
        self.remote = remote
        self.is_reachable = False
        self.outgoing: deque[tuple[bytes, Path]] = deque()
        self._certificate = certificate
        self._options = options
        self._timeline = timeline
        self._entropy = entropy

    # -- inputs

    def receive_stun(self, data: bytes, source: Path, now: float) -> list[Event]:
        """Take a STUN datagram.

        The response to a check leaves before the DTLS flight that it lets out (`collect`): a browser drops DTLS on a
        pair that has not succeeded yet.
        """
        return self._follow_ice(self.ice.receive_datagram(data, source, now), now)

    def receive_dtls(self, data: bytes, source: Path, now: float) -> list[Event]:
        """Take a DTLS datagram that came over a path on which an authenticated check has come."""
        dtls = self.dtls
        assert dtls is not None  # noqa: S101 - a known path has appeared, and the first to appear made it
        return self._follow_dtls(dtls, dtls.receive_datagram(data, source, now), source, now)

    def heard_on(self, source: Path, now: float) -> list[Event]:
        """Note that something authentic came over a path: it is alive, and the client may be there now."""
        return self._follow_ice(self.ice.authentic_traffic(source, now), now)

    def handle_timeout(self, now: float) -> list[Event]:
        """Do what is due: consent, repetitions."""
        events = self._follow_ice(self.ice.handle_timeout(now), now)
        dtls = self.dtls
        if dtls is not None and dtls.path is not None:
            events += self._follow_dtls(dtls, dtls.handle_timeout(now), dtls.path, now)
        return events

    def _follow_ice(self, ice_events: Iterable[Event], now: float) -> list[Event]:
        events = list(ice_events)
        for event in events:
            match event:
                case PathAppeared():
                    self._timeline.mark(Step.FIRST_CHECK, now)
                    self._begin_dtls(event.path, now)
                case PathValidated():
                    self._timeline.mark(Step.PATH_VALIDATED, now)
                    self.is_reachable = True
                    if self.dtls is not None:
                        self.dtls.path_validated(event.path, self.ice.round_trip_time)
                case PathSelected():
                    if self.dtls is not None:
                        self.dtls.path_selected(event.path)
                case PathExpired():
                    if self.dtls is not None:
                        self.dtls.path_expired(event.path)
                case _:
                    pass
        self.outgoing.extend(self.ice.datagrams_to_send(now))
        return events

    def _begin_dtls(self, path: Path, now: float) -> None:
        if self.dtls is not None:
            return
        association = DtlsAssociation(
            role=self.role,
            certificate=self._certificate,
            peer_fingerprints=self.remote.fingerprints,
            options=self._options,
            entropy=self._entropy,
            now=now,
        )
        self.dtls = DtlsTransport(association, self.role, path, self.ice.is_validated)

    def _follow_dtls(self, dtls: DtlsTransport, dtls_events: Iterable[Event], source: Path, now: float) -> list[Event]:
        events: list[Event] = []
        for event in dtls_events:
            match event:
                case Connected():
                    if dtls.proves(source):
                        events += self._follow_ice(self.ice.path_proven(source, now), now)
                    self._timeline.mark(Step.DTLS_CONNECTED, now)
                    number = event.srtp_profile
                    profile = None if number is None else ProtectionProfile(number)
                    events.append(Secured(path=source, srtp_profile=profile))
                case ApplicationData():
                    events += self.heard_on(source, now)
                    events.append(event)
                case Closed():
                    events.append(event)
                case _:
                    pass
        return events

    # -- commands

    def make_srtp(self, profile: ProtectionProfile) -> SrtpSession:
        """Key the protection of media from the handshake (RFC 5764 §4.2).

        Raises:
            LocalProtocolError: the client is not authenticated.
        """
        dtls = self.dtls
        assert dtls is not None  # noqa: S101 - `Secured` came from it
        material = dtls.association.export_keying_material(EXPORTER_LABEL, profile.keying_material_length)
        return SrtpSession(profile, *split_keying_material(profile, material, is_client=self.role is Role.CLIENT))

    def collect(self, now: float) -> None:
        """Put what DTLS may send now behind what is to be sent already."""
        if self.dtls is not None:
            self.outgoing.extend(self.dtls.datagrams_to_send(now))

    def close(self, now: float) -> None:
        """Say goodbye in DTLS."""
        if self.dtls is not None:
            self.dtls.association.close()
            self.collect(now)

    # -- state for others

    @property
    def path(self) -> Path | None:
        """The path that media takes to the client; None before one is validated."""
        return self.ice.selected

    def next_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called."""
        ice = self.ice.next_timeout()
        dtls = None if self.dtls is None else self.dtls.next_timeout()
        if ice is None or dtls is None:
            return dtls if ice is None else ice
        return min(ice, dtls)
