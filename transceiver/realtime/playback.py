"""What the agent says, on its way to the caller: which responses are in progress, and how far each was heard.

A backend speaks faster than real time. Its speech lies in a queue, which the worker's ticker plays; what the client is
told of that (`output_audio_buffer.*`) follows from what was played, not from what was received.

Source: the `output_audio_buffer` events of the Realtime API: `stopped` comes when the buffer is empty and no more audio
is forthcoming, which is after `response.done`.
"""

import math
from collections import OrderedDict

import attrs

from transceiver.audio.speech_queue import Drained, SpeechQueue, Started
from transceiver.backends.contract import Speech
from transceiver.realtime.drops import DropReason
from transceiver.realtime.states import PLAYING_TRANSITIONS, PlayingState, PlayingTrigger
from wire.core import Drops

__all__ = ["Cut", "Playback", "SpokenResponse"]

_PLAYING, _DRAINED = PlayingState.PLAYING, PlayingState.DRAINED
_MAX_RESPONSES = 32
_MAX_SPEECHES = 32

Notice = tuple[str, str]
"""What to tell of the output audio buffer ("started", "stopped", "cleared"), and of which response."""


@attrs.frozen(kw_only=True)
class Cut:
    """Where speech was cut off.

    Attributes:
        speech: what was being said, or would have been next.
        audio_end_ms: milliseconds of it that the caller heard.
        share: the same as a share of what was received of it, 0 to 1.
    """

    speech: Speech
    audio_end_ms: int
    share: float


@attrs.define(eq=False, kw_only=True)
class SpokenResponse:
    """A response of the backend's.

    Attributes:
        response_id: its name.
        is_done: whether `response.done` came.
        is_cancelled: whether nothing more of it is wanted.
        state: how far it was heard.
        speeches: what was received of it, in order; the newest ones.
    """

    response_id: str
    is_done: bool = False
    is_cancelled: bool = False
    state: PlayingState = PlayingState.SILENT
    speeches: list[Speech] = attrs.field(factory=list)

    def apply(self, trigger: PlayingTrigger) -> bool:
        """Take a step of the table; returns whether there was one."""
        after = PLAYING_TRANSITIONS[self.state].get(trigger)
        if after is None:
            return False
        self.state = after
        return True


class Playback:
    """The responses of one session, and the queue that their speech goes through.

    Args:
        queue: what is to be said; played by somebody else.
        playout_delay: seconds between our sending a frame and its being heard.
        drops: where speech is counted that is not played.

    Attributes:
        playout_delay: as above; to be kept up to date.
    """

    __slots__ = ("_drops", "_queue", "_responses", "playout_delay")

    def __init__(self, queue: SpeechQueue, playout_delay: float, drops: Drops) -> None:
        self._queue = queue
        self._drops = drops
        self._responses: OrderedDict[str, SpokenResponse] = OrderedDict()
        self.playout_delay = playout_delay

    @property
    def is_speaking(self) -> bool:
        """Whether there is something to say; also while a backend that is slower than the voice leaves a pause."""
        return self._queue.has_speech or self._queue.playing is not None

    @property
    def in_progress(self) -> list[str]:
        """The responses that are being made, the oldest first."""
        return [r.response_id for r in self._responses.values() if not r.is_done]

    @property
    def heard(self) -> list[str]:
        """The responses of which the caller hears something, or will when more of them comes."""
        return [r.response_id for r in self._responses.values() if r.state in (_PLAYING, _DRAINED)]

    def plays(self, response_id: str) -> bool:
        """Whether speech of a response lies in the queue."""
        response = self._responses.get(response_id)
        states = (PlayingState.SILENT, PlayingState.PLAYING)
        return response is not None and bool(response.speeches) and response.state in states

    def is_cancelled(self, response_id: str) -> bool:
        """Whether nothing more of a response is wanted."""
        response = self._responses.get(response_id)
        return response is not None and response.is_cancelled

    def begin(self, response_id: str) -> SpokenResponse:
        """A response is being made."""
        response = self._responses.get(response_id)
        if response is None:
            response = self._responses[response_id] = SpokenResponse(response_id=response_id)
            if len(self._responses) > _MAX_RESPONSES:
                over = (r.response_id for r in self._responses.values() if r.is_done and r.state is PlayingState.OVER)
                del self._responses[next(over, next(iter(self._responses)))]
        return response

    def receive(self, speech: Speech, pcm: bytes) -> None:
        """Put speech into the queue, unless it is not wanted any more."""
        response = self._responses.get(speech.response_id) or self.begin(speech.response_id)
        if response.is_cancelled:
            self._drops[DropReason.SPEECH_CANCELLED] += 1
        elif response.is_done:
            self._drops[DropReason.SPEECH_AFTER_DONE] += 1
        elif not self._queue.push(speech, pcm):
            self._drops[DropReason.SPEECH_OVERFLOW] += 1
        else:
            if response.state is not _PLAYING:
                response.apply(PlayingTrigger.RECEIVED)
            if speech not in response.speeches:
                response.speeches.append(speech)
                del response.speeches[:-_MAX_SPEECHES]

    def finish_audio(self, response_id: str) -> None:
        """A part of a response has all its audio: the last frame of it need not wait to be filled."""
        if response_id in self._responses:
            self._queue.finish(response_id)

    def complete(self, response_id: str) -> list[Notice]:
        """A response is finished, in whatever way."""
        response = self.begin(response_id)
        response.is_done = True
        self._queue.finish(response_id)
        return [*self.progress(), *self._stop_if_over(response)]

    def progress(self) -> list[Notice]:
        """Learn what was played since the last time."""
        notices: list[Notice] = []
        for event in self._queue.take_events():
            if not isinstance(event, Started | Drained) or event.response_id not in self._responses:
                continue
            response = self._responses[event.response_id]
            if isinstance(event, Drained):
                response.apply(PlayingTrigger.DRAINED)
                notices += self._stop_if_over(response)
            else:
                notices += self._stop_others(response)
                if response.apply(PlayingTrigger.STARTED):
                    notices.append(("started", response.response_id))
        return notices

    def _stop_if_over(self, response: SpokenResponse) -> list[Notice]:
        is_unplayed = response.state is PlayingState.SILENT and response.speeches
        if not response.is_done or is_unplayed:
            return []
        was_heard = response.state is PlayingState.DRAINED
        is_over = response.apply(PlayingTrigger.COMPLETED)
        return [("stopped", response.response_id)] if is_over and was_heard else []

    def _stop_others(self, begun: SpokenResponse) -> list[Notice]:
        # A response that never ended is over when another is heard.
        drained = [r for r in self._responses.values() if r.state is PlayingState.DRAINED and r is not begun]
        for response in drained:
            response.apply(PlayingTrigger.COMPLETED)
        return [("stopped", response.response_id) for response in drained]

    def cancel(self, response_id: str | None) -> None:
        """A response is not wanted any more; what was received of it is still played.

        Args:
            response_id: which; None for the newest one in progress.
        """
        in_progress = self.in_progress
        if response_id is None and in_progress:
            response_id = in_progress[-1]
        response = self._responses.get(response_id or "")
        if response is not None:
            response.is_cancelled = True

    def flush(self) -> tuple[list[Notice], list[Cut]]:
        """Fall silent at once. What is not finished of the speech in the queue is not wanted any more, either.

        Returns:
            What to tell of the output audio buffer, and where speech was cut off; both empty when nothing was to say.
        """
        if not self.is_speaking:
            return [], []
        affected = [r for r in self._responses.values() if self.plays(r.response_id)]
        cuts = self._cuts([speech for r in affected for speech in r.speeches])
        self._queue.take_events()
        begun = [r.response_id for r in affected if r.state is PlayingState.PLAYING]
        for response in affected:
            response.apply(PlayingTrigger.FLUSHED)
            response.is_cancelled = response.is_cancelled or not response.is_done
        names = begun or [r.response_id for r in affected][:1]
        return [("cleared", name) for name in names], cuts

    def _cuts(self, speeches: list[Speech]) -> list[Cut]:
        heard = self._queue.flush()
        if heard is None:
            return []
        # specs: never more than the item has, which would be refused, and never less than nothing.
        at = math.floor(heard.sent_ms - self.playout_delay * 1000)
        at = max(0, min(at, math.floor(heard.received_ms)))
        current = Cut(speech=heard.speech, audio_end_ms=at, share=at / max(heard.received_ms, 1))
        # What was to be said after it, nobody has heard.
        unheard = speeches[speeches.index(heard.speech) + 1 :] if heard.speech in speeches else []
        return [current, *(Cut(speech=speech, audio_end_ms=0, share=0.0) for speech in unheard)]
