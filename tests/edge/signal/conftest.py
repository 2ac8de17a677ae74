"""A signal node in front of transceivers that never see a packet."""

import json

import attrs
import pytest

from edge.config.model import RegionConfig, SignalConfig, SignalIngress
from edge.control.client import ControlClient
from edge.control.server import ControlHandler
from edge.http.messages import Request, Response, split_target
from edge.http.static import StaticFile
from edge.signal.client_secrets import ClientSecretKeys
from edge.signal.fleet import FleetView, Member
from edge.signal.geography import region_named
from edge.signal.handler import SignalHandler
from geo.regions import Place, Region
from stun.credentials import Route
from transceiver.call_ids import CallIdKey, CallIdKeys
from transceiver.calls import CallWishes

OFFER = b"v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
CONTROL_KEY = "5f" * 32
CLIENT_SECRETS = ClientSecretKeys({1: bytes(range(64))}, 1)
CALL_IDS = CallIdKeys([CallIdKey(key_id=1, token=bytes(range(64)))], 1)

EUROPE = Place(latitude=50, longitude=8)
AMERICA = Place(latitude=39, longitude=-77)
REGIONS = (RegionConfig(name="eu", location=EUROPE), RegionConfig(name="us", location=AMERICA))


class Edge:
    """Signal, its transceivers, and a client that is on the same machine unless it says otherwise."""

    def __init__(self, network, make_calls) -> None:
        self._network = network
        self._make_calls = make_calls
        self.transceivers = {}
        self.members = []
        self.registry = None
        self.reports = []
        self.client_secrets = CLIENT_SECRETS
        self.call_ids = CALL_IDS
        self.ownership = None
        self.unix_time = 1_800_000_000.5
        self.config = SignalConfig(
            ingresses=(SignalIngress(id=1, advertise=("192.0.2.1", 3478)),), regions=REGIONS, listen=("127.0.0.1", 8080)
        )

    def add_transceiver(self, name: str, incarnation: int, region: str | None = None, **state: object):
        def mint(number: int) -> str:
            return CALL_IDS.mint(Route(cluster=3, incarnation=incarnation, worker=0, session=number, minted=0))

        calls = self._make_calls(mint)
        calls.state |= {"incarnation": incarnation, "max_calls": 10, **state}
        self._network.add(name, ControlHandler(calls, [CONTROL_KEY]))
        self.transceivers[name] = calls
        self.add_member(name, region)
        return calls

    def add_member(self, name: str, region: str | None = None) -> Member:
        self.members.append(self.meet(f"http://{name}", region))
        return self.members[-1]

    def meet(self, url: str, region: str | None) -> Member:
        places = {each.name: Region(name=each.name, place=each.location) for each in REGIONS}
        client = ControlClient(url, CONTROL_KEY, connect=self._network.connect)
        return Member(client, region=region_named(region, places))

    def disconnect(self, name: str) -> None:
        """Let a transceiver be unreachable for new connections and old ones."""
        del self._network.servers[name]
        for member in self.members:
            if member.client.url == f"http://{name}":
                member.client = ControlClient(member.client.url, CONTROL_KEY, connect=self._network.connect)

    async def start(self, pages: dict[str, StaticFile] | None = None, **config: object) -> "Edge":
        self.config = attrs.evolve(self.config, **config)
        self.fleet = FleetView(self.members, self.registry, lambda member: self.meet(member.control, member.region))
        await self.poll()
        self.handler = SignalHandler(
            self.config,
            fleet=self.fleet,
            call_ids=CALL_IDS,
            pages=pages,
            render_metrics=lambda: b"calls 1\n",
            report=lambda name, facts: self.reports.append((name, facts)),
            client_secrets=self.client_secrets,
            ownership=self.ownership,
            unix_time=lambda: self.unix_time,
        )
        return self

    async def poll(self) -> None:
        for member in self.members:
            await member.poll()

    async def ask(
        self, method: str, target: str, body: bytes = b"", *, peer: str = "127.0.0.1", **headers: str
    ) -> Response:
        path, query, _ = split_target(target)
        fields = {"host": "127.0.0.1:8080"} | {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.handler.handle(
            Request(method=method, path=path, query=query, headers=fields, body=body, peer=(peer, 50000), id="req_1")
        )

    async def call(self, body: bytes = OFFER, *, query: str = "", **headers: str) -> Response:
        target = "/v1/realtime/calls" + query
        return await self.ask("POST", target, body, **({"content_type": "application/sdp"} | headers))

    async def post_json(self, path: str, value: object, **headers: str) -> Response:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return await self.ask("POST", path, body, **({"content_type": "application/json"} | headers))

    async def mint(self, session: object = None, *, key: str = "", **fields: object) -> str:
        """Mint a client secret, and return it as an Authorization header."""
        headers = {"authorization": f"Bearer {key}"} if key else {}
        response = await self.post_json("/v1/realtime/client_secrets", {"session": session, **fields}, **headers)
        assert response.status == 200, response.body
        return "Bearer " + json.loads(response.body)["value"]

    @property
    def wishes(self) -> CallWishes:
        """What the last call was to be like, by its caller; not what signal adds of where it is."""
        wishes = next(iter(self.transceivers.values())).wishes[-1]
        return attrs.evolve(wishes, caller_network="", placed_because=())


@pytest.fixture
async def empty_edge(network, make_calls) -> Edge:
    return Edge(network, make_calls)


@pytest.fixture
async def edge(empty_edge) -> Edge:
    """One transceiver, no keys."""
    empty_edge.add_transceiver("one", 1)
    return await empty_edge.start()


@pytest.fixture
def headers_of():
    """Read a response's headers by lower-case name, and check that none stands twice."""

    def read(response: Response) -> dict[str, str]:
        names = [name.lower() for name, _ in response.headers]
        assert len(names) == len(set(names))
        return {name.lower(): value for name, value in response.headers}

    return read


@pytest.fixture
def json_of():
    return lambda response: json.loads(response.body)
