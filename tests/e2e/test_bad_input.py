"""What strangers send is refused with a reason, and a call going on beside it loses nothing."""

import json
import re
import secrets
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest
import trio

from bench.ports import free_port
from dtls.alerts import AlertDescription, AlertLevel
from dtls.extensions.block import ExtensionBlock
from dtls.extensions.groups import KeyShareEntry, KeyShares, SupportedGroups
from dtls.extensions.legacy import EcPointFormats, ExtendedMasterSecret, RenegotiationInfo
from dtls.extensions.signatures import SignatureAlgorithms
from dtls.extensions.versions import SupportedVersions
from dtls.groups import Group
from dtls.handshake.body import serialize_body
from dtls.handshake.client_hello import ClientHello
from dtls.handshake.message import Fragment, HandshakeType
from dtls.records import ContentType, RawRecord, plaintext_header, split_datagram
from dtls.versions import Version
from edge.caller.exchange import Exchange
from edge.caller.opus_file import Clip
from edge.caller.placing import Caller
from edge.caller.progress import CallerOptions
from edge.caller.signalling import CallFailed, SignalClient, Signalled
from edge.config.model import Role
from edge.key_files import bundle_path, load_bundle
from edge.keys import derive_bundle, new_root
from edge.tiers.keyring import credential_keys
from stun.attributes import Attribute, AttributeType
from stun.binding import binding_request, pack_username
from stun.credentials import CredentialKeys, Route
from wire.buffer import Writer

from .attack_arena import Arena, loopback_arena
from .calling import PacedCall
from .edge_processes import Edge, add_server

KEY = "sk-test"
BESIDE_PACKETS = 5
"""A tenth of a second of the call beside, at least, for each test."""
OFFER = (
    """v=0\r
o=- 1 2 IN IP4 127.0.0.1\r
s=-\r
t=0 0\r
a=group:BUNDLE 0\r
m=audio 9 UDP/TLS/RTP/SAVPF 111\r
c=IN IP4 0.0.0.0\r
a=mid:0\r
a=ice-ufrag:cliF\r
a=ice-pwd:clientPassword0123456789\r
a=fingerprint:sha-256 """
    + ":".join(["AB"] * 32)
    + """\r
a=setup:actpass\r
a=rtcp-mux\r
a=sendrecv\r
a=rtpmap:111 opus/48000/2\r
"""
)


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """An edge whose calls need no key, and a second signal of it that asks for one."""
    with loopback_arena(tmp_path_factory.mktemp("bad-input")) as arena:
        yield arena
        arena.edge.stop()


@pytest.fixture(scope="module")
def edge(arena: Arena) -> Edge:
    return arena.edge


@pytest.fixture(scope="module")
def keyed(edge: Edge) -> Edge:
    """The same edge, by a signal that asks for an API key."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    text = (edge.folder / "signal.toml").read_text().partition("\n")[2]
    text = re.sub('listen = ".*"', f'listen = "127.0.0.1:{port}"\napi_keys = ["{KEY}"]', text)
    add_server(edge, "keyed", text, url, role="signal")
    edge.start("keyed")
    edge.wait_until("the signal that asks for a key is ready", lambda: edge.is_ready(url))
    return attrs.evolve(edge, signal_url=url)


@pytest.fixture(scope="module")
def call_beside(arena: Arena) -> Iterator[PacedCall]:
    """A call that goes on while this module's tests run."""
    with arena.call() as call:
        yield call


@pytest.fixture(autouse=True)
def beside(arena: Arena, call_beside: PacedCall) -> Iterator[None]:
    """During each test the call beside loses nothing, either way; what it has ever lost on the way there counts."""
    call_beside.begin()
    yield
    counted = call_beside.finish(at_least=BESIDE_PACKETS)
    assert counted.closed == "talking"
    arena.assert_nothing_lost(call_beside, counted)


pytestmark = pytest.mark.e2e


@attrs.frozen
class Credentials:
    """What the answer to an offer of ours said."""

    ufrag: str
    password: str


@pytest.fixture(scope="module")
def keys(edge: Edge) -> CredentialKeys:
    return credential_keys(load_bundle(bundle_path(edge.folder / "keys", Role.RELAY), Role.RELAY))


@pytest.fixture
def credentials(edge: Edge) -> Credentials:
    status, _, answer = post(edge, OFFER.encode())
    assert status == 201
    found = dict(re.findall(r"a=ice-(ufrag|pwd):(\S+)", answer))
    return Credentials(found["ufrag"], found["pwd"])


@pytest.fixture
def client(edge: Edge) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", edge.media_port))
        sock.settimeout(2)
        yield sock


def post(
    edge: Edge, body: bytes, path: str = "/v1/realtime/calls", method: str = "POST", **headers: str
) -> tuple[int, dict[str, str], str]:
    request = urllib.request.Request(
        edge.signal_url + path,
        data=body,
        method=method,
        headers={"Content-Type": "application/sdp", **{name.replace("_", "-"): text for name, text in headers.items()}},
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return response.status, dict(response.headers), response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read().decode()


def check(ufrag: str, password: str, transaction_id: bytes | None = None) -> bytes:
    """A controlling client's connectivity check."""
    return binding_request(
        transaction_id or secrets.token_bytes(12),
        pack_username(ufrag, "cliF"),
        password.encode(),
        [
            Attribute(AttributeType.PRIORITY, (1).to_bytes(4, "big")),
            Attribute(AttributeType.ICE_CONTROLLING, bytes(8)),
        ],
    )


def relay_drops(edge: Edge, reason: str) -> float:
    return edge.metric(edge.relay_url, "trio_voice_relay_drops_total", reason=reason)


def transceiver_drops(edge: Edge, reason: str) -> float:
    return edge.metric(edge.control_url, "trio_voice_transceiver_drops_total", reason=reason)


def iter_until_silence(sock: socket.socket) -> Iterator[bytes]:
    """Receive until nothing comes for the socket's timeout."""
    while True:
        try:
            yield sock.recv(2000)
        except TimeoutError:
            return


def answer_to_active(edge: Edge, client: socket.socket) -> str:
    """Offer to send the ClientHello, and make the check that opens the way; returns the call's location."""
    status, headers, answer = post(edge, OFFER.replace("actpass", "active").encode())
    assert status == 201
    found = dict(re.findall(r"a=ice-(ufrag|pwd):(\S+)", answer))
    client.send(check(found["ufrag"], found["pwd"]))
    assert client.recv(2000)[:2] == b"\x01\x01"
    return headers["Location"]


def plaintext_record(number: int, fragment: Fragment) -> bytes:
    writer = Writer()
    fragment.serialize(writer)
    return plaintext_header(ContentType.HANDSHAKE, 0, number, len(writer)) + writer.finish()


def first_record(client: socket.socket) -> RawRecord:
    """Receive until something other than STUN comes, and return its first record."""
    while True:
        data = client.recv(2000)
        if 20 <= data[0] <= 63:
            record = next(split_datagram(data))
            assert isinstance(record, RawRecord)
            return record


def client_hello(
    version: Version, *, suites: tuple[int, ...] = (0x1301, 0xC02B), groups: tuple[int, ...] = (Group.X25519,)
) -> bytes:
    """A record with a ClientHello of one version that would be a good one."""
    share = KeyShareEntry(group=groups[0], key_exchange=bytes(range(1, 33)))
    common = [SupportedGroups(groups=groups), SignatureAlgorithms(schemes=(0x0403,))]
    of_1_3 = [SupportedVersions(versions=(Version.DTLS_1_3,)), KeyShares(entries=(share,))]
    of_1_2 = [ExtendedMasterSecret(), RenegotiationInfo(), EcPointFormats()]
    bodies = common + (of_1_3 if version is Version.DTLS_1_3 else of_1_2)
    hello = ClientHello(random=bytes(32), cipher_suites=suites, extensions=ExtensionBlock.of(bodies))
    data = serialize_body(hello)
    return plaintext_record(0, Fragment(HandshakeType.CLIENT_HELLO, len(data), 0, 0, data))


def closing_reason(edge: Edge, location: str) -> str | None:
    """What the transceiver's log says of the end of a call; None while it says nothing."""
    call = location.rpartition("/")[2]
    found = [line for line in edge.log("transceiver").splitlines() if call in line and '"closed": "' in line]
    return json.loads(found[-1])["closed"] if found else None


def assert_dropped(edge: Edge, read: Callable[[Edge, str], float], reason: str, send: Callable[[], object]) -> None:
    before = read(edge, reason)
    send()
    edge.wait_until(f"a drop is counted as {reason}", lambda: read(edge, reason) > before, 3)


def route(minted: float) -> Route:
    """The route to a process that is not there."""
    return Route(cluster=0, incarnation=1, worker=0, session=1, minted=int(minted))


class TestUsernameFragments:
    def test_forged(self, edge: Edge, client: socket.socket, credentials: Credentials) -> None:
        forged = credentials.ufrag[:-4] + "AAAA"
        assert_dropped(edge, relay_drops, "forged-token", lambda: client.send(check(forged, credentials.password)))

    def test_foreign(self, edge: Edge, client: socket.socket) -> None:
        foreign = credential_keys(derive_bundle(new_root(secrets.token_bytes, time.time()), Role.RELAY))
        ufrag = foreign.mint(route(time.time()))
        assert_dropped(edge, relay_drops, "forged-token", lambda: client.send(check(ufrag, foreign.password(ufrag))))

    def test_expired(self, edge: Edge, client: socket.socket, keys: CredentialKeys) -> None:
        ufrag = keys.mint(route(time.time() - 7300))
        assert_dropped(edge, relay_drops, "expired-token", lambda: client.send(check(ufrag, keys.password(ufrag))))

    def test_from_the_future(self, edge: Edge, client: socket.socket, keys: CredentialKeys) -> None:
        ufrag = keys.mint(route(time.time() + 600))
        assert_dropped(edge, relay_drops, "future-token", lambda: client.send(check(ufrag, keys.password(ufrag))))

    def test_of_a_process_that_is_gone(self, edge: Edge, client: socket.socket, keys: CredentialKeys) -> None:
        ufrag = keys.mint(route(time.time()))
        message = check(ufrag, keys.password(ufrag))
        assert_dropped(edge, relay_drops, "unknown-transceiver", lambda: client.send(message))

    def test_truncated(self, edge: Edge, client: socket.socket, credentials: Credentials) -> None:
        message = check(credentials.ufrag[:20], credentials.password)
        assert_dropped(edge, relay_drops, "forged-token", lambda: client.send(message))


class TestChecks:
    def test_wrong_integrity(self, edge: Edge, client: socket.socket, credentials: Credentials) -> None:
        message = check(credentials.ufrag, "not the password")
        assert_dropped(edge, relay_drops, "bad-integrity", lambda: client.send(message))

    def test_replayed_from_another_address(self, edge: Edge, client: socket.socket, credentials: Credentials) -> None:
        message = check(credentials.ufrag, credentials.password)
        client.send(message)
        assert client.recv(2000)[:2] == b"\x01\x01"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief:
            thief.connect(("127.0.0.1", edge.media_port))
            thief.settimeout(0.3)
            reason = "ice.repeated"
            assert_dropped(edge, transceiver_drops, reason, lambda: thief.send(message))
            with pytest.raises(TimeoutError):
                thief.recv(2000)

    def test_an_unvalidated_address_gets_one_flight_and_no_repetition(
        self, client: socket.socket, credentials: Credentials
    ) -> None:
        client.send(check(credentials.ufrag, credentials.password))
        client.settimeout(1.5)  # the first repetition of DTLS would come after 0.4 s
        received = list(iter_until_silence(client))
        handshake = [datagram for datagram in received if 20 <= datagram[0] <= 63]
        # One ClientHello, in as many datagrams as it needs: each record number once.
        assert handshake
        assert len({datagram[3:11] for datagram in handshake}) == len(handshake)
        assert sum(map(len, handshake)) < 1800


class TestStrangers:
    @pytest.mark.parametrize("first", [0x80, 0x16, 0x2F], ids=["rtp", "dtls", "dtls13"])
    def test_media_without_a_flow(self, edge: Edge, client: socket.socket, first: int) -> None:
        assert_dropped(edge, relay_drops, "no-flow", lambda: client.send(bytes([first]) + bytes(60)))

    def test_sizes(self, edge: Edge, client: socket.socket) -> None:
        assert_dropped(edge, relay_drops, "empty", lambda: client.send(b""))
        assert_dropped(edge, relay_drops, "not-ours", lambda: client.send(b"\x40"))
        assert_dropped(edge, relay_drops, "too-long", lambda: client.send(b"\x80" * 65507))


class TestHandshakes:
    """From clients that know the password of their own call and then break the rules of DTLS."""

    def test_another_certificate_than_the_offer_announced(self, edge: Edge) -> None:
        class Liar(SignalClient):
            async def offer(self, offer: str) -> Signalled:
                return await super().offer(re.sub("fingerprint:sha-256 ..:..", "fingerprint:sha-256 00:00", offer))

        async def call() -> str:
            exchange = Exchange()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(exchange.run)
                caller = Caller(Liar(edge.signal_url), exchange)
                placed = await caller.place(CallerOptions(clip=Clip(packets=(b"\xf8\xff\xfe",), samples=(960,))))
                with pytest.raises(CallFailed) as refusal:
                    await caller.connect(placed)
                nursery.cancel_scope.cancel()
            return str(refusal.value)

        assert "bad_certificate" in trio.run(call)
        edge.wait_until("the log says why", lambda: '"closed": "fingerprint-mismatch"' in edge.log("transceiver"), 3)

    @pytest.mark.parametrize(
        ("version", "lacking", "reason"),
        [
            (Version.DTLS_1_3, {"suites": (0x1302, 0x1303)}, "no-common-cipher-suite"),
            (Version.DTLS_1_3, {"groups": (0x18, 0x19)}, "no-common-group"),
            (Version.DTLS_1_2, {"suites": (0xC02C, 0xCCA9)}, "no-common-cipher-suite"),
            (Version.DTLS_1_2, {"groups": (0x18, 0x19)}, "no-common-group"),
        ],
        ids=["suites-1.3", "groups-1.3", "suites-1.2", "groups-1.2"],
    )
    def test_nothing_that_we_have(
        self,
        edge: Edge,
        client: socket.socket,
        version: Version,
        lacking: dict[str, tuple[int, ...]],
        reason: str,
    ) -> None:
        location = answer_to_active(edge, client)
        client.send(client_hello(version, **lacking))
        record = first_record(client)
        assert record.content_type == ContentType.ALERT
        assert record.payload == bytes([AlertLevel.FATAL, AlertDescription.HANDSHAKE_FAILURE])
        edge.wait_until("the log says why", lambda: closing_reason(edge, location) == reason, 3)

    def test_with_what_we_have_the_same_hello_is_answered(self, edge: Edge, client: socket.socket) -> None:
        for version in Version:
            location = answer_to_active(edge, client)
            client.send(client_hello(version))
            assert first_record(client).content_type == ContentType.HANDSHAKE
            assert post(edge, b"", location, "DELETE")[0] == 200

    @pytest.mark.parametrize(
        ("reason", "fragments"),
        [
            # Of a ClientHello of 1000 bytes whose last one never comes.
            ("dtls.repeated-fragment", [(1000, number * 7 % 900, 99) for number in range(300)]),
            ("dtls.inconsistent-fragment", [(1000 + number % 2, number * 7 % 900, 99) for number in range(300)]),
            ("dtls.inconsistent-fragment", [(1000, number * 3, 2) for number in range(300)]),
        ],
        ids=["overlapping", "of-two-lengths", "with-gaps"],
    )
    def test_fragments_that_never_complete(
        self, edge: Edge, client: socket.socket, reason: str, fragments: list[tuple[int, int, int]]
    ) -> None:
        location = answer_to_active(edge, client)

        def send() -> None:
            for number, (length, start, size) in enumerate(fragments):
                client.send(
                    plaintext_record(number, Fragment(HandshakeType.CLIENT_HELLO, length, 0, start, bytes(size)))
                )

        assert_dropped(edge, transceiver_drops, reason, send)
        state = edge.call_state(location)
        assert state is not None
        assert state["state"] == "connecting"
        assert edge.metric(edge.control_url, "trio_voice_transceiver_events_total", event="internal-error") == 0
        assert post(edge, b"", location, "DELETE")[0] == 200


class TestOffers:
    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (lambda text: "hello", "SDP"),
            (lambda text: "", "empty"),
            (lambda text: re.sub(r"a=ice-[^\r]*\r\n", "", text), "ice-"),
            (lambda text: re.sub(r"a=fingerprint[^\r]*\r\n", "", text), "fingerprint"),
            (
                lambda text: (
                    text.replace("a=mid:0\r\n", "")
                    + "a=ssrc:1 cname:a\r\na=ssrc:1 msid:s a\r\na=ssrc:2 cname:a\r\na=ssrc:2 msid:s b\r\n"
                ),
                "Plan",
            ),
            (lambda text: text.replace("opus", "speex"), "codec"),
        ],
        ids=["not-sdp", "empty", "no-ice", "no-fingerprint", "plan-b", "no-codec"],
    )
    def test_refused_with_the_reason(self, edge: Edge, change: Callable[[str], str], reason: str) -> None:
        status, headers, body = post(edge, change(OFFER).encode())
        error = json.loads(body)["error"]
        assert (status, error["code"]) == (400, "invalid_offer")
        assert reason.lower() in error["message"].lower()
        assert headers["Content-Type"].startswith("application/json")

    def test_a_megabyte(self, edge: Edge) -> None:
        status, _, body = post(edge, OFFER.encode() + b"a=x:" + b"x" * 1_000_000)
        error = json.loads(body)["error"]
        # RFC 9110 section 15.5.14 has a status of its own for it, which is sent before the body has been read.
        assert (status, error["code"]) == (413, "content_too_large")
        assert "bytes" in error["message"]


class TestHttp:
    @pytest.mark.parametrize(
        ("arguments", "expected", "code"),
        [
            ({"headers": {"Content_Type": "text/html"}}, 415, "unsupported_content_type"),
            ({"headers": {"Host": "evil.example"}}, 403, "host_not_allowed"),
            ({"headers": {"Origin": "https://evil.example"}}, 403, "origin_not_allowed"),
            ({"method": "PUT"}, 405, "method_not_allowed"),
            ({"path": "/v1/nothing"}, 404, "not_found"),
            ({"headers": {"X_Long": "x" * 60_000}}, 431, "header_too_large"),
        ],
        ids=["content-type", "host", "origin", "method", "path", "header"],
    )
    def test_refused_in_json(self, edge: Edge, arguments: dict[str, Any], expected: int, code: str) -> None:
        headers = arguments.pop("headers", {})
        status, _, body = post(edge, OFFER.encode(), **arguments, **headers)
        arguments["headers"] = headers
        error = json.loads(body)["error"]
        assert (status, error["code"]) == (expected, code), body

    @pytest.mark.parametrize("key", ["sk-other", ""], ids=["another", "none"])
    def test_a_wrong_key(self, keyed: Edge, key: str) -> None:
        status, headers, body = post(keyed, OFFER.encode(), Authorization=f"Bearer {key}")
        assert (status, json.loads(body)["error"]["code"]) == (401, "invalid_api_key"), body
        assert headers["WWW-Authenticate"].startswith("Bearer")

    def test_the_right_key(self, keyed: Edge) -> None:
        status, headers, _ = post(keyed, OFFER.encode(), Authorization=f"Bearer {KEY}")
        assert status == 201
        assert post(keyed, b"", headers["Location"], "DELETE", Authorization=f"Bearer {KEY}")[0] == 200

    def test_slowloris(self, edge: Edge) -> None:
        host, port = edge.signal_url.removeprefix("http://").split(":")
        before = edge.metric(edge.signal_url, "trio_voice_signal_http_drops_total", reason="header-timeout")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"POST /v1/realtime/calls HTTP/1.1\r\nHost: 127.0.0.1\r\n")
            connection.settimeout(14)  # the head of a request may take ten seconds
            answer = connection.recv(4096)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert edge.metric(edge.signal_url, "trio_voice_signal_http_drops_total", reason="header-timeout") > before
