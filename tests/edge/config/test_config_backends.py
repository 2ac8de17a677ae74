"""Backends in a configuration: how they are written, what is wrong with them, and what a transceiver is told."""

from functools import partial
from pathlib import Path

import pytest

from edge.config.backends import BackendConfig, backends_of
from edge.config.check import check, warnings_about
from edge.config.embedded import embedded_tree
from edge.config.load import load, structure
from edge.config.model import Config, Role
from edge.config.problems import ConfigError
from transceiver.backends.choice import Backends, choose_backend
from transceiver.backends.settings import PARROT, BackendKind, BackendSettings, Dialect, parse_use

FILE = """
[[backend]]
name = "openai"
use = "realtime:wss://api.openai.com/v1/realtime"
models = ["gpt-*"]
api_key = "$OPENAI_API_KEY"
dialect = "ga"
reconnect = 3
voices = ["marin=cedar", "*=ash"]
strip = ["tracing"]
client_events = ["response.*", "session.update"]
hides_configuration = true

[[backend]]
use = "agent:my.agents:support"
models = ["support"]
input_rate = 16000
output_rate = 16000

[transceiver]
backend = "openai"
"""


def loaded(text: str, path: Path, **environ: str) -> Config:
    path.write_text(text)
    return load(path=path, environ=environ, defaults=partial(embedded_tree, None)).config


def told(config: Config) -> Backends:
    assert config.transceiver is not None
    return backends_of(config.backend, config.transceiver.backend)


def test_tables_become_settings(tmp_path: Path) -> None:
    backends = told(loaded(FILE, tmp_path / "c.toml", OPENAI_API_KEY="sk-1"))
    openai, support = backends.claims
    assert openai == BackendSettings(
        kind=BackendKind.REALTIME,
        target="wss://api.openai.com/v1/realtime",
        name="openai",
        models=("gpt-*",),
        api_key="sk-1",
        dialect=Dialect.GA,
        reconnect=3,
        voices={"marin": "cedar"},
        default_voice="ash",
        unsupported_fields=frozenset({"tracing"}),
        client_events=frozenset({"response.*", "session.update"}),
        hides_configuration=True,
    )
    assert "sk-1" not in repr(openai)
    assert (support.kind, support.target, support.input_rate) == (BackendKind.AGENT, "my.agents:support", 16000)
    assert (support.name, support.unsupported_fields, support.client_events) == ("agent", frozenset(), None)
    assert backends.default == openai


def test_models_choose_the_backend(tmp_path: Path) -> None:
    backends = told(loaded(FILE, tmp_path / "c.toml", OPENAI_API_KEY="sk-1"))
    openai, support = backends.claims
    assert choose_backend(backends, "gpt-realtime") is openai
    assert choose_backend(backends, "support") is support
    assert choose_backend(backends, "GPT-realtime") == openai, "claimed by none: the default's"
    without_default = Backends(claims=(support, openai))
    assert choose_backend(without_default, "claude") is None, "refused"
    assert choose_backend(without_default, None) is support, "the first"


def test_without_a_word_the_parrot_answers_everything() -> None:
    backends = told(load(environ={}, defaults=partial(embedded_tree, None)).config)
    for model in (None, "gpt-realtime"):
        chosen = choose_backend(backends, model)
        assert chosen is not None
        assert (chosen.kind, chosen.target) == (BackendKind.AGENT, PARROT)


def test_variables_have_short_forms() -> None:
    environ = {
        "TRIO_VOICE_BACKEND": "gpt-*=realtime:wss://host/v1?a=b, echo",
        "TRIO_VOICE_TRANSCEIVER_BACKEND": "agent:m:f",
    }
    config = load(environ=environ, defaults=partial(embedded_tree, None)).config
    assert config.backend == (
        BackendConfig(use="realtime:wss://host/v1?a=b", models=("gpt-*",)),
        BackendConfig(use="echo"),
    )
    default = told(config).default
    assert default is not None
    assert (default.kind, default.target) == (BackendKind.AGENT, "m:f")
    assert structure({"backend": ["realtime:wss://host/?a=b"]}).backend[0].use == "realtime:wss://host/?a=b"


@pytest.mark.parametrize(
    ("use", "kind", "target"),
    [
        ("echo", "echo", ""),
        ("parrot", "agent", PARROT),
        ("agent:a.b:c.d", "agent", "a.b:c.d"),
        ("realtime:ws://127.0.0.1:8081/v1/realtime", "realtime", "ws://127.0.0.1:8081/v1/realtime"),
        ("realtime:wss://[::1]/", "realtime", "wss://[::1]/"),
    ],
)
def test_uses(use: str, kind: str, target: str) -> None:
    assert parse_use(use) == (kind, target)


REALTIME = {"use": "realtime:wss://host/"}


@pytest.mark.parametrize(
    ("tables", "start", "end"),
    [
        ([{"use": "owl"}], 'backend[0].use: found "owl".', '"realtime:wss://HOST/PATH".'),
        ([{"use": "agent"}], 'backend[0].use: found "agent".', '"realtime:wss://HOST/PATH".'),
        ([{"use": "agent:module"}], 'backend[0].use: found "agent:module".', '"agent:my_agents.support:agent".'),
        ([{"use": "agent:a b:c"}], 'backend[0].use: found "agent:a b:c".', '"agent:my_agents.support:agent".'),
        ([{"use": "realtime:https://host/"}], "backend[0].use: found", '"realtime:wss://host/v1/realtime".'),
        ([{"use": "realtime:wss://"}], "backend[0].use: found", '"realtime:wss://host/v1/realtime".'),
        ([{"use": "realtime:wss://u:p@host/"}], "backend[0].use: found", '"realtime:wss://host/v1/realtime".'),
        ([{"use": "realtime:wss://host:x/"}], "backend[0].use: found", '"realtime:wss://host/v1/realtime".'),
        ([{"use": "echo", "name": "parrot"}], 'backend[0].name: found "parrot".', "choose another name."),
        (
            [{"use": "echo", "name": "a"}, {"use": "echo", "name": "a"}],
            'backend[1].name: found "a" again.',
            "a name of its own.",
        ),
        ([{"use": "echo", "api_key": "k"}], "backend[0].api_key: it is for realtime:", "is in this process."),
        ([{"use": "parrot", "dialect": "ga"}], "backend[0].dialect: it is for realtime:", "is in this process."),
        ([{"use": "parrot", "output_rate": 8000}], "backend[0].output_rate: found 8000.", "input_rate is 24000."),
        ([REALTIME | {"input_rate": 44100}], "backend[0].input_rate: found 44100.", "24000 or 48000."),
        ([REALTIME | {"dialect": "old"}], 'backend[0].dialect: found "old".', '"ga" or "beta".'),
        ([REALTIME | {"connect_timeout": 0}], "backend[0].connect_timeout: found 0.", "0 seconds."),
        ([REALTIME | {"reconnect": -1}], "backend[0].reconnect: found -1.", "at least 0."),
        ([REALTIME | {"voices": ["marin"]}], 'backend[0].voices[0]: found "marin".', '"marin=luna".'),
        ([REALTIME | {"key_header": "a b"}], 'backend[0].key_header: found "a b".', '"api-key".'),
        ([REALTIME | {"api_key": "two words"}], "backend[0].api_key: it has characters", "without spaces."),
    ],
)
def test_each_rule(tables: list, start: str, end: str) -> None:
    config = structure({"backend": tables, "transceiver": {}, "keys": "keys"})
    (problem,) = check(config)
    assert str(problem).startswith(start)
    assert str(problem).endswith(end)


def test_a_key_is_taken_from_its_variable_and_never_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(FILE, tmp_path / "c.toml")
    (problem,) = caught.value.problems
    assert str(problem) == (
        'backend[0].api_key: there is no variable "OPENAI_API_KEY". Set it, or write the key itself.'
    )
    with pytest.raises(ConfigError) as caught:
        structure({"backend": [{"use": "realtime:wss://host/", "api_key": ["sk-secret"]}]})
    assert str(caught.value) == "backend[0].api_key: found a list. It should be a string, in quotes."
    with pytest.raises(ConfigError, match="characters that a header cannot carry"):
        loaded(FILE, tmp_path / "c.toml", OPENAI_API_KEY="sk-1\n")


def test_only_a_transceiver_needs_its_backends_keys(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(FILE + '[relay]\ningresses = ["1=203.0.113.5:3478"]\ntransceivers = ["10.0.0.3:7001"]\n')
    environ = {"TRIO_VOICE_KEYS": "keys"}
    assert load(path=path, environ=environ, role=Role.RELAY).config.relay is not None


@pytest.mark.parametrize("value", ["yes", 1, "true"])
def test_a_boolean_is_true_or_false(value: object) -> None:
    with pytest.raises(ConfigError, match="true or false"):
        structure({"backend": [{"use": "parrot", "hides_configuration": value}]})


def test_a_key_without_encryption_is_warned_of() -> None:
    table = {"use": "realtime:ws://10.0.0.1/", "api_key": "k"}
    (warning,) = warnings_about(structure({"backend": [table], "transceiver": {}}))
    assert warning.startswith("backend[0].api_key travels unencrypted")
