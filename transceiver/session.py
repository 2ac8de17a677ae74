"""One call: ICE-lite, DTLS and SRTP of one client, composed into a core of its own.

A session has no socket and no clock. Datagrams come in with the path they took, and go out with the path they are to
take; what a layer reports moves the next one on:

    first authenticated check   PathAppeared   ->  the DTLS association is made; one flight may leave
    our own check was answered  PathValidated  ->  DTLS may repeat itself, media may flow
    DTLS completes              Connected      ->  its exporter keys SRTP; the path is proven
    consent runs out, close_notify, a fatal alert, the end of the call   ->  Closed

Goal: nobody but the client of the offer is heard, and nobody is flooded through us.
Attacker: sends from any address, sees and replays what passes, but does not hold the client's DTLS key.
Rules (DESIGN: the path rule):

* Only a path on which an authenticated check arrived may carry DTLS or media to us; all else is dropped and counted.
* A check proves knowledge of the password, not that its source address is real. So an unvalidated path is sent STUN
  responses and one DTLS flight at most, never a repetition, and never media.
* Nothing of the peer's is believed before its certificate matched the fingerprint of the offer: SRTP has no keys before
  DTLS reports `Connected`.
"""

import enum
from collections import Counter, deque
from collections.abc import Iterable, Mapping

import attrs
from dtls.association import DtlsAssociation
from dtls.events import ApplicationData, Connected

from dtls.certificate import Certificate, Fingerprint
from dtls.options import DtlsOptions, Role
from srtp.keying import EXPORTER_LABEL, split_keying_material
from srtp.profile import ProtectionProfile
from srtp.session import SrtpSession
from stun.events import PathAppeared, PathSelected, PathValidated
from stun.lite import IceLite
from transceiver.media import Media, MediaDescription
from transceiver.options import SessionOptions
from transceiver.timeline import Step, Timeline
from wire.core import Closed, Drops, Entropy, Event, Path
from wire.demux import Kind, kind_of

__all__ = ["TRANSITIONS", "DropReason", "Established", "RemoteDescription", "Session", "State", "Trigger"]


class DropReason(enum.StrEnum):
    """Why a session dropped a datagram."""

    UNKNOWN_PROTOCOL = "unknown-protocol"
    UNKNOWN_PATH = "unknown-path"
    EARLY_MEDIA = "early-media"
    UNVALIDATED_PATH = "unvalidated-path"
    CLOSED = "session-closed"


class State(enum.StrEnum):
    """How far a call has come."""

    WAITING = "waiting"
    """No client has shown the password yet."""
    CONNECTING = "connecting"
    """A path has appeared; DTLS is under way."""
    ESTABLISHED = "established"
    """The client is authenticated; media flows."""
    CLOSED = "closed"
    """It is over."""


class Trigger(enum.StrEnum):
    """What moves a call from state to state."""

    CHECKED = "first authenticated check"
    AUTHENTICATED = "DTLS connected, fingerprint matched"
    ENDED = "hang-up, close_notify, alert, consent expired, time limit"


TRANSITIONS: dict[State, dict[Trigger, State]] = {
    State.WAITING: {Trigger.CHECKED: State.CONNECTING, Trigger.ENDED: State.CLOSED},
    State.CONNECTING: {Trigger.AUTHENTICATED: State.ESTABLISHED, Trigger.ENDED: State.CLOSED},
    State.ESTABLISHED: {Trigger.ENDED: State.CLOSED},
    State.CLOSED: {},
}
"""The life of a call. A trigger without an entry for the state it meets changes nothing."""


@attrs.frozen(kw_only=True)
class Established(Event):
    """The client is authenticated and media may flow.

    Attributes:
        path: the path over which DTLS completed.
    """

    path: Path


@attrs.frozen(kw_only=True)
class RemoteDescription:
    """What the offer said of the client, as far as the session needs it.

    Attributes:
        ufrag: the client's ICE username fragment.
        password: the client's ICE password.
        fingerprints: of the client's certificate; one that matches is enough.
    """

    ufrag: str
    password: str = attrs.field(repr=False)
    fingerprints: tuple[Fingerprint, ...]


class Session:
    """One client's call.

    Args:
        ufrag: our ICE username fragment, which routes.
        password: our ICE password.
        remote: what the offer said of the client.
        media: what was negotiated about the audio.
        dtls_role: CLIENT when the answer said `a=setup:active`.
        certificate: ours; its fingerprint is in the answer.
        entropy: source of unpredictable bytes.
        now: monotonic seconds.
        unix_time: wall clock at `now`, for the reports of RTCP.
        options: bounds and times.
        dtls_options: versions, groups, profiles.
    """

    def __init__(
        self,
        *,
        ufrag: str,
        password: str,
        remote: RemoteDescription,
        media: MediaDescription,
        dtls_role: Role,
        certificate: Certificate,
        entropy: Entropy,
        now: float,
        unix_time: float,
        options: SessionOptions,
        dtls_options: DtlsOptions,
    ) -> None:
        self.drops: Drops = Counter()
        self.timeline = Timeline()
        self.timeline.mark(Step.CREATED, now)
        self.state = State.WAITING
        self.closed: Closed | None = None
        self.due: float = now + options.connect_timeout
        self.media: Media | None = None
        self.dtls: DtlsAssociation | None = None
        self._ice = IceLite(
            local_ufrag=ufrag,
            local_pwd=password,
            remote_ufrag=remote.ufrag,
            remote_pwd=remote.password,
            entropy=entropy,
            now=now,
        )
        self._remote = remote
        self._description = media
        self._dtls_role = dtls_role
        self._dtls_options = dtls_options
        self._certificate = certificate
        self._entropy = entropy
        self._options = options
        self._unix_offset = unix_time - now
        self._give_up_at = now + options.connect_timeout
        self._end_at = now + options.max_call
        self._dtls_path: Path | None = None
        self._flights: set[Path] = set()  # unvalidated paths that have had their one DTLS flight
        self._outgoing: deque[tuple[bytes, Path]] = deque()

    # -- inputs

    def receive_datagram(self, data: bytes, source: Path, now: float) -> Iterable[Event]:
        """Take one datagram of the client's (or of somebody who pretends to be)."""
        kind = kind_of(data)
        media = self.media
        # The hot path: media of an established call, fifty times a second each way.
        if kind is Kind.RTP and media is not None and self.closed is None:
            return self._receive_rtp(data, source, media, now)
        if self.closed is not None:
            self.drops[DropReason.CLOSED] += 1
            return ()
        if kind is Kind.STUN:
            events = self._receive_stun(data, source, now)
        elif kind is Kind.UNKNOWN:
            self.drops[DropReason.UNKNOWN_PROTOCOL] += 1
            return ()
        elif not self._ice.knows(source):
            self.drops[DropReason.UNKNOWN_PATH] += 1
            return ()
        elif kind is Kind.DTLS:
            events = self._receive_dtls(data, source, now)
        elif media is None:
            self.drops[DropReason.EARLY_MEDIA] += 1
            return ()
        else:
            events = self._receive_rtcp(data, source, media, now)
        self._schedule()
        return events

    def handle_timeout(self, now: float) -> Iterable[Event]:
        """Do what is due: repetitions, reports, consent, the end of the call."""
        if self.closed is not None or now < self.due:
            return ()
        events: list[Event] = []
        if self.state is not State.ESTABLISHED and now >= self._give_up_at:
            self._close("never-connected", f"no media within {self._options.connect_timeout:.0f} s", now)
        elif now >= self._end_at:
            self._close("max-call", f"the longest call is {self._options.max_call:.0f} s", now)
        else:
            events += self._follow_ice(self._ice.handle_timeout(now), now)
            if self.dtls is not None and self._dtls_may_repeat():
                events += self._follow_dtls(self.dtls.handle_timeout(now), self._dtls_path, now)
            self._collect_dtls(now)
            self._collect_media(now)
        self._schedule()
        return self._with_closed(events)

    # -- commands

    def close(self, reason: str, now: float, detail: str = "") -> None:
        """End the call: say goodbye to the client where it can be reached. What leaves is due at once."""
        if self.closed is None:
            self._close(reason, detail, now)

    # -- output

    def datagrams_to_send(self, now: float) -> Iterable[tuple[bytes, Path]]:  # noqa: ARG002 - the core contract
        """Take what is to be sent, each datagram with its path."""
        outgoing = self._outgoing
        if not outgoing:
            return ()
        self._outgoing = deque()
        return outgoing

    def next_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called."""
        return None if self.closed is not None else self.due

    # -- state for others

    def knows(self, path: Path) -> bool:
        """Whether an authenticated check has arrived on that path."""
        return self._ice.knows(path)

    def is_validated(self, path: Path) -> bool:
        """Whether the path's address is proven to be real."""
        return self._ice.is_validated(path)

    @property
    def path(self) -> Path | None:
        """The path that media takes to the client."""
        return self._ice.selected

    def describe(self) -> Mapping[str, object]:
        """Tell the call's state in JSON types."""
        path = self._ice.selected
        rtt = self._ice.round_trip_time
        dtls = self.dtls
        return {
            "state": self.state.value,
            "closed": self.closed.reason if self.closed else None,
            "client": f"{path.address[0]}:{path.address[1]}" if path else None,
            "ingress": path.via if path else None,
            "timeline_ms": self.timeline.milliseconds(),
            "ice_round_trip_ms": None if rtt is None else round(rtt * 1000, 1),
            "dtls": None
            if dtls is None or not dtls.is_connected
            else {
                "version": dtls.version,
                "role": self._dtls_role.value,
                "group": dtls.group,
                "cipher_suite": dtls.cipher_suite,
                "srtp_profile": ProtectionProfile(dtls.srtp_profile).name if dtls.srtp_profile else None,
            },
            "media": self.media.describe() if self.media else None,
            "drops": self.all_drops(),
        }

    def all_drops(self) -> dict[str, int]:
        """Count what this session and its layers have dropped, by layer and reason."""
        layers: list[tuple[str, Mapping[str, int]]] = [("session", self.drops), ("ice", self._ice.drops)]
        if self.dtls is not None:
            layers.append(("dtls", self.dtls.drops))
        if self.media is not None:
            layers.append(("media", self.media.drops))
            layers.append(("srtp", self.media.srtp_drops))
        return {f"{layer}.{reason}": count for layer, drops in layers for reason, count in drops.items()}

    # -- STUN

    def _receive_stun(self, data: bytes, source: Path, now: float) -> list[Event]:
        events = self._follow_ice(self._ice.receive_datagram(data, source, now), now)
        # The response to the check leaves before the DTLS flight that it lets out: a browser drops DTLS on a pair
        # that has not succeeded yet.
        self._outgoing.extend(self._ice.datagrams_to_send(now))
        self._collect_dtls(now)
        return self._with_closed(events)

    def _follow_ice(self, ice_events: Iterable[Event], now: float) -> list[Event]:
        events: list[Event] = []
        for event in ice_events:
            match event:
                case PathAppeared():
                    self.timeline.mark(Step.FIRST_CHECK, now)
                    self._path_appeared(event.path, now)
                case PathValidated():
                    self.timeline.mark(Step.PATH_VALIDATED, now)
                    self._path_validated(event.path)
                case PathSelected():
                    self._dtls_path = event.path
                case Closed():
                    self._close(event.reason, event.detail, now)
                    continue
                case _:
                    pass
            events.append(event)
        self._outgoing.extend(self._ice.datagrams_to_send(now))
        return events

    def _path_appeared(self, path: Path, now: float) -> None:
        if self.dtls is not None:
            return
        self._move(Trigger.CHECKED)
        self._dtls_path = path
        self.dtls = DtlsAssociation(
            role=self._dtls_role,
            certificate=self._certificate,
            peer_fingerprints=self._remote.fingerprints,
            options=self._dtls_options,
            entropy=self._entropy,
            now=now,
        )

    def _path_validated(self, path: Path) -> None:
        dtls = self.dtls
        if dtls is None or dtls.is_connected:
            return
        if self._dtls_path is None or not self._ice.is_validated(self._dtls_path):
            self._dtls_path = path
        if self._ice.round_trip_time is not None:
            dtls.set_round_trip_time(self._ice.round_trip_time)

    # -- DTLS

    def _receive_dtls(self, data: bytes, source: Path, now: float) -> list[Event]:
        dtls = self.dtls
        if dtls is None:  # a known path has had PathAppeared, which made the association
            self.drops[DropReason.UNKNOWN_PATH] += 1
            return []
        self._dtls_path = self._dtls_path if dtls.is_connected else source
        events = self._follow_dtls(dtls.receive_datagram(data, now), source, now)
        self._collect_dtls(now)
        return self._with_closed(events)

    def _follow_dtls(self, dtls_events: Iterable[Event], source: Path | None, now: float) -> list[Event]:
        events: list[Event] = []
        for event in dtls_events:
            match event:
                case Connected():
                    events += self._dtls_connected(event, source, now)
                case ApplicationData():
                    pass  # SCTP comes with data channels; until then a stray record is authentic noise
                case Closed():
                    self._collect_dtls(now)  # the alert that says why
                    self._close(event.reason, event.detail, now)
                case _:
                    pass
        return events

    def _dtls_connected(self, event: Connected, source: Path | None, now: float) -> list[Event]:
        if event.srtp_profile is None or self.dtls is None or source is None:
            self._close("no-srtp-profile", "the client negotiated no SRTP protection profile (RFC 5764 §4.1)", now)
            return []
        profile = ProtectionProfile(event.srtp_profile)
        material = self.dtls.export_keying_material(EXPORTER_LABEL, profile.keying_material_length)
        outbound, inbound = split_keying_material(profile, material, is_client=self._dtls_role is Role.CLIENT)
        self.media = Media(
            srtp=SrtpSession(profile, outbound, inbound),
            description=self._description,
            timeline=self.timeline,
            entropy=self._entropy,
            now=now,
            unix_time=now + self._unix_offset,
            options=self._options,
        )
        self._move(Trigger.AUTHENTICATED)
        self.timeline.mark(Step.DTLS_CONNECTED, now)
        # DTLS has completed over this path: its authentication covers our random, which only a real address received.
        events = self._follow_ice(self._ice.path_proven(source, now), now)
        return [*events, Established(path=source)]

    def _dtls_may_repeat(self) -> bool:
        return self._dtls_path is not None and self._ice.is_validated(self._dtls_path)

    def _collect_dtls(self, now: float) -> None:
        """Move DTLS output to its path, as far as the path rule lets it."""
        dtls, path = self.dtls, self._dtls_path
        if dtls is None or path is None:
            return
        if not self._ice.is_validated(path):
            if path in self._flights:
                return  # stays inside the association until the path is validated
            flight = list(dtls.datagrams_to_send(now))
            if flight:
                self._flights.add(path)
        else:
            flight = list(dtls.datagrams_to_send(now))
        self._outgoing.extend((datagram, path) for datagram in flight)

    # -- media

    def _receive_rtp(self, data: bytes, source: Path, media: Media, now: float) -> Iterable[Event]:
        ice = self._ice
        if not ice.knows(source):
            self.drops[DropReason.UNKNOWN_PATH] += 1
            return ()
        reply = media.receive_rtp(data, now)
        if reply is None:
            return ()
        events = ice.authentic_traffic(source, now)
        path = ice.selected
        if path is not None and ice.is_validated(path):
            if reply:
                self._outgoing.append((reply, path))
        else:
            self.drops[DropReason.UNVALIDATED_PATH] += 1
        return self._follow_ice(events, now) if events else ()

    def _receive_rtcp(self, data: bytes, source: Path, media: Media, now: float) -> list[Event]:
        if media.receive_rtcp(data, now):
            return self._with_closed(self._follow_ice(self._ice.authentic_traffic(source, now), now))
        return []

    def _collect_media(self, now: float) -> None:
        media, path = self.media, self._ice.selected
        if media is None or self.closed is not None:
            return
        packets = media.handle_timeout(now)
        if path is not None and self._ice.is_validated(path):
            self._outgoing.extend((packet, path) for packet in packets)

    # -- the end

    def _close(self, reason: str, detail: str, now: float) -> None:
        path = self._ice.selected
        if path is not None and self._ice.is_validated(path):
            if self.media is not None:
                self._outgoing.extend((packet, path) for packet in self.media.goodbye(now))
            if self.dtls is not None and self.dtls.is_connected:
                self.dtls.close()
                self._outgoing.extend((datagram, path) for datagram in self.dtls.datagrams_to_send(now))
        self.closed = Closed(reason=reason, detail=detail)
        self._move(Trigger.ENDED)

    def _with_closed(self, events: list[Event]) -> list[Event]:
        return events if self.closed is None else [*events, self.closed]

    def _move(self, trigger: Trigger) -> None:
        self.state = TRANSITIONS[self.state].get(trigger, self.state)

    # -- timers

    def _schedule(self) -> None:
        due = self._end_at if self.state is State.ESTABLISHED else min(self._give_up_at, self._end_at)
        times = [self._ice.next_timeout()]
        if self.dtls is not None and self._dtls_may_repeat():
            times.append(self.dtls.next_timeout())
        if self.media is not None:
            times.append(self.media.next_timeout())
        self.due = min([due, *(time for time in times if time is not None)])
