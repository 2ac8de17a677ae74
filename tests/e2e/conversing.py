"""A call of Chromium's with a backend in another process, which speaks and is spoken to by numbered events.

Both ends number what they say (`numbers.js`, `numbering_backend.py`) and note what comes. The backend's audio is noise,
so its packets are larger than those that say "nothing"; what it has heard of the caller is counted against what left
the client.
"""

import itertools
import json
import subprocess
import sys
import time
from bisect import bisect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import attrs
from playwright.sync_api import Page

from .costs import Cost, Watched
from .costs import audio_of as packets_of
from .interruptions import DisturbedCall, Store
from .namespaces import command_in
from .numbered_events import Events, Got, Told, compare_events
from .placing import kept, place_call, show_datagrams
from .sniffing import Sniffer, is_rtp
from .travelling import PUBLIC, Journey

__all__ = [
    "BACKEND",
    "SECTION",
    "Conversed",
    "ConversingCall",
    "NumberingBackend",
    "SpokenCost",
    "conversing_call",
    "numbering_backend",
]

_PORT = 9300
_MODEL = "numbers"
BACKEND = f'[[backend]]\nuse = "realtime:ws://127.0.0.1:{_PORT}/v1/realtime"\nmodels = ["{_MODEL}"]\n'
"""For the configuration of transceivers."""

SECTION = """
drain_deadline = 7.0
[transceiver.voice]
bitrate = 40000
min_bitrate = 40000
"""
"""For their section: time for what is to be seen while the backend is reached through the old process; and losses make
packets no smaller, so that they can be told from those of silence."""

_NUMBERS = (Path(__file__).parent / "numbers.js").read_text()
_REPOSITORY = Path(__file__).parents[2]
_LEAST_AUDIO = 100
"""Bytes of a packet with the backend's noise; with header, extension and tag, one of silence has some 80 or less."""
_FRAME = 0.02
_STARTS = 0.15
"""Seconds in which speech is heard that has begun."""


@attrs.frozen(kw_only=True)
class SpokenCost(Cost):
    """What an interruption cost a conversation.

    Attributes:
        unheard: frames that left the client, and that the backend did not get; what was concealed counts as heard.
    """

    unheard: int


@attrs.frozen(kw_only=True)
class Conversed:
    """A stretch of a conversation.

    Attributes:
        events: what has become of them.
        errors: that the client was told.
        is_answered: whether the backend came to an end when it was told to, and answered the next turn.
    """

    events: Events
    errors: int
    is_answered: bool

    def to_json(self) -> dict[str, object]:
        """All of it, as JSON types."""
        return {**attrs.asdict(self, recurse=False), "events": self.events.to_json()}


@attrs.define
class NumberingBackend:
    """What the backend has noted.

    Attributes:
        notes: so far; see `numbering_backend`.
    """

    _file: TextIO
    notes: list[list[Any]] = attrs.field(factory=list)

    def read(self) -> list[list[Any]]:
        """Return all notes so far."""
        while (line := self._file.readline()).endswith("\n"):
            self.notes.append(json.loads(line))
        return self.notes


@attrs.define
class ConversingCall(DisturbedCall):
    """The call.

    Attributes:
        backend: what it has noted.
        disturbed_at: when something happened to the call the last time.
    """

    backend: NumberingBackend = attrs.field(kw_only=True)
    disturbed_at: float = 0.0
    _placed: int = 0  # notes before
    _first: int = 0  # number of the stretch
    _noted: int = 0  # notes before the stretch
    _told: int = 0  # events before it
    _questions: Iterator[int] = attrs.field(factory=itertools.count)
    _silences: list[tuple[float, float]] = attrs.field(factory=list)
    _hushed_at: float = 0.0  # 0 while it speaks
    _is_answered: bool = True

    # A stretch

    def begin(self, every_ms: int = 100) -> None:
        """Count from now on, and have the backend speak."""
        self._noted = len(self.backend.read())
        self._first, self._told = self.page.evaluate("() => [window.talk.said.length, window.talk.told.length]")
        self.page.evaluate("ms => window.talk.count(ms)", every_ms)
        self.speak()

    def keep_saying(self) -> None:
        """It says numbers all the time."""

    def stop_saying(self) -> None:
        """What has become of them is told by `finish`."""

    def speak(self) -> None:
        assert self.page.evaluate("() => window.talk.speak()"), "the backend does not speak"
        if self._hushed_at:
            self._silences.append((self._hushed_at, time.monotonic() + _STARTS))
            self._hushed_at = 0.0

    def hush(self) -> None:
        self._hushed_at = time.monotonic()
        self._is_answered = bool(self.page.evaluate("() => window.talk.hush()"))

    def finish(self) -> Conversed:
        """Let the stretch come to an end at which nothing is under way; says what has become of it."""
        if not self._hushed_at:
            self.hush()
        self._hushed_at = 0.0
        self.page.evaluate("() => window.talk.stop()")
        answered = self.page.evaluate("number => window.talk.ask(number)", next(self._questions))
        errors = self.page.evaluate(
            "from => window.talk.told.slice(from).filter(([, type]) => type === 'error').length", self._told
        )
        return Conversed(events=self._events(), errors=errors, is_answered=bool(self._is_answered and answered))

    def _events(self) -> Events:
        clock = self._clock()
        said, told = self.page.evaluate("from => [window.talk.said, window.talk.told.slice(from)]", self._told)
        notes = self.backend.read()[self._placed :]
        named = [(when, str(name).split("_")) for when, _, name, _ in told if str(name).startswith("numbered_")]
        return compare_events(
            said={number: clock + when / 1000 for number, when in enumerate(said) if number >= self._first},
            got=[Got(connection, *facts) for _, connection, what, *facts in notes if what == "got"],
            says=[
                (connection, facts[0])
                for _, connection, what, *facts in notes[self._noted - self._placed :]
                if what == "says"
            ],
            told=[Told(clock + when / 1000, int(connection), int(number)) for when, (_, connection, number) in named],
            at=self.disturbed_at,
        )

    def _clock(self) -> float:
        """What has to be added to the page's time for ours, in seconds."""
        before = time.monotonic()
        now = self.page.evaluate("() => performance.now()") / 1000
        return (before + time.monotonic()) / 2 - now

    # What comes of it

    def cost_of(self, watched: Watched) -> SpokenCost:
        self.disturbed_at = watched.at
        cost = super().cost_of(watched)
        return SpokenCost(**attrs.asdict(cost, recurse=False), unheard=self._unheard(watched))

    def audio_times(self, client: Sniffer) -> list[float]:
        """When the client got the backend's audio; where that was told to be silent, every 20 ms."""
        silences = [
            begin + frame * _FRAME for begin, end in self._silences for frame in range(round((end - begin) / _FRAME))
        ]
        return sorted([*packets_of(client, self.source, _LEAST_AUDIO), *silences])

    def _unheard(self, watched: Watched) -> int:
        """How many frames the backend is farther behind what left the client than it was before."""
        begin, end = watched.stretch
        frames = dict[bytes, float]()
        for each in watched.client.seen:
            if each.target == PUBLIC and is_rtp(each.data):
                # Chromium also sends packets of nothing but padding, to probe; they have the time of the one before.
                frames.setdefault(each.data[4:8], each.at)
        left = list(frames.values())
        behind: list[tuple[float, float]] = []
        heard_ms: dict[int, float] = {}
        all_ms = 0.0
        for at, connection, what, *facts in self.backend.read()[self._placed :]:
            if what == "heard":
                all_ms += facts[0] - heard_ms.get(connection, 0.0)
                heard_ms[connection] = facts[0]
                behind.append((at, bisect(left, at) - all_ms / 1000 / _FRAME))
        before = min(frames for at, frames in behind if begin <= at < watched.at)
        after = min((frames for at, frames in behind if end - 0.5 <= at <= end), default=before + len(left))
        return max(0, round(after - before))


@contextmanager
def numbering_backend(travelling: Journey, folder: Path) -> Iterator[NumberingBackend]:
    """Run the backend where the transceivers are."""
    path, log = folder / "numbering.jsonl", folder / "numbering.log"
    program = [sys.executable, "-m", "tests.e2e.numbering_backend", str(_PORT), path]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command_in(travelling.names["server"], *program), stdout=output, stderr=output, cwd=_REPOSITORY
        )
    try:
        travelling.edge.wait_until("the backend listens", path.exists)
        with path.open() as file:
            yield NumberingBackend(file)
        assert process.poll() is None, log.read_text()
    finally:
        process.kill()
        process.wait()


@contextmanager
def conversing_call(
    travelling: Journey, store: Store, page: Page, backend: NumberingBackend
) -> Iterator[ConversingCall]:
    """Place a call that the backend answers; hangs up behind the block."""
    show_datagrams(travelling)
    placed = len(backend.read())
    location, source = place_call(page, channel="oai-events", model=_MODEL)
    call = ConversingCall(travelling, store, page, location, source, backend=backend, placed=placed)
    with kept(call):
        assert page.evaluate(_NUMBERS), "the conversation does not begin"
        yield call
