"""What others are told of a call: its state for the log and the page, and what it has dropped."""

from collections.abc import Iterator, Mapping

from srtp.profile import ProtectionProfile
from transceiver.backend_leg import BackendLeg
from transceiver.dtls_transport import DtlsTransport
from transceiver.session import Session
from wire.core import Path

__all__ = ["describe_session", "drops_of"]


def describe_session(session: Session) -> dict[str, object]:
    """Tell a call's state in JSON types, all but what was dropped."""
    path = session.path
    round_trip_time = session.ice.round_trip_time
    return {
        "state": session.state.value,
        "closed": session.closed.reason if session.closed else None,
        "client": _format_address(path) if path else None,
        "ingress": path.via if path else None,
        "timeline_ms": session.timeline.milliseconds(),
        "ice_round_trip_ms": None if round_trip_time is None else round(round_trip_time * 1000, 1),
        "dtls": _describe_dtls(session.dtls) if session.dtls else None,
        "media": session.media.describe() if session.media else None,
        "channels": [channel.label for channel in session.data.channels.channels.values()] if session.data else [],
    }


def drops_of(session: Session, leg: BackendLeg | None = None) -> dict[str, int]:
    """Count what a call and its layers have dropped, by "layer.reason"."""
    counted: dict[str, int] = {}
    for layer, drops in _layers(session, leg):
        if drops:  # mostly not, and this runs for all calls at once when somebody reads the metrics
            counted.update((f"{layer}.{reason}", count) for reason, count in drops.items())
    return counted


def _layers(session: Session, leg: BackendLeg | None) -> Iterator[tuple[str, Mapping[str, int]]]:
    yield "session", session.drops
    yield "ice", session.ice.drops
    if session.dtls is not None:
        yield "dtls", session.dtls.association.drops
        yield "dtls-transport", session.dtls.drops
    if session.media is not None:
        yield "media", session.media.drops
        yield "srtp", session.media.srtp_drops
        if session.media.voice is not None:
            yield "audio", session.media.voice.drops
    if session.data is not None:
        yield "sctp", session.data.channels.drops
    if leg is not None:
        yield from leg.layers().items()


def _describe_dtls(dtls: DtlsTransport) -> Mapping[str, object] | None:
    secured = dtls.secured
    if secured is None:
        return None
    profile = secured.srtp_profile
    return {
        "version": secured.version,
        "role": dtls.role.value,
        "group": secured.group,
        "cipher_suite": secured.cipher_suite,
        "srtp_profile": None if profile is None else ProtectionProfile(profile).name,
    }


def _format_address(path: Path) -> str:
    host, port = path.address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
