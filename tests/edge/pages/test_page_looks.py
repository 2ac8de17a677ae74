"""The page on a phone, in the dark, for weak eyes and for those whom motion troubles."""

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.e2e

PHONE = {"width": 390, "height": 844}
SMALL_PHONE = {"width": 320, "height": 568}

# Every element with text of its own: its contrast (WCAG 2.2 §1.4.3) with the nearest background not transparent.
CONTRASTS = """() => {
    const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    const luminance = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
    const behind = (element) => {
        for (; element; element = element.parentElement) {
            const colour = numbers(getComputedStyle(element).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour;
        }
    };
    const worst = [];
    for (const element of document.body.querySelectorAll("*")) {
        const ownText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!ownText || !element.checkVisibility()) continue;
        const text = luminance(numbers(getComputedStyle(element).color));
        const paper = luminance(behind(element));
        const contrast = (Math.max(text, paper) + 0.05) / (Math.min(text, paper) + 0.05);
        worst.push([contrast, element.textContent.trim().slice(0, 40)]);
    }
    return worst.sort((a, b) => a[0] - b[0]);
}"""


def widest_overflow(page: Page) -> int:
    """Pixels that a phone would have to scroll sideways."""
    overflows = []
    for size in (PHONE, SMALL_PHONE):
        page.set_viewport_size(size)
        overflows.append(page.evaluate("() => document.scrollingElement.scrollWidth - window.innerWidth"))
    return max(overflows)


def test_a_phone_never_scrolls_sideways(edge, open_page):
    page = open_page(edge.url + "?connect-timeout=700", viewport=PHONE)
    expect(page.get_by_role("button", name="Talk")).to_be_in_viewport(ratio=1)
    assert widest_overflow(page) <= 0
    page.get_by_role("button", name="Talk").click()
    expect(page.locator("[data-fact=dtlsCipher]")).to_have_text("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256")
    assert widest_overflow(page) <= 0
    page.get_by_role("button", name="Hang up").click()
    edge.behave("dead-port")
    page.get_by_role("button", name="Talk").click()
    expect(page.get_by_role("status")).to_contain_text("block UDP")
    assert widest_overflow(page) <= 0
    page.get_by_role("button", name="Talk").scroll_into_view_if_needed()
    expect(page.get_by_role("button", name="Talk")).to_be_in_viewport()


def converse(page: Page, edge) -> None:
    """A call with a bit of everything in it."""
    page.get_by_role("button", name="Talk").click()
    expect(page.locator("#events .type")).to_have_text(["session.update"], timeout=15_000)
    edge.send("session.created", session={"instructions": "long " * 40})
    edge.send("input_audio_buffer.speech_started", item_id="item_1", audio_start_ms=0)
    edge.send("input_audio_buffer.speech_stopped", item_id="item_1", audio_end_ms=400)
    call = {"type": "function_call", "name": "f" * 90, "call_id": "c", "arguments": '{"a": "' + "b" * 90 + '"}'}
    edge.send("response.output_item.done", item=call)
    edge.send("error", error={"message": "No " + "o" * 90, "code": "w" * 90})
    edge.send("x" * 110)
    edge.send("response.created", response={"id": "resp_1"})
    edge.send("output_audio_buffer.started", response_id="resp_1")
    edge.send("response.output_audio_transcript.delta", response_id="resp_1", delta="An answer, " + "w" * 90)
    expect(page.locator("[data-kind=reply] .words")).to_contain_text("An answer")
    page.locator("#events summary").nth(1).click()
    page.get_by_text("Connection", exact=True).click()


def interrupt(page: Page, edge) -> None:
    edge.send("output_audio_buffer.cleared", response_id="resp_1")
    expect(page.locator("[data-cut]")).to_be_visible()


def test_a_conversation_fits_a_phone(edge, open_page):
    edge.behave("agent")
    page = open_page(edge.url, viewport=PHONE)
    converse(page, edge)
    interrupt(page, edge)
    assert widest_overflow(page) <= 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_of_a_conversation_stands_out(edge, open_page, scheme):
    edge.behave("agent")
    page = open_page(edge.url, color_scheme=scheme, reduced_motion="reduce")
    converse(page, edge)
    contrasts = page.evaluate(CONTRASTS)
    interrupt(page, edge)
    contrasts += page.evaluate(CONTRASTS)
    assert len(contrasts) > 150
    assert [text for text in contrasts if text[0] < 4.5] == []


# How many points of the time line have one of the page's colours, within what drawing rounds.
POINTS = """(name) => {
    const scope = document.getElementById("scope");
    const hex = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const wanted = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
    const { data } = scope.getContext("2d").getImageData(0, 0, scope.width, scope.height);
    let points = 0;
    const isMeant = (i) => data[i + 3] > 230 && wanted.every((value, j) => Math.abs(value - data[i + j]) < 8);
    for (let i = 0; i < data.length; i += 4) points += isMeant(i);
    return points;
}"""


def test_the_time_line_shows_both_voices_and_where_one_was_cut_off(edge, open_page):
    edge.behave("agent")
    page = open_page(edge.url + "?processing=off")
    converse(page, edge)
    edge.behave("speak")
    expect(page.locator("#meter-back")).not_to_have_attribute("aria-valuenow", "-60")
    page.wait_for_timeout(300)
    assert page.evaluate(POINTS, "--out") > 300
    assert page.evaluate(POINTS, "--back") > 100
    assert page.evaluate(POINTS, "--alarm") == 0
    interrupt(page, edge)
    page.wait_for_timeout(100)
    assert page.evaluate(POINTS, "--alarm") > 50


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(edge, open_page, scheme):
    edge.behave("dead-port")
    page = open_page(edge.url + "?connect-timeout=300", color_scheme=scheme, reduced_motion="reduce")
    page.mouse.move(0, 0)
    page.evaluate("() => document.getElementById('post-quantum').hidden = false")
    page.get_by_text("Connection", exact=True).click()
    idle = page.evaluate(CONTRASTS)
    page.get_by_role("button", name="Talk").click()
    expect(page.get_by_role("status")).to_contain_text("block UDP")
    problem = page.evaluate(CONTRASTS)
    assert len(idle) > 30
    assert [text for text in idle + problem if text[0] < 4.5] == []


def test_light_and_dark_differ(edge, open_page):
    paper = "() => getComputedStyle(document.body).backgroundColor"
    light, dark = (open_page(edge.url, color_scheme=scheme).evaluate(paper) for scheme in ("light", "dark"))
    assert light != dark


def test_nothing_moves_for_those_whom_motion_troubles(edge, open_page):
    moving = "() => document.getAnimations().length"
    for reduced_motion, moves in (("no-preference", True), ("reduce", False)):
        page = open_page(edge.url, reduced_motion=reduced_motion)
        page.get_by_role("button", name="Talk").click()
        expect(page.locator("body")).to_have_attribute("data-state", "talking", timeout=15_000)
        page.wait_for_timeout(400)
        assert (page.evaluate(moving) > 0) == moves
        pictures = page.evaluate(
            """async () => {
                const pictures = new Set();
                for (let i = 0; i < 20; i += 1) {
                    await new Promise(requestAnimationFrame);
                    pictures.add(document.getElementById("scope").toDataURL());
                }
                return pictures.size;
            }"""
        )
        assert (pictures > 10) == moves
        page.get_by_role("button", name="Hang up").click()


def test_the_status_is_announced(edge, open_page):
    page = open_page(edge.url)
    status = page.get_by_role("status")
    expect(status).to_have_attribute("aria-live", "polite")
    expect(status).to_contain_text("Ready when you are")
    expect(page.get_by_role("meter", name="you")).to_have_attribute("aria-valuetext", "silent")
    expect(page.get_by_role("meter", name="agent")).to_have_attribute("aria-valuetext", "silent")
