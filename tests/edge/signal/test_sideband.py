"""WebSockets through signal to a transceiver: who gets in, what is carried, and how each kind of end is told."""

import json

import pytest
import trio
import trio.testing

from edge.control.server import CONTROL_LIMITS, ControlHandler
from edge.http.server import HttpServer, open_listener
from transceiver.backends.contract import BackendUnavailable
from transceiver.calls import CallNotFound, CallWishes, ModelNotAllowed, NotOwner, Overloaded, SocketClosed
from transceiver.realtime.passthrough import ClientTooSlow
from transceiver.websocket.closing import WebSocketClosed
from transceiver.websocket.connecting import SocketRefused, open_socket
from transceiver.websocket.limits import SocketLimits

CONTROL_KEY = "5f" * 32
KEYS = ("key-one", "key-two")


class Conversations:
    """Conversations in which everything that is said comes back."""

    def __init__(self, calls) -> None:
        self._calls = calls
        self.wishes: list[CallWishes] = []
        self.owners: list[str | None] = []
        self.refusal: Exception | None = None
        self.failure: Exception | None = None
        self.hang_up = trio.Event()
        self.left = 0

    async def serve_sideband(self, call_id, owner, socket) -> None:
        if call_id not in self._calls.calls:
            raise CallNotFound(call_id)
        if owner is not None and owner != self._calls.calls[call_id][1]:
            raise NotOwner(call_id)
        self.owners.append(owner)
        await self._serve(socket)

    async def serve_realtime(self, wishes, socket) -> None:
        self.wishes.append(wishes)
        await self._serve(socket)

    async def _serve(self, socket) -> None:
        if self.refusal is not None:
            raise self.refusal
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._echo, socket, nursery.cancel_scope)
            await self.hang_up.wait()
            nursery.cancel_scope.cancel()
        if self.failure is not None:
            raise self.failure

    async def _echo(self, socket, scope) -> None:
        try:
            await socket.send(
                '{"type":"session.created","session":{"type":"realtime","audio":{"output":{"voice":"a"}}}}'
            )
            while True:
                await socket.send(await socket.receive())
        except SocketClosed:
            self.left += 1
            scope.cancel()


class Bench:
    """A signal node, its transceivers, and clients of its sockets."""

    def __init__(self, edge, network) -> None:
        self.edge = edge
        self._network = network
        self.conversations: dict[str, Conversations] = {}

    async def start(self, transceivers: int = 1, **config: object) -> "Bench":
        for number in range(transceivers):
            name = f"t{number}"
            calls = self.edge.add_transceiver(name, number + 1)
            self.conversations[name] = Conversations(calls)
            self.serve(name)
        await self.edge.start(**config)
        self._network.add("127.0.0.1", self.edge.handler)
        return self

    def serve(self, name: str) -> None:
        handler = ControlHandler(self.edge.transceivers[name], [CONTROL_KEY], conversations=self.conversations[name])
        self._network.servers[name] = HttpServer(handler, limits=CONTROL_LIMITS)

    @property
    def first(self) -> Conversations:
        return self.conversations["t0"]

    def open(self, query: str, *, subprotocols=(), path: str = "/v1/realtime", key: str | None = None, **headers: str):
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            fields["Authorization"] = f"Bearer {key}"
        return open_socket(
            f"ws://127.0.0.1{path}{query}",
            headers=fields,
            subprotocols=subprotocols,
            limits=SocketLimits(message_size=4_000_000),
            connect=self._network.connect,
        )

    async def refusal(self, query: str, **options: object) -> tuple[int, str]:
        """Return how a socket is refused before the upgrade."""
        with pytest.raises(SocketRefused) as caught:
            async with self.open(query, **options):
                raise AssertionError("must be refused")
        error = json.loads(caught.value.body)["error"]
        assert set(error) == {"message", "type", "code", "param"}
        self.headers = caught.value.headers
        return caught.value.status, error["code"]

    async def call(self, key: str | None = None) -> str:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        response = await self.edge.call(**headers)
        assert response.status == 201
        return dict(response.headers)["Location"].rpartition("/")[2]


@pytest.fixture
async def bench(empty_edge, network) -> Bench:
    return Bench(empty_edge, network)


async def closing_of(socket) -> tuple[int, str]:
    with pytest.raises(WebSocketClosed) as caught:
        await socket.receive()
    return caught.value.code, caught.value.reason


# The sideband


@pytest.mark.parametrize("path", ["/v1/realtime", "/openai/v1/realtime"])
async def test_a_sideband_takes_part_in_a_call(bench, path):
    await bench.start()
    call_id = await bench.call()
    async with bench.open(f"?call_id={call_id}", path=path) as socket:
        assert json.loads(await socket.receive())["type"] == "session.created"
        await socket.send('{"type":"response.create"}')
        assert await socket.receive() == '{"type":"response.create"}'
    assert bench.first.owners == [""]
    await trio.testing.wait_all_tasks_blocked()
    assert bench.first.left == 1
    names = [name for name, _ in bench.edge.reports]
    assert names == ["call-placed", "sideband-attached", "sideband-detached"]


async def test_a_sideband_goes_to_the_transceiver_of_its_call(bench):
    await bench.start(2)
    for _ in range(4):
        call_id = await bench.call()
        async with bench.open(f"?call_id={call_id}") as socket:
            await socket.receive()
    assert {name: len(each.owners) for name, each in bench.conversations.items()} == {"t0": 2, "t1": 2}


async def test_the_socket_closes_when_the_call_ends(bench):
    await bench.start()
    async with bench.open(f"?call_id={await bench.call()}") as socket:
        await socket.receive()
        bench.first.hang_up.set()
        assert await closing_of(socket) == (1000, "")


@pytest.mark.parametrize("call_id", ["", "rtc_unknown", "x" * 3000])
async def test_an_unknown_call_is_not_found_before_the_upgrade(bench, call_id):
    await bench.start()
    assert await bench.refusal(f"?call_id={call_id}") == (404, "call_id_not_found")


async def test_a_call_that_is_over_is_not_found_before_the_upgrade(bench):
    await bench.start()
    call_id = await bench.call()
    bench.edge.transceivers["t0"].calls.clear()
    assert await bench.refusal(f"?call_id={call_id}") == (404, "call_id_not_found")


async def test_only_the_key_that_made_a_call_may_attach(bench):
    await bench.start(api_keys=KEYS)
    call_id = await bench.call("key-one")
    assert await bench.refusal(f"?call_id={call_id}", key="key-two") == (403, "not_owner")
    async with bench.open(f"?call_id={call_id}", key="key-one") as socket:
        await socket.receive()


async def test_a_call_that_takes_no_more_sidebands_says_so(bench):
    await bench.start()
    call_id = await bench.call()
    bench.first.refusal = Overloaded(7)
    assert await bench.refusal(f"?call_id={call_id}") == (503, "sideband_limit_reached")
    assert bench.headers[b"retry-after"] == b"7"


async def test_a_transceiver_that_is_gone_is_told_before_the_upgrade(bench):
    await bench.start()
    call_id = await bench.call()
    bench.edge.disconnect("t0")
    assert await bench.refusal(f"?call_id={call_id}") == (503, "transceiver_unreachable")


# Who gets in


@pytest.mark.parametrize("query", ["?call_id=rtc_1", "?model=m", ""])
@pytest.mark.parametrize("key", [None, "wrong"])
async def test_a_bad_key_is_refused_before_the_upgrade(bench, query, key):
    await bench.start(api_keys=KEYS)
    assert await bench.refusal(query, key=key) == (401, "invalid_api_key")


@pytest.mark.parametrize(
    ("offered", "selected"),
    [
        (["realtime", "openai-insecure-api-key.key-one"], "realtime"),
        (["realtime", "openai-insecure-api-key.key-one", "openai-agents-sdk.0.20.0"], "realtime"),
        (["openai-insecure-api-key.key-one", "realtime", "openai-beta.realtime-v1"], "realtime"),
        (["openai-insecure-api-key.key-one"], None),
    ],
)
async def test_a_browsers_key_comes_as_a_subprotocol(bench, nursery, offered, selected):
    from trio_websocket import wrap_client_stream

    await bench.start(api_keys=KEYS)
    stream = await bench._network.connect("127.0.0.1", 80)
    client = await wrap_client_stream(nursery, stream, "127.0.0.1", "/v1/realtime?model=m", subprotocols=offered)
    assert client.subprotocol == selected
    assert json.loads(await client.get_message())["type"] == "session.created"
    await client.aclose()


async def test_a_wrong_key_in_a_subprotocol_is_refused(bench):
    await bench.start(api_keys=KEYS)
    protocols = ["realtime", "openai-insecure-api-key.wrong"]
    assert await bench.refusal("?model=m", subprotocols=protocols, key="key-one") == (401, "invalid_api_key")


async def test_azures_key_header_is_understood(bench):
    await bench.start(api_keys=KEYS)
    async with bench.open("?model=m", path="/openai/v1/realtime", api_key="key-one") as socket:
        await socket.receive()


async def test_a_page_of_another_origin_is_refused(bench):
    await bench.start()
    assert await bench.refusal("?model=m", origin="https://evil.example") == (403, "origin_not_allowed")


async def test_a_refusal_can_be_read_by_a_page_that_may(bench):
    await bench.start(allowed_origins=("https://app.example",))
    assert await bench.refusal("?call_id=x", origin="https://app.example") == (404, "call_id_not_found")
    assert bench.headers[b"access-control-allow-origin"] == b"https://app.example"


async def test_without_an_upgrade_the_client_is_told_of_it(bench, read_failure):
    await bench.start()
    failure = read_failure(await bench.edge.ask("GET", "/v1/realtime?model=m"))
    assert (failure.status, failure.code, failure.headers["upgrade"]) == (426, "websocket_required", "websocket")


# The plain protocol


async def test_a_backend_is_reached_with_what_the_request_wishes(bench):
    await bench.start()
    async with bench.open("?model=m1") as socket:
        await socket.receive()
        await socket.send("x" * 2_000_000)
        assert len(await socket.receive()) == 2_000_000
    async with bench.open("") as socket:
        await socket.receive()
    assert bench.first.wishes == [CallWishes(model="m1"), CallWishes()]


async def test_a_client_secret_brings_its_session(bench):
    await bench.start(api_keys=KEYS)
    session = {"type": "realtime", "model": "m2", "instructions": "Bê kind. " * 2000}
    secret = await bench.edge.mint(session, key="key-one")
    async with bench.open("", key=secret.removeprefix("Bearer ")) as socket:
        await socket.receive()
    (wishes,) = bench.first.wishes
    assert wishes.model == "m2"
    assert wishes.session["instructions"] == session["instructions"]


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        (ModelNotAllowed("m"), (403, "model_not_allowed")),
        (Overloaded(3), (503, "session_limit_reached")),
    ],
)
async def test_a_refusal_of_every_transceiver_is_told_before_the_upgrade(bench, refusal, expected):
    await bench.start(2)
    for each in bench.conversations.values():
        each.refusal = refusal
    assert await bench.refusal("?model=m") == expected
    assert [len(each.wishes) for each in bench.conversations.values()] == [1, 1]


async def test_another_transceiver_is_tried(bench):
    await bench.start(2)
    bench.edge.disconnect("t0")
    bench.edge.disconnect("t1")
    bench.serve("t1")
    async with bench.open("?model=m") as socket:
        await socket.receive()
    assert len(bench.conversations["t1"].wishes) == 1


async def test_no_transceiver_at_all(bench):
    await bench.start(0)
    assert await bench.refusal("?model=m") == (503, "no_transceiver_available")


async def test_the_connections_of_a_key_are_bounded(bench):
    await bench.start(api_keys=KEYS, max_calls_per_key=1)
    async with bench.open("?model=m", key="key-one") as socket:
        await socket.receive()
        assert await bench.refusal("?model=m", key="key-one") == (429, "rate_limit_exceeded")
        async with bench.open("?model=m", key="key-two") as other:
            await other.receive()
    await trio.testing.wait_all_tasks_blocked()
    async with bench.open("?model=m", key="key-one") as socket:
        await socket.receive()


async def test_who_comes_too_often_is_told_when_to_come_again(bench):
    await bench.start(max_offers_per_minute=2)
    for _ in range(2):
        async with bench.open("?model=m") as socket:
            await socket.receive()
    assert await bench.refusal("?model=m") == (429, "rate_limit_exceeded")


@pytest.mark.parametrize("by", ["header", "subprotocol"])
async def test_who_asks_for_beta_is_spoken_to_in_beta(bench, by):
    await bench.start()
    asking = (
        {"openai_beta": "realtime=v1"} if by == "header" else {"subprotocols": ["realtime", "openai-beta.realtime-v1"]}
    )
    async with bench.open("?model=m", **asking) as socket:
        assert json.loads(await socket.receive()) == {"type": "session.created", "session": {"voice": "a"}}
        await socket.send('{"type":"session.update","session":{"voice":"b"}}')
        assert json.loads(await socket.receive()) == {"type": "session.update", "session": {"voice": "b"}}


# How it ends


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (None, (1000, "")),
        (BackendUnavailable("wss://internal is down"), (1011, "backend_disconnected")),
        (ClientTooSlow("1 byte"), (1008, "client_too_slow")),
    ],
)
async def test_the_end_at_the_transceiver_is_told_with_its_code(bench, failure, expected):
    await bench.start()
    async with bench.open("?model=m") as socket:
        await socket.receive()
        bench.first.failure = failure
        bench.first.hang_up.set()
        assert await closing_of(socket) == expected


async def test_a_failure_at_the_transceiver_closes_with_1011(bench):
    await bench.start()
    async with bench.open("?model=m") as socket:
        await socket.receive()
        bench.first.failure = RuntimeError("our bug")
        bench.first.hang_up.set()
        code, reason = await closing_of(socket)
        assert code == 1011
        assert "our bug" not in reason


async def test_a_transceiver_that_stops_is_told_as_going_away(bench):
    await bench.start()
    async with bench.open("?model=m") as socket:
        await socket.receive()
        await bench._network.servers["t0"].stop(1)
        assert await closing_of(socket) == (1001, "the server is stopping")


async def test_signal_stopping_is_told_as_going_away_and_frees_the_transceiver(bench):
    await bench.start()
    async with bench.open("?model=m") as socket:
        await socket.receive()
        await bench._network.servers["127.0.0.1"].stop(1)
        assert await closing_of(socket) == (1001, "the server is stopping")
    await trio.testing.wait_all_tasks_blocked()
    assert bench.first.left == 1


async def test_a_transceiver_that_vanishes_is_told(bench):
    await bench.start()
    async with bench.open("?model=m") as socket:
        await socket.receive()
        (connection,) = [each for each in bench._network.servers["t0"]._connections if each._phase.name == "SOCKET"]
        await trio.aclose_forcefully(connection._stream)
        assert await closing_of(socket) == (1011, "the transceiver was lost")


@pytest.mark.parametrize(("query", "size"), [("?call_id=", 1_048_577), ("?model=m", 20 * 1_048_576 + 2000)])
async def test_a_message_that_is_too_long_closes_the_client_only(bench, query, size):
    await bench.start()
    if query == "?call_id=":
        query += await bench.call()
    async with bench.open(query) as socket:
        await socket.receive()
        await socket.send("x" * size)
        assert (await closing_of(socket))[0] == 1009
    await trio.testing.wait_all_tasks_blocked()
    assert bench.first.left == 1


async def test_bytes_close_with_1003(bench, nursery):
    from trio_websocket import ConnectionClosed, wrap_client_stream

    await bench.start()
    stream = await bench._network.connect("127.0.0.1", 80)
    client = await wrap_client_stream(nursery, stream, "127.0.0.1", "/v1/realtime?model=m")
    await client.get_message()
    await client.send_message(b"bytes")
    with pytest.raises(ConnectionClosed) as caught:
        await client.get_message()
    assert caught.value.reason.code == 1003


async def test_a_conversation_without_an_end_is_not_cut_by_the_handlers_time(autojump_clock, bench):
    await bench.start()
    async with bench.open(f"?call_id={await bench.call()}") as socket:
        await socket.receive()
        with trio.move_on_after(3000):
            await socket.receive()
        await socket.send("still here")
        assert await socket.receive() == "still here"


async def test_a_pass_through_without_a_word_ends(autojump_clock, bench):
    await bench.start()
    async with bench.open("?model=m") as socket:
        await socket.receive()
        begin = trio.current_time()
        assert await closing_of(socket) == (1001, "idle")
        assert trio.current_time() - begin == pytest.approx(600, abs=2)


async def test_the_official_client_attaches_to_a_call(bench, nursery):
    pytest.importorskip("websockets", reason="openai[realtime] is not installed")
    import openai

    await bench.start(api_keys=KEYS)
    call_id = await bench.call("key-one")
    server = HttpServer(bench.edge.handler)
    (address,) = await nursery.start(server.serve, [await open_listener(("127.0.0.1", 0))])

    def attach() -> list[str]:
        where = f"127.0.0.1:{address[1]}/v1"
        client = openai.OpenAI(api_key="key-one", base_url=f"http://{where}", websocket_base_url=f"ws://{where}")
        with client.realtime.connect(call_id=call_id) as realtime:
            seen = [realtime.recv().type]
            realtime.response.create()
            seen.append(realtime.recv().type)
            trio.from_thread.run_sync(bench.first.hang_up.set)
            seen += [event.type for event in realtime]  # ends without an exception, as the call did
        return seen

    with trio.fail_after(10):
        assert await trio.to_thread.run_sync(attach) == ["session.created", "response.create"]
    await server.stop(1)
