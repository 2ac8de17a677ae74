"""One DTLS association: chooses the version, and says when the peer may be believed.

What is here is the same in every version: the life from opening to closing, alerts, application data, the moment at
which a peer counts as authenticated, and snapshots. Handshakes are stages of their own (`stage`).

Goal: nothing that a peer sends, and no key that it shares, gets out before `Connected`; `Connected` comes only when
the handshake is complete *and* the certificate in it has a fingerprint that signalling announced.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Self

from dtls.alerts import AbortError, Alert, AlertDescription, AlertLevel, abort_for
from dtls.certificate import Certificate, Fingerprint
from dtls.channel import HandshakeChannel
from dtls.drops import DropReason
from dtls.engines import restore_established
from dtls.events import ApplicationData, Connected, SecurityParameters
from dtls.groups import Encapsulate, encapsulate_mlkem768
from dtls.opening import ClientOpening, ServerOpening
from dtls.options import DtlsOptions, Role
from dtls.peer_identity import PeerIdentity
from dtls.phases import PHASES, Phase, Trigger
from dtls.record_layer import RecordLayer
from dtls.records import MAX_CONTENT_SIZE, ContentType, Record
from dtls.snapshot import Snapshot
from dtls.stage import Context, Established, Stage
from dtls.versions import Version
from wire.buffer import Reader, Writer
from wire.core import Closed, Drops, Entropy, Event
from wire.errors import LocalProtocolError, MalformedError, RemoteProtocolError

__all__ = ["DtlsAssociation"]

MAX_EARLY_DATA = 8
"""Records of application data held while the handshake is complete and the fingerprint is not known yet."""


class DtlsAssociation:
    """DTLS with one peer, in either role and in the version that both speak; a `wire.core.Core`.

    Commands return nothing: what they make known comes out of the next call of `receive_datagram` or
    `handle_timeout`, for which `next_timeout` is due at once.

    Args:
        role: a client sends its ClientHello at once, a server waits for one.
        certificate: ours.
        peer_fingerprints: what signalling announced; None while it has not (`set_peer_fingerprints` follows).
        options: versions, groups, MTU, timers.
        entropy: returns that many unpredictable bytes.
        now: the present, monotonic, in seconds.
        encapsulate: ML-KEM's encapsulation; has entropy of its own.

    Attributes:
        drops: what was dropped, by `DropReason`.
    """

    def __init__(
        self,
        *,
        role: Role,
        certificate: Certificate,
        peer_fingerprints: Sequence[Fingerprint] | None,
        options: DtlsOptions | None = None,
        entropy: Entropy,
        now: float,
        encapsulate: Encapsulate = encapsulate_mlkem768,
    ) -> None:
        options = DtlsOptions() if options is None else options
        self._set_up(role, options, now)
        if peer_fingerprints is not None:
            self._peer.expect(peer_fingerprints)
        context = Context(
            role=role,
            certificate=certificate,
            options=options,
            entropy=entropy,
            encapsulate=encapsulate,
            peer=self._peer,
            channel=self._channel,
            drops=self.drops,
        )
        self._stage: Stage = ClientOpening(context, now) if role is Role.CLIENT else ServerOpening(context)

    def _set_up(self, role: Role, options: DtlsOptions, now: float) -> None:
        self.drops: Drops = Drops()
        self._role = role
        self._phase = Phase.HANDSHAKE
        self._peer = PeerIdentity()
        self._records = RecordLayer(self.drops)
        self._channel = HandshakeChannel(self._records, options, self.drops)
        self._established: Established | None = None
        self._early_data: list[bytes] = []
        self._events: list[Event] = []
        self._now = now

    # Input -----------------------------------------------------------------------------------------------------------

    def receive_datagram(self, data: bytes, now: float) -> Iterable[Event]:
        """Take one datagram from the peer."""
        self._now = now
        if self._is_closed:
            self.drops[DropReason.AFTER_CLOSE] += 1
            return self._take_events()
        try:
            for record in self._records.receive(data):
                self._receive_record(record, now)
                if self._is_closed:
                    break
        except RemoteProtocolError as error:
            self._abort(abort_for(error))
        return self._take_events()

    def handle_timeout(self, now: float) -> Iterable[Event]:
        """Do what `next_timeout` announced, if it is due."""
        self._now = now
        if self._phase is not Phase.CLOSED:
            try:
                self._stage.handle_timeout(now)
            except AbortError as error:
                self._abort(error)
        return self._take_events()

    def datagrams_to_send(self, now: float) -> Iterable[bytes]:  # noqa: ARG002  (the contract of every core)
        """Take what is to be sent; each datagram is returned once. After closing, the last alert is here."""
        return self._records.take_datagrams()

    def next_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called; in the past when events wait to be fetched."""
        if self._events:
            return self._now
        return None if self._phase is Phase.CLOSED else self._stage.next_timeout()

    # Commands --------------------------------------------------------------------------------------------------------

    def set_peer_fingerprints(self, fingerprints: Sequence[Fingerprint]) -> None:
        """Signalling has announced the peer's fingerprints; any one of the strongest kind may match."""
        if self._phase is Phase.CLOSED:
            return
        try:
            self._peer.expect(fingerprints)
        except AbortError as error:
            self._abort(error)
        else:
            self._verify()

    def set_round_trip_time(self, seconds: float) -> None:
        """A round trip was measured elsewhere; the retransmission timer follows it, the present one too."""
        self._channel.timer.set_round_trip_time(seconds)

    def send(self, data: bytes) -> None:
        """Send application data in one record, which is never fragmented.

        Raises:
            LocalProtocolError: we are not connected, or the data is too large for a record.
        """
        if self._phase is not Phase.CONNECTED:
            raise LocalProtocolError("not connected")
        if len(data) > MAX_CONTENT_SIZE:
            raise LocalProtocolError(f"{len(data)} bytes do not fit a record")
        if self._records.outbound(self._records.sending_epoch).is_exhausted:
            # RFC 9147 §4.5.3: not one record more under this key; a KeyUpdate will come before this.
            self._abort(AbortError(AlertDescription.CLOSE_NOTIFY, "key-exhausted", "the key has protected all it may"))
            return
        self._records.send(ContentType.APPLICATION_DATA, data)

    def close(self) -> None:
        """Say goodbye; nothing is received any more, and no `Closed` follows."""
        if self._phase is not Phase.CLOSED:
            self._send_alert(AlertDescription.CLOSE_NOTIFY)
            self._shut()

    # What is known ---------------------------------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """Whether the peer is authenticated, and neither side has closed."""
        return self._phase is Phase.CONNECTED

    @property
    def role(self) -> Role:
        """Ours."""
        return self._role

    @property
    def agreed(self) -> Connected | None:
        """What `Connected` told; None before, and after the end."""
        security, matched = self._security, self._peer.matched
        return None if security is None or matched is None else _connected(security, matched)

    @property
    def version(self) -> str | None:
        """The name with its number ("DTLS 1.3"); None before `Connected`."""
        return None if self._security is None else self._security.version.label

    @property
    def cipher_suite(self) -> str | None:
        """IANA's name; None before `Connected`."""
        return None if self._security is None else self._security.cipher_suite

    @property
    def group(self) -> str | None:
        """IANA's name; None before `Connected`."""
        return None if self._security is None else self._security.group

    @property
    def srtp_profile(self) -> int | None:
        """The SRTP protection profile; None before `Connected`, or when none was agreed on."""
        return None if self._security is None else self._security.srtp_profile

    def export_keying_material(self, label: str, length: int) -> bytes:
        """Derive keying material for another protocol, without a context.

        Raises:
            LocalProtocolError: we are not connected: keys shared with a stranger are not given out.
        """
        if self._phase is not Phase.CONNECTED or self._established is None:
            raise LocalProtocolError("not connected")
        return self._established.export_keying_material(label.encode("ascii"), length)

    # Moving house ----------------------------------------------------------------------------------------------------

    def next_sequences(self) -> Mapping[int, int]:
        """Return the next record number of each protected epoch that we can send in."""
        return self._records.next_sequences()

    def limit(self, ceilings: Mapping[int, int] | None) -> None:
        """Set the first record number that may not be used, of each protected epoch.

        What would need such a number is dropped and counted: alerts, acknowledgements, data. Ask `room` first.

        Args:
            ceilings: by epoch; one that is not among them may send nothing. None for no ceilings.
        """
        self._records.limit(ceilings)

    @property
    def room(self) -> int:
        """How many records `send` may be called for before the ceiling is reached; 0 after the end."""
        if self._is_closed:
            return 0
        protection = self._records.outbound(self._records.sending_epoch)
        return protection.ceiling - protection.next_sequence

    def snapshot(self, now: float) -> bytes:
        """Return all that another process needs to go on; holds keys.

        Raises:
            LocalProtocolError: we are not connected.
        """
        if self._established is None or self._peer.certificate is None or self._peer.matched is None:
            raise LocalProtocolError("not connected")
        stage, whole = Writer(), Writer()
        self._established.snapshot(stage, now)
        Snapshot(
            role=self._role,
            security=self._established.security,
            peer_certificate=self._peer.certificate,
            matched=self._peer.matched,
            stage=stage.finish(),
        ).serialize(whole)
        return whole.finish()

    def forget(self) -> None:
        """End here without a word: another process goes on. Keys are let go of."""
        self._shut()
        self._records.take_datagrams()

    @classmethod
    def restore(cls, data: bytes, *, now: float, options: DtlsOptions | None = None, sequence_margin: int = 0) -> Self:
        """Go on where `snapshot` left off; the association is connected, and no `Connected` event follows.

        Args:
            data: what `snapshot` returned.
            now: the present here, monotonic, in seconds.
            options: MTU and timers.
            sequence_margin: how many record numbers to skip, because the old owner may have used them since. Less
                than 2^15, or the peer cannot follow (RFC 9147 §4.2.2).

        Raises:
            MalformedError: the data is something else.
        """
        reader = Reader(data)
        snapshot = Snapshot.parse(reader)
        reader.finish("snapshot")
        self = cls.__new__(cls)
        self._set_up(snapshot.role, DtlsOptions() if options is None else options, now)
        self._peer.certificate, self._peer.matched = snapshot.peer_certificate, snapshot.matched
        stage_reader = Reader(snapshot.stage)
        self._established = restore_established(
            stage_reader,
            channel=self._channel,
            drops=self.drops,
            security=snapshot.security,
            sequence_margin=sequence_margin,
            now=now,
        )
        stage_reader.finish("stage")
        self._stage = self._established
        self._phase = Phase.CONNECTED
        self._records.keeps_early_records = False
        self._records.has_authenticated = True
        return self

    @property
    def _security(self) -> SecurityParameters | None:
        return None if self._established is None or not self.is_connected else self._established.security

    # Records ---------------------------------------------------------------------------------------------------------

    def _receive_record(self, record: Record, now: float) -> None:
        content_type = record.content_type
        if content_type == ContentType.APPLICATION_DATA:
            self._receive_data(record)
        elif content_type == ContentType.ALERT:
            self._receive_alert(record)
        else:
            stage = self._stage.receive(record, now)
            if stage is not self._stage:
                self._stage = stage
                self._enter(stage)

    def _enter(self, stage: Stage) -> None:
        if stage.established is not None:
            self._established = stage.established
            self._move(Trigger.FINISHED)
            # No further keys are to come.
            self._records.keeps_early_records = False
            self._verify()

    def _move(self, trigger: Trigger) -> None:
        self._phase = PHASES[self._phase].get(trigger, self._phase)

    def _verify(self) -> None:
        """Believe the peer, once the handshake is complete and its certificate has matched."""
        matched, established = self._peer.matched, self._established
        if self._phase is not Phase.UNVERIFIED or matched is None or established is None:
            return
        self._move(Trigger.MATCHED)
        self._events.append(_connected(established.security, matched))
        self._events += [ApplicationData(data=data) for data in self._early_data]
        self._early_data = []

    def _receive_data(self, record: Record) -> None:
        if record.epoch == 0:
            # RFC 9147 §6.1: application data is never in the clear.
            self.drops[DropReason.UNPROTECTED_RECORD] += 1
        elif self._phase is Phase.CONNECTED:
            self._events.append(ApplicationData(data=record.content))
        elif self._phase is Phase.UNVERIFIED and len(self._early_data) < MAX_EARLY_DATA:
            self._early_data.append(record.content)
        else:
            self.drops[DropReason.EARLY_DATA_OVERFLOW] += 1

    def _receive_alert(self, record: Record) -> None:
        reader = Reader(record.content)
        try:
            alert = Alert.parse(reader)
            reader.finish("Alert")
        except MalformedError:
            self.drops[DropReason.MALFORMED_ALERT] += 1
            return
        if record.epoch == 0 and self._records.has_authenticated:
            # Anybody could have written it, and the peer has keys to say it with.
            self.drops[DropReason.UNPROTECTED_RECORD] += 1
        elif alert.description == AlertDescription.CLOSE_NOTIFY:
            self._send_alert(AlertDescription.CLOSE_NOTIFY)
            self._close("close-notify", "the peer has closed")
        elif alert.description == AlertDescription.USER_CANCELED or (
            alert.level == AlertLevel.WARNING and self._version is not Version.DTLS_1_3
        ):
            # RFC 8446 §6: in 1.3 the level is ignored, and all but these two end the association.
            self.drops[DropReason.IGNORED_ALERT] += 1
        else:
            self._close("peer-alert", AlertDescription.name_of(alert.description))

    @property
    def _version(self) -> Version | None:
        return None if self._established is None else self._established.security.version

    @property
    def _is_closed(self) -> bool:
        return self._phase is Phase.CLOSED

    # Closing ---------------------------------------------------------------------------------------------------------

    def _abort(self, error: AbortError) -> None:
        if error.alert is not None:
            self._send_alert(error.alert)
        self._close(error.reason, error.detail)

    def _close(self, reason: str, detail: str) -> None:
        self._shut()
        self._events.append(Closed(reason=reason, detail=detail))

    def _shut(self) -> None:
        self._move(Trigger.CLOSED)
        self._established = None
        self._early_data = []
        self._records.forget_keys()
        self._channel.forget_flight()
        self._channel.reassembly.clear()

    def _send_alert(self, description: AlertDescription) -> None:
        # RFC 8446 §6: error alerts are fatal, close_notify is sent as a warning.
        level = AlertLevel.WARNING if description is AlertDescription.CLOSE_NOTIFY else AlertLevel.FATAL
        writer = Writer()
        Alert(level=level, description=description).serialize(writer)
        self._records.send(ContentType.ALERT, writer.finish())

    def _take_events(self) -> Iterable[Event]:
        events, self._events = self._events, []
        return events


def _connected(security: SecurityParameters, matched: Fingerprint) -> Connected:
    return Connected(
        version=security.version.label,
        cipher_suite=security.cipher_suite,
        group=security.group,
        srtp_profile=security.srtp_profile,
        peer_fingerprint=matched,
    )
