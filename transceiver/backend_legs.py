"""The backends of a worker's calls: which of them answers, and the task that each needs.

Goal: a backend is slow, or fails, or is full of bugs, and that is its own call's trouble. An exception that should not
have been raised in the leg of a call, its link or its sidebands, ends that call.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial

import trio

from transceiver.audio.speech_queue import SpeechQueue
from transceiver.backend_leg import BackendLeg
from transceiver.backends.links import bridge_options, make_link, make_tunnelled_link
from transceiver.backends.reconnecting import ReconnectPolicy
from transceiver.backends.settings import BackendKind, BackendSettings
from transceiver.backends.tunnel_ticket import TunnelTicket
from transceiver.calls import CallNotFound, CallWishes, EventSocket, Overloaded
from transceiver.dispatcher import Dispatcher, Report
from transceiver.realtime.bridge import Bridge
from transceiver.realtime.passthrough import ClientTooSlow
from transceiver.registry import Call
from transceiver.sdp import MAX_MESSAGE_SIZE
from transceiver.websocket.connection import WebSocket
from transceiver.websocket.limits import SocketLimits
from wire.core import Entropy

__all__ = ["BackendLegs", "TakeTunnel"]

TakeTunnel = Callable[[TunnelTicket, SocketLimits], AbstractAsyncContextManager[WebSocket]]
"""Takes the tunnel of a ticket; raises `SocketUnreachable`."""


class BackendLegs:
    """Gives calls their backends.

    Args:
        dispatcher: is told what happens to calls.
        entropy: source of unpredictable bytes.
        unix_time: wall clock.
        report: takes what happened, for the log.

    Attributes:
        nursery: runs them; None while the worker does not run.
    """

    def __init__(
        self, *, dispatcher: Dispatcher, entropy: Entropy, unix_time: Callable[[], float], report: Report
    ) -> None:
        self.nursery: trio.Nursery | None = None
        self._dispatcher = dispatcher
        self._entropy = entropy
        self._unix_time = unix_time
        self._report = report
        self._running = 0
        self._has_ended = trio.Event()

    def add(
        self,
        call: Call,
        backend: BackendSettings,
        wishes: CallWishes,
        speech: SpeechQueue,
        now: float,
        *,
        memory: bytes | None = None,
        open_tunnel: TakeTunnel | None = None,
    ) -> None:
        """Give a call a backend; connecting to it begins at once, beside the client's way through ICE and DTLS.

        Args:
            call: has just been made.
            backend: what answers it.
            wishes: what the call was made with.
            speech: where the session's voice takes what is to be said.
            now: monotonic seconds.
            memory: what the leg of the call's last owner has left; None for a call that begins here.
            open_tunnel: takes the tunnel to its backend by a ticket; None where tunnels are not taken.
        """
        assert self.nursery is not None  # noqa: S101 - calls are made while the worker runs
        data = call.session.data_description
        bridge = Bridge(
            options=bridge_options(backend, MAX_MESSAGE_SIZE if data is None else data.max_message_size),
            wishes=wishes,
            speech=speech,
            entropy=self._entropy,
            now=now,
            is_channel_expected=data is not None,
            memory=memory or b"",
            takes_tunnels=open_tunnel is not None and backend.kind is BackendKind.REALTIME,
        )
        ticket, tunnelled = bridge.ticket, None
        if ticket is not None and open_tunnel is not None:
            tunnelled = make_tunnelled_link(backend, partial(open_tunnel, ticket), ticket.reading)
        call.leg = leg = BackendLeg(
            session=call.session,
            bridge=bridge,
            speech=speech,
            make_link=partial(make_link, backend, wishes.model, self._entropy),
            reconnect=ReconnectPolicy(max_attempts=backend.reconnect),
            entropy=self._entropy,
            unix_time=self._unix_time,
            advanced=partial(self._dispatcher.leg_advanced, call),
            failed=partial(self._dispatcher.leg_failed, call),
            report=partial(self._report_of, call.call_id),
            tunnelled=tunnelled,
        )
        if ticket is not None:
            leg.use_tunnel(ticket, now)
        if memory is not None:
            leg.resume()
        self._running += 1
        self.nursery.start_soon(self._run, call, leg)

    async def _run(self, call: Call, leg: BackendLeg) -> None:
        try:
            await leg.run()
        except Exception as error:  # noqa: BLE001 - see above
            self._dispatcher.leg_failed(call, error, trio.current_time())
        finally:
            self._running -= 1
            self._has_ended.set()

    def _report_of(self, call_id: str, name: str, facts: Mapping[str, object]) -> None:
        self._report(name, {"call": call_id, **facts})

    async def serve_sideband(self, call: Call, socket: EventSocket) -> None:
        """Let a control connection take part in a call; see `Conversations.serve_sideband`."""
        if call.leg is None:
            raise CallNotFound(call.call_id)  # an echo has no events
        try:
            await call.leg.serve_sideband(socket)
        except (Overloaded, ClientTooSlow):
            raise
        except Exception as error:  # noqa: BLE001 - see above
            self._dispatcher.leg_failed(call, error, trio.current_time())

    async def wait_until_ended(self) -> None:
        """Wait until the backends of all calls have come to an end: not long after their calls have."""
        while self._running:
            self._has_ended = trio.Event()
            await self._has_ended.wait()
