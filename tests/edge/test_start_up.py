"""What a start does not wait for: who restarts a relay has calls waiting, and who asks for help waits himself."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge.cli import COMMANDS, main

_NOT_FOR_HELP = {"trio", "cryptography", "cattrs", "structlog", "prometheus_client", "relay", "transceiver"}
_NOT_FOR_A_RELAY = {
    *("structlog", "rich", "asyncio", "prometheus_client", "http", "email"),
    *("h11", "wsproto", "httpcore", "av", "aioice", "dns", "pylibsrtp", "google_crc32c"),
    *("dtls", "srtp", "sctp", "edge.signal", "edge.control", "edge.http.server", "edge.logs"),
    *("edge.tiers.transceiver", "edge.tiers.signal", "edge.workers", "transceiver.worker", "transceiver.session"),
}

_NOT_FOR_BINDING = {
    "trio",
    "ssl",
    "cryptography",
    "stun",
    "relay.worker",
    "relay.udp",
    "relay.tcp.connections",
    "edge.serve",
}

_TELL_WHEN_SOCKETS_ARE_BOUND = """
import json, os, socket, sys

def audit(event, arguments):
    if event == "socket.bind":
        print(json.dumps(sorted(sys.modules)), flush=True)
        os._exit(0)

sys.addaudithook(audit)
import edge.cli
edge.cli.main()
"""

_TELL_WHEN_FORWARDING_BEGINS = """
import json, os, sys
import relay.worker

async def run(self, **_):
    print(json.dumps(sorted(sys.modules)), flush=True)
    os._exit(0)

relay.worker.RelayWorker.run = run
import edge.cli
edge.cli.main()
"""


def loaded_by(program: str, *arguments: object) -> set[str]:
    """Run a program that prints the modules it has loaded; returns them."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture
def relay_config(tmp_path: Path) -> Path:
    assert CliRunner().invoke(main, ["keys", "new", str(tmp_path / "keys")]).exit_code == 0
    path = tmp_path / "relay.toml"
    path.write_text(f"""
keys = "{tmp_path}/keys/relay.keys"
[relay]
hop = "127.0.0.1:0"
http = "127.0.0.1:0"
ingresses = ["1=127.0.0.1:3478/127.0.0.1:0"]
transceivers = ["127.0.0.1:7001"]
""")
    return path


@pytest.mark.parametrize("workers", [1, 2])
def test_a_relay_binds_its_sockets_before_it_loads_what_reads_them(relay_config: Path, workers: int) -> None:
    arguments = ("serve", "--role", "relay", "--config", relay_config, "--workers", workers)
    loaded = loaded_by(_TELL_WHEN_SOCKETS_ARE_BOUND, *arguments)
    assert "relay.sockets" in loaded
    assert not _NOT_FOR_BINDING & loaded


def test_a_relay_forwards_before_it_loads_what_it_does_not_need_for_that(relay_config: Path) -> None:
    loaded = loaded_by(_TELL_WHEN_FORWARDING_BEGINS, "serve", "--role", "relay", "--config", relay_config)
    assert "relay.forwarder" in loaded
    assert not _NOT_FOR_A_RELAY & loaded


def test_help_loads_no_command() -> None:
    program = "import json, sys, edge.cli\nedge.cli.main(standalone_mode=False)\nprint(json.dumps(sorted(sys.modules)))"
    loaded = loaded_by(program, "--help")
    assert not _NOT_FOR_HELP & loaded
    assert not {command.module for command in COMMANDS.values()} & loaded


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if command.help])
def test_the_list_of_commands_says_what_they_say_themselves(name: str) -> None:
    command = main.get_command(None, name)
    assert command is not None
    assert command.name == name
    assert command.short_help == COMMANDS[name].help
