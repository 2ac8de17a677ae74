"""`CallerSession`: a whole call from the client's side, without sockets, clock or entropy of its own.

    offer ──▶ accept(answer) ──▶ ICE checks ──▶ DTLS handshake ──▶ SRTP both ways ──▶ hang_up
              CHECKING           CHECKING       SECURING           TALKING            CLOSED

It is a `wire.core.MultipathCore` composed of others: `IceControlling`, `DtlsAssociation`, `SrtpSession`,
`DataChannels`. A datagram goes to the one that its first byte names (RFC 7983); what each reports moves the call on.

Audio does not wait for a timer: whoever drives the session asks `media` for it at an even pace.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from dtls.association import DtlsAssociation
from dtls.certificate import Certificate, Fingerprint
from dtls.events import ApplicationData, Connected
from dtls.options import Role
from edge.caller.audio import InboundAudio, OutboundAudio
from edge.caller.description import Answer, AnswerUnusable, make_offer
from edge.caller.events import EventChannel
from edge.caller.fragment import read_fragment, write_fragment
from edge.caller.media import Media
from edge.caller.progress import CallerOptions, DropReason, Heard, Secured, Stage
from edge.caller.silence import SilenceWatch
from srtp.keying import EXPORTER_LABEL, split_keying_material
from srtp.profile import ProtectionProfile
from srtp.session import SrtpSession
from stun.controlling import IceControlling
from stun.events import PathSelected, PathValidated
from wire.core import Closed, Drops, Entropy, Event, Path
from wire.demux import Kind, kind_of
from wire.errors import MalformedError

__all__ = ["CallerSession"]

_ICE_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_UNUSABLE = {Kind.DTLS: DropReason.NOT_STARTED, Kind.RTCP: DropReason.BEFORE_KEYS}


class CallerSession:
    """One call.

    Args:
        certificate: ours; many sessions may share one.
        options: see there.
        unix_time: wall clock at `now`, for RTCP.
        entropy: returns unpredictable bytes.
        now: the present, monotonic.

    Attributes:
        offer: the SDP to send to the server.
        stage: how far the call has come.
        drops: datagrams dropped here; the protocols count their own.
        ice_at: when a path to the server was proven; None before.
        secured_at: when the handshake was over; None before.
        secured: what was negotiated; None before.
        media: audio both ways; None before the handshake is over.
        events: the data channel; None before the handshake is over, and when there is none.
        path: where audio goes; None before a path was proven.
        restarts: how often ICE was restarted.
    """

    def __init__(
        self, *, certificate: Certificate, options: CallerOptions, unix_time: float, entropy: Entropy, now: float
    ) -> None:
        self._certificate = certificate
        self._options = options
        self._entropy = entropy
        self._clock_offset = unix_time - now
        self._ufrag, self._pwd = _ice_text(entropy, 8), _ice_text(entropy, 24)
        self._ssrc = int.from_bytes(entropy(4), "big")
        self._cname = _ice_text(entropy, 16)
        self._fingerprints: list[Fingerprint] = []
        self._answer: Answer | None = None
        self._is_client = True
        self._ice: IceControlling | None = None
        self._dtls: DtlsAssociation | None = None
        self._outgoing: list[tuple[bytes, Path]] = []
        self._silence = SilenceWatch()
        self.stage = Stage.OFFERING
        self.drops: Drops = Counter()
        self.ice_at: float | None = None
        self.secured_at: float | None = None
        self.secured: Secured | None = None
        self.media: Media | None = None
        self.events: EventChannel | None = None
        self.path: Path | None = None
        self.restarts = 0
        self.offer = make_offer(
            ice_ufrag=self._ufrag,
            ice_pwd=self._pwd,
            fingerprint=str(certificate.fingerprint()),
            setup=options.setup,
            session_id=int.from_bytes(entropy(8), "big") >> 1,
            ssrc=self._ssrc,
            cname=self._cname,
            has_data=options.has_events,
        )

    # Commands

    def accept(self, answer: Answer, now: float) -> None:
        """Take the server's answer and start.

        Args:
            answer: what `parse_answer` made of it.
            now: the present.

        Raises:
            AnswerUnusable: no call can be made with it.
        """
        is_client = not answer.is_dtls_client
        if (self._options.setup, is_client) in (("active", False), ("passive", True)):
            raise AnswerUnusable("the answer's a=setup contradicts the offer's")
        try:
            self._fingerprints = [Fingerprint.parse(text) for text in answer.fingerprints]
        except MalformedError as error:
            raise AnswerUnusable(f"the answer's a=fingerprint is malformed: {error}") from error
        self._answer = answer
        self._is_client = is_client
        self._ice = IceControlling(
            local_ufrag=self._ufrag,
            local_pwd=self._pwd,
            remote_ufrag=answer.ice_ufrag,
            remote_pwd=answer.ice_pwd,
            candidates=[(Path((item.host, item.port)), item.priority) for item in answer.candidates],
            entropy=self._entropy,
            now=now,
        )
        self.stage = Stage.CHECKING
        if not is_client:
            self._start_dtls(now)

    def offer_restart(self) -> str:
        """Begin an ICE restart: draw new credentials, and return the fragment that tells the server of them.

        What is under way goes on with the former ones until the server's are there (`accept_restart`).
        """
        self._ufrag, self._pwd = _ice_text(self._entropy, 4), _ice_text(self._entropy, 24)
        return write_fragment(self._ufrag, self._pwd)

    def accept_restart(self, fragment: str, now: float) -> None:
        """Check the server's candidates with the new credentials; audio stays on its path until one of them is chosen.

        Args:
            fragment: what the server said to that of `offer_restart`.
            now: the present.

        Raises:
            AnswerUnusable: it holds no credentials, or no candidate.
        """
        answer = read_fragment(fragment, over_tcp=self._options.over_tcp)
        self._ice = IceControlling(
            local_ufrag=self._ufrag,
            local_pwd=self._pwd,
            remote_ufrag=answer.ice_ufrag,
            remote_pwd=answer.ice_pwd,
            candidates=[(Path((item.host, item.port)), item.priority) for item in answer.candidates],
            entropy=self._entropy,
            now=now,
        )
        self.restarts += 1

    def hang_up(self, now: float) -> None:
        """Say goodbye in every protocol that has a word for it."""
        if self.media is not None and self.path is not None:
            self._outgoing.append((self.media.goodbye(now), self.path))
        if self._dtls is not None:
            if self.events is not None:
                self.events.close(now)
            self._dtls.close()
            self._collect_dtls(now)
        self.stage = Stage.CLOSED

    # Inputs

    def receive_datagram(self, data: bytes, source: Path, now: float) -> Sequence[Event]:
        """Take one datagram that came from `source`."""
        kind = kind_of(data)
        if kind is Kind.RTP:
            return self.receive_rtp(data, now)
        if self._ice is None or self.stage is Stage.CLOSED:
            self.drops[DropReason.NOT_STARTED] += 1
            return ()
        if kind is Kind.STUN:
            return self._follow_ice(self._ice.receive_datagram(data, source, now), now)
        if kind is Kind.DTLS and self._dtls is not None:
            return self._follow_dtls(self._dtls.receive_datagram(data, now), now)
        if kind is Kind.RTCP and self.media is not None:
            self.media.receive_rtcp(data, now)
            return ()
        self.drops[_UNUSABLE.get(kind, DropReason.UNKNOWN_KIND)] += 1
        return ()

    def receive_rtp(self, data: bytes, now: float) -> Sequence[Event]:
        """Take one datagram that is RTP by its first bytes; a short way for the packet that comes most often."""
        if self.media is None:
            self.drops[DropReason.BEFORE_KEYS] += 1
            return ()
        return (Heard(),) if self.media.receive_rtp(data, now) else ()

    def handle_timeout(self, now: float) -> Sequence[Event]:
        """Do what is due."""
        if self.stage is Stage.CLOSED:
            return ()
        events: list[Event] = []
        if self._ice is not None and _is_due(self._ice.next_timeout(), now):
            events.extend(self._follow_ice(self._ice.handle_timeout(now), now))
        if self._ice is not None and _is_due(self._silent_at(), now):
            self._silence.checked()
            self._ice.check_now(now)
        if self._dtls is not None and _is_due(self._dtls.next_timeout(), now):
            events.extend(self._follow_dtls(self._dtls.handle_timeout(now), now))
        if self.events is not None and _is_due(self.events.next_timeout(), now):
            events.extend(self.events.handle_timeout(now))
        if self.media is not None and self.path is not None and self.media.reports.next_at <= now:
            self._outgoing.append((self.media.report(now), self.path))
        return events

    # Outputs

    def datagrams_to_send(self, now: float) -> Iterable[tuple[bytes, Path]]:
        """Take what is to be sent, audio apart, each with its destination."""
        if self._ice is not None and self.stage is not Stage.CLOSED:
            self._outgoing.extend(self._ice.datagrams_to_send(now))
            self._collect_dtls(now)
        taken, self._outgoing = self._outgoing, []
        return taken

    def next_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called."""
        if self.stage is Stage.CLOSED:
            return None
        times = (
            self._ice.next_timeout() if self._ice is not None else None,
            self._dtls.next_timeout() if self._dtls is not None else None,
            self.media.reports.next_at if self.media is not None else None,
            self.events.next_timeout() if self.events is not None else None,
            self._silent_at(),
        )
        return min((time for time in times if time is not None), default=None)

    def _silent_at(self) -> float | None:
        return self._silence.next_at(self.media.inbound.heard_at) if self.media is not None else None

    @property
    def round_trip_time(self) -> float | None:
        """Seconds to the server and back, by the last check of the path; None before one was answered."""
        return self._ice.round_trip_time if self._ice is not None else None

    def dropped(self) -> Drops:
        """Count what was dropped here and in all protocols, by reason."""
        total = Counter(self.drops)
        for core in (self._ice, self._dtls, self.media, self.events):
            if core is not None:
                total.update(core.drops)
        return total

    # ICE, then DTLS, then audio

    def _follow_ice(self, events: Iterable[Event], now: float) -> list[Event]:
        passed: list[Event] = []
        for event in events:
            match event:
                case PathValidated(path=path) | PathSelected(path=path):
                    if self.path is None or isinstance(event, PathSelected):
                        self.path = path
                    self._path_found(now)
                case Closed():
                    self.stage = Stage.CLOSED
            passed.append(event)
        return passed

    def _path_found(self, now: float) -> None:
        if self.ice_at is not None:
            return
        self.ice_at = now
        self.stage = Stage.SECURING
        if self._dtls is None:
            self._start_dtls(now)
        if self._dtls is not None and self.round_trip_time is not None:
            self._dtls.set_round_trip_time(self.round_trip_time)

    def _start_dtls(self, now: float) -> None:
        self._dtls = DtlsAssociation(
            role=Role.CLIENT if self._is_client else Role.SERVER,
            certificate=self._certificate,
            peer_fingerprints=self._fingerprints,
            options=self._options.dtls,
            entropy=self._entropy,
            now=now,
        )

    def _collect_dtls(self, now: float) -> None:
        # Until a path has answered, the handshake waits inside of the association.
        if self._dtls is not None and self.path is not None:
            self._outgoing.extend((data, self.path) for data in self._dtls.datagrams_to_send(now))

    def _follow_dtls(self, events: Iterable[Event], now: float) -> list[Event]:
        passed: list[Event] = []
        for event in events:
            match event:
                case Connected():
                    passed.append(self._secure(now))
                case ApplicationData() if self.events is not None:
                    passed.extend(self.events.receive(event.data, now))
                case Closed():
                    self._collect_dtls(now)  # the alert that says why
                    self.stage = Stage.CLOSED
                    passed.append(event)
        return passed

    def _secure(self, now: float) -> Event:
        dtls = self._dtls
        assert dtls is not None  # noqa: S101 - it has just reported this
        if dtls.srtp_profile is None or self._answer is None:
            self.stage = Stage.CLOSED
            return Closed(reason="no-srtp-profile", detail="the handshake agreed on no SRTP profile")
        profile = ProtectionProfile(dtls.srtp_profile)
        material = dtls.export_keying_material(EXPORTER_LABEL, profile.keying_material_length)
        self.media = Media(
            SrtpSession(profile, *split_keying_material(profile, material, self._is_client)),
            OutboundAudio(
                self._options.clip,
                ssrc=self._ssrc,
                payload_type=self._answer.payload_type,
                extension_ids=self._answer.extension_ids,
                entropy=self._entropy,
            ),
            InboundAudio(self._answer.payload_type, self._options.recording),
            cname=self._cname,
            clock_offset=self._clock_offset,
            now=now,
        )
        if self._options.has_events and self._answer.max_message_size is not None:
            self.events = EventChannel(
                dtls,
                is_dtls_client=self._is_client,
                max_message_size=self._answer.max_message_size,
                entropy=self._entropy,
                now=now,
            )
        self.secured_at = now
        self.stage = Stage.TALKING
        self.secured = Secured(
            version=dtls.version or "",
            cipher_suite=dtls.cipher_suite or "",
            group=dtls.group or "",
            srtp_profile=profile,
            is_client=self._is_client,
        )
        return self.secured


def _is_due(when: float | None, now: float) -> bool:
    return when is not None and when <= now


def _ice_text(entropy: Entropy, length: int) -> str:
    """Make that many characters of the ICE alphabet, six bits of entropy each (RFC 8839 §5.4)."""
    return bytes(_ICE_ALPHABET[byte & 63] for byte in entropy(length)).decode()
