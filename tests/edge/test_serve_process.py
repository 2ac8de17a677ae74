"""`trio-voice serve` as users run it: processes, signals, exit codes."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from bench.ports import free_port

pytestmark = pytest.mark.e2e

COMMAND = [sys.executable, "-m", "edge"]
PATIENCE = 20.0


class Process:
    """A `trio-voice` that runs, with what it prints."""

    def __init__(self, *arguments: object, environ: dict[str, str] | None = None) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TRIO_VOICE_")}
        self._process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean | (environ or {}),
        )

    def first_line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().rstrip("\n")
        assert line, self.end(0)[2]
        return line

    def wait_for_log(self, event: str) -> dict[str, object]:
        """Read the log up to an event; what was read is not in what `end` returns."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            fields = json.loads(line)
            if fields["event"] == event:
                return fields
        raise AssertionError(f"the process ended without {event}")

    def send(self, number: int) -> None:
        self._process.send_signal(number)

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Send a signal, 0 for none, and return exit code, rest of standard output, standard error."""
        if number:
            self.send(number)
        try:
            out, err = self._process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        return self._process.returncode, out, err

    def close_output(self) -> None:
        """Read no more of what it prints."""
        assert self._process.stdout is not None
        self._process.stdout.close()

    def end_unread(self) -> tuple[int, str]:
        """Stop one whose output is closed; return exit code and standard error."""
        assert self._process.stderr is not None
        self.send(signal.SIGTERM)
        code = self._process.wait(PATIENCE)
        return code, self._process.stderr.read()

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def start():
    processes = []

    def run(*arguments: object, **options) -> Process:
        processes.append(Process(*arguments, **options))
        return processes[-1]

    yield run
    for process in processes:
        process.kill()


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def metrics(http: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{http}/metrics", timeout=5) as response:
        return response.read().decode()


def eventually(condition) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def becomes_ready(url: str) -> None:
    eventually(lambda: status_of(f"{url}/readyz") == 200)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_says_where_to_go_and_stops_cleanly(start, number: int) -> None:
    http, media = free_port(), free_port()
    process = start("serve", "--http", http, "--media-port", media)
    assert process.first_line() == f"Open http://127.0.0.1:{http} and press Talk."
    assert status_of(f"http://127.0.0.1:{http}/readyz") == 200
    assert status_of(f"http://127.0.0.1:{http}/") == 200
    before = time.monotonic()
    code, out, err = process.end(number)
    assert (code, out) == (0, "Stopped.\n")
    assert time.monotonic() - before < 4
    assert "Traceback" not in err


@pytest.mark.parametrize("reads", [True, False])
def test_who_does_not_read_what_serve_says_ends_no_call(start, reads: bool) -> None:
    http, media = free_port(), free_port()
    process = start("serve", "--http", http, "--media-port", media)
    if reads:  # the first line, as `head -1` does
        process.first_line()
    process.close_output()
    eventually(lambda: is_listening(http) and status_of(f"http://127.0.0.1:{http}/readyz") == 200)
    code, err = process.end_unread()
    assert (code, "Traceback" in err, "BrokenPipe" in err) == (0, False, False), err


def test_three_processes_make_a_call_and_reload_while_it_goes_on(start, tmp_path: Path) -> None:
    subprocess.run([*COMMAND, "keys", "new", tmp_path / "keys"], check=True, capture_output=True)
    http, control, relay_http = (free_port() for _ in range(3))
    media, relay_hop, transceiver_hop = (free_port() for _ in range(3))
    config = tmp_path / "config.toml"
    config.write_text(f"""
keys = "{tmp_path}/keys"
[signal]
listen = "127.0.0.1:{http}"
transceivers = ["http://127.0.0.1:{control}"]
[relay]
hop = "127.0.0.1:{relay_hop}"
ingresses = ["7=127.0.0.1:{media}/127.0.0.1:{media}"]
transceivers = ["127.0.0.1:{transceiver_hop}"]
http = "127.0.0.1:{relay_http}"
""")
    # One tier is told by variables what the others find in the file.
    variables = {
        "TRIO_VOICE_ROLE": "transceiver",
        "TRIO_VOICE_KEYS": f"{tmp_path}/keys/transceiver.keys",
        "TRIO_VOICE_TRANSCEIVER_HOP": f"127.0.0.1:{transceiver_hop}",
        "TRIO_VOICE_TRANSCEIVER_CONTROL": f"127.0.0.1:{control}",
        "TRIO_VOICE_TRANSCEIVER_BACKEND": "echo",
    }
    processes = [
        start("serve", environ=variables),
        start("serve", "--role", "relay", "--config", config),
        start("serve", "--role", "signal", "--config", config),
    ]
    lines = [process.first_line() for process in processes]
    assert lines[1].startswith(f"Ready. relay: clients send to 7 = 127.0.0.1:{media} (UDP)")
    assert lines[2] == f"Ready. signal: http://127.0.0.1:{http}"
    becomes_ready(f"http://127.0.0.1:{http}")
    becomes_ready(f"http://127.0.0.1:{relay_http}")

    call = start("call", f"http://127.0.0.1:{http}", "--seconds", "2")
    assert call.first_line().startswith("Set-up")
    subprocess.run([*COMMAND, "keys", "rotate", tmp_path / "keys"], check=True, capture_output=True)
    config.write_text(config.read_text().replace("[relay]", 'api_keys = ["sk-one"]\n[relay]\nmax_flows = 5'))
    for process in processes:
        process.send(signal.SIGHUP)
    code, out, err = call.end(0)
    assert code == 0, out + err
    sent, received = re.search(r"packets sent (\d+), received (\d+), lost 0", out).groups()
    assert int(received) >= int(sent) - 3, "nothing was lost over the reload"

    _, _, err = start("call", f"http://127.0.0.1:{http}", "--seconds", "1").end(0)
    assert "key" in err, "the new API key is needed now"
    code, out, err = start("call", f"http://127.0.0.1:{http}", "--seconds", "1", "--key", "sk-one").end(0)
    assert code == 0, out + err

    ended = [process.end() for process in reversed(processes)]
    assert [(code, out) for code, out, _ in ended] == [(0, "Stopped.\n")] * 3
    logs = [[json.loads(line) for line in err.splitlines()] for _, _, err in ended]
    for lines in logs:
        assert "reloaded" in [line["event"] for line in lines]
    waiting = [line for line in logs[1] if "next start" in line["event"]]
    assert [line["keys"] for line in waiting] == [["relay.max_flows"]]


def test_a_broken_reload_changes_nothing_and_is_logged(start, tmp_path: Path) -> None:
    http, media = free_port(), free_port()
    config = tmp_path / "config.toml"
    config.write_text(f'[signal]\nlisten = "127.0.0.1:{http}"\n')
    process = start("serve", "--config", config, "--media-port", media)
    process.first_line()
    config.write_text("[signal]\nlistn = 1\n")
    process.send(signal.SIGHUP)
    refused = process.wait_for_log("reload refused")
    assert refused["problems"] == ["signal.listn: there is no such key. Did you mean signal.listen?"]
    assert status_of(f"http://127.0.0.1:{http}/readyz") == 200
    assert process.end()[0] == 0


def test_a_second_signal_does_not_wait(start) -> None:
    http, media = free_port(), free_port()
    process = start("serve", "--http", http, "--media-port", media)
    process.first_line()
    with socket.create_connection(("127.0.0.1", http)) as connection:
        connection.send(b"POST /v1/realtime/calls HTTP/1.1\r\n")  # a request under way delays a graceful stop
        eventually(lambda: "trio_voice_signal_http_connections 2.0" in metrics(http))
        process.send(signal.SIGTERM)
        process.wait_for_log("stopping")
        code, _, err = process.end(signal.SIGTERM)
    assert code == 128 + signal.SIGTERM
    assert "Traceback" not in err
