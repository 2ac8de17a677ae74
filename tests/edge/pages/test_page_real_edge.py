"""The page served by the real edge: a conversation with the parrot over DTLS 1.3, and what was negotiated for it."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.e2e

TURN = """async () => {
    speak(true);
    await new Promise((resolve) => setTimeout(resolve, 800));
    speak(false);
}"""


def test_a_call_through_the_real_edge(real_edge, open_with_mouth):
    page = open_with_mouth(real_edge + "?processing=off")
    page.get_by_role("button", name="Talk").click()
    expect(page.locator("body")).to_have_attribute("data-partner", "agent", timeout=15_000)

    page.evaluate(TURN)
    expect(page.locator("[data-kind=reply] .words")).to_have_text("This is what you said.", timeout=15_000)
    expect(page.locator("[data-time=heard]")).to_have_text(re.compile(r"^\d+ ms$"))
    page.get_by_role("button", name="Have it call a tool").click()
    expect(page.locator("[data-kind=tool] .words")).to_have_text("get_time {}", timeout=15_000)
    expect(page.locator("[data-kind=reply] .words").nth(1)).to_contain_text("get_time says", timeout=15_000)
    assert page.locator("[data-kind=problem]").all_text_contents() == []
    times = page.evaluate("() => trioVoice.times")
    assert 0 < times["agent"]["last"] < times["heard"]["last"] < 5000

    facts = {
        "dtlsVersion": "DTLS 1.3",
        "dtlsGroup": "X25519MLKEM768",
        "dtlsCipher": "TLS_AES_128_GCM_SHA256",
        "srtpProfile": "SRTP_AEAD_AES_128_GCM",
        "lossRatio": "0.0 %",
    }
    for name, value in facts.items():
        expect(page.locator(f"[data-fact={name}]")).to_have_text(value)
    page.get_by_text("Connection", exact=True).click()
    expect(page.locator("#post-quantum")).to_be_visible()
    timeline = page.evaluate("() => trioVoice.timeline")
    assert 0 < timeline["post"] < timeline["ice"] <= timeline["dtls"] <= timeline["firstAudio"] < 10_000

    with page.expect_response(lambda response: response.request.method == "DELETE") as deleted:
        page.get_by_role("button", name="Hang up").click()
    assert deleted.value.status == 200
    assert page.evaluate("() => trioVoice.reason") == "hung-up"
