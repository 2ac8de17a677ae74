"""Stock Chromium hears itself through three separate processes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright

from .conftest import TONE_HZ, Edge, launch

pytestmark = pytest.mark.e2e

CALL = (Path(__file__).parent / "call.js").read_text()


@pytest.fixture
def page(chromium: Browser, edge: Edge) -> Iterator[Page]:
    context = chromium.new_context(permissions=["microphone"])
    page = context.new_page()
    page.goto(edge.signal_url)
    yield page
    context.close()


def call(page: Page, **options: Any) -> dict[str, Any]:
    return page.evaluate(CALL, options)


def assert_tone_comes_back(page: Page) -> None:
    page.wait_for_function(
        "tone => { const peak = window.call.peakHz(); return Math.abs(peak.hz - tone) < 15 && peak.db > -50; }",
        arg=TONE_HZ,
    )


def hang_up(page: Page) -> int:
    return page.evaluate(
        "async () => { const r = await fetch(window.call.location, {method: 'DELETE'}); return r.status; }"
    )


def test_a_tone_comes_back_over_dtls_13(edge: Edge, page: Page) -> None:
    flows_before = edge.metric(edge.relay_url, "trio_voice_relay_flows")
    made = call(page)
    assert "a=setup:active" in made["answer"]
    assert_tone_comes_back(page)
    stats = page.evaluate("window.call.stats()")

    assert stats["transport"]["tlsVersion"] == "FEFC"
    assert stats["transport"]["srtpCipher"] == "SRTP_AEAD_AES_128_GCM"
    assert stats["transport"]["dtlsRole"] == "server"
    assert (stats["remote"]["address"], stats["remote"]["port"]) == ("127.0.0.1", edge.media_port)
    assert stats["inbound-rtp"]["packetsLost"] == 0
    edge.wait_until(
        "the browser has our receiver report",
        lambda: "roundTripTime" in page.evaluate("window.call.stats()").get("remote-inbound-rtp", {}),
    )

    state = edge.call_state(made["location"])
    assert state is not None
    assert state["state"] == "established"
    assert state["dtls"] == {
        "version": "DTLS 1.3",
        "role": "client",
        "group": "X25519MLKEM768",
        "cipher_suite": "TLS_AES_128_GCM_SHA256",
        "srtp_profile": "AEAD_AES_128_GCM",
    }
    # The transceiver knows the client's true address, not the relay's.
    assert int(state["client"].rpartition(":")[2]) == stats["local"]["port"]
    assert edge.metric(edge.relay_url, "trio_voice_relay_flows") == flows_before + 1

    assert hang_up(page) == 200
    assert edge.call_state(made["location"]) is None
    edge.wait_until(
        "the relay has forgotten the flow",
        lambda: edge.metric(edge.relay_url, "trio_voice_relay_flows") == flows_before,
    )
    edge.wait_until(
        "the browser notices the hang-up",
        lambda: page.evaluate("window.call.pc.connectionState") in ("closed", "failed", "disconnected"),
    )


def test_the_server_is_the_dtls_server_when_the_offer_is_active(edge: Edge, page: Page) -> None:
    made = call(page, setup="active")
    assert "a=setup:passive" in made["answer"]
    assert_tone_comes_back(page)
    stats = page.evaluate("window.call.stats()")
    assert stats["transport"]["tlsVersion"] == "FEFC"
    assert stats["transport"]["dtlsRole"] == "client"
    state = edge.call_state(made["location"])
    assert state is not None
    assert (state["dtls"]["role"], state["dtls"]["group"]) == ("server", "X25519MLKEM768")
    assert hang_up(page) == 200


def test_a_data_channel_beside_the_echo(page: Page) -> None:
    made = call(page, channel=True)
    assert "m=application 0 " not in made["answer"]
    page.wait_for_function("() => window.call.channel.readyState === 'open'")
    assert_tone_comes_back(page)
    assert hang_up(page) == 200


@pytest.mark.parametrize("setup", ["actpass", "active"])
def test_without_the_post_quantum_group(edge: Edge, playwright: Playwright, tone_wav: Path, setup: str) -> None:
    browser = launch(playwright, tone_wav, "--disable-features=WebRtcPqcForDtls")
    try:
        page = browser.new_context(permissions=["microphone"]).new_page()
        page.goto(edge.signal_url)
        made = call(page, setup=setup)
        assert_tone_comes_back(page)
        stats = page.evaluate("window.call.stats()")
        assert stats["transport"]["tlsVersion"] == "FEFC"
        state = edge.call_state(made["location"])
        assert state is not None
        assert state["dtls"]["group"] == "x25519"
        assert hang_up(page) == 200
    finally:
        browser.close()


def test_a_closed_connection_is_noticed_at_once(edge: Edge, page: Page) -> None:
    made = call(page)
    assert edge.call_state(made["location"]) is not None
    page.evaluate("window.call.pc.close()")
    edge.wait_until("the call has ended", lambda: edge.call_state(made["location"]) is None, 3)
    assert '"closed": "close-notify"' in edge.log("transceiver")
