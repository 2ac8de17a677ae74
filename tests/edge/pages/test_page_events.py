"""The log of events: bounded, to be opened, to be searched."""

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.e2e


@pytest.fixture
def page(edge, open_page) -> Page:
    edge.behave("agent")
    page = open_page(edge.url)
    page.get_by_role("button", name="Talk").click()
    expect(page.locator("#events .type")).to_have_text(["session.update"], timeout=15_000)
    return page


def test_an_event_shows_its_direction_its_time_and_its_json(page, edge):
    edge.send("session.created", session={"voice": "parrot"})
    expect(page.locator("#events .type")).to_have_text(["session.update", "session.created"])
    sent, received = page.locator("#events li").all()
    expect(sent.get_by_role("img", name="sent")).to_be_visible()
    expect(received.get_by_role("img", name="received")).to_be_visible()
    assert [len(time.split(".")[1]) for time in page.locator("#events time").all_text_contents()] == [3, 3]
    assert page.locator("#events pre").count() == 0
    received.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(received.locator("pre")).to_contain_text('"voice": "parrot"')


def test_the_filter_looks_at_types_and_contents(page, edge):
    edge.send("session.created", session={"voice": "Parrot"})
    edge.send("error", error={"message": "no"})
    page.get_by_label("Filter").fill("PARROT")
    expect(page.locator("#events li:visible .type")).to_have_text(["session.created"])
    expect(page.locator("#events-count")).to_have_text("1 of 3")
    edge.send("response.done", response={"note": "parrot"})
    edge.send("response.created", response={})
    expect(page.locator("#events li:visible .type")).to_have_text(["session.created", "response.done"])
    page.get_by_label("Filter").fill("")
    expect(page.locator("#events li:visible")).to_have_count(5)


def test_only_the_newest_are_kept(page, edge):
    text = '{"type": "rate_limits.updated", "event_id": "e", "n": %d}'
    for n in range(460):
        edge.send_text(text % n)
    edge.send("response.done", response={})
    expect(page.locator("#events .type").last).to_have_text("response.done")
    assert page.locator("#events li").count() <= 400
    expect(page.locator("#events-count")).to_contain_text("the newest of 462")
    below = page.locator("#events").evaluate("list => list.scrollHeight - list.scrollTop - list.clientHeight")
    assert below < 2


def test_a_large_event_is_cut(page, edge):
    edge.send("session.created", session={"text": "x" * 50_000})
    page.locator("#events summary").nth(1).click()
    expect(page.locator("#events pre")).to_contain_text("characters)")
    assert len(page.locator("#events pre").text_content() or "") < 21_000
