"""Stand-ins that several tiers' tests share: a transceiver's calls, and a network made of memory."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence

import attrs
import pytest
import trio
import trio.testing

from edge.http.messages import Handler, Response
from edge.http.server import HttpServer
from transceiver.calls import (
    NO_WISHES,
    AnswerIngress,
    CallMoved,
    CallNotFound,
    CallWishes,
    CreatedCall,
    IceUpdate,
    IceUpdated,
    NotOwner,
)

ANSWER = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"


class FakeCalls:
    """The calls of a transceiver that never sees a packet."""

    def __init__(self, mint=lambda number: f"rtc_{number}") -> None:
        self.mint = mint
        self.calls: dict[str, tuple[str, str, tuple[AnswerIngress, ...]]] = {}
        self.wishes: list[CallWishes] = []
        self.updates: list[IceUpdate] = []
        self.updated: IceUpdated | Exception = IceUpdated(tag="t1", candidates=1)
        self.moved: dict[str, CallMoved] = {}
        self.asked: list[str] = []
        self.model: str | None = None  # of all its calls
        self.failure: Exception | None = None
        self.is_slow = False
        self.delay = 0.0  # seconds that a call takes to be made
        self.under_way = self.most_under_way = 0
        self.state: dict[str, object] = {
            "cluster": 3,
            "incarnation": 77,
            "workers": 1,
            "calls": 0,
            "ready": True,
            "reason": "",
        }

    async def create_call(
        self, offer: str, ingresses: Sequence[AnswerIngress], owner: str, wishes: CallWishes = NO_WISHES
    ) -> CreatedCall:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await trio.sleep(math.inf if self.is_slow else self.delay)
        finally:
            self.under_way -= 1
        if self.failure is not None:
            raise self.failure
        call_id = self.mint(len(self.wishes) + 1)
        self.calls[call_id] = (offer, owner, tuple(ingresses))
        self.wishes.append(wishes)
        return CreatedCall(call_id=call_id, answer=ANSWER, ice_tag="t0")

    def _check(self, call_id: str, owner: str | None) -> None:
        self.asked.append(call_id)
        if call_id in self.moved:
            raise self.moved[call_id]
        if call_id not in self.calls:
            raise CallNotFound(call_id)
        if owner is not None and owner != self.calls[call_id][1]:
            raise NotOwner(call_id)

    async def update_call(self, call_id: str, owner: str | None, update: IceUpdate) -> IceUpdated:
        self._check(call_id, owner)
        self.updates.append(update)
        if isinstance(self.updated, Exception):
            raise self.updated
        return self.updated

    async def end_call(self, call_id: str, owner: str | None) -> None:
        self._check(call_id, owner)
        del self.calls[call_id]

    async def describe_call(self, call_id: str) -> Mapping[str, object]:
        self._check(call_id, None)
        return {"call": call_id, "owner": self.calls[call_id][1], "state": "connecting", "model": self.model}

    def status(self) -> Mapping[str, object]:
        by_owner = Counter(owner for _, owner, _ in self.calls.values())
        return self.state | {"calls": len(self.calls), "calls_by_owner": dict(by_owner)}


class MemoryNetwork:
    """Connects control clients to handlers by host name, without sockets."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self.servers: dict[str, HttpServer] = {}
        self.connects = 0

    def add(self, host: str, handler: Handler) -> None:
        self.servers[host] = HttpServer(handler)

    async def connect(self, host: str, _port: int) -> trio.abc.Stream:
        self.connects += 1
        if host not in self.servers:
            raise OSError("nobody listens there")
        ours, theirs = trio.testing.memory_stream_pair()
        self._nursery.start_soon(self.servers[host].serve_stream, theirs, ("127.0.0.1", 40000))
        return ours


@pytest.fixture
def make_calls() -> type[FakeCalls]:
    return FakeCalls


@pytest.fixture
async def network(nursery: trio.Nursery) -> MemoryNetwork:
    return MemoryNetwork(nursery)


@attrs.frozen
class Failure:
    """A failure as a client reads it."""

    status: int
    code: str
    message: str
    headers: dict[str, str]


def _read_failure(response: Response) -> Failure:
    error = json.loads(response.body)["error"]
    assert set(error) == {"message", "type", "code", "param"}
    headers = {name.lower(): value for name, value in response.headers}
    return Failure(response.status, error["code"], error["message"], headers)


@pytest.fixture
def read_failure():
    """Read a response as a failure, and check the shape that every failure has."""
    return _read_failure
