"""A client that speaks beta, seen as one that speaks GA.

Who asks for the beta (`OpenAI-Beta: realtime=v1`, or the subprotocol of that name) is translated in both directions, so
that nobody behind has to know. Clients that have moved on never come here.
"""

import json
from collections import deque

from transceiver.calls import EventSocket
from transceiver.realtime.dialect import to_beta, to_ga
from transceiver.realtime.serialization import serialize_event

__all__ = ["BetaSocket"]

_AUDIO = '"input_audio_buffer.append"'


class BetaSocket:
    """An `EventSocket` in the GA shape around one in the beta shape.

    Args:
        socket: the client's.
    """

    def __init__(self, socket: EventSocket) -> None:
        self._socket = socket
        self._waiting: deque[str] = deque()

    async def receive(self) -> str:
        """Wait for the next event; what is none is passed on, for whoever answers such things."""
        while not self._waiting:
            text = await self._socket.receive()
            if _AUDIO in text[:100]:
                return text  # the same in both, and long
            self._waiting.extend(_translated_in(text))
        return self._waiting.popleft()

    async def send(self, text: str) -> None:
        """Send an event of the server's, unless beta has none such."""
        for event in to_beta(json.loads(text)):
            written = serialize_event(event)
            if written is not None:
                await self._socket.send(written)


def _translated_in(text: str) -> list[str]:
    try:
        event = json.loads(text)
        if isinstance(event, dict):
            return [json.dumps(each, separators=(",", ":")) for each in to_ga(event)]
    except (ValueError, RecursionError):
        pass
    return [text]
