"""Two associations and a bad network between them, on a virtual clock."""

import heapq
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
import pytest

from dtls.association import DtlsAssociation
from dtls.certificate import Certificate, Fingerprint
from dtls.options import DtlsOptions, Role
from wire.core import Closed, Event

_CLIENT, _SERVER = Role.CLIENT, Role.SERVER


@attrs.frozen(kw_only=True)
class Weather:
    """What a network does to datagrams; chances between 0 and 1, delays in seconds."""

    loss: float = 0.0
    repeat: float = 0.0
    corrupt: float = 0.0
    delay: tuple[float, float] = (0.01, 0.01)


@attrs.define
class Network:
    """Carries datagrams between a client and a server until nothing more happens.

    Attributes:
        associations: by role.
        events: what each side reported, with the time.
        sent: every datagram handed to the network: (time, sender, bytes).
    """

    client: DtlsAssociation
    server: DtlsAssociation
    seed: int = 0
    weather: Weather = attrs.field(factory=Weather)
    filter: Callable[[Role, bytes, float], bool] = lambda _sender, _data, _now: True
    now: float = 1000.0
    sent: list[tuple[float, Role, bytes]] = attrs.field(factory=list)
    events: dict[Role, list[Event]] = attrs.field(init=False)
    _queue: list[tuple[float, int, Role, bytes]] = attrs.field(factory=list)
    _random: random.Random = attrs.field(init=False)
    _counter: int = 0

    def __attrs_post_init__(self) -> None:
        self.events = {_CLIENT: [], _SERVER: []}
        self._random = random.Random(self.seed)

    def __getitem__(self, role: Role) -> DtlsAssociation:
        return self.client if role is _CLIENT else self.server

    def run(self, seconds: float = 120.0, until: Callable[[], bool] = lambda: False) -> "Network":
        """Let time pass until nothing is under way and no timer is set, or for that many seconds."""
        end = self.now + seconds
        while not until():
            for role in (_CLIENT, _SERVER):
                self._collect(role)
            when = min([*(item[0] for item in self._queue[:1]), *self._timeouts()], default=None)
            if when is None or when > end:
                break
            self.now = max(self.now, when)
            if self._queue and self._queue[0][0] <= self.now:
                _, _, receiver, data = heapq.heappop(self._queue)
                self.events[receiver] += self[receiver].receive_datagram(data, self.now)
            else:
                for role in (_CLIENT, _SERVER):
                    timeout = self[role].next_timeout()
                    if timeout is not None and timeout <= self.now:
                        self.events[role] += self[role].handle_timeout(self.now)
        for role in (_CLIENT, _SERVER):
            self._collect(role)
        return self

    def connect(self) -> "Network":
        """Run until both sides are connected and nothing is on the way; timers of the far future are left alone."""
        self.run(100.0)
        assert self.client.is_connected, self.events
        assert self.server.is_connected, self.events
        return self

    def _timeouts(self) -> Iterator[float]:
        for role in (_CLIENT, _SERVER):
            timeout = self[role].next_timeout()
            if timeout is not None:
                yield timeout

    def _collect(self, sender: Role) -> None:
        receiver = _SERVER if sender is _CLIENT else _CLIENT
        for data in self[sender].datagrams_to_send(self.now):
            self.sent.append((self.now, sender, data))
            if not self.filter(sender, data, self.now) or self._random.random() < self.weather.loss:
                continue
            copies = 2 if self._random.random() < self.weather.repeat else 1
            for _ in range(copies):
                if self._random.random() < self.weather.corrupt:
                    damaged = bytearray(data)
                    damaged[self._random.randrange(len(data))] ^= 1 << self._random.randrange(8)
                    data = bytes(damaged)
                self._counter += 1
                arrival = self.now + self._random.uniform(*self.weather.delay)
                heapq.heappush(self._queue, (arrival, self._counter, receiver, data))

    def closed(self, role: Role) -> Closed | None:
        """The final event of a side, if it came."""
        return next((event for event in self.events[role] if isinstance(event, Closed)), None)


@attrs.frozen(kw_only=True)
class Identities:
    """Certificates that all tests share."""

    client: Certificate
    server: Certificate
    stranger: Certificate


@pytest.fixture(scope="session")
def identities() -> Identities:
    return Identities(
        client=Certificate.generate(unix_time=1.75e9),
        server=Certificate.generate(unix_time=1.75e9),
        stranger=Certificate.generate(unix_time=1.75e9),
    )


MakeNetwork = Callable[..., Network]


@pytest.fixture
def make_network(identities: Identities) -> MakeNetwork:
    """Returns a function that makes two associations with a network between them."""

    def make(
        *,
        seed: int = 1,
        weather: Weather | None = None,
        options: DtlsOptions | None = None,
        client_options: DtlsOptions | None = None,
        server_options: DtlsOptions | None = None,
        client_expects: Sequence[Fingerprint] | str | None = "server",
        server_expects: Sequence[Fingerprint] | str | None = "client",
        **association: Any,  # keywords of DtlsAssociation for both sides
    ) -> Network:
        if client_expects == "server":
            client_expects = [identities.server.fingerprint()]
        if server_expects == "client":
            server_expects = [identities.client.fingerprint()]
        client = DtlsAssociation(
            role=_CLIENT,
            certificate=identities.client,
            peer_fingerprints=client_expects,
            options=client_options or options,
            entropy=random.Random(f"client {seed}").randbytes,
            now=1000.0,
            **association,
        )
        server = DtlsAssociation(
            role=_SERVER,
            certificate=identities.server,
            peer_fingerprints=server_expects,
            options=server_options or options,
            entropy=random.Random(f"server {seed}").randbytes,
            now=1000.0,
            **association,
        )
        return Network(client, server, seed=seed, weather=weather or Weather())

    return make


@pytest.fixture(scope="session")
def weather_type() -> type[Weather]:
    """The class, for tests that make weather of their own."""
    return Weather
