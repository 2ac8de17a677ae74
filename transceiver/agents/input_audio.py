"""What was heard and is not yet part of the conversation: the protocol's input audio buffer.

Positions are counted in samples from the first that was heard; events tell them in milliseconds.
"""

from collections import deque
from collections.abc import Sequence

from transceiver.agents.turns import SpeechBegan, SpeechEnded, TurnDetector, TurnOptions

__all__ = ["InputAudio"]

_MARGIN_MS = 80
"""Kept before what might become the padding of a turn: a turn is noticed some frames after it began."""


class InputAudio:
    """Holds audio until it is committed; with a detector only what may belong to a turn.

    Args:
        rate: sample rate in Hz.
        turns: how turns are found; None when the client says what belongs to one (push to talk).
        max_samples: how much is kept; older audio goes.

    Attributes:
        rate: as given.
        position: samples heard so far.
        dropped_samples: how many were dropped since more than `max_samples` was waiting.
    """

    def __init__(self, *, rate: int, turns: TurnOptions | None, max_samples: int) -> None:
        self.rate = rate
        self.position = 0
        self.dropped_samples = 0
        self._max_samples = max_samples
        self._pieces: deque[bytes] = deque()
        self._start = 0  # position of the first sample that is held
        self._detector: TurnDetector | None = None
        self.detect(turns)

    def detect(self, turns: TurnOptions | None) -> None:
        """Find turns in another way from now on; see `turns` above."""
        self._detector = None
        self._kept_samples = 0
        if turns is not None:
            self._detector = TurnDetector(rate=self.rate, options=turns, position=self.position)
            self._kept_samples = (turns.prefix_padding_ms + _MARGIN_MS) * self.rate // 1000

    @property
    def held_samples(self) -> int:
        """How much is held."""
        return self.position - self._start

    @property
    def is_speech(self) -> bool:
        """Whether the detector hears somebody speak."""
        return self._detector is not None and self._detector.is_speaking

    def receive(self, pcm: bytes) -> Sequence[SpeechBegan | SpeechEnded]:
        """Take 16-bit PCM, and tell what it changed."""
        self.position += len(pcm) // 2
        self._pieces.append(pcm)
        changes: Sequence[SpeechBegan | SpeechEnded] = ()
        if self._detector is not None:
            changes = self._detector.receive(pcm)
        if not changes:  # else the caller takes what belongs to the turn first
            self.forget()
        return changes

    def forget(self) -> None:
        """Drop what is too old to become part of anything."""
        is_waiting = self._detector is not None and not self._detector.is_speaking
        kept = self._kept_samples if is_waiting else self._max_samples + self._kept_samples
        pieces = self._pieces
        while pieces and self.position - self._start - len(pieces[0]) // 2 >= kept:
            samples = len(pieces.popleft()) // 2
            self._start += samples
            if not is_waiting:
                self.dropped_samples += samples

    def skip(self, samples: int) -> None:
        """Count audio that somebody else holds."""
        self.position += samples
        self._start = self.position

    def skip_to(self, sample: int) -> None:
        """Drop what is before a position."""
        self._take(sample)

    def take(self, until: int | None = None) -> bytes:
        """Take what is held, up to a position or all of it."""
        pcm = self._take(self.position if until is None else until)
        if self._detector is not None and until is None:
            self.restart()
        return pcm

    def restart(self) -> None:
        """Wait for the next turn, whatever was being said."""
        if self._detector is not None:
            self._detector.restart()

    def clear(self) -> None:
        """Drop everything that is held."""
        self._pieces.clear()
        self._start = self.position
        self.restart()

    def _take(self, until: int) -> bytes:
        taken = []
        pieces = self._pieces
        while pieces and self._start < until:
            piece = pieces.popleft()
            size = 2 * min(len(piece) // 2, until - self._start)
            if size < len(piece):
                pieces.appendleft(piece[size:])
                piece = piece[:size]
            taken.append(piece)
            self._start += size // 2
        return b"".join(taken)
