"""`trio-voice fleet` and `trio-voice drain`, as an operator sees them."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import attrs
import pytest
import trio
from click.testing import CliRunner

from edge.cli import main
from edge.config.model import Role, SignalIngress, StoreConfig
from edge.key_files import load_bundle
from edge.registry.listing import lines_of, listing_of
from edge.registry.member import Heard, MeasuredLink, Member
from edge.store.opening import open_stores
from edge.tiers.keyring import control_bearers

ALPHA = Member(
    kind=Role.TRANSCEIVER,
    name="alpha",
    incarnation=1,
    version="1.2",
    cluster=3,
    region="eu",
    control="http://127.0.0.1:1",
    calls=7,
    max_calls=100,
)
RELAY = Member(
    kind=Role.RELAY,
    name="edge-1",
    incarnation=2,
    ingresses=(SignalIngress(id=1, advertise=("203.0.113.5", 3478)),),
    calls=20,
    is_ready=False,
    reason="no transceiver has answered yet",
)
SIGNAL = Member(kind=Role.SIGNAL, name="front", incarnation=3)


class Control(BaseHTTPRequestHandler):
    """A transceiver's control API, as far as it drains."""

    def do_POST(self) -> None:
        self.server.asked.append((self.path, self.headers["Authorization"]))
        body = self.server.body
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST  # noqa: N815 - as above

    def log_message(self, *_words: object) -> None:
        return


@pytest.fixture
def server():
    with HTTPServer(("127.0.0.1", 0), Control) as server:
        server.asked, server.status, server.body = [], 202, b'{"draining": true}'
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def run(redis, tmp_path):
    """Run a command with a configuration that names the store and keys."""
    keys = CliRunner().invoke(main, ["keys", "new", str(tmp_path / "keys")])
    assert keys.exit_code == 0
    path = tmp_path / "fleet.toml"
    path.write_text(f'keys = "{tmp_path}/keys"\n[store]\nurl = "{redis.url}"\n')

    def run_command(*words: str):
        return CliRunner().invoke(main, [*words, "--config", str(path)])

    run_command.keys = tmp_path / "keys"
    return run_command


def announce(redis, *members: Member) -> None:
    async def tell() -> None:
        stores = open_stores(StoreConfig(url=redis.url), lambda *_: None)
        async with trio.open_nursery() as nursery:
            await nursery.start(stores.run)
            for member in members:
                await stores.members.announce(member)
            nursery.cancel_scope.cancel()

    trio.run(tell)


def test_the_fleet_is_a_table(redis, run):
    announce(
        redis,
        ALPHA,
        RELAY,
        SIGNAL,
        attrs.evolve(ALPHA, name="beta", incarnation=9, control="http://127.0.0.1:2", is_draining=True),
    )
    result = run("fleet")
    assert result.exit_code == 0, result.output
    lines = [line.split("  ") for line in result.output.splitlines()]
    table = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert [row[0] for row in table] == ["NODE", "front", "edge-1", "alpha", "beta"]
    assert table[3][:5] == ["alpha", "transceiver", "eu", "1.2", "7/100 calls"]
    assert table[3][-1] == "ready"
    assert table[3][-2].endswith("s ago")
    assert table[4][-1] == "draining"
    assert table[2][-1] == "not ready: no transceiver has answered yet"
    assert table[2][4] == "20 flows"
    assert {row[5] for row in table[1:]} == {"-"}, "nobody has measured anything"


def test_the_fleet_as_json_says_all(redis, run):
    announce(redis, ALPHA, RELAY)
    listing = json.loads(run("fleet", "--json").output)
    assert listing["problem"] is None
    relay, alpha = listing["members"]
    assert relay["ingresses"] == [{"id": 1, "address": "203.0.113.5:3478", "protocol": "udp"}]
    assert (alpha["control"], alpha["incarnation"], alpha["late"]) == ("http://127.0.0.1:1", 1, False)


def test_who_is_late_is_marked_so_and_an_old_view_too():
    lines = list(lines_of(listing_of([Heard(ALPHA, 4.04)], "it is away")))
    assert lines[0] == "The store is away, so this is what was known last: it is away"
    assert lines[-1].endswith("4.0 s ago  late, ready")
    assert list(lines_of(listing_of([]))) == ["Nobody has announced himself."]


def test_what_relays_and_calls_have_measured_is_told():
    link = MeasuredLink(cluster=3, incarnation=1, pings=60, lost=3, round_trip=2.4)
    heard = [Heard(ALPHA, 0.1), Heard(attrs.evolve(RELAY, region="eu", links=(link,)), 0.1), Heard(SIGNAL, 0.1)]
    listing = listing_of(heard, regions={"eu": "callers of 23 networks lose 5.0% in the region (+100 ms)"})
    lines = list(lines_of(listing))
    assert ["  5.0% lost, 2 ms  " in line for line in lines[1:4]] == [False, True, True]
    assert lines[-1] == "eu: callers of 23 networks lose 5.0% in the region (+100 ms)"
    former = {"problem": None, "members": [{"name": "alpha", "tier": "transceiver", "calls": 7, "ready": True}]}
    assert "7 calls  -  " in list(lines_of(former))[1], "a server of the release before tells nothing of it"


def test_a_signal_server_is_asked_with_a_key(server):
    server.status, server.body = 200, json.dumps(listing_of([Heard(ALPHA, 0.1)])).encode()
    result = CliRunner().invoke(main, ["fleet", "--url", server.url, "--key", "sk-1"])
    assert "alpha" in result.output
    assert server.asked == [("/fleet/members", "Bearer sk-1")]
    server.status, server.body = 404, b'{"error": {"message": "This server has no store."}}'
    result = CliRunner().invoke(main, ["fleet", "--url", server.url])
    assert result.exit_code == 1
    assert "This server has no store. (HTTP 404)" in result.output


def test_a_transceiver_is_told_to_drain(redis, run, server):
    announce(redis, attrs.evolve(ALPHA, control=server.url), RELAY)
    result = run("drain", "alpha")
    assert result.exit_code == 0, result.output
    assert "alpha drains: it had 7 calls" in result.output
    bearer = control_bearers(load_bundle(run.keys, Role.SIGNAL))[0]
    assert server.asked == [("/control/v1/drain", f"Bearer {bearer}")]


@pytest.mark.parametrize(
    ("node", "told"),
    [
        ("edge-1", "edge-1 is a relay, which has no calls to give away: stop it at any time"),
        ("gamma", "there is no node 'gamma'; the fleet has alpha, edge-1"),
        ("alpha", "alpha does not drain: http://127.0.0.1:1:"),
    ],
)
def test_what_cannot_drain_is_told_so(redis, run, node, told):
    announce(redis, ALPHA, RELAY)
    result = run("drain", node)
    assert result.exit_code == 1
    assert told in result.output


def test_who_has_no_certificate_for_a_transceiver_that_wants_one_is_told_which(redis, run):
    announce(redis, attrs.evolve(ALPHA, control="https://127.0.0.1:1"))
    result = run("drain", "alpha")
    assert result.exit_code == 1
    assert "name it with signal.control_certificate, signal.control_key and signal.control_ca" in result.output


def test_a_store_that_is_away_is_told(redis, tmp_path):
    path = tmp_path / "away.toml"
    path.write_text(f'[store]\nurl = "unix://{tmp_path}/none"\n')
    result = CliRunner().invoke(main, ["fleet", "--config", str(path)])
    assert result.exit_code == 1
    assert "the store cannot be asked" in result.output


@pytest.mark.parametrize("command", [["fleet"], ["drain", "alpha"]])
def test_without_a_store_the_right_key_is_named(command):
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 1
    assert "store.url is not set" in result.output
    result = CliRunner().invoke(main, command, env={"TRIO_VOICE_STORE_URL": "http://redis"})
    assert result.exit_code == 2
    assert "redis://HOST" in result.output
