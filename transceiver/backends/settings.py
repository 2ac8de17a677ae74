"""What a transceiver is told of a backend: where it is, for which models it answers, and what it understands."""

import enum
from collections.abc import Mapping
from urllib.parse import urlsplit

import attrs

__all__ = ["PARROT", "BackendKind", "BackendSettings", "Dialect", "parse_use"]

PARROT = "transceiver.agents.parrot:parrot"
"""The agent that "parrot" is short for."""


class BackendKind(enum.StrEnum):
    """How a backend is reached."""

    ECHO = "echo"
    """`transceiver.backends.echo`: packets go back as they came."""

    AGENT = "agent"
    """`transceiver.backends.agent`: a function in this process."""

    REALTIME = "realtime"
    """`transceiver.backends.realtime`: a server of the Realtime protocol, by WebSocket."""


class Dialect(enum.StrEnum):
    """Which shape of the Realtime protocol a server speaks."""

    AUTO = "auto"
    GA = "ga"
    BETA = "beta"


@attrs.frozen(kw_only=True)
class BackendSettings:
    """One backend. What is for `REALTIME` only means nothing to the others.

    Attributes:
        kind: how it is reached.
        target: an agent's "module:function", or a server's URL; empty for the echo.
        name: what people call it; need not be unique.
        models: patterns of the models that it answers for, as in file names ("gpt-*").
        input_rate: sample rate in Hz of what it hears.
        output_rate: of what it speaks; an agent hears and speaks at one rate.
        model: what the server is asked for; None for the model that the caller asked for.
        api_key: shown to the server; empty for none.
        key_header: the header that carries the key; "authorization" as a bearer.
        dialect: the shape that the server speaks.
        connect_timeout: seconds until it must be connected.
        reconnect: how often in a row a lost server is tried again; 0 for never.
        unsupported_fields: session fields that are not passed on, dotted.
        voices: the server's name for a voice, by the client's.
        default_voice: the server's name for all others; None passes them on.
        client_events: patterns of the events that the caller's client may send; None for all.
        server_events: patterns of the events that it gets; None for all.
        hides_configuration: whether instructions and tools are kept from the client.
    """

    kind: BackendKind
    target: str = ""
    name: str = ""
    models: tuple[str, ...] = ("*",)
    input_rate: int = 24_000
    output_rate: int = 24_000
    model: str | None = None
    api_key: str = attrs.field(default="", repr=False)
    key_header: str = "authorization"
    dialect: Dialect = Dialect.AUTO
    connect_timeout: float = 10.0
    reconnect: int = 0
    unsupported_fields: frozenset[str] = frozenset()
    voices: Mapping[str, str] = attrs.field(factory=dict)
    default_voice: str | None = None
    client_events: frozenset[str] | None = None
    server_events: frozenset[str] | None = None
    hides_configuration: bool = False


def parse_use(use: str) -> tuple[BackendKind, str]:
    """Read how a backend is written: "echo", "parrot", "agent:MODULE:FUNCTION" or "realtime:URL".

    Returns:
        Its kind and its target.

    Raises:
        ValueError: it is none of these; the text says what would be right, to complete "it should be …".
    """
    if use == "echo":
        return BackendKind.ECHO, ""
    if use == "parrot":
        return BackendKind.AGENT, PARROT
    kind, colon, target = use.partition(":")
    if kind == "agent" and colon:
        if not _is_agent(target):
            raise ValueError('"agent:MODULE:FUNCTION", such as "agent:my_agents.support:agent"')
        return BackendKind.AGENT, target
    if kind == "realtime" and colon:
        if not _is_socket_url(target):
            raise ValueError('"realtime:URL" with a WebSocket\'s URL, such as "realtime:wss://host/v1/realtime"')
        return BackendKind.REALTIME, target
    raise ValueError('"parrot", "echo", "agent:MODULE:FUNCTION" or "realtime:wss://HOST/PATH"')


def _is_agent(target: str) -> bool:
    module, colon, function = target.partition(":")
    return bool(colon) and all(part.isidentifier() for name in (module, function) for part in name.split("."))


def _is_socket_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a bracket that is not closed
        return False
    is_plain = "@" not in parts.netloc and not parts.fragment and url.isprintable() and " " not in url
    return parts.scheme in {"ws", "wss"} and has_host and is_plain
