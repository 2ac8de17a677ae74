"""The command line: what a user did wrong is told in words, and exit codes mean something."""

import json
import socket
import time
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509

from edge.certificates import Authority
from edge.cli import main
from edge.config.model import Role
from edge.key_files import load_bundle, load_root


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):
    for name in ("TRIO_VOICE_CONFIG", "TRIO_VOICE_ROLE", "TRIO_VOICE_KEYS"):
        monkeypatch.delenv(name, raising=False)

    def invoke(*arguments: str | Path, code: int = 0) -> Result:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    return invoke


@pytest.fixture
def keys(run, tmp_path: Path) -> Path:
    run("keys", "new", tmp_path / "keys")
    return tmp_path / "keys"


def test_help_names_every_command(run) -> None:
    output = run("--help").output
    assert all(f"\n  {command} " in output for command in ("call", "config", "keys", "serve"))
    assert "trio-voice, version" in run("--version").output
    run("fly", code=2)


def test_config_prints_an_example_that_can_be_read(run) -> None:
    assert "signal" in tomllib.loads(run("config").output)
    assert "signal" not in tomllib.loads(run("config", "--role", "relay").output)


def test_config_check(run, keys: Path, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f'keys = "{keys}"\n[relay]\ningresses = ["1=203.0.113.5:3478"]\ntransceivers = ["10.0.0.3:7001"]\n')
    assert run("config", "--check", "--role", "relay", "--config", path).output == (
        "The configuration is good for: relay.\n"
    )
    assert "signal, relay, transceiver" in run("config", "--check").output
    (keys / "relay.keys").chmod(0o644)
    assert "Warning: " in run("config", "--check", "--role", "relay", "--config", path).output
    assert "--config needs --check" in run("config", "--config", path, code=2).output


def test_wrong_configuration_is_named_with_its_key_and_what_would_be_right(run, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[relay]\nhop = "7000"\nhopp = 1\n')
    assert run("serve", "--role", "relay", "--config", path, code=2).output == (
        "trio-voice: there are 2 problems in the configuration.\n"
        '  relay.hop: found "7000". It should be "IP:PORT", such as "127.0.0.1:7000" or "[::1]:7000".\n'
        "  relay.hopp: there is no such key. Did you mean relay.hop?\n"
    )
    output = run("serve", "--http", "port", code=2).output
    assert 'signal.listen: found "port" (from option --http)' in output
    output = run("serve", "--log-level", "loud", code=2).output
    assert output.startswith("trio-voice: there is a problem in the configuration.\n  log.level: found")


def test_options_of_another_role_are_refused(run) -> None:
    assert "relay.http" in run("serve", "--role", "relay", "--http", "8080", code=2).output
    assert "a relay has none" in run("serve", "--role", "relay", "--backend", "echo", code=2).output


def test_a_wrong_backend_is_named_with_what_would_be_right(run) -> None:
    output = run("serve", "--backend", "owl", code=2).output
    assert 'transceiver.backend: found "owl". It should be "parrot"' in output
    assert "agent:MODULE:FUNCTION" in output


def test_wrong_keys_are_named(run, keys: Path) -> None:
    output = run("serve", "--role", "transceiver", "--keys", keys / "relay.keys", code=1).output
    assert "is the key bundle of the relay role; the transceiver role needs transceiver.keys" in output
    output = run("serve", "--role", "transceiver", "--keys", keys / "none", code=1).output
    assert "trio-voice keys new" in output
    output = run("serve", "--keys", keys / "relay.keys", code=1).output
    assert "name the folder of all" in output


@pytest.mark.parametrize(
    ("kind", "option", "key"),
    [
        (socket.SOCK_STREAM, "--http", "signal.listen"),
        (socket.SOCK_DGRAM, "--media-port", "relay.ingresses[0].bind"),
    ],
)
def test_a_port_in_use_is_named_with_the_way_out(run, kind: int, option: str, key: str) -> None:
    with socket.socket(socket.AF_INET, kind) as taken, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        free.bind(("127.0.0.1", 0))
        ports = {"--http": 0, "--media-port": free.getsockname()[1]} | {option: taken.getsockname()[1]}
        free.close()
        output = run("serve", *(part for pair in ports.items() for part in pair), code=1).output
    assert output.startswith(f"trio-voice: cannot start.\n  {key}: 127.0.0.1:{ports[option]} is in use")
    assert f"with {option} " in output


def test_keys_new_says_what_it_wrote_and_overwrites_nothing(run, tmp_path: Path) -> None:
    output = run("keys", "new", tmp_path).output
    assert f"{tmp_path}/relay.keys" in output
    assert f"{tmp_path}/root.key: keep it away from all servers" in output
    before = (tmp_path / "root.key").read_bytes()
    assert "is there already" in run("keys", "new", tmp_path, code=1).output
    assert (tmp_path / "root.key").read_bytes() == before


def test_keys_ca_makes_certificates_and_issues_them_again(run, tmp_path: Path) -> None:
    output = run("keys", "ca", tmp_path, "--days", "7").output
    assert f"keep {tmp_path}/ca.key away from all servers" in output
    names = ["ca.crt", "ca.key", "operator.crt", "operator.key", "signal.crt", "signal.key"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [*names, "transceiver.crt", "transceiver.key"]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("*.key")} == {0o600}
    authority, issued = (tmp_path / "ca.crt").read_bytes(), (tmp_path / "signal.crt").read_bytes()
    run("keys", "ca", tmp_path)
    assert (tmp_path / "ca.crt").read_bytes() == authority
    assert (tmp_path / "signal.crt").read_bytes() != issued


def test_keys_certificate_issues_one_for_a_node(run, tmp_path: Path) -> None:
    words = "`trio-voice keys ca "
    assert words in run("keys", "certificate", tmp_path, "transceiver", code=1).output
    run("keys", "ca", tmp_path)
    run("keys", "certificate", tmp_path, "transceiver", "--name", "t-1", "--host", "10.0.0.3", "--host", "t-1.local")
    issued = x509.load_pem_x509_certificate((tmp_path / "t-1.crt").read_bytes())
    names = issued.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["urn:trio-voice:role:transceiver"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.3"]
    assert names.get_values_for_type(x509.DNSName) == ["t-1.local"]
    for name in ("ca", "a/b"):
        assert "without slashes" in run("keys", "certificate", tmp_path, "signal", "--name", name, code=2).output
    run("keys", "certificate", tmp_path, "relay", code=2)


@pytest.mark.parametrize("spoiled", ["ca.crt", "ca.key"])
def test_a_broken_authority_is_named(run, tmp_path: Path, spoiled: str) -> None:
    run("keys", "ca", tmp_path)
    (tmp_path / spoiled).write_text("nonsense")
    assert "no ca.crt and ca.key that can be read" in run("keys", "ca", tmp_path, code=1).output


def test_an_authority_does_not_issue_beyond_its_own_life(run, tmp_path: Path) -> None:
    run("keys", "ca", tmp_path, "--days", "10000")
    ends = [
        x509.load_pem_x509_certificate((tmp_path / name).read_bytes()).not_valid_after_utc
        for name in ("ca.crt", "signal.crt")
    ]
    assert ends[0] == ends[1]
    year = 365 * 86400
    expired = Authority.create(tmp_path / "old", time.time() - year - 1)
    assert "expired on" in run("keys", "ca", expired.path.parent, code=1).output


def test_keys_rotate_takes_two_steps_and_then_waits_for_calls(run, keys: Path) -> None:
    output = run("keys", "rotate", keys).output
    assert "Key 2 is in the bundles; key 1 still mints." in output
    assert [key.id for key in load_bundle(keys, Role.RELAY).keys] == [1, 2]
    output = run("keys", "rotate", keys).output
    assert "Key 2 mints from now on." in output
    assert load_bundle(keys, Role.RELAY).minting == 2
    output = run("keys", "rotate", keys, code=1).output
    assert "calls and client secrets that began with key 1 may still go on: wait 2 h 0 min" in output
    assert "or drop it now with --early" in output
    run("keys", "rotate", keys, "--early")
    run("keys", "rotate", keys)
    run("keys", "rotate", keys, "--early")
    assert load_root(keys).serials == (3, 4)


def test_keys_update_adds_what_an_earlier_version_did_not_have(run, keys: Path) -> None:
    path = keys / "signal.keys"
    before = path.read_bytes()
    fields = json.loads(before)
    del fields["keys"][0]["client-secret"]
    path.write_text(json.dumps(fields))
    assert "mints; no client-secret key" in run("keys", "show", path).output
    output = run("keys", "update", keys).output
    assert f"Wrote {keys}/signal.keys, " in output
    assert "root.key" not in output
    assert path.read_bytes() == before
    assert "no client-secret" not in run("keys", "show", path).output


def test_keys_show_shows_ids_and_no_secret(run, keys: Path) -> None:
    run("keys", "rotate", keys)
    output = run("keys", "show", keys).output
    assert [line.partition(":")[0] for line in output.splitlines()] == ["signal", "relay", "transceiver"]
    assert "; key 2 made" in output
    assert output.count(", mints") == 3
    assert run("keys", "show", keys / "relay.keys").output.startswith("relay: key 1 made 20")
    secrets = [
        value
        for path in keys.iterdir()
        for entry in json.loads(path.read_text())["keys"]
        for value in entry.values()
        if isinstance(value, str) and len(value) > 40
    ]
    assert len(secrets) == 26
    assert not any(secret in output for secret in secrets)
    assert "is the root, which no process loads, and no bundle" in run("keys", "show", keys / "root.key", code=1).output
    assert "keys new" in run("keys", "show", keys.parent, code=1).output
