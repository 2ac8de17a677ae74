"""The command line: options, and servers that are gone, refuse, or answer nonsense."""

import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge.caller import placing
from edge.caller.command import call

DEAD_END = "\r\n".join(
    [
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "a=rtpmap:111 opus/48000/2",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:0123456789012345678901",
        "a=setup:passive",
        "a=sendrecv",
        "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
        "a=candidate:1 1 udp 1 127.0.0.1 {port} typ host",
        "",
    ]
)

Serve = Callable[..., str]


class Seen:
    def __init__(self) -> None:
        self.requests: list[tuple[str, str, str | None, str | None]] = []


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def serve(seen: Seen) -> Iterator[Serve]:
    """Run an HTTP server that answers every POST alike; return its URL."""
    servers = []

    def start(status: int, body: str, headers: dict[str, str] | None = None) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self._answer(status, body)

            def do_DELETE(self) -> None:
                self._answer(200, "")

            def _answer(self, status: int, body: str) -> None:
                seen.requests.append(
                    (self.command, self.path, self.headers["Authorization"], self.headers["Content-Type"])
                )
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *args: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(call, list(arguments))
    return result.exit_code, result.output


def test_no_url() -> None:
    code, said = run("127.0.0.1:8080")
    assert code == 1
    assert "it should look like http://127.0.0.1:8080" in said


def test_a_server_that_is_gone() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    code, said = run(f"http://127.0.0.1:{port}")
    assert code == 1
    assert f"the server at 127.0.0.1:{port} cannot be reached" in said
    assert "Traceback" not in said


def test_a_refusal_is_shown_in_the_servers_words(serve: Serve, seen: Seen) -> None:
    body = '{"error": {"message": "No such key.", "type": "x", "code": "invalid_api_key", "param": null}}'
    code, said = run(serve(401, body), "--key", "sk_1")
    assert code == 1
    assert "the server refused the call: No such key. (HTTP 401, invalid_api_key)" in said
    assert seen.requests == [("POST", "/v1/realtime/calls", "Bearer sk_1", "application/sdp")]


def test_a_refusal_without_an_explanation(serve: Serve) -> None:
    assert "HTTP 404, without an explanation" in run(serve(404, "<html>"))[1]


def test_an_answer_that_is_no_sdp(serve: Serve, seen: Seen) -> None:
    url = serve(201, "hello", {"Location": "/v1/realtime/calls/rtc_9"})
    code, said = run(url + "/v1/realtime/calls")  # the full URL does as well
    assert code == 1
    assert "the server's answer cannot be used: this is not SDP" in said
    assert [request[:2] for request in seen.requests] == [
        ("POST", "/v1/realtime/calls"),
        ("DELETE", "/v1/realtime/calls/rtc_9"),
    ]


def test_udp_that_leads_nowhere(serve: Serve, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "_CONNECT_SECONDS", 0.2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        port = deaf.getsockname()[1]
        url = serve(201, DEAD_END.format(port=port), {"Location": "https://elsewhere/v1/realtime/calls/rtc_7"})
        code, said = run(url)
    assert code == 1
    assert f"no answer over UDP from 127.0.0.1:{port}: is UDP blocked by a firewall" in said
    assert seen.requests[-1][:2] == ("DELETE", "/v1/realtime/calls/rtc_7")


def test_recording_many_calls_is_refused(tmp_path: Path) -> None:
    code, said = run("http://127.0.0.1:9", "--count", "2", "--record", str(tmp_path / "x.opus"))
    assert code == 2
    assert "--record is for a single call" in said


def test_packets_that_are_no_opus(tmp_path: Path) -> None:
    path = tmp_path / "song.opus"
    path.write_bytes(b"RIFF")
    code, said = run("http://127.0.0.1:9", "--packets", str(path))
    assert code == 1
    assert "song.opus: the file ends inside of a page header" in said


def test_a_recording_that_cannot_be_written(tmp_path: Path) -> None:
    code, said = run("http://127.0.0.1:9", "--record", str(tmp_path / "no" / "such" / "folder.opus"))
    assert code == 1
    assert "No such file or directory" in said


def test_help_explains_itself() -> None:
    code, said = run("--help")
    assert code == 0
    for option in ("--packets", "--record", "--seconds", "--count", "--key", "--dtls-role", "--dtls"):
        assert option in said
