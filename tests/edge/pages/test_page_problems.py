"""Calls that do not work: the page says in plain words what went wrong."""

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.e2e

PLAIN_WORDS = {
    "microphone-refused": "The microphone was refused",
    "microphone-missing": "No microphone was found",
    "microphone-busy": "The microphone could not be opened",
    "insecure-page": "The browser keeps the microphone from this page",
    "server-gone": "The server cannot be reached",
    "server-silent": "The server does not answer",
    "server-lost": "The server is gone",
    "path-lost": "The connection was lost",
    "server-hung-up": "The server ended the call",
    "udp-blocked": "This network seems to block UDP",
    "refused": "The server refused the call",
    "bad-answer": "The server's answer makes no sense to this browser",
}


def talk(page: Page, until: str = "talking") -> None:
    page.get_by_role("button", name="Talk").click()
    expect(page.locator("body")).to_have_attribute("data-state", until, timeout=15_000)


def expect_ending(page: Page, reason: str, *, problem: bool = True, detail: str = "", timeout: float = 15_000) -> None:
    expect(page.get_by_role("status")).to_contain_text(PLAIN_WORDS[reason], timeout=timeout)
    expect(page.get_by_role("status")).to_contain_text(detail)
    assert page.evaluate("() => [trioVoice.state, trioVoice.reason]") == ["ended", reason]
    assert (page.get_by_role("status").get_attribute("data-problem") is not None) == problem
    expect(page.get_by_role("button", name="Talk")).to_be_visible()


def test_microphone_refused(edge, open_page):
    page = open_page(edge.url, microphone=False)
    talk(page, until="ended")
    expect_ending(page, "microphone-refused", detail="Allow it for this page")
    assert edge.asked("POST") == []


@pytest.mark.parametrize(
    ("error", "reason"), [("NotFoundError", "microphone-missing"), ("NotReadableError", "microphone-busy")]
)
def test_no_microphone_to_be_had(edge, open_page, error, reason):
    page = open_page(edge.url)
    page.evaluate(
        "error => { navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', error) } }", error
    )
    talk(page, until="ended")
    expect_ending(page, reason)


def test_a_page_that_is_not_secure(edge, open_page, own_address):
    page = open_page(f"http://{own_address}:{edge.port}/", expect_errors=True)
    talk(page, until="ended")
    expect_ending(page, "insecure-page", detail="https://")


def test_server_gone_before_the_call(start_edge, open_page):
    edge = start_edge()
    page = open_page(edge.url, expect_errors=True)
    edge.stop()
    talk(page, until="ended")
    expect_ending(page, "server-gone", detail="Check that trio-voice is running")


def test_server_that_takes_the_offer_and_says_nothing(edge, open_page):
    edge.behave("mute")
    page = open_page(edge.url + "?connect-timeout=500")
    talk(page, until="ended")
    expect_ending(page, "server-silent", detail="0.5 s")


def test_silence_and_what_becomes_of_it(edge, start_edge, open_page):
    """Four calls fall silent at once, because Chromium takes five seconds to notice a lost path."""
    pausing, dying = start_edge(), start_edge()
    paused = open_page(pausing.url + "?reconnect-timeout=6000")
    server_lost = open_page(dying.url + "?reconnect-timeout=500", expect_errors=True)
    path_lost = open_page(edge.url + "?reconnect-timeout=500")
    microphone_muted = open_page(start_edge().url)
    silence = "new AudioContext().createMediaStreamDestination().stream"
    microphone_muted.evaluate(f"() => {{ navigator.mediaDevices.getUserMedia = async () => {silence} }}")
    for page in (paused, server_lost, path_lost, microphone_muted):
        talk(page)
    pausing.freeze()
    dying.stop()
    edge.behave("vanish")

    expect(paused.get_by_role("status")).to_contain_text("Reconnecting", timeout=15_000)
    pausing.thaw()
    expect_ending(server_lost, "server-lost")
    expect_ending(path_lost, "path-lost")
    expect(microphone_muted.get_by_role("status")).to_contain_text("Your microphone hears nothing", timeout=15_000)
    expect(paused.locator("body")).to_have_attribute("data-state", "talking", timeout=15_000)


def test_server_hangs_up(edge, open_page):
    page = open_page(edge.url)
    talk(page)
    edge.behave("hang-up")
    expect_ending(page, "server-hung-up", problem=False)
    page.wait_for_timeout(100)
    assert edge.asked("DELETE") == []  # the server knows


def test_udp_blocked(edge, open_page):
    edge.behave("dead-port")
    page = open_page(edge.url + "?connect-timeout=700")
    talk(page, until="ended")
    expect_ending(page, "udp-blocked", detail="allowing UDP to 127.0.0.1 port 9")
    assert page.evaluate("() => trioVoice.timeline.post") > 0
    page.wait_for_timeout(100)
    assert len(edge.asked("DELETE")) == 1


@pytest.mark.parametrize(
    ("behaviour", "detail"),
    [("overloaded", "All lines are busy. Try again in 7 s."), ("broken", "status 502")],
)
def test_the_server_refuses_and_says_why(edge, open_page, behaviour, detail):
    edge.behave(behaviour)
    page = open_page(edge.url, expect_errors=True)
    talk(page, until="ended")
    expect_ending(page, "refused", detail=detail)


def test_an_answer_that_is_none(edge, open_page):
    edge.behave("nonsense")
    page = open_page(edge.url)
    talk(page, until="ended")
    expect_ending(page, "bad-answer")


FAIL_DTLS = """() => {
  const transport = window.peer.getSenders()[0].transport;
  Object.defineProperty(transport, "state", { value: "failed" });
  transport.dispatchEvent(new Event("statechange"));
}"""
KEEP_PEER = """() => {
  const Original = RTCPeerConnection;
  window.RTCPeerConnection = class extends Original { constructor() { super(); window.peer = this; } };
}"""


def test_dtls_that_fails_before_a_path_was_found(edge, open_page):
    """So Firefox says that ICE has failed, five seconds after it knows no further candidate."""
    edge.behave("dead-port")
    page = open_page(edge.url)
    page.evaluate(KEEP_PEER)
    talk(page, until="connecting")
    page.wait_for_function("() => window.peer?.getSenders()[0]?.transport")
    page.evaluate(FAIL_DTLS)
    expect_ending(page, "udp-blocked", timeout=2000)


def test_dtls_that_fails_in_a_call(edge, open_page):
    """So Firefox says that a path has been silent for too long."""
    page = open_page(edge.url)
    page.evaluate(KEEP_PEER)
    talk(page)
    page.evaluate(FAIL_DTLS)
    expect_ending(page, "path-lost", timeout=2000)


def test_no_sound_output(edge, open_page):
    """Firefox then leaves every AudioContext suspended, so nothing is known of the microphone."""
    page = open_page(edge.url)
    page.evaluate("() => { AudioContext.prototype.resume = AudioContext.prototype.suspend }")
    talk(page)
    expect(page.get_by_role("status")).to_contain_text("Your browser finds no sound output", timeout=10_000)
