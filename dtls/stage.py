"""What an association is doing: opening, shaking hands in one version, or established.

Each stage is an object; taking a record returns the stage that goes on, usually itself. So what a handshake needed is
gone with its stage.

    ServerOpening ── ClientHello whole, version chosen ──▶ Server13 or Server12 ── Finished ──▶ Established13 or …12
    ClientOpening ── ServerHello (or HelloVerifyRequest) ─▶ Client13 or Client12 ── Finished ──▶ Established13 or …12
"""

from typing import Protocol

import attrs

from dtls.certificate import Certificate
from dtls.channel import HandshakeChannel
from dtls.events import SecurityParameters
from dtls.groups import Encapsulate
from dtls.options import DtlsOptions
from dtls.peer_identity import PeerIdentity
from dtls.records import Record
from dtls.versions import Role
from wire.buffer import Writer
from wire.core import Drops, Entropy

__all__ = ["Context", "Established", "Stage"]


@attrs.frozen(kw_only=True)
class Context:
    """What all stages of one association share until it is established.

    Attributes:
        role: who sends the ClientHello.
        certificate: ours.
        options: as the caller gave them.
        entropy: from outside.
        encapsulate: ML-KEM's encapsulation, from outside.
        peer: who the peer is; `peer.present` has to be called with its certificate.
        channel: what carries handshake messages.
        drops: where dropped records are counted.
    """

    role: Role
    certificate: Certificate
    options: DtlsOptions
    entropy: Entropy
    encapsulate: Encapsulate
    peer: PeerIdentity
    channel: HandshakeChannel
    drops: Drops


class Stage(Protocol):
    """One stage of an association's life.

    Alerts, application data, closing and fingerprints are the association's business; a stage sees handshake, ACK and
    change_cipher_spec records only.
    """

    @property
    def established(self) -> "Established | None":
        """Itself, when the handshake is complete and all but the fingerprint is checked."""

    def receive(self, record: Record, now: float) -> "Stage":
        """Take a record; return the stage that goes on.

        Raises:
            RemoteProtocolError: the handshake is over; an `AbortError` says which alert to send.
        """

    def next_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called."""

    def handle_timeout(self, now: float) -> None:
        """Do what is due.

        Raises:
            AbortError: the peer has been silent for too long.
        """


class Established(Stage, Protocol):
    """The stage after the handshake."""

    @property
    def security(self) -> SecurityParameters:
        """What was agreed on."""

    def export_keying_material(self, label: bytes, length: int) -> bytes:
        """Derive keying material without a context (RFC 8446 §7.5, RFC 5705)."""

    def snapshot(self, writer: Writer, now: float) -> None:
        """Write all that the stage needs to go on elsewhere; ages, never an absolute time."""
