"""A transceiver with a store is ready when it has joined its fleet, and stays so when the store goes away."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from bench.ports import free_port

pytestmark = pytest.mark.e2e

COMMAND = [sys.executable, "-m", "edge"]
PATIENCE = 20.0


def ask(url: str) -> tuple[int, str]:
    """Ask for the readiness: the status, and the reason where there is one."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status, ""
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())["error"]["message"]
    except OSError as error:
        return 0, str(error)


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.05)


@pytest.fixture
def ready_url(request, redis_server, tmp_path):
    """A relay and a transceiver with so many workers, whose store is not there yet: the URL, and the store."""
    with redis_server.redis_server() as store:
        store.stop()
        subprocess.run([*COMMAND, "keys", "new", tmp_path / "keys"], check=True, capture_output=True)
        control, media = free_port(), free_port()
        relay_hop, hop = free_port(), free_port(request.param)
        config = tmp_path / "config.toml"
        config.write_text(f"""
keys = "{tmp_path}/keys"
[store]
url = "{store.url}"
[relay]
hop = "127.0.0.1:{relay_hop}"
ingresses = ["1=127.0.0.1:{media}/127.0.0.1:{media}"]
transceivers = ["127.0.0.1:{hop}"]
[transceiver]
hop = "127.0.0.1:{hop}"
control = "127.0.0.1:{control}"
backend = "echo"
workers = {request.param}
""")
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TRIO_VOICE_")}
        processes = [
            subprocess.Popen([*COMMAND, "serve", "--role", role, "--config", config], env=clean)
            for role in ("transceiver", "relay")
        ]
        try:
            yield f"http://127.0.0.1:{control}/readyz", store
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(PATIENCE)


@pytest.mark.parametrize("ready_url", [1, 2], indirect=True)
def test_it_waits_for_its_store_once(ready_url) -> None:
    url, store = ready_url
    wait_until(lambda: "the store has not been reached since the start" in ask(url)[1], lambda: ask(url))
    time.sleep(0.5)
    status, reason = ask(url)
    assert status == 503
    assert "redis.sock" in reason, "it says which"
    store.start()
    wait_until(lambda: ask(url)[0] == 200, lambda: ask(url))
    assert store.command("HLEN", "trio-voice:members") in {"1", "2"}, "it is listed"
    store.stop()
    time.sleep(1.5)
    assert ask(url) == (200, "")
