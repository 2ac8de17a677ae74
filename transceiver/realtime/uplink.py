"""What the caller says, on its way to the backend: when it begins, and in which pieces."""

from collections.abc import Sequence

from transceiver.realtime.options import BridgeOptions

__all__ = ["Uplink"]

_BYTES_PER_SAMPLE = 2


class Uplink:
    """Cuts the caller's audio into pieces, once the backend is configured.

    The backend must not hear the caller before it knows how to listen: stock clients rely on the configuration coming
    before the audio. So the uplink starts when the client's first `session.update` was answered. A client that sends
    none would never be heard; the grace times of `BridgeOptions` say when it is heard anyway. They are looked at when
    audio comes, which needs no timer.

    Audio is continuous from then on, silence included, so that the backend's turn detection and ours of its clock run.

    Args:
        options: size of the pieces, and the grace times.
        is_channel_expected: whether a data channel was negotiated; without one there is no configuration to wait for.

    Attributes:
        is_started: whether the backend may hear the caller.
        sent_ms: milliseconds of audio that were given out.
    """

    __slots__ = (
        "_channel_opened",
        "_first_audio",
        "_is_channel_expected",
        "_is_update_awaited",
        "_options",
        "_pending",
        "_piece",
        "_sent",
        "is_started",
    )

    def __init__(self, options: BridgeOptions, *, is_channel_expected: bool) -> None:
        self._options = options
        self._is_channel_expected = is_channel_expected
        self._piece = options.backend.input_rate * options.append_ms // 1000 * _BYTES_PER_SAMPLE
        self._pending = bytearray()
        self._sent = 0
        self._first_audio: float | None = None
        self._channel_opened: float | None = None
        self._is_update_awaited = False
        self.is_started = False

    @property
    def sent_ms(self) -> int:
        """Milliseconds of audio that were given out."""
        return self._sent * 1000 // (_BYTES_PER_SAMPLE * self._options.backend.input_rate)

    def channel_opened(self, now: float) -> None:
        """The client can configure the session now."""
        if self._channel_opened is None:
            self._channel_opened = now

    def update_received(self) -> None:
        """The client configures the session: its answer starts the uplink, and no grace time does."""
        self._is_update_awaited = True

    def update_answered(self) -> None:
        """The session is configured."""
        self.is_started = True

    def is_due(self, now: float) -> bool:
        """Whether the backend may hear audio that comes now."""
        if self._first_audio is None:
            self._first_audio = now
        if not self.is_started and not self._is_update_awaited:
            if self._channel_opened is not None:
                self.is_started = now >= self._channel_opened + self._options.configuration_grace
            else:
                waited = now - self._first_audio
                self.is_started = not self._is_channel_expected or waited >= self._options.channel_grace
        return self.is_started

    def add(self, pcm: bytes) -> Sequence[bytes]:
        """Take audio, and give the pieces that are full."""
        pending = self._pending
        if not pending and len(pcm) == self._piece:
            self._sent += len(pcm)
            return (pcm,)
        pieces = []
        pending += pcm
        while len(pending) >= self._piece:
            piece = bytes(pending[: self._piece])
            del pending[: self._piece]
            self._sent += len(piece)
            pieces.append(piece)
        return pieces

    def flush(self) -> bytes:
        """Give what is left, a piece that is not full; may be empty."""
        rest = bytes(self._pending)
        self._sent += len(rest)
        self._pending.clear()
        return rest

    def clear(self) -> None:
        """Forget what is left."""
        self._pending.clear()
