"""Calls that work: what the page does, in a real Chromium against a stand-in for the edge."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.e2e

TONE_HZ = 440

# The loudest frequency of what the page plays, once there is something to hear.
LISTEN = """async () => {
    const context = new AudioContext();
    await context.resume();
    const analyser = new AnalyserNode(context, {fftSize: 16384, smoothingTimeConstant: 0});
    context.createMediaStreamSource(document.querySelector("audio").srcObject).connect(analyser);
    const bins = new Float32Array(analyser.frequencyBinCount);
    for (let waited = 0; waited < 10000; waited += 100) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        analyser.getFloatFrequencyData(bins);
        const loudest = bins.indexOf(Math.max(...bins));
        if (bins[loudest] > -40) return loudest * context.sampleRate / analyser.fftSize;
    }
    return null;
}"""


def wait_for_state(page: Page, state: str) -> None:
    # Not page.wait_for_function: it evaluates strings inside the page, which the page's policy forbids.
    expect(page.locator("body")).to_have_attribute("data-state", state, timeout=15_000)


def seen(page: Page) -> dict[str, Any]:
    """window.trioVoice, its getters read."""
    seen: dict[str, Any] = page.evaluate("() => ({...window.trioVoice})")
    return seen


def fact(page: Page, name: str):
    return page.locator(f"[data-fact={name}]")


def test_a_caller_hears_the_own_voice(edge, open_page: Callable[..., Page]):
    page = open_page(edge.url + "?processing=off")
    expect(page.locator(".controls").get_by_role("button")).to_have_text(["Talk"])
    assert seen(page)["state"] == "idle"

    page.get_by_role("button", name="Talk").click()
    wait_for_state(page, "talking")
    expect(page.locator("#talk")).to_have_text("Hang up")
    assert page.evaluate(LISTEN) == pytest.approx(TONE_HZ, abs=6)
    played = page.evaluate("() => { const a = document.querySelector('audio'); return [a.paused, a.muted, a.volume] }")
    assert played == [False, False, 1]

    expect(fact(page, "jitter")).to_have_text(re.compile(r"^(< 1|\d+(\.\d)?) ms$"))
    expect(fact(page, "roundTripTime")).to_have_text(re.compile(r"^(< 1|\d+(\.\d)?) ms$"))
    expect(fact(page, "lossRatio")).to_have_text(re.compile(r"^\d+\.\d %$"))
    # What this stand-in negotiates (aiortc has DTLS 1.2 only), and the group that Chromium leaves out.
    expect(fact(page, "dtlsVersion")).to_have_text("DTLS 1.2")
    expect(fact(page, "dtlsGroup")).to_have_text("secp256r1")
    expect(fact(page, "dtlsGroupFrom")).to_have_text("says the server")
    assert seen(page)["stats"]["dtlsGroupFrom"] == "server"
    expect(fact(page, "dtlsCipher")).to_have_text("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256")
    expect(fact(page, "srtpProfile")).to_have_text("SRTP_AES128_CM_HMAC_SHA1_80")
    expect(fact(page, "codec")).to_have_text("opus, 48 kHz")

    timeline = seen(page)["timeline"]
    assert 0 < timeline["post"] < timeline["ice"] <= timeline["dtls"] < timeline["firstAudio"] < 10_000
    shown = [re.sub(r"\D", "", text) for text in page.locator(".step-time").all_text_contents()]
    assert shown == [str(int(timeline[step] + 0.5)) for step in ("post", "ice", "dtls", "firstAudio")]

    for direction in ("out", "back"):
        meter = page.locator(f"#meter-{direction}")
        expect(meter).not_to_have_attribute("aria-valuenow", "-60")
        assert meter.locator(".meter-fill").evaluate("fill => new DOMMatrix(getComputedStyle(fill).transform).a") > 0.3

    location = seen(page)["location"]
    assert location.startswith("/v1/realtime/calls/rtc_1")
    expect(fact(page, "callId")).to_have_text(location.rpartition("/")[2])
    (post,) = edge.asked("POST")
    assert (post["Content-Type"], post["Authorization"]) == ("application/sdp", "")

    page.get_by_role("button", name="Hang up").click()
    wait_for_state(page, "ended")
    expect(page.locator("#talk")).to_have_text("Talk")
    assert seen(page)["reason"] == "hung-up"
    page.wait_for_timeout(100)
    assert [request["path"] for request in edge.asked("DELETE")] == [location]


def test_the_keyboard_suffices_and_a_second_call_follows_the_first(edge, open_page):
    page = open_page(edge.url)
    page.keyboard.press("Tab")
    for _ in range(2):
        page.keyboard.press("Enter")
        wait_for_state(page, "talking")
        page.keyboard.press("Space")
        wait_for_state(page, "ended")
    assert len(edge.asked("POST")) == 2


def test_a_handshake_that_ends_before_the_page_comes_to_look(edge, open_page):
    page = open_page(edge.url)
    page.evaluate(
        """() => {
            const set = RTCPeerConnection.prototype.setRemoteDescription;
            RTCPeerConnection.prototype.setRemoteDescription = async function (description) {
                await set.call(this, description);
                await new Promise((resolve) => setTimeout(resolve, 1200));
            };
        }"""
    )
    page.get_by_role("button", name="Talk").click()
    wait_for_state(page, "talking")
    assert seen(page)["timeline"]["dtls"] < 1200
    expect(fact(page, "dtlsVersion")).to_have_text("DTLS 1.2")


@pytest.mark.parametrize(
    "missing",
    [
        "RTCPeerConnection.prototype.getStats = () => new Promise(() => {})",
        """const listen = MediaStreamTrack.prototype.addEventListener;
           MediaStreamTrack.prototype.addEventListener = function (name, ...rest) {
               if (name !== "unmute") listen.call(this, name, ...rest);
           }""",
    ],
    ids=["statistics", "unmute"],
)
def test_first_audio_is_noticed_in_more_than_one_way(edge, open_page, missing):
    page = open_page(edge.url)
    page.evaluate(f"() => {{ {missing} }}")
    page.get_by_role("button", name="Talk").click()
    expect(page.locator("[data-step=firstAudio] .step-time")).to_have_text(re.compile(r"^\d+ ms$"), timeout=15_000)


@pytest.mark.parametrize(("address", "processing"), [("", True), ("?processing=off", False)])
def test_the_browser_cleans_the_sound_unless_told_not_to(edge, open_page, address, processing):
    page = open_page(edge.url + address)
    asked = page.evaluate(
        """() => new Promise((resolve) => {
            navigator.mediaDevices.getUserMedia = (wanted) => { resolve(wanted); return new Promise(() => {}); };
            document.getElementById("talk").click();
        })"""
    )
    wanted = dict.fromkeys(("echoCancellation", "noiseSuppression", "autoGainControl"), processing)
    assert asked == {"audio": wanted}


def test_what_tools_read_cannot_be_written(edge, open_page):
    page = open_page(edge.url)
    kept = page.evaluate(
        """() => {
            "use strict";
            const refused = [];
            const writes = [
                () => (trioVoice.state = "talking"), () => (trioVoice.timeline.post = 1), () => (window.trioVoice = 1),
                () => (trioVoice.times.interruptions = 1),
            ];
            for (const write of writes) try { write(); } catch (problem) { refused.push(problem.name); }
            return refused;
        }"""
    )
    assert kept == ["TypeError"] * 4


def test_what_nobody_tells_is_a_dash(edge, open_page):
    edge.behave("terse")
    page = open_page(edge.url, expect_errors=True)
    page.get_by_role("button", name="Talk").click()
    expect(fact(page, "dtlsVersion")).to_have_text("DTLS 1.2")
    page.wait_for_timeout(600)
    expect(fact(page, "dtlsGroup")).to_have_text("\N{EN DASH}")
    expect(fact(page, "dtlsGroupFrom")).to_have_text("")


def test_the_server_is_told_before_the_connection_closes(edge, open_page):
    page = open_page(edge.url)
    page.evaluate(
        """() => {
            window.order = [];
            const { close } = RTCPeerConnection.prototype;
            RTCPeerConnection.prototype.close = function () { order.push("close"); close.call(this); };
            const send = window.fetch;
            window.fetch = (address, options) => {
                const answered = send(address, options);
                if (options.method === "DELETE") answered.then(() => order.push("deleted"));
                return answered;
            };
        }"""
    )
    page.get_by_role("button", name="Talk").click()
    wait_for_state(page, "talking")
    page.get_by_role("button", name="Hang up").click()
    page.wait_for_timeout(300)
    assert page.evaluate("() => order") == ["deleted", "close"]


def test_leaving_the_page_ends_the_call(edge, open_page):
    page = open_page(edge.url)
    page.get_by_role("button", name="Talk").click()
    wait_for_state(page, "talking")
    location = seen(page)["location"]
    # On this machine a DELETE may get away in time even where it is not made to outlive the page: look at both.
    page.evaluate(
        """() => {
            const send = window.fetch;
            window.fetch = (address, options) => {
                if (options.method === "DELETE") sessionStorage.outlives = options.keepalive;
                return send(address, options);
            };
        }"""
    )
    page.reload()
    page.wait_for_timeout(300)
    assert [request["path"] for request in edge.asked("DELETE")] == [location]
    assert page.evaluate("() => sessionStorage.outlives") == "true"


def test_a_call_cancelled_before_its_answer_is_still_taken_back(edge, open_page):
    edge.behave("slow")
    page = open_page(edge.url)
    page.get_by_role("button", name="Talk").click()
    wait_for_state(page, "connecting")
    page.get_by_role("button", name="Cancel").click()
    assert seen(page)["state"] == "ended"
    assert edge.asked("DELETE") == []
    page.wait_for_timeout(1000)
    assert len(edge.asked("DELETE")) == 1


def test_a_key_is_asked_for_kept_in_memory_and_used_again(edge, open_page):
    edge.behave("key")
    page = open_page(edge.url, expect_errors=True)
    page.get_by_role("button", name="Talk").click()
    field = page.get_by_label("API key")
    expect(field).to_be_focused()
    field.type("wrong")
    field.press("Enter")
    expect(page.locator("#status-title")).to_have_text("The server does not know that key")
    field.type("let-me-in")
    page.get_by_role("button", name="Use key").click()
    wait_for_state(page, "talking")
    expect(field).to_be_hidden()
    page.get_by_role("button", name="Hang up").click()
    page.get_by_role("button", name="Talk").click()
    wait_for_state(page, "talking")

    keys = [request["Authorization"] for request in edge.asked("POST")]
    assert keys == ["", "Bearer wrong", "Bearer let-me-in", "Bearer let-me-in"]
    assert [request["Authorization"] for request in edge.asked("DELETE")] == ["Bearer let-me-in"]
    stored = page.evaluate("() => [localStorage.length, sessionStorage.length, document.cookie, location.search]")
    assert stored == [0, 0, "", ""]


def test_statistics_of_a_browser_that_says_much_and_of_one_that_says_little(edge, open_page):
    page = open_page(edge.url)
    reports = (
        """async (reports) => (await import("/statistics.js")).readStats(new Map(reports.map((r) => [r.id, r])))"""
    )
    inbound = {
        "id": "i",
        "type": "inbound-rtp",
        "kind": "audio",
        "packetsReceived": 75,
        "packetsLost": 25,
        "jitter": 0.004,
    }
    full = page.evaluate(
        reports,
        [
            {
                "id": "t",
                "type": "transport",
                "tlsVersion": "FEFC",
                "tlsGroup": "X25519MLKEM768",
                "selectedCandidatePairId": "p",
            },
            {"id": "q", "type": "candidate-pair", "nominated": True, "state": "succeeded", "currentRoundTripTime": 9},
            {"id": "p", "type": "candidate-pair", "currentRoundTripTime": 0.02, "remoteCandidateId": "r"},
            {"id": "r", "type": "remote-candidate", "address": "fd00::2", "port": 3478},
            {"id": "v", "type": "inbound-rtp", "kind": "video", "packetsReceived": 1, "packetsLost": 1},
            inbound,
        ],
    )
    assert (full["dtlsVersion"], full["dtlsGroup"]) == ("DTLS 1.3", "X25519MLKEM768")
    assert (full["roundTripTime"], full["jitter"], full["lossRatio"]) == (0.02, 0.004, 0.25)
    assert full["remoteAddress"] == "[fd00::2]:3478"

    heard = {"id": "h", "type": "remote-inbound-rtp", "kind": "audio", "roundTripTime": 0.03, "jitter": 0.001}
    little = page.evaluate(reports, [inbound, heard])
    assert (little["roundTripTime"], little["outJitter"]) == (0.03, 0.001)
    unknown = ("dtlsVersion", "dtlsGroup", "dtlsCipher", "srtpProfile", "codec", "remoteAddress", "outLossRatio")
    assert {little[name] for name in unknown} == {None}
