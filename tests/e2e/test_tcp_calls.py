"""Calls over TCP: Chromium with UDP candidates withheld, the headless caller, and peers that waste connections."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright

from bench.ports import free_port

from .conftest import PROGRAM, TONE_HZ, Edge, launch
from .edge_processes import start_edge

pytestmark = pytest.mark.e2e

CALL = (Path(__file__).parent / "call.js").read_text()
OPENING_TIMEOUT = 5.0


@pytest.fixture(scope="module")
def tcp_edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    edge = start_edge(tmp_path_factory.mktemp("tcp"), tcp=True)
    yield edge
    edge.stop()


@pytest.fixture
def page(chromium: Browser, tcp_edge: Edge) -> Iterator[Page]:
    context = chromium.new_context(permissions=["microphone"])
    page = context.new_page()
    page.goto(tcp_edge.signal_url)
    yield page
    context.close()


def assert_tone_comes_back(page: Page) -> None:
    page.wait_for_function(
        "tone => { const peak = window.call.peakHz(); return Math.abs(peak.hz - tone) < 15 && peak.db > -50; }",
        arg=TONE_HZ,
    )


def connections(edge: Edge) -> float:
    return edge.metric(edge.relay_url, "trio_voice_relay_connections")


def drops(edge: Edge, reason: str) -> float:
    return edge.metric(edge.relay_url, "trio_voice_relay_drops_total", reason=reason)


def stats(page: Page) -> dict[str, Any]:
    return page.evaluate("window.call.stats()")


def packets_received(page: Page) -> int:
    """Also while there is no path."""
    inbound = "window.call.pc.getStats().then(all => [...all.values()].find(each => each.type === 'inbound-rtp'))"
    return page.evaluate(f"{inbound}.then(found => found.packetsReceived)")


def hang_up(page: Page) -> None:
    page.evaluate("fetch(window.call.location, {method: 'DELETE'})")


def wait_until_free(edge: Edge) -> None:
    edge.wait_until("no connection is left", lambda: connections(edge) == 0, 15)
    assert edge.metric(edge.relay_url, "trio_voice_relay_flows") == 0


def test_chromium_hears_itself_when_udp_candidates_are_withheld(tcp_edge: Edge, page: Page) -> None:
    page.evaluate(CALL, {"protocol": "tcp"})
    assert_tone_comes_back(page)
    seen = stats(page)
    assert (seen["remote"]["protocol"], seen["remote"]["port"]) == ("tcp", tcp_edge.tcp_port)
    assert seen["remote"]["tcpType"] == "passive"
    assert seen["inbound-rtp"]["packetsLost"] == 0
    assert connections(tcp_edge) == 1
    state = tcp_edge.call_state(page.evaluate("window.call.location"))
    assert state is not None
    assert (state["state"], state["ingress"]) == ("established", 2)
    page.evaluate("window.call.pc.close()")
    wait_until_free(tcp_edge)


def test_chromium_whose_network_has_no_udp_connects_over_tcp(
    tcp_edge: Edge, playwright: Playwright, tone_wav: Path
) -> None:
    """The answer is left as it is: this browser has no UDP."""
    browser = launch(playwright, tone_wav, "--webrtc-ip-handling-policy=disable_non_proxied_udp")
    try:
        page = browser.new_context(permissions=["microphone"]).new_page()
        page.goto(tcp_edge.signal_url)
        page.evaluate(CALL, {})
        assert_tone_comes_back(page)
        assert stats(page)["remote"]["protocol"] == "tcp"
    finally:
        browser.close()
    wait_until_free(tcp_edge)


def test_chromium_prefers_udp_where_both_work(tcp_edge: Edge, page: Page) -> None:
    page.evaluate(CALL, {})
    assert_tone_comes_back(page)
    page.wait_for_timeout(2000)  # for as long as it may take to change its mind
    assert stats(page)["remote"]["protocol"] == "udp"
    assert stats(page)["inbound-rtp"]["packetsLost"] == 0
    page.evaluate("window.call.pc.close()")
    wait_until_free(tcp_edge)


def test_a_data_channel_over_tcp(tcp_edge: Edge, page: Page) -> None:
    page.evaluate(CALL, {"protocol": "tcp", "channel": True})
    page.wait_for_function("() => window.call.channel.readyState === 'open'")
    hang_up(page)
    page.evaluate("window.call.pc.close()")
    wait_until_free(tcp_edge)


def test_a_hang_up_ends_the_connection_of_a_client_that_does_not_close_it(tcp_edge: Edge, page: Page) -> None:
    page.evaluate(CALL, {"protocol": "tcp"})
    hang_up(page)
    tcp_edge.wait_until("the relay has closed the connection", lambda: connections(tcp_edge) == 0, 20)


class Cutter:
    """Passes connections on to the relay, until they are cut."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        for sock in self._sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                pair = [self._listener.accept()[0], socket.create_connection(("127.0.0.1", self._target))]
                self._sockets += pair
                for one, other in (pair, reversed(pair)):
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with one, suppress(OSError):
            while data := one.recv(4096):
                other.sendall(data)
            other.shutdown(socket.SHUT_RDWR)


def test_chromium_goes_on_when_its_connection_breaks(tcp_edge: Edge, page: Page) -> None:
    """It connects again by itself, and that is one more path of the call."""
    cutter = Cutter(tcp_edge.tcp_port)
    try:
        page.evaluate(CALL, {"protocol": "tcp", "port": cutter.port})
        assert_tone_comes_back(page)
        ended = connections(tcp_edge)
        received = packets_received(page)
        cutter.cut()
        tcp_edge.wait_until("audio comes again", lambda: packets_received(page) > received + 100)
        assert_tone_comes_back(page)
        assert connections(tcp_edge) == ended == 1
        assert tcp_edge.metric(tcp_edge.relay_url, "trio_voice_relay_flows") == 1
    finally:
        cutter.close()
    page.evaluate("window.call.pc.close()")
    wait_until_free(tcp_edge)


# Peers that waste connections


@contextmanager
def wasted_connections(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Open connections that say nothing, or a byte a second of something that begins like a request, without end."""
    half_a_request = (100).to_bytes(2, "big") + b"\x00\x01" + bytes(98)
    over = threading.Event()
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(count)]

        def trickle() -> None:
            for byte in half_a_request:
                for sock in sockets[::2]:
                    try:
                        sock.send(bytes([byte]))
                    except OSError:  # closed, as it should be
                        continue
                if over.wait(1):
                    return

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            yield sockets
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_wasted_connections_end_and_a_call_beside_them_loses_nothing(tcp_edge: Edge, page: Page, protocol: str) -> None:
    page.evaluate(CALL, {"protocol": protocol})
    assert_tone_comes_back(page)
    before = stats(page)["inbound-rtp"]
    silent = drops(tcp_edge, "tcp-silent")
    others = connections(tcp_edge)
    with wasted_connections(tcp_edge.tcp_port, 200):
        started = time.monotonic()
        tcp_edge.wait_until("they are there", lambda: connections(tcp_edge) >= others + 100)
        tcp_edge.wait_until("they have ended", lambda: drops(tcp_edge, "tcp-silent") >= silent + 200, 10)
        assert time.monotonic() - started < OPENING_TIMEOUT + 3
        tcp_edge.wait_until("only the call is left", lambda: connections(tcp_edge) <= others)
    after = stats(page)["inbound-rtp"]
    assert after["packetsReceived"] > before["packetsReceived"] + 100
    assert after["packetsLost"] == 0
    page.evaluate("window.call.pc.close()")
    wait_until_free(tcp_edge)


# Without a browser


def talk(url: str, *options: str, seconds: float = 3) -> str:
    program = [PROGRAM, "call", url, "--tcp", "--seconds", str(seconds), *options]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_headless_caller_over_tcp(tcp_edge: Edge) -> None:
    told = talk(tcp_edge.signal_url)
    assert f"127.0.0.1 TCP port {tcp_edge.tcp_port}" in told
    sent, received, lost = map(int, re.findall(r"packets sent (\d+), received (\d+), lost (\d+)", told)[0])
    assert min(sent, received) > 75  # it went on: 50 a second, where this machine has nothing else to do
    assert lost == 0
    wait_until_free(tcp_edge)


def test_the_headless_caller_connects_anew_to_a_relay_that_was_killed(tmp_path: Path) -> None:
    """Unlike a browser it tries again where it was refused; a killed relay takes a second to be there again."""
    edge = start_edge(tmp_path, tcp=True)
    try:
        with subprocess.Popen(
            [PROGRAM, "call", edge.signal_url, "--tcp", "--seconds", "12"], stdout=subprocess.PIPE, text=True
        ) as caller:
            edge.wait_until("it is connected", lambda: connections(edge) == 1, 60)
            time.sleep(1)
            edge.processes["relay"].kill()
            edge.processes["relay"].wait()
            edge.start("relay")
            told, _ = caller.communicate(timeout=120)
        assert caller.returncode == 0, told
        sent, received = map(int, re.findall(r"packets sent (\d+), received (\d+)", told)[0])
        assert sent >= 300
        assert received >= 200  # of the seconds after the restart, however slow it was
        edge.wait_until("no connection is left", lambda: connections(edge) == 0, 15)
    finally:
        edge.stop()


def test_all_in_one_has_a_single_port_for_page_and_media(tmp_path: Path) -> None:
    http, media = free_port(), free_port()
    command = [PROGRAM, "serve", "--http", str(http), "--media-port", str(media), "--backend", "echo"]
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    try:
        deadline = time.monotonic() + 60
        while "press Talk" not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        told = talk(f"http://127.0.0.1:{http}")
        assert f"127.0.0.1 TCP port {http}" in told
        assert "lost 0" in told
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, log.read_text()
    events = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    assert not [event for event in events if event["level"] in {"error", "critical"}]
