"""One call: ICE-lite, DTLS, SRTP and SCTP of one client, composed into a core of its own.

A session has no socket and no clock. Datagrams come in with the path they took, and go out with the path they are to
take; what a layer reports moves the next one on:

    first authenticated check   PathAppeared   ->  the DTLS association is made; one flight may leave
    our own check was answered  PathValidated  ->  DTLS may repeat itself, media may flow
    DTLS completes              Connected      ->  its exporter keys SRTP, SCTP begins inside of it; the path is proven
    consent runs out, close_notify, a fatal alert, the end of the call   ->  Closed

Goal: nobody but the client of the offer is heard, and nobody is flooded through us.
Attacker: sends from any address, sees and replays what passes, but does not hold the client's DTLS key.
Rules (DESIGN: the path rule):

* Only a path on which an authenticated check arrived may carry DTLS or media to us; all else is dropped and counted.
* A check proves knowledge of the password, not that its source address is real. So an unvalidated path is sent STUN
  and one DTLS flight at most (`dtls_transport`), never a repetition, and never media: that goes to the selected path,
  which is a validated one by the rules of `stun.paths`, or nowhere.
* Nothing of the peer's is believed before its certificate matched the fingerprint of the offer: SRTP has no keys before
  DTLS reports `Connected`.
"""

import math
from collections import Counter, deque
from collections.abc import Iterable

from dtls.association import DtlsAssociation
from dtls.certificate import Certificate
from dtls.events import ApplicationData, Connected
from dtls.options import DtlsOptions, Role
from sctp.channels import DataChannels
from srtp.keying import EXPORTER_LABEL, split_keying_material
from srtp.profile import ProtectionProfile
from srtp.session import SrtpSession
from stun.events import PathAppeared, PathExpired, PathSelected, PathValidated
from stun.lite import IceLite
from transceiver.audio.speech_queue import SpeechQueue
from transceiver.data_transport import DataTransport
from transceiver.dtls_transport import DtlsTransport
from transceiver.media import Media
from transceiver.media_description import MediaDescription
from transceiver.options import SessionOptions
from transceiver.session_events import DataClosed, DataDescription, DropReason, Established, RemoteDescription
from transceiver.states import TRANSITIONS, State, Trigger
from transceiver.timeline import Step, Timeline
from wire.core import Closed, Drops, Entropy, Event, Path
from wire.demux import Kind, kind_of
from wire.errors import LocalProtocolError

__all__ = ["TRANSITIONS", "Session", "State", "Trigger"]


class Session:
    """One client's call.

    Args:
        ufrag: our ICE username fragment, which routes.
        password: our ICE password.
        remote: what the offer said of the client.
        media: what was negotiated about the audio.
        data: what was negotiated about data channels; None for none.
        dtls_role: CLIENT when the answer said `a=setup:active`.
        certificate: ours; its fingerprint is in the answer.
        entropy: source of unpredictable bytes.
        now: monotonic seconds.
        unix_time: wall clock at `now`, for the reports of RTCP.
        options: bounds and times.
        dtls_options: versions, groups, profiles.
        speech: what is to be said to the caller, for a call with a voice; None for one with an echo.
        hears_at: sample rate in Hz of the PCM that is made of the caller's audio.

    Attributes:
        drops: what was dropped here; each layer counts its own (`describing.drops_of`).
        timeline: when the steps of the set-up happened.
        state: how far the call has come.
        closed: how it ended; None before.
        due: when `handle_timeout` wants to be called. A plain attribute, for the worker looks at those of all its
            calls fifty times a second.
        ice: the agent that finds and validates the client's paths.
        dtls: the handshake and where it talks to; None before the first check.
        media: RTP and RTCP; None before the client is authenticated.
        data_description: what was negotiated about data channels.
        data: the data channels; None before the client is authenticated, and when none were negotiated.
    """

    def __init__(
        self,
        *,
        ufrag: str,
        password: str,
        remote: RemoteDescription,
        media: MediaDescription,
        data: DataDescription | None,
        dtls_role: Role,
        certificate: Certificate,
        entropy: Entropy,
        now: float,
        unix_time: float,
        options: SessionOptions,
        dtls_options: DtlsOptions,
        speech: SpeechQueue | None = None,
        hears_at: int = 24000,
    ) -> None:
        self.drops: Drops = Counter()
        self.timeline = Timeline()
        self.timeline.mark(Step.CREATED, now)
        self.state = State.WAITING
        self.closed: Closed | None = None
        self.ice = IceLite(
            local_ufrag=ufrag,
            local_pwd=password,
            remote_ufrag=remote.ufrag,
            remote_pwd=remote.password,
            entropy=entropy,
            now=now,
        )
        self.dtls: DtlsTransport | None = None
        self.media: Media | None = None
        self.data: DataTransport | None = None
        self._is_reachable = False  # some path was validated
        self._has_opened = False  # our first audio has left
        self._fingerprints = remote.fingerprints
        self._description = media
        self.data_description = data
        self._speech = speech
        self._hears_at = hears_at
        self._dtls_role = dtls_role
        self._dtls_options = dtls_options
        self._certificate = certificate
        self._entropy = entropy
        self._options = options
        self._unix_offset = unix_time - now
        self._give_up_at = now + options.connect_timeout
        self._end_at = now + options.max_call
        self._outgoing: deque[tuple[bytes, Path]] = deque()
        self._others_due = min(self._give_up_at, self._end_at)  # when anything but media is due
        self._media_due = math.inf
        self.due = self._others_due

    # -- inputs

    def receive_datagram(self, data: bytes, source: Path, now: float) -> Iterable[Event]:
        """Take one datagram of the client's (or of somebody who pretends to be)."""
        kind = kind_of(data)
        media = self.media
        # The hot path: media of an established call, fifty times a second each way.
        if kind is Kind.RTP and media is not None and self.closed is None:
            return self._receive_rtp(data, source, media, now)
        if self.closed is not None:
            return self._drop(DropReason.CLOSED)
        if kind is Kind.STUN:
            events = self._receive_stun(data, source, now)
        elif kind is Kind.UNKNOWN:
            return self._drop(DropReason.UNKNOWN_PROTOCOL)
        elif not self.ice.knows(source):
            return self._drop(DropReason.UNKNOWN_PATH)
        elif kind is Kind.DTLS:
            events = self._receive_dtls(data, source, now)
        elif media is None:
            return self._drop(DropReason.EARLY_MEDIA)
        else:
            events = self._receive_rtcp(data, source, media, now)
        self._schedule()
        return self._with_closed(events)

    def handle_timeout(self, now: float) -> Iterable[Event]:
        """Do what is due: repetitions, reports, consent, the end of the call."""
        if self.closed is not None or now < self.due:
            return ()
        if now < self._others_due:
            # The hot path: a call with a voice says something fifty times a second.
            self._collect_media(now)
            self.due = min(self._others_due, self._media_due)
            return ()
        events: list[Event] = []
        if now >= self._give_up_at and not self._is_connected:
            self._close("never-connected", f"no media within {self._options.connect_timeout:g} s", now)
        elif now >= self._end_at:
            self._close("max-call", f"the longest call is {self._options.max_call:g} s", now)
        else:
            events += self._follow_ice(self.ice.handle_timeout(now), now)
            events += self._handle_dtls_timeout(now)
            events += self._handle_data_timeout(now)
            self._collect_media(now)
        self._schedule()
        return self._with_closed(events)

    # -- commands

    def close(self, reason: str, now: float, detail: str = "") -> None:
        """End the call: say goodbye to the client where it can be reached. What leaves is due at once."""
        if self.closed is None:
            self._close(reason, detail, now)

    def send_message(self, channel_id: int, message: str | bytes, now: float) -> None:
        """Send a message to the client over a data channel.

        Raises:
            LocalProtocolError: the channel is not open, the client takes no message so long, or too much waits already.
        """
        if self.data is None or self.closed is not None:
            raise LocalProtocolError("there are no data channels")
        self.data.send_message(channel_id, message, now)
        self.data.flush(now)
        self._collect_dtls(now)
        self._schedule()

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
        return self.ice.knows(path)

    def is_validated(self, path: Path) -> bool:
        """Whether the path's address is proven to be real."""
        return self.ice.is_validated(path)

    @property
    def path(self) -> Path | None:
        """The path that media takes to the client."""
        return self.ice.selected

    def _drop(self, reason: DropReason) -> Iterable[Event]:
        self.drops[reason] += 1
        return ()

    # -- STUN

    def _receive_stun(self, data: bytes, source: Path, now: float) -> list[Event]:
        events = self._follow_ice(self.ice.receive_datagram(data, source, now), now)
        # The response to the check leaves before the DTLS flight that it lets out: a browser drops DTLS on a pair
        # that has not succeeded yet.
        self._collect_dtls(now)
        self._open_media(now)
        return events

    def _follow_ice(self, ice_events: Iterable[Event], now: float) -> list[Event]:
        events: list[Event] = []
        for event in ice_events:
            match event:
                case PathAppeared():
                    self.timeline.mark(Step.FIRST_CHECK, now)
                    self._path_appeared(event.path, now)
                case PathValidated():
                    self.timeline.mark(Step.PATH_VALIDATED, now)
                    self._is_reachable = True
                    if self.dtls is not None:
                        self.dtls.path_validated(event.path, self.ice.round_trip_time)
                case PathSelected():
                    if self.dtls is not None:
                        self.dtls.path_selected(event.path)
                case PathExpired():
                    if self.dtls is not None:
                        self.dtls.path_expired(event.path)
                case Closed():
                    self._close(event.reason, event.detail, now)
                    continue
                case _:
                    pass
            events.append(event)
        self._outgoing.extend(self.ice.datagrams_to_send(now))
        return events

    def _path_appeared(self, path: Path, now: float) -> None:
        if self.dtls is not None:
            return
        self._move(Trigger.CHECKED)
        association = DtlsAssociation(
            role=self._dtls_role,
            certificate=self._certificate,
            peer_fingerprints=self._fingerprints,
            options=self._dtls_options,
            entropy=self._entropy,
            now=now,
        )
        self.dtls = DtlsTransport(association, self._dtls_role, path, self.ice.is_validated)

    # -- DTLS

    def _receive_dtls(self, data: bytes, source: Path, now: float) -> list[Event]:
        dtls = self.dtls
        assert dtls is not None  # noqa: S101 - a known path has appeared, and the first to appear made it
        events = self._follow_dtls(dtls, dtls.receive_datagram(data, source, now), source, now)
        self._collect_dtls(now)
        self._open_media(now)
        return events

    def _handle_dtls_timeout(self, now: float) -> list[Event]:
        dtls = self.dtls
        if dtls is None or dtls.path is None or self.closed is not None:
            return []
        events = self._follow_dtls(dtls, dtls.handle_timeout(now), dtls.path, now)
        self._collect_dtls(now)
        return events

    def _follow_dtls(self, dtls: DtlsTransport, dtls_events: Iterable[Event], source: Path, now: float) -> list[Event]:
        events: list[Event] = []
        for event in dtls_events:
            match event:
                case Connected():
                    events += self._dtls_connected(dtls, event, source, now)
                case ApplicationData():
                    events += self._follow_ice(self.ice.authentic_traffic(source, now), now)
                    if self.data is not None:
                        events += self._follow_data(self.data, self.data.receive_packet(event.data, now), now)
                    else:
                        self.drops[DropReason.NO_DATA_CHANNELS] += 1
                case Closed():
                    self._collect_dtls(now)  # the alert that says why
                    self._close(event.reason, event.detail, now)
                case _:
                    pass
        return events

    def _dtls_connected(self, dtls: DtlsTransport, event: Connected, source: Path, now: float) -> list[Event]:
        events = self._follow_ice(self.ice.path_proven(source, now), now) if dtls.proves(source) else []
        if event.srtp_profile is None:
            # RFC 5764 §4.1: without use_srtp from both sides there are no keys for media.
            self._close("no-srtp-profile", "the client negotiated no SRTP protection profile", now)
            return events
        profile = ProtectionProfile(event.srtp_profile)
        material = dtls.association.export_keying_material(EXPORTER_LABEL, profile.keying_material_length)
        outbound, inbound = split_keying_material(profile, material, is_client=self._dtls_role is Role.CLIENT)
        self.media = Media(
            srtp=SrtpSession(profile, outbound, inbound),
            description=self._description,
            timeline=self.timeline,
            entropy=self._entropy,
            now=now,
            unix_time=now + self._unix_offset,
            options=self._options,
            speech=self._speech,
            hears_at=self._hears_at,
        )
        if self.data_description is not None:
            channels = DataChannels(
                is_dtls_client=self._dtls_role is Role.CLIENT,
                max_message_size=self.data_description.max_message_size,
                entropy=self._entropy,
                now=now,
            )
            self.data = DataTransport(dtls.association, channels)
            self.data.flush(now)
        self._move(Trigger.AUTHENTICATED)
        self.timeline.mark(Step.DTLS_CONNECTED, now)
        return [*events, Established(path=source)]

    # -- data channels

    def _handle_data_timeout(self, now: float) -> list[Event]:
        data = self.data
        if data is None or self.closed is not None:
            return []
        return self._follow_data(data, data.handle_timeout(now), now)

    def _follow_data(self, data: DataTransport, data_events: Iterable[Event], now: float) -> list[Event]:
        data.flush(now)
        self._collect_dtls(now)
        # The call may go on without channels; whoever listens to them decides.
        return [
            DataClosed(reason=event.reason, detail=event.detail) if isinstance(event, Closed) else event
            for event in data_events
        ]

    def _collect_dtls(self, now: float) -> None:
        if self.dtls is not None:
            self._outgoing.extend(self.dtls.datagrams_to_send(now))

    # -- media

    def _receive_rtp(self, data: bytes, source: Path, media: Media, now: float) -> Iterable[Event]:
        ice = self.ice
        path = ice.selected
        is_usual = source == path
        if not is_usual and not ice.knows(source):
            return self._drop(DropReason.UNKNOWN_PATH)
        reply = media.receive_rtp(data, now)
        if reply is None:
            return ()
        events = ice.authentic_traffic(source, now)
        if not is_usual:
            # Media may move to where the client is now, or ICE wants that address proven first.
            events = self._follow_ice(events, now)
            self._schedule()
            path = ice.selected
        if reply:
            if path is not None:
                self._outgoing.append((reply, path))
            else:
                self.drops[DropReason.NO_VALIDATED_PATH] += 1
        return events

    def _open_media(self, now: float) -> None:
        """Send our first audio as soon as it may be sent: behind the flight that completes the handshake."""
        path = self.ice.selected
        if self._has_opened or self.media is None or path is None or self.closed is not None:
            return
        self._has_opened = True
        packet = self.media.opening(now)
        if packet is not None:
            self._outgoing.append((packet, path))

    def _receive_rtcp(self, data: bytes, source: Path, media: Media, now: float) -> list[Event]:
        if not media.receive_rtcp(data, now):
            return []
        return self._follow_ice(self.ice.authentic_traffic(source, now), now)

    def _collect_media(self, now: float) -> None:
        if self.media is None or self.closed is not None:
            return
        path = self.ice.selected
        for packet in self.media.handle_timeout(now):
            if path is not None:
                self._outgoing.append((packet, path))
        self._media_due = self.media.next_timeout()

    # -- the end

    @property
    def _is_connected(self) -> bool:
        """Whether media has flowed, or could have."""
        return self.state is State.ESTABLISHED and self._is_reachable

    def _close(self, reason: str, detail: str, now: float) -> None:
        path = self.ice.selected
        if path is not None:
            if self.media is not None:
                self._outgoing.extend((packet, path) for packet in self.media.goodbye(now))
            if self.dtls is not None:
                if self.data is not None:
                    self.data.close(now)
                self.dtls.association.close()
                self._collect_dtls(now)
        if self.media is not None:
            self.media.close()
        self.closed = Closed(reason=reason, detail=detail)
        self._move(Trigger.ENDED)

    def _with_closed(self, events: list[Event]) -> list[Event]:
        return events if self.closed is None else [*events, self.closed]

    def _move(self, trigger: Trigger) -> None:
        self.state = TRANSITIONS[self.state].get(trigger, self.state)

    # -- timers

    def _schedule(self) -> None:
        times = [self._end_at if self._is_connected else min(self._give_up_at, self._end_at)]
        if (when := self.ice.next_timeout()) is not None:
            times.append(when)
        if self.dtls is not None and (when := self.dtls.next_timeout()) is not None:
            times.append(when)
        if self.data is not None and (when := self.data.next_timeout()) is not None:
            times.append(when)
        self._others_due = self.due = min(times)
        if self.media is not None:
            self._media_due = self.media.next_timeout()
            self.due = min(self._others_due, self._media_due)
