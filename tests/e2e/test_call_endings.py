"""However a caller leaves, it is noticed, the log says how, and nothing of the call is left."""

import attrs
import pytest
from playwright.sync_api import Browser

from .conftest import Talk, VoiceEdge

pytestmark = pytest.mark.e2e

CONSENT = 30.0  # seconds, RFC 7675 §5.1
GOODBYES = {"client-hung-up", "close-notify"}  # of the channel and of DTLS; which of them is first, the browser decides


@attrs.frozen
class Abandoned:
    """A call whose tab was closed.

    Attributes:
        call_id: of it.
        model: what answered it.
    """

    call_id: str
    model: str


@pytest.fixture(scope="module", autouse=True)
def abandoned(speaking_chromium: Browser, voice: VoiceEdge) -> Abandoned:
    """Made first, since it takes long until that is noticed."""
    talk = Talk.open(speaking_chromium, voice)
    call_id = talk.call_plainly("obedient-abandoned", talking=False)
    talk.wait("session.created")
    talk.close()
    return Abandoned(call_id, "obedient-abandoned")


def assert_backend_is_left(voice: VoiceEdge, model: str) -> None:
    voice.edge.wait_until("the backend's connection is closed", lambda: voice.heard_by(model).is_over)


@pytest.mark.parametrize("leave", ["call.channel.close()", "call.pc.close()"])
def test_leaving(talk: Talk, leave: str) -> None:
    voice = talk.voice
    calls, flows = voice.calls(), voice.flows()
    talk.call_plainly("obedient", talking=False)
    talk.wait("session.created")
    assert (voice.calls(), voice.flows()) == (calls + 1, flows + 1)
    talk.write("speak 60")
    talk.wait("output_audio_buffer.started")
    talk.page.evaluate(leave)
    assert voice.end_of(talk.call_id) in GOODBYES
    voice.wait_until_free(calls, flows)
    assert_backend_is_left(voice, "obedient")


def test_a_page_that_is_left(talk: Talk) -> None:
    talk.call_plainly("obedient", talking=False)
    talk.wait("session.created")
    talk.page.goto("about:blank")
    assert talk.voice.end_of(talk.call_id) in GOODBYES
    assert_backend_is_left(talk.voice, "obedient")


def test_a_tab_that_is_closed(voice: VoiceEdge, abandoned: Abandoned) -> None:
    """Chromium says nothing then: consent to be sent to runs out."""
    assert voice.end_of(abandoned.call_id, CONSENT + 5) == "consent-expired"
    assert_backend_is_left(voice, abandoned.model)
    voice.wait_until_free()
