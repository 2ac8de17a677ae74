"""What has a state in a bridge, as tables: the connection to the backend, and the playing of a response."""

import enum

__all__ = [
    "BACKEND_TRANSITIONS",
    "PLAYING_TRANSITIONS",
    "BackendState",
    "BackendTrigger",
    "PlayingState",
    "PlayingTrigger",
]


class BackendState(enum.StrEnum):
    """Whether there is a backend."""

    CONNECTING = "connecting"
    """Not yet; what clients send waits for it."""
    OPEN = "open"
    """Events and audio go both ways."""
    RETRYING = "retrying"
    """It was lost and is being connected anew; clients' events are refused, their settings are kept."""
    LOST = "lost"
    """There will be none; the call lives on."""


class BackendTrigger(enum.StrEnum):
    """What happens to the connection."""

    OPENED = "opened"
    LOST_FOR_NOW = "lost, will retry"
    LOST_FOR_GOOD = "lost"


BACKEND_TRANSITIONS: dict[BackendState, dict[BackendTrigger, BackendState]] = {
    BackendState.CONNECTING: {
        BackendTrigger.OPENED: BackendState.OPEN,
        BackendTrigger.LOST_FOR_GOOD: BackendState.LOST,
    },
    BackendState.OPEN: {
        BackendTrigger.LOST_FOR_NOW: BackendState.RETRYING,
        BackendTrigger.LOST_FOR_GOOD: BackendState.LOST,
    },
    BackendState.RETRYING: {
        BackendTrigger.OPENED: BackendState.OPEN,
        BackendTrigger.LOST_FOR_GOOD: BackendState.LOST,
    },
    BackendState.LOST: {},
}
"""A missing cell changes nothing: a first connection that fails and is tried again is still the first."""


class PlayingState(enum.StrEnum):
    """How far the caller has heard a response."""

    SILENT = "silent"
    """Nothing of it has been played."""
    PLAYING = "playing"
    """`output_audio_buffer.started` was sent."""
    DRAINED = "drained"
    """All speech so far was played; more may come."""
    OVER = "over"
    """`stopped` or `cleared` was sent, or there was no speech."""


class PlayingTrigger(enum.StrEnum):
    """What happens to the playing of a response."""

    STARTED = "first frame played"
    RECEIVED = "more speech received"
    DRAINED = "last frame played"
    COMPLETED = "response.done, and nothing is left to play"
    FLUSHED = "flushed"


PLAYING_TRANSITIONS: dict[PlayingState, dict[PlayingTrigger, PlayingState]] = {
    PlayingState.SILENT: {
        PlayingTrigger.STARTED: PlayingState.PLAYING,
        PlayingTrigger.COMPLETED: PlayingState.OVER,
        PlayingTrigger.FLUSHED: PlayingState.OVER,
    },
    PlayingState.PLAYING: {
        PlayingTrigger.DRAINED: PlayingState.DRAINED,
        PlayingTrigger.FLUSHED: PlayingState.OVER,
    },
    PlayingState.DRAINED: {
        PlayingTrigger.RECEIVED: PlayingState.PLAYING,
        PlayingTrigger.COMPLETED: PlayingState.OVER,
    },
    PlayingState.OVER: {},
}
"""A missing cell changes nothing. SILENT to PLAYING sends `output_audio_buffer.started`, DRAINED to OVER by COMPLETED
sends `stopped`, and FLUSHED sends `cleared`: a response that is heard gets one `started` and one of the others."""
