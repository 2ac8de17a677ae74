"""What a backend has said and the caller has not yet heard.

Backends speak faster than real time: a minute of speech may come within a second. It waits here, and the sender takes
it frame by frame. Two things must be exact, because they decide what a model believes it has said:

* how much of each speech was sent and how much was received of it, to the sample: an interrupted speech is truncated to
  what was heard, and a server refuses a truncation behind the end of what it has made;
* where a response begins and ends for the ear: `Started` with its first frame, `Drained` with its last one, once the
  backend has finished it. A backend that is slower than the voice leaves a pause, not an end.

One response speaks at a time. Its parts follow each other without a gap; a frame never mixes two responses.

Memory is bounded: audio by `max_seconds`, and speeches by their number, with or without audio. A piece that does not
fit is refused, and so is all that follows of the same speech: an end that is missing is better than a hole.
"""

import enum
from collections import Counter, deque

import attrs

from transceiver.backends.contract import Speech
from wire.core import Drops, Event

__all__ = ["MAX_KNOWN", "MAX_QUEUED", "Drained", "DropReason", "Heard", "SpeechQueue", "Started"]

MAX_QUEUED = 128
"""How many speeches may wait. A response rarely has more than one."""

MAX_KNOWN = 256
"""How many speeches are remembered, so that it can be told how much of each was heard."""

_SMALL, _CHUNK = 1 << 8, 1 << 16
_SAMPLE = 2  # bytes


class DropReason(enum.StrEnum):
    """Why a piece of speech was refused."""

    QUEUE_FULL = "speech-queue-full"
    """So much is waiting already."""
    SPEECH_CUT = "speech-cut"
    """An earlier piece of the same speech was refused."""


@attrs.frozen(kw_only=True)
class Started(Event):
    """The first frame of a response was taken.

    Attributes:
        response_id: the response.
    """

    response_id: str


@attrs.frozen(kw_only=True)
class Drained(Event):
    """The last frame of a response was taken, and no more will come.

    Attributes:
        response_id: the response.
    """

    response_id: str


@attrs.frozen(kw_only=True)
class Heard:
    """How far a speech had come when it was cut off.

    Attributes:
        speech: what was being said, or would have been next.
        sent_ms: how much of it was sent, rounded down to milliseconds.
        received_ms: how much of it there is.
    """

    speech: Speech
    sent_ms: int
    received_ms: int


class _Samples:
    """Bytes that are put in at one end in pieces of any size and taken out at the other, without moving the rest."""

    __slots__ = ("_chunks", "_taken", "size")

    def __init__(self) -> None:
        self._chunks: deque[bytes | bytearray] = deque()
        self._taken = 0  # of the first chunk
        self.size = 0

    def append(self, data: bytes) -> None:
        # Small pieces share a chunk: they would cost more than what is in them.
        chunks = self._chunks
        if len(data) < _SMALL:
            if not chunks or isinstance(chunks[-1], bytes) or len(chunks[-1]) >= _CHUNK:
                chunks.append(bytearray())
            chunks[-1] += data
        else:
            chunks.append(data)
        self.size += len(data)

    def take(self, size: int) -> bytes:
        chunks = self._chunks
        if chunks and len(chunks[0]) == size and not self._taken:
            self.size -= size
            return bytes(chunks.popleft())
        pieces = []
        while size and chunks:
            first, start = chunks[0], self._taken
            piece = bytes(first[start : start + size])
            pieces.append(piece)
            size -= len(piece)
            self.size -= len(piece)
            self._taken = start + len(piece)
            if self._taken == len(first):
                chunks.popleft()
                self._taken = 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def copy(self) -> bytes:
        return b"".join(self._chunks)[self._taken :]

    def clear(self) -> None:
        self._chunks.clear()
        self._taken = self.size = 0


@attrs.define(eq=False)
class _Track:
    """A speech, and how far it has come.

    Attributes:
        speech: which.
        waiting: samples to be sent.
        half: the first byte of a sample whose second has not come.
        received: samples.
        sent: samples.
        is_cut: a piece was refused; nothing may follow.
    """

    speech: Speech
    waiting: _Samples = attrs.field(factory=_Samples)
    half: bytes = b""
    received: int = 0
    sent: int = 0
    is_cut: bool = False


class SpeechQueue:
    """The speech of one call.

    Args:
        rate: sample rate of all its PCM, in Hz; 16-bit little-endian mono.
        max_seconds: how much may wait. Ten minutes are 29 MB at 24 kHz; no backend has reason to be so far ahead.

    Attributes:
        rate: as above.
        drops: pieces that were refused, by reason.
        events: what has started and drained, until `take_events` takes it.
    """

    def __init__(self, *, rate: int, max_seconds: float = 600.0) -> None:
        self.rate = rate
        self.drops: Drops = Counter()
        self._max_size = round(rate * max_seconds) * _SAMPLE
        self._size = 0
        self._known: dict[Speech, _Track] = {}
        self._queued: deque[_Track] = deque()
        self._finished: set[str] = set()  # responses of `_queued`, and `_speaking`
        self._speaking: str | None = None
        self._current: _Track | None = None
        self._is_waiting = False
        self.events: list[Event] = []

    # -- from the backend

    def push(self, speech: Speech, pcm: bytes) -> bool:
        """Take a piece of speech, of any length; half a sample at its end waits for the next piece.

        Speeches are said in the order of their first pieces. A response that was finished goes on with this.

        Returns:
            Whether it was taken; if not, `drops` says why.
        """
        queued, size = self._queued, len(pcm)
        track = queued[-1] if queued else None
        if (
            track is not None
            and track.speech is speech
            and 0 < size <= self._max_size - self._size
            and not (track.is_cut or track.half or size % _SAMPLE)
        ):
            # More of the speech that came last, as nearly always.
            track.waiting.append(pcm)
            track.received += size // _SAMPLE
            self._size += size
            if self._finished:
                self._finished.discard(speech.response_id)
            return True
        track = self._known.get(speech)
        if track is not None and track.is_cut:
            self.drops[DropReason.SPEECH_CUT] += 1
            return False
        is_queued = track is not None and track.waiting.size > 0
        if self._size + size > self._max_size or not (is_queued or len(queued) < MAX_QUEUED):
            self.drops[DropReason.QUEUE_FULL] += 1
            (track or self._remember(speech)).is_cut = True
            return False
        if track is None:
            track = self._remember(speech)
        if track.half:
            pcm = track.half + pcm
        whole = len(pcm) & -_SAMPLE
        pcm, track.half = pcm[:whole], pcm[whole:]
        if pcm:
            track.waiting.append(pcm)
            track.received += whole // _SAMPLE
            self._size += whole
            self._finished.discard(speech.response_id)
            if not is_queued:
                queued.append(track)
        return True

    def finish(self, response_id: str) -> None:
        """Note that nothing more will come of a response; those without audio are ignored."""
        if self._is_queued(response_id):
            self._finished.add(response_id)
        elif response_id == self._speaking:
            self._drained()

    def flush(self) -> Heard | None:
        """Forget all that waits, at once; what was being said has neither an end nor a `Drained`.

        Returns:
            How far it had come; None when there was nothing to say.
        """
        track = self._current if self._speaking is not None else self._queued[0] if self._queued else None
        for known in self._known.values():
            known.waiting.clear()
            known.half = b""
        self._queued.clear()
        self._finished.clear()
        self._size = 0
        self._speaking = self._current = None
        self._is_waiting = False
        if track is None:
            return None
        return Heard(speech=track.speech, sent_ms=self._ms(track.sent), received_ms=self._ms(track.received))

    # -- to the caller

    def take(self, samples: int) -> bytes | None:
        """Take the next frame.

        Where a backend is slower than the voice, a frame that is not whole waits for one call, so that no silence gets
        between samples that belong together.

        Args:
            samples: length of the frame.

        Returns:
            PCM of that length, with silence behind the end of a speech; None when there is nothing to say now.
        """
        queued = self._queued
        if not queued:
            return None
        track = queued[0]
        response_id = track.speech.response_id
        size = samples * _SAMPLE
        if track.waiting.size > size and response_id == self._speaking:
            # In the middle of a speech, as nearly always.
            self._is_waiting = False
            self._current = track
            self._size -= size
            track.sent += samples
            return track.waiting.take(size)
        if not self._is_waiting and not self._has_frame(response_id, size):
            self._is_waiting = True
            return None
        self._is_waiting = False
        if response_id != self._speaking:
            if self._speaking is not None:
                self._drained()  # the backend has gone on to another response
            self._speaking = response_id
            self.events.append(Started(response_id=response_id))
        pieces = []
        while size and queued and (track := queued[0]).speech.response_id == response_id:
            piece = track.waiting.take(size)
            pieces.append(piece)
            size -= len(piece)
            self._size -= len(piece)
            track.sent += len(piece) // _SAMPLE
            self._current = track
            if not track.waiting.size:
                queued.popleft()
        if response_id in self._finished and not self._is_queued(response_id):
            self._drained()
        return b"".join(pieces).ljust(samples * _SAMPLE, b"\0")

    def take_events(self) -> list[Event]:
        """Take what has started and drained since the last call, in order."""
        events, self.events = self.events, []
        return events

    # -- state for others

    @property
    def playing(self) -> Speech | None:
        """What is being said, from `Started` to `Drained` or `flush`; also while a slow backend makes it pause."""
        return self._current.speech if self._current is not None else None

    @property
    def has_speech(self) -> bool:
        """Whether something waits to be said."""
        return bool(self._queued)

    @property
    def waiting_bytes(self) -> int:
        """How much PCM waits."""
        return self._size

    @property
    def waiting_seconds(self) -> float:
        """How much waits."""
        return self._size / _SAMPLE / self.rate

    def sent_ms(self, speech: Speech) -> int:
        """Tell how much of a speech was taken, rounded down; 0 for one that is unknown or forgotten."""
        track = self._known.get(speech)
        return 0 if track is None else self._ms(track.sent)

    def received_ms(self, speech: Speech) -> int:
        """Tell how much of a speech was pushed, rounded down; 0 for one that is unknown or forgotten."""
        track = self._known.get(speech)
        return 0 if track is None else self._ms(track.received)

    # -- inside

    def _ms(self, samples: int) -> int:
        return samples * 1000 // self.rate

    def _remember(self, speech: Speech) -> _Track:
        if len(self._known) >= MAX_KNOWN:
            # More are known than can be queued.
            oldest = next(
                speech for speech, track in self._known.items() if not track.waiting.size and track is not self._current
            )
            del self._known[oldest]
        track = self._known[speech] = _Track(speech)
        return track

    def _is_queued(self, response_id: str) -> bool:
        return any(track.speech.response_id == response_id for track in self._queued)

    def _has_frame(self, response_id: str, size: int) -> bool:
        """Tell whether a whole frame waits, or the last of its response."""
        for track in self._queued:
            if track.speech.response_id != response_id:
                return True
            size -= track.waiting.size
            if size <= 0:
                return True
        return response_id in self._finished

    def _drained(self) -> None:
        assert self._speaking is not None  # noqa: S101 - all callers have looked
        self.events.append(Drained(response_id=self._speaking))
        self._finished.discard(self._speaking)
        self._speaking = self._current = None
