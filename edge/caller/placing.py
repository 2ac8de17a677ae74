"""One call, from POST to DELETE, and plain words for all that may go wrong with it."""

import contextlib
import os
import time
from collections.abc import Callable

import attrs
import trio

from dtls.certificate import Certificate
from edge.caller.description import Answer, AnswerUnusable, parse_answer
from edge.caller.exchange import Exchange, Line, has_route
from edge.caller.progress import CallerOptions, Heard, Secured
from edge.caller.results import Timeline
from edge.caller.session import CallerSession
from edge.caller.signalling import CallFailed, SignalClient
from wire.core import Closed, Event

__all__ = ["Call", "Caller"]

_CONNECT_SECONDS = 15.0
_AUDIO_SECONDS = 5.0
_HANG_UP_SECONDS = 2.0


def _see_nothing(event: Event) -> None:
    """Take an event, and leave it at that."""


@attrs.frozen(kw_only=True)
class Call:
    """A call that was answered.

    Attributes:
        session: the call itself.
        line: its sockets.
        path: of the call's URL at the server; empty when it gave none.
        answer: what the server answered.
        posted_at: when the POST was begun.
        answered_at: when the answer was there.
        see: told of everything that the session reports.
    """

    session: CallerSession
    line: Line
    path: str
    answer: Answer
    posted_at: float
    answered_at: float
    see: Callable[[Event], None] = _see_nothing

    @property
    def timeline(self) -> Timeline:
        """How long each step took."""
        return Timeline.of(self.session, self.posted_at, self.answered_at)


class Caller:
    """Places calls to one server.

    Args:
        signal: how to talk to it.
        exchange: what drives the calls.
    """

    def __init__(self, signal: SignalClient, exchange: Exchange) -> None:
        self._signal = signal
        self._exchange = exchange
        # One certificate serves all calls of the process: a browser makes a new one for each page.
        self._certificate = Certificate.generate(unix_time=time.time())

    async def place(self, options: CallerOptions) -> Call:
        """Offer a call and start connecting it; cancellation hangs up.

        Raises:
            CallFailed: the server is gone, refuses, or answers with something unusable.
        """
        posted_at = trio.current_time()
        session = CallerSession(
            certificate=self._certificate,
            options=options,
            unix_time=time.time(),
            entropy=os.urandom,
            now=posted_at,
        )
        signalled = await self._signal.offer(session.offer)
        answered_at = trio.current_time()
        try:
            answer = _routable(parse_answer(signalled.answer, over_tcp=options.over_tcp))
            session.accept(answer, answered_at)
        except AnswerUnusable as error:
            await self._delete(signalled.path)
            raise CallFailed(f"the server's answer cannot be used: {error}") from error
        servers = [(candidate.host, candidate.port) for candidate in answer.candidates] if options.over_tcp else []
        line = Line(session, servers)
        self._exchange.add(line, [candidate.host for candidate in answer.candidates])
        return Call(
            session=session, line=line, path=signalled.path, answer=answer, posted_at=posted_at, answered_at=answered_at
        )

    async def connect(self, call: Call) -> Secured:
        """Wait until audio may flow; cancellation leaves the call as it is.

        Raises:
            CallFailed: no path was found, or the handshake failed.
        """
        with trio.move_on_after(_CONNECT_SECONDS):
            while True:
                event = await call.line.next_event()
                call.see(event)
                if isinstance(event, Secured):
                    return event
                if isinstance(event, Closed):
                    raise CallFailed(_explain(call, event))
        raise CallFailed(_explain(call, None))

    async def hear(self, call: Call) -> None:
        """Wait for the first audio; cancellation leaves the call as it is.

        Raises:
            CallFailed: none came, or the call ended.
        """
        with trio.move_on_after(_AUDIO_SECONDS):
            while True:
                event = await call.line.next_event()
                call.see(event)
                if isinstance(event, Heard):
                    return
                if isinstance(event, Closed):
                    raise CallFailed(_explain(call, event))
        sent = call.session.media.outbound.source.packet_count if call.session.media is not None else 0
        raise CallFailed(
            f"connected, but no audio came back in {_AUDIO_SECONDS:g} s ({sent} packets sent): "
            "does the server's backend send audio?"
        )

    async def ended(self, call: Call) -> None:
        """Wait until the server ends the call; cancellation leaves it as it is.

        Raises:
            CallFailed: it has ended.
        """
        while True:
            event = await call.line.next_event()
            call.see(event)
            if isinstance(event, Closed):
                raise CallFailed(_explain(call, event))

    async def restart_ice(self, call: Call) -> None:
        """Restart a call's ICE from the address it has; cancellation leaves it on the credentials that work.

        Raises:
            CallFailed: the server is gone, refuses, or answers with something unusable.
        """
        if not call.path:
            raise CallFailed("the server gave the call no URL (Location), so its ICE cannot be restarted")
        fragment = await self._signal.restart_ice(call.path, call.session.offer_restart())
        now = trio.current_time()
        try:
            call.session.accept_restart(fragment, now)
        except AnswerUnusable as error:
            raise CallFailed(f"the server's fragment cannot be used: {error}") from error
        call.line.flush(now)

    async def hang_up(self, call: Call) -> None:
        """End a call on both ways; takes a moment even when cancelled, and never fails."""
        now = trio.current_time()
        call.session.hang_up(now)
        call.line.flush(now)
        self._exchange.remove(call.line)
        await self._delete(call.path)

    async def _delete(self, path: str) -> None:
        if path:
            with trio.move_on_after(_HANG_UP_SECONDS, shield=True), contextlib.suppress(CallFailed):
                await self._signal.end(path)


def _routable(answer: Answer) -> Answer:
    """Leave out candidates to which this machine has no route, such as IPv6 ones on a network without it."""
    usable = tuple(candidate for candidate in answer.candidates if has_route(candidate.host, candidate.port))
    if not usable:
        hosts = ", ".join(candidate.host for candidate in answer.candidates)
        raise AnswerUnusable(f"this machine has no route to {hosts}")
    return attrs.evolve(answer, candidates=usable)


def _explain(call: Call, closed: Closed | None) -> str:
    """Say why a call did not come about or ended; `closed` is None when time ran out."""
    session = call.session
    why = f" ({closed.detail or closed.reason})" if closed is not None else ""
    if session.ice_at is None:
        tried = ", ".join(f"{candidate.host}:{candidate.port}" for candidate in call.answer.candidates)
        system = f"; the system says: {call.line.last_error}" if call.line.last_error else ""
        if call.line.is_over_tcp:
            return f"no answer over TCP from {tried}: is the port blocked by a firewall, or the relay down?{system}"
        return f"no answer over UDP from {tried}: is UDP blocked by a firewall (try --tcp), or the relay down?{system}"
    if session.secured_at is None:
        return f"the path works, but the DTLS handshake did not finish{why or ' in time'}"
    if closed is not None and closed.reason == "consent-expired":
        return "the connection was lost: the server does not answer any more"
    return f"the server ended the call{why}"
