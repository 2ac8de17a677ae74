"""Stock Firefox hears itself through `trio-voice serve`, which echoes.

Firefox ignores loopback candidates: media takes the machine's own address.
"""

import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from bench.ports import free_port
from edge.config.embedded import own_address

from .conftest import PROGRAM, Edge
from .firefox import Firefox

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(own_address() is None, reason="this machine has no address but loopback"),
]

# Shows the page's connection to the tests, and changes the offer and the answer on their way.
OPEN_TO_TESTS = """
  const [setup, candidates] = args;
  const [Original, originalFetch] = [RTCPeerConnection, fetch];
  window.RTCPeerConnection = class extends Original { constructor() { super(); window.peer = this; } };
  window.fetch = async (address, options) => {
    if (!options?.body) return originalFetch(address, options);
    const offer = options.body.replace("a=setup:actpass", `a=setup:${setup}`);
    const response = await originalFetch(address, { ...options, body: offer });
    const lines = (await response.text()).split("\\r\\n");
    const kept = lines.filter((line) => !line.startsWith("a=candidate:") || line.includes(candidates));
    return new Response(kept.join("\\r\\n"), response);
  };
"""
TLS_VERSIONS = {"DTLS 1.2": 0x0303, "DTLS 1.3": 0x0304}  # as NSS counts
DTLS_13 = {"version": "DTLS 1.3", "group": "X25519MLKEM768", "cipher_suite": "TLS_AES_128_GCM_SHA256"}
DTLS_12 = {"version": "DTLS 1.2", "group": "x25519", "cipher_suite": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"}
AUDIO_LEVEL = """
  const report = await window.peer?.getStats();
  return [...(report?.values() ?? [])].find((stat) => stat.type === "inbound-rtp")?.audioLevel ?? 0;
"""


@pytest.fixture(scope="module")
def local_edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """All tiers in one process, as somebody who tries it starts them, but reachable at the machine's own address."""
    http, media = free_port(), free_port()
    url = f"http://127.0.0.1:{http}"
    edge = Edge(tmp_path_factory.mktemp("serve"), signal_url=url, relay_url=url, control_url=url, media_port=media)
    with (edge.folder / "serve.log").open("wb") as log:
        edge.processes["serve"] = subprocess.Popen(
            [PROGRAM, "serve", "--backend", "echo", "--http", f"0.0.0.0:{http}", "--media-port", str(media)],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    edge.wait_until("the edge gives its address", lambda: "press Talk" in edge.log("serve"), 60)
    yield edge
    edge.stop()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    with Firefox(tmp_path_factory.mktemp("profile")) as firefox:
        yield firefox


@pytest.fixture
def firefox(browser: Firefox, local_edge: Edge) -> Firefox:
    browser.open(local_edge.signal_url + "/?processing=off")
    return browser


def talk(firefox: Firefox, *, setup: str = "actpass", candidates: str = "") -> None:
    firefox.run(OPEN_TO_TESTS, setup, candidates)
    firefox.click("#talk")


def wait_for_sound(edge: Edge, firefox: Firefox) -> dict[str, Any]:
    """Wait until the tone comes back; returns what the server says of the call."""
    edge.wait_until("a tone comes back", lambda: firefox.run(AUDIO_LEVEL) > 0.05)
    edge.wait_until("the page has asked for the group", lambda: firefox.run("return trioVoice.stats?.dtlsGroup"))
    state = edge.call_state(firefox.run("return trioVoice.location"))
    assert state is not None
    assert state["state"] == "established"
    return state


@pytest.mark.parametrize(("setup", "our_role"), [("actpass", "client"), ("active", "server")])
@pytest.mark.parametrize("facts", [DTLS_12, DTLS_13], ids=lambda facts: facts["version"])
def test_a_tone_comes_back(
    local_edge: Edge, firefox: Firefox, facts: dict[str, str], setup: str, our_role: str
) -> None:
    firefox.set_preference("media.peerconnection.dtls.version.max", TLS_VERSIONS[facts["version"]])
    talk(firefox, setup=setup)
    state = wait_for_sound(local_edge, firefox)
    firefox.click("#connection summary")
    assert state["client"].startswith(f"{own_address()}:")
    assert state["dtls"] == {**facts, "role": our_role, "srtp_profile": "AEAD_AES_128_GCM"}
    shown = {
        "dtlsVersion": facts["version"],
        "dtlsGroup": facts["group"],
        "dtlsCipher": facts["cipher_suite"],
        "srtpProfile": "SRTP_AEAD_AES_128_GCM",
        "codec": "opus, 48 kHz",
        "remoteAddress": f"{own_address()}:{local_edge.media_port}",
        "lossRatio": "0.0 %",
    }
    assert {name: firefox.text(f"[data-fact={name}]") for name in shown} == shown

    location = firefox.run("return trioVoice.location")
    firefox.click("#talk")
    assert firefox.run("return [trioVoice.state, trioVoice.reason]") == ["ended", "hung-up"]
    local_edge.wait_until("the call has ended", lambda: local_edge.call_state(location) is None, 3)


def test_a_closed_tab_ends_the_call(local_edge: Edge, firefox: Firefox) -> None:
    talk(firefox)
    wait_for_sound(local_edge, firefox)
    location = firefox.run("return trioVoice.location")
    firefox.close_tab()
    local_edge.wait_until("the call has ended", lambda: local_edge.call_state(location) is None, 3)


def test_the_server_hangs_up(local_edge: Edge, firefox: Firefox) -> None:
    talk(firefox)
    wait_for_sound(local_edge, firefox)
    firefox.run("await fetch(trioVoice.location, { method: 'DELETE' })")
    local_edge.wait_until("the page notices", lambda: firefox.run("return trioVoice.reason") == "server-hung-up", 3)


def test_a_tone_comes_back_over_tcp_on_the_port_of_the_page(local_edge: Edge, firefox: Firefox) -> None:
    talk(firefox, candidates="tcptype passive")
    state = wait_for_sound(local_edge, firefox)
    assert state["client"].startswith(f"{own_address()}:")
    answer = firefox.run("return window.peer.remoteDescription.sdp")
    candidates = [line.lower().split() for line in answer.splitlines() if line.startswith("a=candidate:")]
    port = local_edge.signal_url.rpartition(":")[2]
    assert {(line[2], line[4], line[5]) for line in candidates} == {("tcp", own_address(), port)}
    firefox.click("#talk")


def test_loopback_alone_is_not_enough_and_the_page_says_so(local_edge: Edge, firefox: Firefox) -> None:
    """Why the machine's own address is advertised too; and Firefox takes five seconds to give up."""
    talk(firefox, candidates=" 127.0.0.1 ")
    local_edge.wait_until("the page gives up", lambda: firefox.run("return trioVoice.reason"), 12)
    assert firefox.run("return trioVoice.reason") == "udp-blocked"
    assert "Firefox never uses a loopback address" in firefox.text("#status")
