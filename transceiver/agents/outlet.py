"""The way out: events with their ids, and speech."""

from collections.abc import Callable

from transceiver.backends.contract import BackendSink, Speech
from wire.core import Entropy

__all__ = ["JsonObject", "Outlet"]

JsonObject = dict[str, object]
"""An object of an event, in JSON types. What was sent is never changed afterwards: it travels by reference."""

_ID_BYTES = 10


class Outlet:
    """Where the server of one conversation speaks.

    Args:
        sink: takes what is sent; called inline.
        entropy: for ids.

    Attributes:
        speak: sends a piece of speech, in the place of `response.output_audio.delta`. The sink's own function, as it is
            called for each piece.
    """

    def __init__(self, sink: BackendSink, entropy: Entropy) -> None:
        self._sink = sink
        self._entropy = entropy
        self.speak: Callable[[Speech, bytes], None] = sink.backend_audio

    def new_id(self, prefix: str) -> str:
        """Name something: "item_5a0c…"."""
        return f"{prefix}_{self._entropy(_ID_BYTES).hex()}"

    def emit(self, kind: str, **fields: object) -> None:
        """Send a server event of this type."""
        self._sink.backend_event({"type": kind, "event_id": self.new_id("event"), **fields})

    def error(
        self,
        code: str,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        event_id: str | None = None,
    ) -> None:
        """Send an `error` event; the session goes on.

        Args:
            code: a stable word for programs.
            message: a sentence for people.
            kind: whose fault it was: the client's, or "server_error".
            param: the field that is to blame.
            event_id: the client event that it answers.
        """
        error = {"type": kind, "code": code, "message": message, "param": param, "event_id": event_id}
        self.emit("error", error=error)
