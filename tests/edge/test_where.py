"""`trio-voice where` explains a choice, from the configuration alone or by asking a server."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge.cli import main

CONFIG = """
[signal]
region = "eu-west"
transceivers = ["http://10.0.0.3:7080@eu-west", "http://10.1.0.3:7080@us-east"]
ingresses = ["1=203.0.113.5:3478@eu-west", "2=tcp:203.0.113.6:443@eu-west", "3=198.51.100.5:3478@us-east"]
regions = ["eu-west=53.35/-6.26", "us-east=39.04/-77.49"]
location_database = "%s"
api_keys = ["one", "two"]
residency = [
  {countries = ["US"], models = ["bank-*"], regions = ["eu-west"]},
  {api_keys = ["two"], regions = ["eu-west"]},
]
"""


@pytest.fixture
def where(monkeypatch: pytest.MonkeyPatch):
    for name in ("TRIO_VOICE_CONFIG", "TRIO_VOICE_ROLE", "TRIO_VOICE_KEYS", "TRIO_VOICE_KEY"):
        monkeypatch.delenv(name, raising=False)

    def invoke(*arguments: str | Path, code: int = 0) -> Result:
        result = CliRunner().invoke(main, ["where", *map(str, arguments)])
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    return invoke


@pytest.fixture
def config(tmp_path: Path, mmdb_file) -> Path:
    places = tmp_path / "places.mmdb"
    new_york = {"location": {"latitude": 40.71, "longitude": -74.0}, "country": {"iso_code": "US"}}
    places.write_bytes(mmdb_file.write_mmdb({"203.0.113.0/24": new_york}))
    path = tmp_path / "signal.toml"
    path.write_text(CONFIG % places)
    return path


def test_the_nearest_is_chosen_and_every_term_is_told(where, config: Path) -> None:
    output = where("203.0.113.9", "--config", config).output
    assert output.splitlines()[0].startswith("By the configuration alone")
    assert "203.0.113.9 (network 203.0.113.0/24)" in output
    assert "40.71, -74, by: database entry of 203.0.113.9" in output
    assert "country    US, by: database entry" in output
    assert "  1.     15.6 ms = round trip 15.6\n      http://10.1.0.3:7080 in us-east: 351 km from" in output
    assert "  2.     91.8 ms = round trip 91.8\n      http://10.0.0.3:7080 in eu-west: 5115 km from" in output
    assert "ingress 3 in us-east" in output
    assert "Relay addresses for TCP:" in output


def test_a_rule_of_residency_is_told(where, config: Path) -> None:
    output = where("203.0.113.9", "--config", config, "--model", "bank-1").output
    assert "residency  callers from US with the model bank-1 only in eu-west" in output
    assert "—      15.6 ms = round trip 15.6; forbidden" in output
    assert "http://10.1.0.3:7080 in us-east: forbidden: callers from US with the model bank-1 only in eu-west" in output


def test_a_rule_for_a_key_is_told_to_who_shows_it(where, config: Path) -> None:
    assert "residency  this API key only in eu-west" in where("203.0.113.9", "--config", config, "--key", "two").output
    assert "no rule applies" in where("203.0.113.9", "--config", config, "--key", "one").output


def test_a_caller_of_whom_nothing_is_known_is_where_it_was_heard(where, config: Path) -> None:
    explanation = json.loads(where("198.51.100.1", "--config", config, "--json").output)
    why = "the region eu-west, which took the request"
    assert explanation["location"] == {"latitude": 53.35, "longitude": -6.26, "why": why}
    assert (explanation["country"], explanation["residency"]) == (None, None)
    first = explanation["transceivers"][0]
    assert (first["name"], first["region"], first["rank"]) == ("http://10.0.0.3:7080", "eu-west", 1)
    assert (first["standing"], first["terms_ms"]) == ("usable", {"round trip": 10.0})
    ingresses = [(each["name"], each["rank"]) for each in explanation["ingresses"]]
    assert ingresses == [("ingress 1", 1), ("ingress 3", 2)]


def test_without_a_file_it_is_the_server_of_one_process(where) -> None:
    output = where("127.0.0.1").output
    assert "the transceiver of the same process" in output
    assert "ingress 1" in output
    assert "nobody knows: set signal.location_database" in output


def test_what_is_wrong_is_told(where, config: Path, tmp_path: Path) -> None:
    assert "'nowhere' is no IP address" in where("nowhere", code=2).output
    assert "is no URL of a server" in where("192.0.2.1", "--url", "example.com", code=1).output
    assert "cannot be reached" in where("192.0.2.1", "--url", "http://127.0.0.1:1", code=1).output
    (tmp_path / "places.mmdb").write_bytes(b"nothing")
    assert "signal.location_database: " in where("192.0.2.1", "--config", config, code=1).output
    assert "problem" in where("192.0.2.1", "--config", tmp_path / "places.mmdb", code=2).output


class Server(BaseHTTPRequestHandler):
    """Answers as a signal server does that wants a key."""

    def do_GET(self) -> None:
        is_known = self.headers["Authorization"] == "Bearer secret"
        body: object = {"error": {"message": "Show a key.", "code": "invalid_api_key"}}
        if is_known:
            body = {
                "address": self.path,
                "network": "n",
                "location": None,
                "country": None,
                "country_why": None,
                "residency": None,
                "transceivers": [],
                "ingresses": [],
                "tcp_ingresses": [],
            }
        self.send_response(200 if is_known else 401)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_running_server_is_asked_with_the_operators_key(where, url: str) -> None:
    asked = ("2001:DB8::1", "--url", url, "--model", "bank-1")
    output = where(*asked, "--key", "secret").output
    assert output.splitlines()[0] == "/fleet/where?ip=2001%3Adb8%3A%3A1&model=bank-1 (network n)"
    assert "No transceiver is configured." in output
    assert "does not tell: Show a key. (HTTP 401)" in where(*asked, "--key", "wrong", code=1).output
