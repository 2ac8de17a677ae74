"""The bridge between a caller and a backend that speaks the Realtime protocol: its inputs, its outputs, its time.

    client's data channel ─ texts ─┐                                ┌─ events ─ backend
    sidebands ───────────── texts ─┤  ClientSide ⇄ Parts ⇄ BackendSide
    caller's audio ──────── PCM ───┘                                └─ PCM ──── backend, and from it into the queue

A core like the others: no socket, no clock, no task. Nothing that a client or a backend says raises; each input is
followed by a look at `outputs`, which are to be carried out in their order.
"""

from collections import deque
from collections.abc import Callable, Mapping

from transceiver.audio.speech_queue import SpeechQueue
from transceiver.backends.contract import Speech
from transceiver.backends.tunnel_ticket import TunnelTicket
from transceiver.calls import CallWishes
from transceiver.realtime.audience import Audience
from transceiver.realtime.backend_side import BackendSide
from transceiver.realtime.client_side import ClientSide
from transceiver.realtime.configuring import Configuring
from transceiver.realtime.drops import DropReason
from transceiver.realtime.identifiers import Identifiers
from transceiver.realtime.interruption import tell_playing
from transceiver.realtime.items import ConversationItems
from transceiver.realtime.memory import recall, remember
from transceiver.realtime.options import BridgeOptions
from transceiver.realtime.outputs import Output, ToBackend
from transceiver.realtime.parts import Parts
from transceiver.realtime.playback import Playback
from transceiver.realtime.server_events import backend_disconnected, dtmf_received, server_shutting_down
from transceiver.realtime.session_config import SessionConfiguration
from transceiver.realtime.session_updates import SessionUpdates
from transceiver.realtime.states import BackendState
from transceiver.realtime.uplink import Uplink
from wire.core import Drops, Entropy

__all__ = ["Bridge"]


class Bridge:
    """One call's conversation.

    Args:
        options: how it behaves, and what its backend understands.
        wishes: what the call was made with.
        speech: where the backend's speech is put; somebody else plays it.
        entropy: names the session's events.
        now: monotonic seconds.
        is_channel_expected: whether the client negotiated a data channel, over which it will configure the session.
        memory: what the bridge of another process has left (`memory`); empty for a call that begins.
        takes_tunnels: whether the backend of that bridge can be reached through that process.

    Attributes:
        drops: what was not passed on, by `DropReason`.
        outputs: what is to be done, in this order; whoever does it takes it out at the left.
        ticket: the way to the backend of that bridge, which is this one's then; None when it is connected anew.
        receive_caller_audio: takes what the caller said, with the monotonic time: 16-bit little-endian mono PCM at the
            backend's input rate, silence included. A function of the backend's side itself, as it and the next two are
            called fifty times a second.
        receive_backend_audio: takes speech of the backend's: 16-bit little-endian mono PCM at its output rate.
        next_timeout: tells when `handle_timeout` wants to be called; None for never.
    """

    def __init__(
        self,
        *,
        options: BridgeOptions,
        wishes: CallWishes,
        speech: SpeechQueue,
        entropy: Entropy,
        now: float,
        is_channel_expected: bool = True,
        memory: bytes = b"",
        takes_tunnels: bool = False,
    ) -> None:
        self.drops = Drops()
        identifiers = Identifiers(entropy)
        self.outputs = outputs = deque[Output]()
        self._parts = Parts(
            options=options,
            wishes=wishes,
            identifiers=identifiers,
            outputs=outputs,
            drops=self.drops,
            audience=Audience(
                options=options,
                is_hidden=options.hides_configuration or wishes.is_locked,
                identifiers=identifiers,
                outputs=outputs,
                drops=self.drops,
                now=now,
            ),
            configuration=SessionConfiguration(
                session_id=identifiers.fresh("sess"), profile=options.backend, model=wishes.model, wanted=wishes.session
            ),
            updates=SessionUpdates(),
            playback=Playback(speech, options.playout_delay, self.drops),
            items=ConversationItems(options.max_items, options.max_item_length),
            uplink=Uplink(options, is_channel_expected=is_channel_expected),
        )
        self._configuring = Configuring(self._parts)
        self._backend = BackendSide(self._parts, self._configuring)
        self._clients = ClientSide(self._parts, self._configuring, self._backend)
        self.receive_caller_audio: Callable[[bytes, float], None] = self._backend.hear
        self.receive_backend_audio: Callable[[Speech, bytes], None] = self._backend.receive_audio
        self.next_timeout: Callable[[], float | None] = self._parts.updates.next_timeout
        self.ticket: TunnelTicket | None = None
        if memory:
            recalled = recall(self._parts, self._backend, memory, now, takes_tunnels=takes_tunnels)
            self.ticket = recalled.ticket
            if recalled.has_backend and recalled.ticket is None:
                self._backend.resume()
                self._clients.hold()

    # The client and sidebands.

    def client_opened(self, now: float) -> None:
        """The client's data channel is open (after the acknowledgement of its opening was sent)."""
        parts = self._parts
        parts.uplink.channel_opened(now)
        parts.audience.open_client(parts.configuration.shown())
        if self._backend.state in _AWAY:
            parts.audience.tell(parts.audience.client, backend_disconnected())

    def client_closed(self, now: float) -> None:  # noqa: ARG002 - as all inputs
        """The client's data channel has closed; the call may go on without events."""
        self._parts.audience.close_client()

    def receive_client_text(self, text: str, now: float, sideband: int | None = None) -> None:
        """Take a message of the client's.

        Args:
            text: one event, as JSON.
            now: monotonic seconds.
            sideband: which sideband sent it; None for the client.
        """
        party = self._parts.audience.party(sideband)
        if party is None:
            self.drops[DropReason.CLIENT_NOT_OPEN] += 1
        else:
            self._clients.receive(text, party, now)

    def sideband_opened(self, number: int, now: float) -> None:
        """A sideband is attached.

        Args:
            number: the caller's name for it; not that of another one that is attached.
            now: monotonic seconds.
        """
        self._parts.audience.open_sideband(number, self._parts.configuration.shown(), now)
        party = self._parts.audience.party(number)
        if party and self._backend.state in _AWAY:
            self._parts.audience.tell(party, backend_disconnected())

    def sideband_closed(self, number: int, now: float) -> None:  # noqa: ARG002 - as all inputs
        """A sideband is gone."""
        self._parts.audience.close_sideband(number)

    def receive_dtmf(self, digit: str, now: float, *, unix_time: float) -> None:  # noqa: ARG002 - as all inputs
        """The caller pressed a key.

        Args:
            digit: "0" to "9", "*", "#", "A" to "D".
            now: monotonic seconds.
            unix_time: seconds since 1970, which the event tells.
        """
        event = dtmf_received(digit, unix_time)
        self._parts.audience.broadcast(event)
        if self._parts.profile.hears_dtmf and self._backend.state is BackendState.OPEN:
            self._parts.outputs.append(ToBackend(event))

    # The backend.

    def backend_opened(self, now: float) -> None:
        """The backend is connected, for the first time or again."""
        if self._backend.opened():
            self._clients.release(now)

    def receive_backend_event(self, event: Mapping[str, object], now: float) -> None:  # noqa: ARG002 - as all inputs
        """Take an event of the backend's, in the GA shape; audio deltas come by `receive_backend_audio`."""
        self._backend.receive_event(event)

    def backend_lost(self, reason: str, now: float, *, will_retry: bool) -> None:
        """The backend is gone, or cannot be reached.

        Args:
            reason: in words for the operator; clients are not told, since it may name hosts.
            now: monotonic seconds.
            will_retry: whether `backend_opened` may follow.
        """
        self._parts.tally.last_loss = reason
        self._backend.lost(will_retry=will_retry)
        if self._backend.state is not BackendState.CONNECTING:
            self._clients.give_up(now)

    def hold_clients(self) -> None:
        """The backend is about to be replaced: what clients say waits, while answers to what they have said come."""
        self._clients.hold()

    def release_clients(self, now: float) -> None:
        """It is not replaced after all."""
        self._clients.release(now)

    def backend_replaced(self, now: float) -> None:  # noqa: ARG002 - as all inputs
        """The backend is connected anew, and that is nobody's failure: `backend_opened` follows, if all goes well."""
        self._clients.hold()
        self._backend.lost(will_retry=True, is_told=False)

    def server_stops(self, now: float) -> None:  # noqa: ARG002 - as all inputs
        """The call is about to end, because our process does."""
        self._parts.audience.broadcast(server_shutting_down())

    # Playing, and time.

    def speech_progressed(self, now: float) -> None:  # noqa: ARG002 - as all inputs
        """The queue was played from, or may have been."""
        tell_playing(self._parts)

    def set_playout_delay(self, seconds: float) -> None:
        """Say how long a frame takes from the queue to the caller's ear: half a round trip and the jitter buffer."""
        self._parts.playback.playout_delay = max(0.0, seconds)

    def handle_timeout(self, now: float) -> None:
        """Answer who has waited too long for the backend."""
        self._configuring.handle_timeout(now)

    def memory(self, *, is_exact: bool = False, ticket: TunnelTicket | None = None, now: float = 0.0) -> bytes:
        """Return what the bridge of another process needs to go on with this conversation; see `remember`.

        Args:
            is_exact: whether nothing happens any more before it does.
            ticket: with what it reaches the same backend.
            now: monotonic seconds, for who has a ticket.
        """
        has_backend = self._backend.state is not BackendState.CONNECTING
        tunnelled = None if ticket is None else (ticket, self._backend, now)
        return remember(self._parts, has_backend=has_backend, is_exact=is_exact, tunnelled=tunnelled)

    @property
    def has_backend(self) -> bool:
        """Whether there is a backend, and events go both ways."""
        return self._backend.state is BackendState.OPEN

    @property
    def is_between_turns(self) -> bool:
        """Whether a backend that is lost now takes nothing with it: nobody is in the middle of saying something."""
        parts = self._parts
        return not (parts.playback.in_progress or parts.tally.is_caller_speaking or self._clients.has_held)

    def progress(self) -> object:
        """Return something that is another one after the conversation has gone on."""
        parts = self._parts
        return parts.items.changes, parts.tally.responses, parts.tally.caller_turns, id(parts.configuration.wanted)

    def describe(self) -> dict[str, object]:
        """Tell what happened, in JSON types of bounded size."""
        parts = self._parts
        return {
            "backend": str(self._backend.state),
            "is_client_open": parts.audience.client.is_open,
            "sidebands": len(parts.audience.sidebands),
            "is_listening": parts.uplink.is_started,
            "heard_ms": parts.uplink.sent_ms,
            "is_agent_speaking": parts.playback.is_speaking,
            "responses_in_progress": len(parts.playback.in_progress),
            "items": len(parts.items),
            **parts.tally.describe(),
            "drops": {str(reason): count for reason, count in self.drops.items()},
        }


_AWAY = (BackendState.RETRYING, BackendState.LOST)
