"""What strangers send is refused with a reason, and a call going on beside it loses nothing."""

import json
import re
import secrets
import socket
import struct
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest
import trio

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

from .conftest import PROGRAM, Edge

TALK_SECONDS = 20
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


def established(edge: Edge) -> float:
    return edge.metric(edge.control_url, "trio_voice_transceiver_events_total", event="established")


@pytest.fixture(scope="module")
def talking(edge: Edge) -> Iterator[None]:
    """A call that goes on while this module's tests run, and must have lost nothing when they are through."""
    before = established(edge)
    call = subprocess.Popen(
        [PROGRAM, "call", edge.signal_url, "--seconds", str(TALK_SECONDS)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    edge.wait_until("the call beside is established", lambda: established(edge) > before, 60)
    yield
    output = call.communicate(timeout=TALK_SECONDS + 60)[0]
    assert call.returncode == 0, output
    sent, received, lost = map(int, re.findall(r"packets sent (\d+), received (\d+), lost (\d+)", output)[0])
    assert lost == 0, output
    # The opening packet, then an echo of each; the last ones may be under way when the caller hangs up.
    assert sent - 10 < received <= sent + 1, output
    assert sent > 25 * TALK_SECONDS, output  # it went on: 50 a second, where this machine has nothing else to do


pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("talking")]


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


def u24(number: int) -> bytes:
    return number.to_bytes(3, "big")


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

    def test_fragments_that_overlap_and_never_complete(self, edge: Edge, client: socket.socket) -> None:
        answer = post(edge, OFFER.replace("actpass", "active").encode())
        assert answer[0] == 201
        found = dict(re.findall(r"a=ice-(ufrag|pwd):(\S+)", answer[2]))
        client.send(check(found["ufrag"], found["pwd"]))
        assert client.recv(2000)[:2] == b"\x01\x01"
        for number in range(300):  # of a ClientHello of 1000 bytes whose last one never comes
            start = number * 7 % 900
            header = struct.pack(">B", 1) + u24(1000) + bytes(2) + u24(start) + u24(99)
            client.send(struct.pack(">BHQH", 22, 0xFEFD, number, len(header) + 99) + header + bytes(99))
        state = edge.call_state(answer[1]["Location"])
        assert state is not None
        assert state["state"] == "connecting"
        assert edge.metric(edge.control_url, "trio_voice_transceiver_events_total", event="internal-error") == 0
        assert post(edge, b"", answer[1]["Location"], "DELETE")[0] == 200


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
        assert status in (400, 413)
        assert "bytes" in json.loads(body)["error"]["message"]


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

    def test_slowloris(self, edge: Edge) -> None:
        host, port = edge.signal_url.removeprefix("http://").split(":")
        before = edge.metric(edge.signal_url, "trio_voice_signal_http_drops_total", reason="header-timeout")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"POST /v1/realtime/calls HTTP/1.1\r\nHost: 127.0.0.1\r\n")
            connection.settimeout(14)  # the head of a request may take ten seconds
            answer = connection.recv(4096)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert edge.metric(edge.signal_url, "trio_voice_signal_http_drops_total", reason="header-timeout") > before
