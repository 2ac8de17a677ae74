"""The backends that answer calls: their keys, the rules of these, and what a transceiver is told."""

from collections.abc import Iterator, Mapping, Sequence

import attrs

from edge.config.problems import Problem, describe
from transceiver.agents.options import RATES
from transceiver.backends.choice import Backends
from transceiver.backends.settings import BackendKind, BackendSettings, Dialect, parse_use

__all__ = ["BackendConfig", "backends_of", "check_backends", "warnings_about_backends", "with_api_keys"]

_ALL = ("*",)


@attrs.frozen(kw_only=True)
class BackendConfig:
    """A backend that answers calls; in short form "USE" or "MODEL=USE".

    Attributes:
        use: what answers: "parrot", a small agent that says back what it hears; "echo", which sends audio back as it
            comes; "agent:MODULE:FUNCTION", a Python function; or "realtime:wss://HOST/PATH", a server of the OpenAI
            Realtime protocol.
        name: a name for logs, and for transceiver.backend.
        models: models that it answers for, with "*" and "?" as in file names.
        input_rate: sample rate of what it hears: 8000, 16000, 24000 or 48000 Hz.
        output_rate: sample rate of what it speaks; the same as input_rate for an agent.
        api_key: realtime only: key for the server; "$NAME" takes it from the environment variable NAME.
        key_header: realtime only: header that carries the key; "authorization" as a bearer, Azure wants "api-key".
        model: realtime only: model to ask the server for, instead of the caller's.
        dialect: realtime only: shape of the server's events: "ga", "beta", or "auto" to find out.
        connect_timeout: realtime only: seconds in which the server must be connected.
        reconnect: realtime only: how often in a row a server that was lost is tried again, with the conversation told
            to it anew; 0 to end the conversation.
        voices: realtime only: names of voices, each as "CLIENT=SERVER"; "*=SERVER" for all others.
        strip: realtime only: fields of a client's session configuration that the server would refuse.
        client_events: events that the caller's client may send, with "response.*" for all that begin so.
        server_events: events that the caller's client gets; errors and session.created always come.
        hides_configuration: whether instructions and tools are kept from the caller's client.
    """

    use: str
    name: str = ""
    models: tuple[str, ...] = _ALL
    input_rate: int = 24_000
    output_rate: int = 24_000
    api_key: str = attrs.field(default="", repr=False)
    key_header: str = "authorization"
    model: str | None = None
    dialect: str = "auto"
    connect_timeout: float = 10.0
    reconnect: int = 0
    voices: tuple[str, ...] = ()
    strip: tuple[str, ...] = (
        "tracing",
        "prompt",
        "include",
        "truncation",
        "reasoning",
        "audio.input.noise_reduction",
    )
    client_events: tuple[str, ...] = _ALL
    server_events: tuple[str, ...] = _ALL
    hides_configuration: bool = False


_REALTIME_ONLY = (
    "api_key",
    "key_header",
    "model",
    "dialect",
    "connect_timeout",
    "reconnect",
    "voices",
    "strip",
)


def with_api_keys(
    backends: Sequence[BackendConfig], environ: Mapping[str, str]
) -> tuple[tuple[BackendConfig, ...], tuple[Problem, ...]]:
    """Put the values of environment variables where `api_key` names one.

    Returns:
        The backends, and a problem for each variable that is not there.
    """
    problems = []
    complete = []
    for index, backend in enumerate(backends):
        if backend.api_key.startswith("$"):
            name = backend.api_key[1:]
            if not environ.get(name):
                right = "Set it, or write the key itself."
                problems.append(Problem(f"backend[{index}].api_key", f"there is no variable {describe(name)}", right))
            backend = attrs.evolve(backend, api_key=environ.get(name, ""))
        complete.append(backend)
    return tuple(complete), tuple(problems)


def warnings_about_backends(backends: Sequence[BackendConfig]) -> Iterator[str]:
    """Find what works, but is probably not meant."""
    for index, backend in enumerate(backends):
        if backend.api_key and backend.use.startswith("realtime:ws:"):
            yield f"backend[{index}].api_key travels unencrypted: its URL begins with ws:, not wss:"


def check_backends(backends: Sequence[BackendConfig], default: str | None) -> Iterator[Problem]:
    """Find what is wrong with the backends, and with `transceiver.backend`."""
    names = [backend.name for backend in backends if backend.name]
    for index, backend in enumerate(backends):
        yield from _check_backend(f"backend[{index}]", backend)
        if backend.name and backend.name in [earlier.name for earlier in backends[:index]]:
            found = f"found {describe(backend.name)} again"
            yield Problem(f"backend[{index}].name", found, "Each backend has a name of its own.")
    if default is not None and default not in names:
        yield from _check_use("transceiver.backend", default, ", or the name of a [[backend]]")


def _check_backend(key: str, backend: BackendConfig) -> Iterator[Problem]:
    wrong_use = list(_check_use(f"{key}.use", backend.use, ""))
    yield from wrong_use
    if _is_use(backend.name):
        right = f"{describe(backend.name)} is a backend already; choose another name."
        yield Problem(f"{key}.name", f"found {describe(backend.name)}", right)
    for name in ("input_rate", "output_rate"):
        if (rate := getattr(backend, name)) not in RATES:
            known = f"{', '.join(map(str, RATES[:-1]))} or {RATES[-1]}"
            yield Problem(f"{key}.{name}", f"found {rate}", f"It should be {known}.")
    if wrong_use:
        return
    if parse_use(backend.use)[0] is BackendKind.REALTIME:
        yield from _check_realtime(key, backend)
        return
    if backend.output_rate != backend.input_rate:
        right = f"An agent hears and speaks at one rate; input_rate is {backend.input_rate}."
        yield Problem(f"{key}.output_rate", f"found {backend.output_rate}", right)
    for name in _REALTIME_ONLY:
        if getattr(backend, name) != getattr(attrs.fields(BackendConfig), name).default:
            right = f"Leave it out, since {describe(backend.use)} is in this process."
            yield Problem(f"{key}.{name}", "it is for realtime: backends only", right)


def _check_realtime(key: str, backend: BackendConfig) -> Iterator[Problem]:
    if not backend.api_key.isascii() or not backend.api_key.isprintable() or " " in backend.api_key:
        right = "A key is sent in a header: printable ASCII, without spaces."
        yield Problem(f"{key}.api_key", "it has characters that a header cannot carry", right)
    if not backend.key_header.isascii() or not backend.key_header.replace("-", "").isalnum():
        right = 'It should be a header\'s name, such as "authorization" or "api-key".'
        yield Problem(f"{key}.key_header", f"found {describe(backend.key_header)}", right)
    if backend.dialect not in tuple(Dialect):
        yield Problem(f"{key}.dialect", f"found {describe(backend.dialect)}", 'It should be "auto", "ga" or "beta".')
    if backend.connect_timeout <= 0:
        found = f"found {backend.connect_timeout:g}"
        yield Problem(f"{key}.connect_timeout", found, "It should be more than 0 seconds.")
    if backend.reconnect < 0:
        yield Problem(f"{key}.reconnect", f"found {backend.reconnect}", "It should be at least 0.")
    for index, voice in enumerate(backend.voices):
        client, equals, server = voice.partition("=")
        if not client or not equals or not server:
            right = 'It should be "CLIENT=SERVER", such as "marin=luna".'
            yield Problem(f"{key}.voices[{index}]", f"found {describe(voice)}", right)


def _check_use(key: str, use: str, further: str) -> Iterator[Problem]:
    try:
        parse_use(use)
    except ValueError as error:
        yield Problem(key, f"found {describe(use)}", f"It should be {error}{further}.")


def _is_use(text: str) -> bool:
    try:
        parse_use(text)
    except ValueError:
        return False
    return True


def backends_of(backends: Sequence[BackendConfig], default: str | None) -> Backends:
    """Tell a transceiver of its backends.

    Args:
        backends: those configured, without problems.
        default: `transceiver.backend`.
    """
    claims = tuple(_settings_of(backend) for backend in backends)
    named = next((settings for settings in claims if settings.name and settings.name == default), None)
    if named is None and default is not None:
        named = _settings_of(BackendConfig(use=default))
    return Backends(claims=claims, default=named)


def _settings_of(backend: BackendConfig) -> BackendSettings:
    kind, target = parse_use(backend.use)
    voices = {client: server for client, _, server in (voice.partition("=") for voice in backend.voices)}
    default_voice = voices.pop("*", None)
    return BackendSettings(
        kind=kind,
        target=target,
        name=backend.name or backend.use.partition(":")[0],
        models=backend.models,
        input_rate=backend.input_rate,
        output_rate=backend.output_rate,
        model=backend.model,
        api_key=backend.api_key,
        key_header=backend.key_header,
        dialect=Dialect(backend.dialect),
        connect_timeout=backend.connect_timeout,
        reconnect=backend.reconnect,
        # An agent in this process knows all fields of the protocol, or leaves them alone.
        unsupported_fields=frozenset(backend.strip) if kind is BackendKind.REALTIME else frozenset(),
        voices=voices,
        default_voice=default_voice,
        client_events=_patterns(backend.client_events),
        server_events=_patterns(backend.server_events),
        hides_configuration=backend.hides_configuration,
    )


def _patterns(patterns: Sequence[str]) -> frozenset[str] | None:
    return None if "*" in patterns else frozenset(patterns)
