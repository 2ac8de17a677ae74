"""A bridge to try: its queue is played, its backend is scripted, and its clients read what they are sent."""

import itertools
import json
from collections.abc import Callable, Mapping
from types import SimpleNamespace

import attrs
import pytest

from transceiver.audio.speech_queue import SpeechQueue
from transceiver.backends.contract import Speech
from transceiver.calls import NO_WISHES, CallWishes
from transceiver.realtime.bridge import Bridge
from transceiver.realtime.drops import DropReason
from transceiver.realtime.options import BackendProfile, BridgeOptions
from transceiver.realtime.outputs import AudioToBackend, CloseSideband, Output, ToBackend, ToClient, ToSideband

RATE = 24000
FRAME = RATE // 50
START = 1000.0
PROFILE = BackendProfile()
GA_FORMAT = {"type": "audio/pcm", "rate": RATE}

UPDATE = {
    "type": "session.update",
    "session": {
        "type": "realtime",
        "instructions": "Be brief.",
        "model": "gpt-realtime-2.1",
        "output_modalities": ["audio"],
        "tools": [],
        "tool_choice": "auto",
        "audio": {
            "input": {
                "format": GA_FORMAT,
                "noise_reduction": None,
                "transcription": {"model": "gpt-4o-mini-transcribe"},
                "turn_detection": {"type": "semantic_vad"},
            },
            "output": {"format": GA_FORMAT, "voice": "marin", "speed": 1},
        },
    },
}
"""What a stock client says when its channel opens."""


def pcm(ms: int) -> bytes:
    return b"\1\0" * (RATE * ms // 1000)


@attrs.define(eq=False, slots=False)
class TriedCall:
    """A bridge, what it said so far, and a clock that only moves when told to."""

    bridge: Bridge
    queue: SpeechQueue
    now: float = START
    client: list[dict[str, object]] = attrs.field(factory=list)
    sidebands: dict[int, list[dict[str, object]]] = attrs.field(factory=dict)
    backend: list[object] = attrs.field(factory=list)
    closed: list[int] = attrs.field(factory=list)
    order: list[Output] = attrs.field(factory=list)

    def collect(self) -> None:
        while self.bridge.outputs:
            output = self.bridge.outputs.popleft()
            self.order.append(output)
            match output:
                case ToClient(text):
                    self.client.append(json.loads(text))
                case ToSideband(number, text):
                    self.sidebands.setdefault(number, []).append(json.loads(text))
                case ToBackend(event):
                    self.backend.append(event)
                case AudioToBackend(audio):
                    self.backend.append(audio)
                case CloseSideband(number):
                    self.closed.append(number)

    def open_client(self) -> None:
        self.bridge.client_opened(self.now)
        self.collect()

    def open_sideband(self, number: int = 1) -> None:
        self.bridge.sideband_opened(number, self.now)
        self.collect()

    def open_backend(self, session: Mapping[str, object] | None = None) -> None:
        self.bridge.backend_opened(self.now)
        self.collect()
        if session is not None:
            self.say("session.created", event_id="b0", session=session)

    def lose_backend(self, *, will_retry: bool = False) -> None:
        self.bridge.backend_lost("10.0.0.7 refused", self.now, will_retry=will_retry)
        self.collect()

    def send(self, event: object, sideband: int | None = None) -> None:
        self.bridge.receive_client_text(event if isinstance(event, str) else json.dumps(event), self.now, sideband)
        self.collect()

    def say(self, name: str, **fields: object) -> None:
        self.bridge.receive_backend_event({"type": name, **fields}, self.now)
        self.collect()

    def speak(self, ms: int, response: str = "r1", item: str = "i1", index: int = 0) -> None:
        self.bridge.receive_backend_audio(Speech(response, item, index), pcm(ms))
        self.collect()

    def hear(self, ms: int = 20) -> None:
        """The caller speaks for a while."""
        for _ in range(ms // 20):
            self.bridge.receive_caller_audio(pcm(20), self.now)
            self.now += 0.02
        self.collect()

    def play(self, ms: int) -> None:
        """The ticker plays for a while."""
        for _ in range(ms // 20):
            self.queue.take(FRAME)
            self.bridge.speech_progressed(self.now)
            self.now += 0.02
        self.collect()

    def wait(self, seconds: float) -> None:
        """Time passes, and the timeouts are kept."""
        end = self.now + seconds
        while (due := self.bridge.next_timeout()) is not None and due <= end:
            self.now = max(self.now, due)
            self.bridge.handle_timeout(self.now)
        self.now = end
        self.collect()

    def connect(self) -> None:
        """All is open, and the client's configuration has been answered; what was said so far is forgotten."""
        self.open_backend({"type": "realtime"})
        self.open_client()
        self.send(UPDATE)
        while len(self.bridge._parts.updates):
            self.say("session.updated", session={"type": "realtime"})
        self.forget()

    def respond(self, ms: int, response: str = "r1", item: str = "i1") -> None:
        """The backend begins a response and says that much of it, all at once."""
        self.say("response.created", response={"id": response, "status": "in_progress"})
        self.say(
            "response.output_item.added",
            response_id=response,
            item={"id": item, "type": "message", "role": "assistant", "content": []},
        )
        self.say("conversation.item.added", item={"id": item, "type": "message", "role": "assistant", "content": []})
        self.speak(ms, response, item)

    def finish(self, response: str = "r1", status: str = "completed", reason: str | None = None) -> None:
        details = {"type": status, "reason": reason} if reason else None
        self.say("response.output_audio.done", response_id=response, item_id="i1", content_index=0, output_index=0)
        self.say("response.done", response={"id": response, "status": status, "status_details": details})

    def forget(self) -> None:
        self.client.clear()
        self.sidebands.clear()
        self.backend.clear()
        self.order.clear()

    def seen(self) -> list[str]:
        """Types of what the client was told."""
        return [str(event["type"]) for event in self.client]

    def told(self) -> list[str]:
        """Types of what the backend was told, "pcm" for audio."""
        return ["pcm" if isinstance(entry, bytes) else str(entry["type"]) for entry in self.backend]

    def errors(self) -> list[tuple[object, object]]:
        """Codes and causes of the errors that the client was told."""
        return [(e["error"]["code"], e["error"]["event_id"]) for e in self.client if e["type"] == "error"]

    def dropped(self, reason: DropReason) -> int:
        return self.bridge.drops[reason]


@pytest.fixture
def make_call() -> Callable[..., TriedCall]:
    def make(
        *,
        wishes: CallWishes = NO_WISHES,
        is_channel_expected: bool = True,
        profile: BackendProfile = PROFILE,
        max_seconds: float = 60.0,
        memory: bytes = b"",
        takes_tunnels: bool = False,
        seed: int = 1,
        **options: object,
    ) -> TriedCall:
        counter = itertools.count(seed)
        queue = SpeechQueue(rate=profile.output_rate, max_seconds=max_seconds)
        bridge = Bridge(
            options=BridgeOptions(backend=profile, **options),
            wishes=wishes,
            speech=queue,
            entropy=lambda size: next(counter).to_bytes(size, "big"),
            now=START,
            is_channel_expected=is_channel_expected,
            memory=memory,
            takes_tunnels=takes_tunnels,
        )
        return TriedCall(bridge, queue)

    return make


@pytest.fixture
def call(make_call: Callable[..., TriedCall]) -> TriedCall:
    return make_call()


@pytest.fixture
def support() -> SimpleNamespace:
    return SimpleNamespace(UPDATE=UPDATE, pcm=pcm, START=START, GA_FORMAT=GA_FORMAT)
