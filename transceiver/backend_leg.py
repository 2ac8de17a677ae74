"""The other leg of a call: what listens and speaks to the caller, and what connects it with the client's session.

    client ⇄ Session ⇄ BackendLeg ⇄ BackendLink ⇄ backend
                          ⇅
              Bridge (the rules)   sidebands (further connections of the call's owner)

The leg decides nothing: it carries what the bridge says between those who can send. All but `run` and `serve_sideband`
is called inline by the worker's loop and returns at once. Audio to the caller passes by here: the session's voice takes
it from the bridge's speech queue.
"""

import enum
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import trio

from sctp.channel_events import ChannelClosed, ChannelOpened, MessageReceived
from transceiver.audio.speech_queue import SpeechQueue
from transceiver.backends.contract import BackendLink, BackendUnavailable, Speech
from transceiver.backends.realtime import BackendRefused
from transceiver.backends.reconnecting import Reconnecting, ReconnectPolicy
from transceiver.calls import EventSocket, Overloaded, SocketClosed
from transceiver.media import Media
from transceiver.realtime.bridge import Bridge
from transceiver.realtime.outputs import AudioToBackend, CloseSideband, Output, ToBackend, ToClient, ToSideband
from transceiver.session import Session
from transceiver.session_events import DataClosed
from wire.core import Drops, Entropy, Event
from wire.errors import LocalProtocolError

__all__ = ["EVENTS_LABEL", "BackendLeg", "DropReason"]

EVENTS_LABEL = "oai-events"
"""The data channel that carries the events of the Realtime protocol (specs of the clients)."""

_JITTER_BUFFER = 0.06
"""Seconds for which a browser's jitter buffer holds a packet on a good network."""

_GOODBYE_SECONDS = 6.0
"""What a link has to come to an end after the call did; an agent may want to write something down."""

_MAX_SIDEBANDS = 8
_RETRY_SECONDS = 5.0
_SIDEBAND_QUEUE = 1024
"""Events that may wait for a sideband that reads slowly; one that falls further behind is closed."""


class DropReason(enum.StrEnum):
    """Why an event did not reach the client."""

    NO_CHANNEL = "no-events-channel"
    """The client has not opened the channel for events, or has closed it."""
    CHANNEL_REFUSED = "channel-refused"
    """The channel takes no message so long, or holds as much as it may: the client does not read."""
    SIDEBAND_SLOW = "sideband-slow"
    """A sideband did not read; it was closed."""


class BackendLeg:
    """The backend's leg of one call; is the sink of its link.

    Args:
        session: the client's leg.
        bridge: the rules between them.
        speech: where the bridge puts what is to be said to the caller.
        make_link: makes a connection to the backend.
        reconnect: whether and when to try again after the backend was lost.
        entropy: source of unpredictable bytes.
        unix_time: wall clock.
        flush: sends what the session has to say; called when something came that was not a datagram.
        report: takes what happened, for the log.

    Attributes:
        drops: events that did not reach their receiver, by `DropReason`.
        ended: why the call is over, as far as this leg is concerned; None while it is not.
    """

    def __init__(
        self,
        *,
        session: Session,
        bridge: Bridge,
        speech: SpeechQueue,
        make_link: Callable[[], BackendLink],
        reconnect: ReconnectPolicy,
        entropy: Entropy,
        unix_time: Callable[[], float],
        flush: Callable[[float], None],
        report: Callable[[str, Mapping[str, object]], None],
    ) -> None:
        self.drops: Drops = Counter()
        self.ended: str | None = None
        self._session = session
        self._bridge = bridge
        self._speech = speech
        self._make_link = make_link
        self._reconnecting = Reconnecting(reconnect)
        self._entropy = entropy
        self._unix_time = unix_time
        self._round_trip_time: float | None = None
        self._is_carrying = False
        self._has_hung_up = False  # the backend; what it has said last is still played
        self._flush = flush
        self._report = report
        self._link: BackendLink | None = None
        self._scope = trio.CancelScope()
        self._channel_id: int | None = None
        self._sidebands: dict[int, trio.MemorySendChannel[str]] = {}
        self._numbers = itertools.count(1)

    # -- the client's side, inline

    def follow(self, event: Event, now: float) -> None:
        """Take what the session reports; what is not about data channels is left alone."""
        match event:
            case MessageReceived() if event.channel_id == self._channel_id:
                message = event.message
                # Events are texts; one that came as bytes is read all the same.
                text = message if isinstance(message, str) else message.decode(errors="replace")
                self._bridge.receive_client_text(text, now)
            case ChannelOpened() if event.channel.label == EVENTS_LABEL and self._channel_id is None:
                self._channel_id = event.channel.id
                self._bridge.client_opened(now)
            case ChannelClosed() if event.channel_id == self._channel_id:
                self._client_left(now)
            case DataClosed() if self._channel_id is not None:
                self._client_left(now)
            case _:
                pass

    def advance(self, now: float) -> None:
        """Carry audio and events to where they go. Called whenever the session may have heard or said something."""
        session, bridge = self._session, self._bridge
        if session.closed is not None:
            return
        media = session.media
        if media is not None and (voice := media.voice) is not None:
            if pcm := voice.hear(now):
                bridge.receive_caller_audio(pcm, now)
            for digit in voice.digits():
                bridge.receive_dtmf(digit.digit, now, unix_time=self._unix_time())
            bridge.speech_progressed(now)
            if media.round_trip_time != self._round_trip_time:
                self._measured(media)
        when = bridge.next_timeout()
        if when is not None and when <= now:
            bridge.handle_timeout(now)
        self._carry(now)
        if self._has_hung_up and not self._speech.has_speech:
            self.ended = "backend-hung-up"

    def _measured(self, media: Media) -> None:
        """Say how far what we send is ahead of the caller's ear: half a round trip, and the jitter buffer."""
        self._round_trip_time = media.round_trip_time
        if self._round_trip_time is not None:
            self._bridge.set_playout_delay(self._round_trip_time / 2 + _JITTER_BUFFER + 2 * media.peer_jitter)

    def close(self) -> None:
        """End everything of the leg: the link, and the sidebands once they have read what waits for them."""
        if self._link is None:
            self._scope.cancel()
        else:
            self._link.close()
            self._scope.deadline = trio.current_time() + _GOODBYE_SECONDS
        for queue in self._sidebands.values():
            queue.close()

    def _client_left(self, now: float) -> None:
        self._channel_id = None
        self.ended = "client-hung-up"
        self._bridge.client_closed(now)

    def _carry(self, now: float) -> None:
        """Do what the bridge wants done, in its order; an agent in this process answers inside of it."""
        if self._is_carrying:
            return  # whoever carries goes on until there is nothing left
        self._is_carrying = True
        try:
            while output := self._bridge.take_output():
                self._carry_out(output, now)
        finally:
            self._is_carrying = False

    def _carry_out(self, output: Iterable[Output], now: float) -> None:
        for item in output:
            match item:
                case AudioToBackend():
                    if self._link is not None:
                        self._link.send_audio(item.pcm)
                case ToBackend():
                    if self._link is not None:
                        self._link.send_event(item.event)
                case ToClient():
                    self._send_to_client(item.text, now)
                case ToSideband():
                    self._send_to_sideband(item.number, item.text)
                case CloseSideband():
                    if (queue := self._sidebands.get(item.number)) is not None:
                        queue.close()

    def _send_to_client(self, text: str, now: float) -> None:
        if self._channel_id is None:
            self.drops[DropReason.NO_CHANNEL] += 1
            return
        try:
            self._session.send_message(self._channel_id, text, now)
        except LocalProtocolError:
            self.drops[DropReason.CHANNEL_REFUSED] += 1

    def _send_to_sideband(self, number: int, text: str) -> None:
        queue = self._sidebands.get(number)
        if queue is None:
            return
        try:
            queue.send_nowait(text)
        except trio.WouldBlock:
            self.drops[DropReason.SIDEBAND_SLOW] += 1
            queue.close()
        except trio.ClosedResourceError:
            pass  # it is on its way out

    # -- the backend's side

    async def run(self) -> None:
        """Connect to the backend, and again when it was lost and may come back, until the call ends."""
        with self._scope:
            while True:
                try:
                    link = self._link = self._make_link()
                    await link.run(self)
                except BackendUnavailable as error:
                    pause = self._lost(error)
                else:
                    self._hung_up()
                    return
                if pause is None:
                    return
                await trio.sleep(pause)

    def _lost(self, error: BackendUnavailable) -> float | None:
        """Tell everybody; return the seconds to wait before the next attempt, None when there is to be none."""
        self._link = None
        now = trio.current_time()
        pause = self._reconnecting.lost(now, self._entropy(1), is_final=isinstance(error, BackendRefused))
        self._bridge.backend_lost(str(error), now, will_retry=pause is not None)
        self._report("backend-lost", {"reason": str(error), "will_retry": pause is not None, "exception": error})
        self._flush(now)
        return pause

    def _hung_up(self) -> None:
        """Take the end of the connection for the end of the call, once the caller has heard the last words."""
        self._link = None
        self._has_hung_up = True
        self._flush(trio.current_time())

    def backend_opened(self) -> None:
        """See `BackendSink.backend_opened`."""
        now = trio.current_time()
        self._reconnecting.opened(now)
        self._bridge.backend_opened(now)
        self._flush(now)

    def backend_event(self, event: Mapping[str, object]) -> None:
        """See `BackendSink.backend_event`."""
        now = trio.current_time()
        self._bridge.receive_backend_event(event, now)
        if not self._is_carrying:
            self._flush(now)

    def backend_audio(self, speech: Speech, pcm: bytes) -> None:
        """See `BackendSink.backend_audio`; the worker's clock takes it from the queue."""
        self._bridge.receive_backend_audio(speech, pcm, trio.current_time())

    # -- sidebands

    async def serve_sideband(self, socket: EventSocket) -> None:
        """Let one more connection take part until it closes or the call ends; see `Conversations.serve_sideband`."""
        if len(self._sidebands) >= _MAX_SIDEBANDS:
            raise Overloaded(_RETRY_SECONDS)
        number = next(self._numbers)
        sender, receiver = trio.open_memory_channel[str](_SIDEBAND_QUEUE)
        self._sidebands[number] = sender
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_write, receiver, socket, nursery.cancel_scope)
                self._bridge.sideband_opened(number, trio.current_time())
                self._flush(trio.current_time())
                await self._read(number, socket)
                nursery.cancel_scope.cancel()
        finally:
            del self._sidebands[number]
            sender.close()
            self._bridge.sideband_closed(number, trio.current_time())

    async def _read(self, number: int, socket: EventSocket) -> None:
        while True:
            try:
                text = await socket.receive()
            except SocketClosed:
                return
            now = trio.current_time()
            self._bridge.receive_client_text(text, now, sideband=number)
            self._flush(now)

    def describe(self) -> Mapping[str, object]:
        """Tell how it goes, in JSON types."""
        return {
            "connected": self._link is not None,
            "sidebands": len(self._sidebands),
            "drops": dict(self.drops),
            **self._bridge.describe(),
        }


async def _write(queue: trio.MemoryReceiveChannel[str], socket: EventSocket, scope: trio.CancelScope) -> None:
    """Send what waits; the end of the queue, or of the socket, ends the sideband."""
    try:
        async for text in queue:
            await socket.send(text)
    except SocketClosed:
        pass
    scope.cancel()
