"""One call: ICE-lite, DTLS, SRTP and SCTP of one client, composed into a core of its own.

A session has no socket and no clock. Datagrams come in with the path they took, and go out with the path they are to
take; what a layer reports moves the next one on:

    a path, then DTLS (`transport`)   Secured          ->  SRTP has keys, SCTP begins inside of DTLS
    a path is validated               PathSelected     ->  media may flow; our first audio leaves
    application data of DTLS          ApplicationData  ->  data channels
    consent runs out, close_notify, a fatal alert, the end of the call   ->  Closed

Goal: nobody but the client of the offer is heard, and nobody is flooded through us.
Attacker: sends from any address, sees and replays what passes, but does not hold the client's DTLS key.
Rules (DESIGN: the path rule):

* Only a path on which an authenticated check arrived may carry DTLS or media to us; all else is dropped and counted.
* A check proves knowledge of the password, not that its source address is real. So an unvalidated path is sent STUN
  and one DTLS flight at most (`dtls_transport`), never a repetition, and never media: that goes to the selected path,
  which is a validated one by the rules of `stun.paths`, or nowhere.
* Nothing of the peer's is believed before its certificate matched the fingerprint of the offer: SRTP has no keys before
  DTLS reports that.
"""

import math
from collections import Counter
from collections.abc import Iterable

from dtls.certificate import Certificate
from dtls.events import ApplicationData
from dtls.options import DtlsOptions, Role
from stun.lite import IceCredentials, IceLite
from transceiver.audio.adaptation import FRAME_SECONDS
from transceiver.audio.speech_queue import SpeechQueue
from transceiver.data_transport import DataTransport
from transceiver.dtls_transport import DtlsTransport
from transceiver.handover.movable_session import MovableSession
from transceiver.media import Media
from transceiver.media_description import MediaDescription
from transceiver.options import SessionOptions
from transceiver.session_events import DataDescription, DropReason, Established, RemoteDescription
from transceiver.states import TRANSITIONS, State, Trigger
from transceiver.timeline import Step, Timeline
from transceiver.transport import Secured, Transport
from wire.core import Closed, Drops, Entropy, Event, Path
from wire.demux import Kind, kind_of
from wire.errors import LocalProtocolError

__all__ = ["Session", "State"]

_RTP = Kind.RTP


class Session(MovableSession):
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
        outgoing: what is to be sent, each datagram with its path, until `datagrams_to_send` takes it.
        due: when `handle_timeout` wants to be called. A plain attribute, for the worker looks at those of all its
            calls fifty times a second.
        ice: the agent that finds and validates the client's paths.
        media: RTP and RTCP; None before the client is authenticated.
        data_description: what was negotiated about data channels.
        data: the data channels; None before the client is authenticated, and when none were negotiated.
        ceilings: how far we may count with the keys of the call; None for as far as we like.
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
        self._transport = Transport(
            ufrag=ufrag,
            password=password,
            remote=remote,
            role=dtls_role,
            certificate=certificate,
            options=dtls_options,
            timeline=self.timeline,
            entropy=entropy,
            now=now,
        )
        self.outgoing = self._transport.outgoing
        self.ice: IceLite = self._transport.ice
        self.media: Media | None = None
        self.data: DataTransport | None = None
        self.data_description = data
        self.ceilings = None
        self._description = media
        self._speech = speech
        self._hears_at = hears_at
        self._entropy = entropy
        self._options = options
        self._unix_offset = unix_time - now
        self._has_opened = False  # our first audio has left
        self._give_up_at = now + options.connect_timeout
        self._end_at = now + options.max_call
        self._others_due = min(self._give_up_at, self._end_at)  # when anything but media is due
        self.due = self._others_due

    # -- inputs

    def receive_media(self, data: bytes, source: Path, now: float) -> bytes | None:
        """Take a datagram that is RTP over the path that media takes: the hot path, fifty times a second each way.

        Returns:
            What goes back over the same path; empty if nothing does. None when it is for `receive_datagram`, and was
            not looked at further.
        """
        media, carrier = self.media, self.ice.carrier
        if (
            media is None
            or carrier is None
            or source != carrier.path
            or kind_of(data) is not _RTP
            or self.closed is not None
        ):
            return None
        reply = media.receive_rtp(data, now)
        if reply is None:
            return b""
        carrier.heard = now
        return reply

    def receive_datagram(self, data: bytes, source: Path, now: float) -> Iterable[Event]:
        """Take one datagram of the client's (or of somebody who pretends to be)."""
        reply = self.receive_media(data, source, now)
        if reply is not None:
            if reply:
                self.outgoing.append((reply, source))
            return ()
        kind, media = kind_of(data), self.media
        if self.closed is not None:
            return self._drop(DropReason.CLOSED)
        if kind is Kind.STUN:
            events = self._transport.receive_stun(data, source, now)
        elif kind is Kind.UNKNOWN:
            return self._drop(DropReason.UNKNOWN_PROTOCOL)
        elif not self.ice.knows(source):
            return self._drop(DropReason.UNKNOWN_PATH)
        elif kind is Kind.DTLS:
            events = self._transport.receive_dtls(data, source, now)
        elif media is None:
            return self._drop(DropReason.EARLY_MEDIA)
        elif kind is _RTP:
            return self._receive_rtp_elsewhere(data, source, media, now)
        else:
            events = self._transport.heard_on(source, now) if media.receive_rtcp(data, now) else []
        return self._follow(events, now)

    def handle_timeout(self, now: float) -> Iterable[Event]:
        """Do what is due: repetitions, reports, consent, the end of the call."""
        if self.closed is not None or now < self.due:
            return ()
        if now < self._others_due:
            # The hot path: a call with a voice says something fifty times a second.
            self.due = min(self._others_due, self._collect_media(now))
            return ()
        events: list[Event] = []
        if now >= self._give_up_at and not self._is_connected:
            self._close("never-connected", f"no media within {self._options.connect_timeout:g} s", now)
        elif now >= self._end_at:
            self._close("max-call", f"the longest call is {self._options.max_call:g} s", now)
        else:
            events += self._transport.handle_timeout(now)
            if self.data is not None:
                events += self.data.handle_timeout(now)
        return self._follow(events, now)

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
        self._transport.collect(now)
        self._schedule()

    def restart_ice(self, local: IceCredentials, remote: IceCredentials) -> None:
        """Give both ends new ICE credentials; everything above ICE goes on, over the path it has (`stun.lite`)."""
        self.ice.restart(local, remote)

    # -- output

    def datagrams_to_send(self, now: float) -> Iterable[tuple[bytes, Path]]:  # noqa: ARG002 - the core contract
        """Take what is to be sent, each datagram with its path."""
        outgoing = self.outgoing
        if not outgoing:
            return ()
        taken = list(outgoing)
        outgoing.clear()
        return taken

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

    def heard(self, path: Path) -> float | None:
        """When something authentic came over a path last; None for one that is not known."""
        return self.ice.heard(path)

    @property
    def path(self) -> Path | None:
        """The path that media takes to the client."""
        return self.ice.selected

    @property
    def dtls(self) -> DtlsTransport | None:
        """The handshake and where it talks to; None before the first check."""
        return self._transport.dtls

    def _drop(self, reason: DropReason) -> Iterable[Event]:
        self.drops[reason] += 1
        return ()

    # -- what the layers report

    def _follow(self, events: Iterable[Event], now: float) -> list[Event]:
        """Move on with what was reported, and return what is of use to others."""
        told: list[Event] = []
        for event in events:
            match event:
                case Secured():
                    told += self._secured(event, now)
                case ApplicationData():
                    told += self._receive_data(event.data, now)
                case Closed():
                    self._close(event.reason, event.detail, now)
                case _:
                    told.append(event)
            if self.closed is not None:
                break
        if self.closed is not None:
            self._transport.collect(now)  # the alert that says why
            return [*told, self.closed]
        if self.state is State.WAITING and self.dtls is not None:
            self._move(Trigger.CHECKED)
        if self.data is not None:
            self.data.flush(now)
        self._transport.collect(now)
        self._schedule(self._collect_media(now))
        return told

    def _secured(self, event: Secured, now: float) -> list[Event]:
        profile = event.srtp_profile
        if profile is None:
            # RFC 5764 §4.1: without use_srtp from both sides there are no keys for media.
            self._close("no-srtp-profile", "the client negotiated no SRTP protection profile", now)
            return []
        dtls = self.dtls
        assert dtls is not None  # noqa: S101 - it has just reported this
        self.media = Media(
            srtp=self._transport.make_srtp(profile),
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
            self.data = DataTransport(dtls.association, dtls.role, self.data_description, self._entropy, now)
        self._move(Trigger.AUTHENTICATED)
        return [Established(path=event.path)]

    def _receive_data(self, data: bytes, now: float) -> Iterable[Event]:
        if self.data is None:
            return self._drop(DropReason.NO_DATA_CHANNELS)
        return self.data.receive_packet(data, now)

    # -- media

    def _receive_rtp_elsewhere(self, data: bytes, source: Path, media: Media, now: float) -> Iterable[Event]:
        """Take media that did not come over the path that ours takes."""
        reply = media.receive_rtp(data, now)
        if reply is None:
            return ()
        # Media may move to where the client is now, or ICE wants that address proven first.
        events = self._follow(self._transport.heard_on(source, now), now)
        if reply:
            path = self.ice.selected
            if path is not None:
                self.outgoing.append((reply, path))
            else:
                self.drops[DropReason.NO_VALIDATED_PATH] += 1
        return events

    def _collect_media(self, now: float) -> float:
        """Take what media has to send now; return when it wants to be asked again.

        It is not asked while there is no path that it may take: what is to be said waits.
        """
        media, path = self.media, self.ice.selected
        if media is None:
            return math.inf
        if path is None:
            return now + FRAME_SECONDS
        outgoing = self.outgoing
        if not self._has_opened:
            # Behind the flight that completes the handshake.
            self._has_opened = True
            if (packet := media.opening(now)) is not None:
                outgoing.append((packet, path))
        for packet in media.handle_timeout(now):
            outgoing.append((packet, path))
        return media.next_timeout()

    # -- the end

    @property
    def _is_connected(self) -> bool:
        """Whether media has flowed, or could have."""
        return self.state is State.ESTABLISHED and self._transport.is_reachable

    def _close(self, reason: str, detail: str, now: float) -> None:
        path = self.ice.selected
        if path is not None:
            if self.media is not None:
                self.outgoing.extend((packet, path) for packet in self.media.goodbye(now))
            if self.data is not None:
                self.data.close(now)
            self._transport.close(now)
        self._end(reason, detail)

    def _end(self, reason: str, detail: str) -> None:
        if self.media is not None:
            self.media.close()
        self.closed = Closed(reason=reason, detail=detail)
        self._move(Trigger.ENDED)

    def _move(self, trigger: Trigger) -> None:
        self.state = TRANSITIONS[self.state].get(trigger, self.state)

    # -- timers

    def _schedule(self, media_due: float | None = None) -> None:
        due = self._end_at if self._is_connected else min(self._give_up_at, self._end_at)
        if (when := self._transport.next_timeout()) is not None:
            due = min(due, when)
        if self.data is not None and (when := self.data.next_timeout()) is not None:
            due = min(due, when)
        self._others_due = due
        self.due = min(due, self.due if media_due is None else media_due)
