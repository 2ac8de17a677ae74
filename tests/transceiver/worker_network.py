"""A worker that runs on real loopback sockets, the relay's end of its hop, and callers behind that.

Loaded by the fixture `worker_network`.
"""

import json
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import ModuleType

import attrs
import trio

from dtls.certificate import Certificate
from edge.caller.description import parse_answer
from edge.caller.events import EventReceived
from edge.caller.opus_file import Clip
from edge.caller.progress import CallerOptions, Stage
from edge.caller.session import CallerSession
from relay.hop.bundles import parts_of
from relay.hop.header import CONTROL, UP, pack_header, parse_header
from relay.hop.keys import HopKeys
from relay.hop.links import RelayLinks, SessionEnded
from relay.udp import address_of, drain, open_udp
from stun.credentials import CredentialKey, CredentialKeys
from transceiver.backends.choice import Backends
from transceiver.backends.settings import BackendKind, BackendSettings
from transceiver.call_ids import CallIdKey, CallIdKeys
from transceiver.calls import NO_WISHES, Calls, CallWishes, CreatedCall
from transceiver.options import WorkerOptions
from transceiver.worker import Worker
from wire.core import Address, Event, Path

HOP_KEYS = HopKeys.derive({1: b"h" * 32}, 1)
OWNER = "0wner"
ECHO = Backends(default=BackendSettings(kind=BackendKind.ECHO))


def keys_of(number: int) -> dict[str, object]:
    return {
        "credential_keys": CredentialKeys(
            [CredentialKey(key_id=number, token=bytes([number]) * 64, ice_pwd=bytes([number]) * 32)], number
        ),
        "call_id_keys": CallIdKeys([CallIdKey(key_id=number, token=bytes([number]) * 64)], number),
        "hop_keys": HOP_KEYS,
    }


@attrs.define(eq=False, slots=False)
class Relay:
    """A relay's end of the hop; clients are given what is theirs without a network."""

    transceiver: Address
    host: str
    callers: dict[Address, CallerSession] = attrs.field(factory=dict)
    sessions: dict[Address, int] = attrs.field(factory=dict)
    gone: list[int] = attrs.field(factory=list)
    told: dict[Address, list[Event]] = attrs.field(factory=dict)
    bundles: int = 0

    def __attrs_post_init__(self) -> None:
        self.sock = open_udp(self.host, 0, on_warning=lambda _: None)
        self.address = address_of(self.sock)
        self.links = RelayLinks(
            keys=HOP_KEYS, transceivers=[self.transceiver], entropy=os.urandom, now=trio.current_time()
        )

    def forward(self, data: bytes, client: Address) -> None:
        header = pack_header(UP, ingress=1, client=client, session=self.sessions[client], tag=b"flow-tag")
        self.sock.sendto(header + data, self.transceiver)

    async def run(self) -> None:
        with self.sock:
            while True:
                now = trio.current_time()
                for links_event in self.links.handle_timeout(now):
                    self.note(links_event)
                for client, caller in list(self.callers.items()):
                    caller.handle_timeout(now)
                    if caller.media is not None and caller.stage is Stage.TALKING:
                        for data in caller.media.audio_to_send(now, now):
                            self.forward(data, client)
                    for data, _ in caller.datagrams_to_send(now):
                        self.forward(data, client)
                for data, _ in self.links.datagrams_to_send(now):
                    self.sock.sendto(data, self.transceiver)
                with trio.move_on_after(0.005):
                    await trio.lowlevel.wait_readable(self.sock)
                for data, source in drain(self.sock):
                    parts = parts_of(data)
                    self.bundles += parts is not None
                    for part in parts or [data]:
                        self.take(part, source)

    def take(self, data: bytes, source: Address) -> None:
        now = trio.current_time()
        assert source == self.transceiver
        if data[0] == CONTROL:
            for event in self.links.receive_control(data, source, now):
                self.note(event)
            return
        header = parse_header(data)
        caller = self.callers.get(header.client)
        if caller is not None:
            events = caller.receive_datagram(data[header.size :], Path(("192.0.2.1", 3478)), now)
            self.told.setdefault(header.client, []).extend(events)

    def note(self, event: object) -> None:
        if isinstance(event, SessionEnded):
            self.gone.append(event.session)


@attrs.define(eq=False, slots=False)
class Running:
    """A worker that runs, and its relay.

    Attributes:
        support: the module `call_network`.
    """

    worker: Worker
    relay: Relay
    support: ModuleType
    certificate: Certificate
    clip: Clip
    reports: list[tuple[str, dict[str, object]]]

    def make_caller(self, *, has_events: bool = False) -> CallerSession:
        return CallerSession(
            certificate=self.certificate,
            options=CallerOptions(clip=self.clip, has_events=has_events),
            unix_time=time.time(),
            entropy=os.urandom,
            now=trio.current_time(),
        )

    async def call(
        self,
        owner: str = OWNER,
        port: int = 50000,
        wishes: CallWishes = NO_WISHES,
        *,
        has_events: bool = False,
    ) -> tuple[CreatedCall, CallerSession]:
        """Place a call, and wait until it hears something."""
        caller = self.make_caller(has_events=has_events)
        created = await self.worker.create_call(caller.offer, [self.support.INGRESS], owner, wishes)
        answer = parse_answer(created.answer)
        client = ("198.51.100.7", port)
        self.relay.sessions[client] = self.worker._intake.credential_keys.open(answer.ice_ufrag).session
        caller.accept(answer, trio.current_time())
        self.relay.told[client] = []
        self.relay.callers[client] = caller
        await eventually(lambda: caller.media is not None and caller.media.heard_at is not None)
        return created, caller

    def told(self, port: int = 50000) -> list[dict[str, object]]:
        """The events that a caller was told."""
        events = self.relay.told["198.51.100.7", port]
        return [json.loads(event.text) for event in events if isinstance(event, EventReceived)]

    def names(self) -> list[str]:
        return [name for name, _ in self.reports]


async def eventually(condition: Callable[[], bool]) -> None:
    with trio.fail_after(10):
        while not condition():  # noqa: ASYNC110 - the things waited for are plain cores, which know no Trio
            await trio.sleep(0.005)


@asynccontextmanager
async def run_worker(
    support: ModuleType,
    certificate: Certificate,
    clip: Clip,
    host: str = "127.0.0.1",
    backends: Backends = ECHO,
    **options: object,
) -> AsyncIterator[Running]:
    """Run a worker, and cancel it."""
    reports: list[tuple[str, dict[str, object]]] = []
    worker = Worker(
        options=WorkerOptions(hop=(host, 0), cluster=3, worker=1, backends=backends, **options),
        incarnation=4711,
        report=lambda name, facts: reports.append((name, dict(facts))),
        **keys_of(1),
    )
    checked: Calls = worker  # what the control API relies on
    assert checked.status()["ready"] is False
    assert checked.status()["reason"] == "no relay has said hello yet"
    async with trio.open_nursery() as nursery:
        address = await nursery.start(worker.run)
        assert address == worker.address
        relay = Relay(address, host)
        nursery.start_soon(relay.run)
        await eventually(lambda: worker.status()["ready"] is True)
        yield Running(worker, relay, support, certificate, clip, reports)
        nursery.cancel_scope.cancel()
