"""What a client that gets audio inside events is still to be sent, bounded by its bytes.

A backend speaks faster than real time, and a client reads as fast as it can. Speech waits as PCM and becomes events
when it is sent, a second at a time.
"""

import binascii
import json
from collections import deque

import trio

from transceiver.backends.contract import Speech
from transceiver.calls import EventSocket, SocketClosed
from transceiver.realtime.fields import Event, integer_at, mapping_at, text_at
from transceiver.realtime.identifiers import Identifiers
from transceiver.realtime.required_keys import complete
from transceiver.realtime.serialization import serialize_event

__all__ = ["ClientQueue"]

_SLICE_BYTES = 49_152  # a second at 24 kHz, as 64 KiB of base64
_MAX_KNOWN_ITEMS = 256


class ClientQueue:
    """Events and speech for one client, in order.

    Args:
        socket: the client's.
        identifiers: names events that have no name yet.
        max_bytes: how much may wait.
    """

    def __init__(self, socket: EventSocket, identifiers: Identifiers, max_bytes: int) -> None:
        self._socket = socket
        self._identifiers = identifiers
        self._max_bytes = max_bytes
        self._entries: deque[str | tuple[Speech, bytes]] = deque()
        self._waiting = 0  # bytes
        self._has_more = trio.Event()
        self._is_finished = False
        self._output_indexes: dict[str, int] = {}  # by item; speech does not carry it

    def add_event(self, event: Event) -> bool:
        """Add an event; what its type cannot be without is put in. Returns whether it fits."""
        if text_at(event, "type") == "response.output_item.added":
            self._remember_place(event)
        text = serialize_event(complete(event, self._identifiers.fresh, 0))
        return text is None or self._add(text, len(text))

    def add_speech(self, speech: Speech, pcm: bytes) -> bool:
        """Add speech. Returns whether it fits."""
        return self._add((speech, pcm), len(pcm))

    def clear(self) -> None:
        """Forget what waits."""
        self._entries.clear()
        self._waiting = 0

    def finish(self) -> None:
        """Nothing more will be added."""
        self._is_finished = True
        self._has_more.set()

    async def send_all(self) -> None:
        """Send until `finish` was called and all is sent, or until the client has gone."""
        try:
            while True:
                while self._entries:
                    entry = self._entries.popleft()
                    if isinstance(entry, str):
                        self._waiting -= len(entry)
                        await self._socket.send(entry)
                    else:
                        self._waiting -= len(entry[1])
                        await self._send_speech(*entry)
                    # A socket need not give others a turn while the kernel takes what it is given.
                    await trio.lowlevel.checkpoint()
                if self._is_finished:
                    return
                self._has_more = trio.Event()
                await self._has_more.wait()
        except SocketClosed:
            return

    async def _send_speech(self, speech: Speech, pcm: bytes) -> None:
        head = {
            "type": "response.output_audio.delta",
            "response_id": speech.response_id,
            "item_id": speech.item_id,
            "output_index": self._output_indexes.get(speech.item_id, 0),
            "content_index": speech.content_index,
        }
        for begin in range(0, len(pcm), _SLICE_BYTES):
            if begin:
                await trio.lowlevel.checkpoint()
            named = json.dumps({**head, "event_id": self._identifiers.fresh("event")}, separators=(",", ":"))
            audio = binascii.b2a_base64(pcm[begin : begin + _SLICE_BYTES], newline=False).decode()
            await self._socket.send(f'{named[:-1]},"delta":"{audio}"}}')  # base64 needs none of JSON's escapes

    def _add(self, entry: str | tuple[Speech, bytes], size: int) -> bool:
        if self._waiting + size > self._max_bytes:
            return False
        self._entries.append(entry)
        self._waiting += size
        self._has_more.set()
        return True

    def _remember_place(self, event: Event) -> None:
        if len(self._output_indexes) >= _MAX_KNOWN_ITEMS:
            self._output_indexes.clear()
        self._output_indexes[text_at(mapping_at(event, "item"), "id")] = integer_at(event, "output_index") or 0
