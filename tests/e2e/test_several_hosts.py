"""The tiers on hosts of their own: four network namespaces on one switch, as far as the programs can tell."""

import os
import signal
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from .conftest import PROGRAM
from .namespaces import switched

pytestmark = pytest.mark.e2e

ADDRESSES = {"signal": "10.77.0.1", "relay": "10.77.0.2", "transceiver": "10.77.0.3", "client": "10.77.0.4"}
CONFIGURATION = {
    "signal": """
[signal]
listen = "10.77.0.1:8080"
api_keys = ["sk-test"]
transceivers = ["http://10.77.0.3:7080"]
ingresses = ["1=10.77.0.2:3478"]
""",
    "relay": """
[relay]
hop = "10.77.0.2:7000"
transceivers = ["10.77.0.3:7001"]
ingresses = ["1=10.77.0.2:3478/10.77.0.2:3478"]
""",
    "transceiver": """
[transceiver]
backend = "echo"
hop = "10.77.0.3:7001"
control = "10.77.0.3:7080"
""",
}


def call_of(host: str) -> list[str]:
    return ["ip", "netns", "exec", host, str(PROGRAM), "call", "http://10.77.0.1:8080"]


@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
def test_a_call_between_hosts(tmp_path: Path) -> None:
    subprocess.run([PROGRAM, "keys", "new", str(tmp_path / "keys")], check=True, capture_output=True)
    with switched({host: [f"{address}/24"] for host, address in ADDRESSES.items()}) as names, ExitStack() as stack:
        servers: dict[str, subprocess.Popen[bytes]] = {}
        for role, text in CONFIGURATION.items():
            path = tmp_path / f"{role}.toml"
            path.write_text(f'keys = "{tmp_path}/keys/{role}.keys"\n{text}')
            log = stack.enter_context((tmp_path / f"{role}.log").open("wb"))
            servers[role] = subprocess.Popen(
                ["ip", "netns", "exec", names[role], PROGRAM, "serve", "--role", role, "--config", str(path)],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            stack.callback(servers[role].kill)
        output = ""
        for _ in range(40):  # until all of them are up and have found each other
            call = subprocess.run(
                [*call_of(names["client"]), "--key", "sk-test", "--seconds", "2"],
                check=False,
                capture_output=True,
                text=True,
                timeout=30,
            )
            output = call.stdout + call.stderr
            if call.returncode == 0:
                break
            time.sleep(0.25)
        logs = "\n".join((tmp_path / f"{role}.log").read_text()[-2000:] for role in servers)
        assert "10.77.0.2 port 3478" in output, f"{output}\n{logs}"
        assert "lost 0" in output, f"{output}\n{logs}"
        # The transceiver, behind the relay, knows the client by its own address.
        assert f'"client": "{ADDRESSES["client"]}:' in (tmp_path / "transceiver.log").read_text()
        for role, server in servers.items():
            server.send_signal(signal.SIGTERM)
            assert server.wait(timeout=10) == 0, f"{role}:\n{logs}"
