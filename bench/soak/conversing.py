"""What is said in a call of the soak before it ends: nothing, something in writing, or out loud."""

import enum
import json
from collections.abc import Callable

import trio

from bench.load import SPEECH, WORD
from edge.caller.events import EventReceived, EventsClosed, EventsOpened
from edge.caller.opus_file import Clip
from edge.caller.placing import Call
from edge.caller.signalling import CallFailed
from transceiver.backends.silence import SILENT_FRAMES
from wire.core import Closed, Event

__all__ = ["Talk", "clip_of", "converse", "written"]

_PATIENCE = 20.0
_SPEECH, _PAUSE = 35, 75  # packets: enough to be taken for speech, and for its end
# Over and over: what is said before the session is configured is heard by nobody.
_SAID = Clip(
    packets=(*SPEECH.packets[:_SPEECH], *[SILENT_FRAMES["opus"]] * _PAUSE),
    samples=(*SPEECH.samples[:_SPEECH], *[SPEECH.samples[0]] * _PAUSE),
)


class Talk(enum.Enum):
    """What is said."""

    SILENT = "nothing is said"
    WRITTEN = "a text is answered"
    SPOKEN = "speech is answered"
    INTERRUPTED = "the answer is interrupted"


def clip_of(talk: Talk) -> Clip:
    """Return the caller's audio: a phrase again and again, or one packet and nothing more."""
    return _SAID if talk in {Talk.SPOKEN, Talk.INTERRUPTED} else WORD


async def converse(call: Call, talk: Talk) -> None:
    """Configure the session over the data channel, and say what is to be said, until it is answered.

    Raises:
        CallFailed: what should come does not, or the call ends.
    """
    await _until(call, lambda event: isinstance(event, EventsOpened), "the data channel did not open")
    _send(call, {"type": "session.update", "session": {"type": "realtime", "instructions": "Be brief."}})
    await _until_told(call, "session.updated")
    if talk is Talk.WRITTEN:
        for event in written("hello"):
            _send(call, event)
        await _until_told(call, "response.done")
    if talk in {Talk.SPOKEN, Talk.INTERRUPTED}:
        await _until_told(call, "output_audio_buffer.started")
    if talk is Talk.INTERRUPTED:
        _send(call, {"type": "response.cancel"})
        _send(call, {"type": "output_audio_buffer.clear"})
        # On a busy machine, the answer may be over before it can be interrupted.
        await _until_told(call, "output_audio_buffer.cleared", "output_audio_buffer.stopped")


def written(text: str) -> list[dict[str, object]]:
    """Make the events by which a client writes to an agent and asks for its answer."""
    content = [{"type": "input_text", "text": text}]
    item = {"type": "message", "role": "user", "content": content}
    return [{"type": "conversation.item.create", "item": item}, {"type": "response.create"}]


def _send(call: Call, event: dict[str, object]) -> None:
    events, now = call.session.events, trio.current_time()
    if events is None:
        raise CallFailed("the answer has no data channel")
    events.send(json.dumps(event), now)
    call.line.flush(now)


async def _until_told(call: Call, *kinds: str) -> None:
    def is_it(event: Event) -> bool:
        return isinstance(event, EventReceived) and json.loads(event.text)["type"] in kinds

    await _until(call, is_it, f"no {' or '.join(kinds)} came")


async def _until(call: Call, is_it: Callable[[Event], bool], otherwise: str) -> None:
    with trio.move_on_after(_PATIENCE):
        while True:
            event = await call.line.next_event()
            if is_it(event):
                return
            if isinstance(event, Closed | EventsClosed):
                raise CallFailed(f"{otherwise}: the call ended ({event.reason})")
    raise CallFailed(f"{otherwise} within {_PATIENCE:g} s")
