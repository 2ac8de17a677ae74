"""A page of the tests in Chromium, and the call that it makes."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from playwright.sync_api import Browser, BrowserContext, Page

from .sound import Envelope
from .voice_edge import API_KEY, VoiceEdge

__all__ = ["AUDIBLE", "Logged", "Talk"]

AUDIBLE = 0.01
"""A level, as a share of full scale: speech is above, and what Opus makes of silence far below."""

_SECONDS = 15.0


@attrs.frozen
class Logged:
    """An event that the page has got.

    Attributes:
        index: its number.
        at: seconds of the time of day.
        event: as it came.
    """

    index: int
    at: float
    event: Mapping[str, Any]


@attrs.define
class Talk:
    """A page, and at most one call from it.

    Attributes:
        page: where it happens.
        voice: whom it calls.
        call_id: of the call; empty before.
    """

    page: Page
    voice: VoiceEdge
    _context: BrowserContext
    _errors: list[str] = attrs.field(factory=list)
    call_id: str = ""

    @classmethod
    def open(cls, browser: Browser, voice: VoiceEdge) -> "Talk":
        context = browser.new_context(permissions=["microphone"])
        page = context.new_page()
        talk = cls(page, voice, context)
        page.on("pageerror", lambda error: talk._errors.append(str(error)))
        return talk

    # Calling

    def call_with_agents(self, model: str | None = None, key: str | None = None, **options: Any) -> Mapping[str, Any]:
        """Connect with the stock client, which resolves with `session.updated`."""
        self.page.goto(f"{self.voice.origin}/agents.html")
        made = self.page.evaluate("callWithAgents", self._options(model, key or self.client_secret(), options))
        self.call_id = made["callId"]
        return made

    def call_plainly(self, model: str | None = None, key: str = API_KEY, **options: Any) -> str:
        """Connect without a library; the channel may not be open yet."""
        self.page.goto(f"{self.voice.origin}/plain.html")
        self.call_id = self.page.evaluate("callPlainly", self._options(model, key, options))
        return self.call_id

    def _options(self, model: str | None, key: str, options: Mapping[str, Any]) -> Mapping[str, Any]:
        query = "" if model is None else f"?model={model}"
        return {"url": self.voice.calls_url + query, "key": key, **options}

    def client_secret(self) -> str:
        return self.voice.mint()

    def say(self, event: Mapping[str, Any]) -> None:
        """Send an event of a plain call's."""
        self.page.evaluate("say", event)

    def write(self, text: str) -> None:
        """Send a message of the user's, in a plain call; no answer is asked for."""
        content = [{"type": "input_text", "text": text}]
        self.say({"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": content}})

    def speak(self) -> None:
        """Let the microphone through."""
        self._enable_microphone(True)

    def speak_for(self, seconds: float) -> None:
        """Let the microphone through for so long."""
        self.speak()
        self.page.wait_for_timeout(seconds * 1000)
        self.fall_silent()

    def fall_silent(self) -> None:
        """Let nothing of the microphone through."""
        self._enable_microphone(False)

    def _enable_microphone(self, is_on: bool) -> None:
        self.page.evaluate(
            "on => window.call.session ? window.call.session.mute(!on) : (window.call.track.enabled = on)", is_on
        )

    # Events

    @property
    def events(self) -> Sequence[Logged]:
        logged = self.page.evaluate("conversation.events")
        return [Logged(index, entry["at"] / 1000, entry["event"]) for index, entry in enumerate(logged)]

    def names(self) -> Sequence[str]:
        return [logged.event["type"] for logged in self.events]

    def errors(self) -> Sequence[Any]:
        """All that went wrong: error events, what the stock client reports, exceptions in the page."""
        wrong = [logged.event for logged in self.events if logged.event["type"] in ("error", "sdk.error")]
        return [*wrong, *self._errors]

    def wait(self, name: str, after: Logged | None = None, seconds: float = _SECONDS, **fields: Any) -> Logged:
        """Wait for the first event with this type and these fields that came after another."""
        first = 0 if after is None else after.index + 1
        found = self.page.evaluate(
            "([wanted, first, seconds]) => conversation.wait(wanted, first, seconds)",
            [{"type": name, **fields}, first, seconds],
        )
        return Logged(found["index"], found["at"] / 1000, found["event"])

    # Audio

    def heard(self, ear: str = "loudspeaker") -> Envelope:
        """Return how loud the loudspeaker was, or the microphone, all the time."""
        return Envelope.of_page(self.page.evaluate("name => conversation.heard(name)", ear))

    def wait_for_sound(self, since: Logged | None = None, *, lasting: float = 0.1, broken: bool = False) -> float:
        """Wait until the loudspeaker is audible for so long, from now on or since an event; return when that began.

        With `broken`, silence may be in between: where a machine is busy, Chromium puts some of its own between what
        WebRTC hands over and what a page hears, every 10 ms of which is there nevertheless.
        """
        return self._wait_for_loudness(since, lasting, is_quiet=False, is_broken=broken)

    def wait_for_silence(self, since: Logged | None = None, *, lasting: float = 0.5) -> float:
        """Wait until nothing is audible for so long, from now on or since an event; return when that began."""
        return self._wait_for_loudness(since, lasting, is_quiet=True)

    def _wait_for_loudness(
        self, since: Logged | None, lasting: float, *, is_quiet: bool, is_broken: bool = False
    ) -> float:
        wanted = {
            "name": "loudspeaker",
            "level": AUDIBLE,
            "milliseconds": round(lasting * 1000),
            "quiet": is_quiet,
            "broken": is_broken,
            "seconds": _SECONDS,
            "since": None if since is None else since.at * 1000,
        }
        return float(self.page.evaluate("wanted => conversation.waitForLoudness(wanted)", wanted)) / 1000

    # The end

    def hang_up(self) -> None:
        """End the call as its application would."""
        self.page.evaluate("window.call && (call.session ?? call.pc).close()")

    def close(self) -> None:
        """Close the page; Chromium says no goodbye for a call that goes on."""
        self._context.close()
