"""One call of the soak, as far as all ways to end have it in common."""

import json
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from socket import socket

import attrs
import httpcore
import trio

from bench.soak.conversing import Talk, clip_of, converse
from dtls.certificate import Certificate
from dtls.options import DtlsOptions
from edge.caller.description import OfferedSetup
from edge.caller.exchange import Exchange, Line
from edge.caller.placing import Call, Caller
from edge.caller.progress import CallerOptions
from edge.caller.session import CallerSession
from edge.caller.signalling import CallFailed, SignalClient
from stun.events import PathValidated
from wire.core import Closed

__all__ = ["Attempt", "Means", "see_it_end"]

_NOTICED_SECONDS = 10.0
_PATIENCE = 15.0
_PORT_SECONDS = 45.0
_UNNOTICED = 160


@attrs.frozen(kw_only=True)
class Means:
    """What all calls are placed with.

    Attributes:
        url: base URL of signal.
        http: connections to it for what `SignalClient` does not do.
        signal: offers and ends calls.
        exchange: drives them.
        caller: places them.
        certificate: for offers that nobody follows up.
        unnoticed: has room for those who end in silence, until the transceiver has noticed. What memory a process keeps
            follows from how many calls there ever were at a time, so that must be the same from beginning to end.
        ports: sockets of those who vanished, and when.
    """

    url: str
    http: httpcore.AsyncConnectionPool
    signal: SignalClient
    exchange: Exchange
    caller: Caller
    certificate: Certificate
    unnoticed: trio.Semaphore = attrs.field(factory=lambda: trio.Semaphore(_UNNOTICED))
    ports: deque[tuple[float, socket]] = attrs.field(factory=deque)

    @classmethod
    @asynccontextmanager
    async def of(cls, url: str, exchange: Exchange) -> AsyncIterator["Means"]:
        """Be ready to call a server; at the end of the block no connection to it is left."""
        signal = SignalClient(url)
        async with httpcore.AsyncConnectionPool() as http:
            means = cls(
                url=url,
                http=http,
                signal=signal,
                exchange=exchange,
                caller=Caller(signal, exchange),
                certificate=Certificate.generate(unix_time=time.time()),
            )
            yield means
        for _, kept in means.ports:
            kept.close()
        with trio.CancelScope(shield=True):
            await signal.aclose()

    def keep_ports(self, line: Line) -> None:
        """Let no other call have the port of one that vanishes, while the server takes what comes from there for its.

        Nobody reads what comes to it.
        """
        now = trio.current_time()
        self.ports.extend((now, socket(fileno=os.dup(wire.fileno()))) for wire in line.wires())
        while self.ports[0][0] < now - _PORT_SECONDS:
            self.ports.popleft()[1].close()

    async def post(self, path: str, body: object, key: str | None = None) -> bytes:
        """Send JSON and return what is answered.

        Raises:
            CallFailed: it is refused.
        """
        headers = [("Content-Type", "application/json"), *([("Authorization", f"Bearer {key}")] if key else [])]
        try:
            response = await self.http.request(
                "POST", f"{self.url}{path}", headers=headers, content=json.dumps(body).encode()
            )
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
            raise CallFailed(f"POST {path}: {error or type(error).__name__}") from error
        if response.status not in {200, 201}:
            raise CallFailed(f"POST {path} was answered {response.status}")
        return response.content

    async def mint(self, **terms: object) -> str:
        """Have a client secret minted."""
        secret = json.loads(await self.post("/v1/realtime/client_secrets", terms))
        return str(secret["value"])


@attrs.frozen(kw_only=True)
class Attempt:
    """A call that is to be placed, lived through and ended.

    Attributes:
        means: what to place it with.
        talk: what is said in it.
        setup: the DTLS role that it offers.
        dtls: the DTLS versions that it speaks.
        placed: told the path of the call's URL as soon as the offer was answered.
    """

    means: Means
    talk: Talk
    setup: OfferedSetup
    dtls: DtlsOptions
    placed: Callable[[str], None]

    def options(self) -> CallerOptions:
        """Return the options of its session."""
        return CallerOptions(clip=clip_of(self.talk), setup=self.setup, dtls=self.dtls, has_events=True)

    def offer(self) -> str:
        """Make an offer that nobody will follow up."""
        session = CallerSession(
            certificate=self.means.certificate,
            options=self.options(),
            unix_time=time.time(),
            entropy=os.urandom,
            now=trio.current_time(),
        )
        return session.offer

    @asynccontextmanager
    async def begun(self) -> AsyncIterator[Call]:
        """Place the call and get as far as a path; at the end of the block nothing more comes from it."""
        call = await self.means.caller.place(self.options())
        self.placed(call.path)
        try:
            with trio.move_on_after(_PATIENCE) as patience:
                while not isinstance(await call.line.next_event(), PathValidated):
                    pass
            if patience.cancelled_caught:
                raise CallFailed("no path was found")
            yield call
        finally:
            self.means.exchange.remove(call.line)

    @asynccontextmanager
    async def talking(self, caller: Caller | None = None) -> AsyncIterator[Call]:
        """Place the call and say what is to be said; at the end of the block nothing more comes from it."""
        call = await (caller or self.means.caller).place(self.options())
        self.placed(call.path)
        try:
            await self.means.caller.connect(call)
            await converse(call, self.talk)
            yield call
        finally:
            self.means.exchange.remove(call.line)

    @asynccontextmanager
    async def talking_by_secret(self, key: str) -> AsyncIterator[Call]:
        """The same with a client secret, which a browser would have."""
        signal = SignalClient(self.means.url, key)
        try:
            async with self.talking(Caller(signal, self.means.exchange)) as call:
                yield call
        finally:
            with trio.CancelScope(shield=True):
                await signal.aclose()


async def see_it_end(call: Call) -> None:
    """Wait until the server has said goodbye.

    Raises:
        CallFailed: it does not notice that the call is over.
    """
    with trio.move_on_after(_NOTICED_SECONDS):
        while not isinstance(await call.line.next_event(), Closed):
            pass
        return
    raise CallFailed(f"the server said no goodbye within {_NOTICED_SECONDS:g} s")
