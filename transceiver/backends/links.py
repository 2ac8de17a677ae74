"""From a backend's settings to what a call needs of it: a connection, and what the bridge is to know."""

from transceiver.agents.loading import load_agent
from transceiver.backends.agent import AgentLink
from transceiver.backends.choice import Backends
from transceiver.backends.contract import BackendLink
from transceiver.backends.realtime import RealtimeLink
from transceiver.backends.realtime_options import RealtimeOptions
from transceiver.backends.settings import BackendKind, BackendSettings, Dialect
from transceiver.backends.tunnel_ticket import Reading
from transceiver.backends.tunnelled import OpenTunnel, TunnelledLink
from transceiver.realtime.options import BackendProfile, BridgeOptions
from wire.core import Entropy

__all__ = ["bridge_options", "check_agents", "make_link", "make_tunnelled_link", "profile_of"]


def make_link(settings: BackendSettings, model: str | None, entropy: Entropy) -> BackendLink:
    """Make a link that is not connected yet.

    Args:
        settings: of a backend that is not the echo.
        model: what the caller asked for.
        entropy: source of unpredictable bytes.

    Raises:
        AgentNotFound: there is no such agent; `check_agents` tells so at the start.
    """
    if settings.kind is BackendKind.AGENT:
        return AgentLink(load_agent(settings.target), entropy=entropy, model=model or "", rate=settings.input_rate)
    return RealtimeLink(_realtime_options(settings, model))


def make_tunnelled_link(settings: BackendSettings, open_tunnel: OpenTunnel, reading: Reading) -> TunnelledLink:
    """Make a link that goes on with a connection of another process's.

    Args:
        settings: of the backend, which is a server.
        open_tunnel: opens the way to it.
        reading: how far the other process has read.
    """
    return TunnelledLink(_realtime_options(settings, None), open_tunnel, reading)


def _realtime_options(settings: BackendSettings, model: str | None) -> RealtimeOptions:
    return RealtimeOptions(
        url=settings.target,
        model=settings.model or model,
        api_key=settings.api_key,
        key_header=settings.key_header,
        is_beta=None if settings.dialect is Dialect.AUTO else settings.dialect is Dialect.BETA,
        input_rate=settings.input_rate,
        output_rate=settings.output_rate,
        connect_timeout=settings.connect_timeout,
    )


def check_agents(backends: Backends) -> None:
    """Import all agents, so that a wrong name is told at the start and not by the first call.

    Raises:
        AgentNotFound: one is not there; the text says what is there instead.
    """
    default = () if backends.default is None else (backends.default,)
    for settings in (*backends.claims, *default):
        if settings.kind is BackendKind.AGENT:
            load_agent(settings.target)


def profile_of(settings: BackendSettings) -> BackendProfile:
    """Tell what a backend understands."""
    if settings.kind is BackendKind.AGENT:
        return BackendProfile(
            input_rate=settings.input_rate,
            output_rate=settings.output_rate,
            unsupported_fields=frozenset(),
            turn_detection_types=frozenset({"server_vad", "semantic_vad", "none"}),
            hears_dtmf=True,
        )
    return BackendProfile(
        input_rate=settings.input_rate,
        output_rate=settings.output_rate,
        unsupported_fields=settings.unsupported_fields,
        voices=settings.voices,
        default_voice=settings.default_voice,
    )


def bridge_options(settings: BackendSettings, max_client_message: int) -> BridgeOptions:
    """Tell how the bridge to a backend behaves.

    Args:
        settings: of the backend.
        max_client_message: the longest message that the client takes, in bytes.
    """
    return BridgeOptions(
        backend=profile_of(settings),
        # An agent in this process is handed each piece as it comes, for it costs next to nothing.
        append_ms=20 if settings.kind is BackendKind.AGENT else 40,
        client_events=settings.client_events,
        server_events=settings.server_events,
        hides_configuration=settings.hides_configuration,
        max_client_message=max_client_message,
    )
