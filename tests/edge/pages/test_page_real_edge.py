"""The page served by the real edge: Chromium hears itself over DTLS 1.3, and the page shows what was negotiated."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.e2e


def test_a_call_through_the_real_edge(real_edge, open_page):
    page = open_page(real_edge + "?processing=off")
    page.get_by_role("button", name="Talk").click()
    expect(page.locator("body")).to_have_attribute("data-state", "talking", timeout=15_000)
    facts = {
        "dtlsVersion": "DTLS 1.3",
        "dtlsGroup": "X25519MLKEM768",
        "dtlsCipher": "TLS_AES_128_GCM_SHA256",
        "srtpProfile": "SRTP_AEAD_AES_128_GCM",
        "lossRatio": "0.0 %",
    }
    for name, value in facts.items():
        expect(page.locator(f"[data-fact={name}]")).to_have_text(value)
    expect(page.locator("#post-quantum")).to_be_visible()
    expect(page.locator("#meter-back")).not_to_have_attribute("aria-valuenow", "-60")
    timeline = page.evaluate("() => trioVoice.timeline")
    assert 0 < timeline["post"] < timeline["ice"] <= timeline["dtls"] <= timeline["firstAudio"] < 10_000

    with page.expect_response(lambda response: response.request.method == "DELETE") as deleted:
        page.get_by_role("button", name="Hang up").click()
    assert deleted.value.status == 200
    assert page.evaluate("() => trioVoice.reason") == "hung-up"
