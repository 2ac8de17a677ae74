"""The other leg of a call: what listens and speaks to the caller, and what connects it with the client's session.

    client ⇄ Session ⇄ BackendLeg ⇄ BackendLink ⇄ backend
                          ⇅
              Bridge (the rules)   Sidebands (further connections of the call's owner)

The leg decides nothing: it carries what the bridge says between those who can send. All but `run` and `serve_sideband`
is called inline by the worker's loop and returns at once. Audio to the caller passes by here: the session's voice takes
it from the bridge's speech queue.

An agent in this process answers inside of what is said to it, so anything that is carried may lead to more. It is
carried behind what was there before (`_carry`).

When the call moves, a connection to a server may stay here as a tunnel (`hold`, `hand_over`), and the leg of the new
owner begins with the other end of it, until it connects to the backend itself.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping

import trio

from sctp.channel_events import ChannelClosed, ChannelOpened, MessageReceived
from transceiver.agents.server import AgentFailed
from transceiver.audio.speech_queue import SpeechQueue
from transceiver.backends.contract import BackendLink, BackendUnavailable, Speech
from transceiver.backends.realtime import BackendRefused, RealtimeLink
from transceiver.backends.reconnecting import Reconnecting, ReconnectPolicy
from transceiver.backends.tunnel import Tunnel
from transceiver.backends.tunnel_term import Step, TunnelTerm
from transceiver.backends.tunnel_ticket import Reading, TunnelTicket
from transceiver.backends.tunnelled import TunnelEnded, TunnelledLink
from transceiver.calls import EventSocket
from transceiver.events_channel import DropReason, EventsChannel
from transceiver.media import Media
from transceiver.realtime.bridge import Bridge
from transceiver.realtime.moved_playback import MAX_MOVED_SPEECH
from transceiver.realtime.outputs import AudioToBackend, CloseSideband, Output, ToBackend, ToClient, ToSideband
from transceiver.session import Session
from transceiver.session_events import DataClosed
from transceiver.sidebands import Sidebands
from wire.core import Drops, Entropy, Event

__all__ = ["BackendLeg"]

_JITTER_BUFFER = 0.06
"""Seconds for which a browser's jitter buffer holds a packet on a good network."""

_PLAYOUT_DELAY = 0.1
"""From us to the caller's ear, in seconds, until it is measured."""

_QUIET_SECONDS = 0.7
"""Without an event between two turns it is quiet: a backend may think that long before it begins to answer."""

_MAX_TUNNELLED_SPEECH = 384_000
"""Bytes of PCM that wait, beyond which no call is moved with a tunnel: with all else it has to fit into a request."""

_GOODBYE_SECONDS = 6.0
"""What a link has to come to an end after the call did; an agent may want to write something down."""


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
        advanced: called when something came that was not a datagram; calls `advance`, and sends what the session says.
        failed: takes an exception that is a bug of ours, and ends the call.
        report: takes what happened, for the log.
        tunnelled: the way to the backend through the call's last owner, which is used before all others, once the call
            is ours; None for none.

    Attributes:
        drops: events that did not reach their receiver, by reason.
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
        advanced: Callable[[float], None],
        failed: Callable[[Exception, float], None],
        report: Callable[[str, Mapping[str, object]], None],
        tunnelled: TunnelledLink | None = None,
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
        self._advanced = advanced
        self._failed = failed
        self._report = report
        self._sidebands = Sidebands(bridge, advanced, self.drops)
        self._channel = EventsChannel(session, self.drops)
        self._scope = trio.CancelScope()
        self._is_carrying = False
        self._now = 0.0  # while it carries
        self._is_closed = False
        self._has_hung_up = False  # the backend; what it has said last is still played
        self._heard_at: float | None = None  # when the caller will have heard the last of it
        self._round_trip_time: float | None = None
        self._stirred_at = -math.inf  # when an event came last, of either side's
        self._answered_at = -math.inf  # when one of the backend's did
        self._playout_delay = _PLAYOUT_DELAY
        self._is_handed_over = False
        self._is_ours = trio.Event()
        # What is said before the tunnel is taken waits in it.
        self._tunnelled = tunnelled
        self._link: BackendLink | None = tunnelled
        self._term: TunnelTerm | None = None
        if tunnelled is None:
            self._is_ours.set()

    # -- the client's side, inline

    def follow(self, event: Event, now: float) -> None:
        """Take what the session reports; what is not about data channels is left alone."""
        if self._channel.is_missing:
            self._channel.find(now)
        match event:
            case MessageReceived() if event.channel_id == self._channel.id:
                message = event.message
                # Events are texts; one that came as bytes is read all the same.
                text = message if isinstance(message, str) else message.decode(errors="replace")
                self._stirred_at = now
                self._bridge.receive_client_text(text, now)
            case MessageReceived():
                self.drops[DropReason.OTHER_CHANNEL] += 1
            case ChannelOpened() if self._channel.takes(event):
                self._bridge.client_opened(now)
            case ChannelClosed() if event.channel_id == self._channel.id:
                self._client_left(now)
            case DataClosed() if self._channel.id is not None:
                self._client_left(now)
            case _:
                pass

    def _client_left(self, now: float) -> None:
        self._channel.close()
        self.ended = "client-hung-up"
        self._bridge.client_closed(now)

    def advance(self, now: float) -> None:
        """Carry audio and events to where they go. Called whenever the session may have heard something."""
        session = self._session
        if session.closed is not None:
            return
        if self._channel.is_missing:
            self._channel.find(now)
        media = session.media
        if media is not None and (voice := media.voice) is not None:
            if pcm := voice.hear(now):
                self._bridge.receive_caller_audio(pcm, now)
            for digit in voice.digits():
                self._bridge.receive_dtmf(digit.digit, now, unix_time=self._unix_time())
        if self._bridge.outputs:
            self._carry(now)

    def tick(self, now: float) -> None:
        """Do what time brings: called each 20 ms, after the session may have said something."""
        session, bridge = self._session, self._bridge
        if session.closed is not None:
            return
        media = session.media
        if media is not None and media.round_trip_time != self._round_trip_time:
            self._measured(media)
        if self._speech.events:
            bridge.speech_progressed(now)
        when = bridge.next_timeout()
        if when is not None and when <= now:
            bridge.handle_timeout(now)
        voice = None if media is None else media.voice
        if self._channel.is_missing or (voice is not None and now >= voice.quiet_until):
            self.advance(now)
        elif bridge.outputs:
            self._carry(now)
        if self._has_hung_up and not self._speech.has_speech:
            self._follow_last_words(now)
        if self._term is not None and self._tunnelled is not None and self._link is self._tunnelled:
            self._leave_tunnel(self._term, self._tunnelled, now)

    def _measured(self, media: Media) -> None:
        """Say how far what we send is ahead of the caller's ear: half a round trip, and the jitter buffer."""
        self._round_trip_time = media.round_trip_time
        if self._round_trip_time is not None:
            self._playout_delay = self._round_trip_time / 2 + _JITTER_BUFFER + 2 * media.peer_jitter
            self._bridge.set_playout_delay(self._playout_delay)

    def _follow_last_words(self, now: float) -> None:
        """Let what was sent last get to the caller's ear before the call ends."""
        if self._heard_at is None:
            self._heard_at = now + self._playout_delay
        elif now >= self._heard_at:
            self.ended = "backend-hung-up"

    # -- carrying

    def _carry(self, now: float) -> None:
        """Do what the bridge wants done, in its order; an agent in this process answers inside of it."""
        self._is_carrying, self._now = True, now
        try:
            outputs = self._bridge.outputs
            while outputs:
                item = outputs.popleft()
                if type(item) is not AudioToBackend:
                    self._carry_out(item, now)
                elif self._link is not None:
                    self._link.send_audio(item)
        finally:
            self._is_carrying = False

    def _carry_out(self, item: Output, now: float) -> None:
        match item:
            case ToBackend():
                if self._link is not None:
                    self._link.send_event(item.event)
            case ToClient():
                self._channel.send(item.text, now)
            case ToSideband():
                self._sidebands.send(item.number, item.text)
            case CloseSideband():
                self._sidebands.finish(item.number, now)

    # -- the backend's side

    async def run(self) -> None:
        """Connect to the backend, and again when it was lost and may come back, until the call ends.

        Cancellation closes the connection.
        """
        with self._scope:
            pause: float | None = 0.0
            await self._is_ours.wait()
            while pause is not None:
                await trio.sleep(pause)
                self._link = link = self._tunnelled or self._make_link()
                try:
                    await link.run(self)
                except TunnelEnded as ended:
                    pause = self._replace(str(ended))
                except BackendUnavailable as error:
                    pause = self._lost(error)
                else:
                    if self._is_handed_over:
                        return
                    if self._term is None or not self._term.has_left:
                        self._hung_up()
                        return
                    pause = self._replace("it is connected anew in time")

    def _lost(self, error: BackendUnavailable) -> float | None:
        """Tell everybody; return the seconds to wait before the next attempt, None when there is to be none."""
        self._link = self._tunnelled = self._term = None
        now = trio.current_time()
        pause = None
        if not self._is_closed:
            pause = self._reconnecting.lost(now, self._entropy(1), is_final=isinstance(error, BackendRefused))
        facts: dict[str, object] = {"reason": str(error), "will_retry": pause is not None}
        if isinstance(error.__cause__, AgentFailed):
            facts["exception"] = error  # somebody's code, and they want to know where; a lost server is everyday life
        self._report("backend-lost", facts)
        self._bridge.backend_lost(str(error), now, will_retry=pause is not None)
        self._advanced(now)
        return pause

    def _replace(self, reason: str) -> float | None:
        """Do without the tunnel; return the seconds to wait before the backend is connected, None if it is not."""
        self._link = self._tunnelled = self._term = None
        if self._is_closed:
            return None
        now = trio.current_time()
        self._report("tunnel-left", {"reason": reason})
        self._bridge.backend_replaced(now)
        self._advanced(now)
        return 0.0

    def _leave_tunnel(self, term: TunnelTerm, link: BackendLink, now: float) -> None:
        """Connect to the backend anew: between two turns, or because the tunnel is about to end."""
        match term.step(
            now,
            is_quiet=self.is_quiet(now),
            is_between_turns=self._bridge.is_between_turns,
            answered_at=self._answered_at,
        ):
            case Step.HOLD_CLIENTS:
                self._bridge.hold_clients()
            case Step.RELEASE_CLIENTS:
                self._bridge.release_clients(now)
            case Step.LEAVE:
                link.close()

    def _hung_up(self) -> None:
        """Take the end of the connection for the end of the call, once the caller has heard the last words."""
        self._link = None
        self._has_hung_up = True

    def backend_opened(self) -> None:
        """See `BackendSink.backend_opened`."""
        now = trio.current_time()
        self._reconnecting.opened(now)
        self._take(now, self._bridge.backend_opened, now)

    def backend_event(self, event: Mapping[str, object]) -> None:
        """See `BackendSink.backend_event`."""
        self._stirred_at = self._answered_at = now = trio.current_time()
        self._take(now, self._bridge.receive_backend_event, event, now)

    def backend_audio(self, speech: Speech, pcm: bytes) -> None:
        """See `BackendSink.backend_audio`; the worker's clock takes it from the queue."""
        if self._is_closed:
            return
        try:
            self._bridge.receive_backend_audio(speech, pcm)
        except Exception as error:  # noqa: BLE001 - as in `_take`
            self._failed(error, self._now if self._is_carrying else trio.current_time())

    def _take(self, now: float, take: Callable[..., None], *what: object) -> None:
        """Have the bridge take something of the backend's, and carry on what that leads to."""
        if self._is_closed:
            return  # an agent that says goodbye; nobody hears it
        try:
            take(*what)
        except Exception as error:  # noqa: BLE001 - a bug of ours; the agent that may be calling could not do anything
            self._failed(error, now)
            return
        if not self._is_carrying:
            self._advanced(now)

    # -- sidebands

    async def serve_sideband(self, socket: EventSocket) -> None:
        """Let one more connection take part until it closes or the call ends; see `Conversations.serve_sideband`."""
        await self._sidebands.serve(socket)

    # -- the end

    def server_stops(self, now: float) -> None:
        """Tell everybody that our process ends, and the call with it; `close` follows."""
        self._bridge.server_stops(now)
        self._carry(now)

    def close(self, now: float) -> None:
        """End everything of the leg: sidebands once they have read what waits for them, and the link.

        `run` returns soon; an agent has a few seconds to come to an end.
        """
        if self._is_closed:
            return
        self._is_closed = True
        self._sidebands.close(now)
        self._speech.flush()  # what nobody will hear may be megabytes
        if self._is_handed_over:
            return
        if self._link is None or not self._is_ours.is_set():
            self._scope.cancel()
        else:
            self._scope.deadline = now + _GOODBYE_SECONDS
            self._link.close()

    # -- for a call that moves

    def resume(self) -> None:
        """Go on with the channel for events that the client has opened before the call came here."""
        self._channel.resume()

    def is_quiet(self, now: float) -> bool:
        """Whether a move would be heard by nobody: it is between two turns, and all that was said can move."""
        if self._has_hung_up or self._speech.waiting_bytes > MAX_MOVED_SPEECH or not self._bridge.is_between_turns:
            return False
        return now - self._stirred_at >= _QUIET_SECONDS

    def memory(self, *, is_exact: bool = False, ticket: TunnelTicket | None = None) -> bytes:
        """What the leg of another process needs to go on.

        Args:
            is_exact: whether nothing happens any more before it does; what is being said is in it then.
            ticket: for a connection that is held: with what it is reached.
        """
        return self._bridge.memory(is_exact=is_exact, ticket=ticket, now=trio.current_time())

    @property
    def can_be_tunnelled(self) -> bool:
        """Whether the connection to the backend could stay here when the call moves, and all else fit into one request.

        Without a channel for events that is open what waits for it would be lost.
        """
        link, data = self._link, self._session.data_description
        is_leaving = self._term is not None and self._term.is_leaving
        if not isinstance(link, RealtimeLink) or not self._is_ours.is_set() or is_leaving or self._has_hung_up:
            return False
        has_channel = self._channel.id is not None or data is None
        return has_channel and self._bridge.has_backend and self._speech.waiting_bytes <= _MAX_TUNNELLED_SPEECH

    @property
    def hops(self) -> int:
        """Processes between this one and the backend."""
        return 0 if self._term is None else self._term.hops

    @property
    def tunnel_left(self) -> float:
        """Seconds for which the connection may be used at most; infinite for one of our own."""
        return math.inf if self._term is None else self._term.ends_at - trio.current_time()

    @property
    def input_rate(self) -> int:
        """Sample rate in Hz of what the backend hears; 0 while there is none."""
        return 0 if self._link is None else self._link.input_rate

    def use_tunnel(self, ticket: TunnelTicket, now: float) -> None:
        """Keep to what a ticket says of the tunnel that the leg begins with."""
        self._term = TunnelTerm(ticket, self._entropy, now)

    def settle(self) -> None:
        """The call is ours alone: the tunnel may be taken."""
        self._is_ours.set()

    async def hold(self) -> Reading | None:
        """Hold the connection to the backend; see `RealtimeLink.hold`. The call goes on, but hears nothing of it."""
        link = self._link
        if not isinstance(link, RealtimeLink) or not self.can_be_tunnelled:
            return None
        reading = await link.hold()
        if reading is not None and not self.can_be_tunnelled:  # what happened meanwhile
            link.release()
            return None
        return reading

    def release(self) -> None:
        """Go on with a connection that was held: the call stays."""
        if isinstance(self._link, RealtimeLink):
            self._link.release()

    def hand_over(self, tunnel: Tunnel) -> None:
        """Let another process have the connection that is held. `run` goes on until the tunnel has ended."""
        if isinstance(self._link, RealtimeLink):
            self._is_handed_over = True
            self._link.hand_over(tunnel)

    def progress(self) -> object:
        """Something that is another one after the conversation has gone on."""
        return self._bridge.progress()

    # -- state for others

    def layers(self) -> Mapping[str, Drops]:
        """What was dropped on the way between client and backend, by layer."""
        return {"leg": self.drops, "bridge": self._bridge.drops, "speech": self._speech.drops}

    def describe(self) -> Mapping[str, object]:
        """Tell how it goes, in JSON types."""
        return self._bridge.describe()
