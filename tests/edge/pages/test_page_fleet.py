"""The map of the fleet: what the server says is what is shown, and what it does not say any more is told."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
import pytest
from playwright.sync_api import expect

from edge.http.static import PAGE_HEADERS, read_static_files

pytestmark = pytest.mark.e2e

PAGES = read_static_files(Path(__file__).parents[3] / "edge" / "pages")
REGIONS = (
    ("us-east", 39, -77, 412, 600),
    ("us-west", 46, -120, 160, 600),
    ("sa-east", -24, -47, 88, 200),
    ("eu-west", 53, -6, 240, 600),
    ("eu-central", 50, 9, 371, 400),
    ("af-south", -34, 18, 0, 0),
    ("ap-south", 19, 73, 290, 300),
    ("ap-northeast", 36, 140, 204, 400),
    ("ap-australia", -34, 151, 51, 200),
)
CALLERS = (
    (41, -74, "us-east", 9, 21.0),
    (26, -80, "us-east", 4, 48.2),
    (34, -118, "us-west", 7, 35.0),
    (19, -99, "us-east", 3, 71.0),
    (-35, -58, "sa-east", 2, 64.0),
    (-23, -43, "sa-east", 5, 18.0),
    (52, 0, "eu-west", 8, 17.0),
    (49, 2, "eu-central", 6, 22.0),
    (41, 29, "eu-central", 4, 58.0),
    (6, 3, "eu-west", 3, 132.0),
    (-26, 28, "eu-west", 2, 171.0),
    (29, 77, "ap-south", 9, 41.0),
    (1, 104, "ap-south", 3, 88.0),
    (35, 136, "ap-northeast", 6, 19.0),
    (37, 127, "ap-northeast", 4, None),
    (-38, 145, "ap-australia", 2, 24.0),
    (None, None, "eu-west", 1, 12.0),
)


def make_state() -> dict[str, Any]:
    regions = [
        {
            "name": name,
            "latitude": latitude,
            "longitude": longitude,
            "calls": calls,
            "max_calls": room,
            "transceivers": 2,
            "ready": 2 if room else 0,
            "draining": name == "us-west",
            "health": "callers of 23 networks lose 5.0% in the region" if name == "ap-south" else None,
            "health_ms": 100.2 if name == "ap-south" else 0,
        }
        for name, latitude, longitude, calls, room in REGIONS
    ]
    transceivers = [
        {
            "name": f"http://10.{number}.0.{member}:7080",
            "region": name,
            "calls": calls // 2,
            "max_calls": room // 2,
            "ready": bool(room),
            "reason": None if room else "no status within 2 seconds",
            "back_seconds": 12 if name == "ap-australia" else None,
            "health": "answers from it to relays take 40 ms" if (name, member) == ("sa-east", 2) else None,
            "health_ms": 40,
        }
        for number, (name, _, _, calls, room) in enumerate(REGIONS)
        for member in (1, 2)
    ]
    ingresses = [
        {
            "id": 2 * number + relay,
            "address": f"203.0.113.{2 * number + relay}:3478",
            "protocol": "udp",
            "region": name,
            "healthy": bool(room) or relay == 1,
            "draining": False,
            "reason": None if room or relay == 1 else "no heartbeat for 6 s",
            "health": "3.0% of PINGs from its relay are lost" if (name, relay) == ("eu-west", 1) else None,
            "health_ms": 60,
        }
        for number, (name, _, _, _, room) in enumerate(REGIONS)
        for relay in (1, 2)
    ]
    names = ("latitude", "longitude", "region", "calls", "round_trip_ms")
    callers = [dict(zip(names, each, strict=True)) | {"seconds_ago": 5} for each in CALLERS]
    return {"regions": regions, "transceivers": transceivers, "ingresses": ingresses, "callers": callers}


EXPLANATION = {
    "address": "203.0.113.7",
    "network": "203.0.113.0/24",
    "location": {"latitude": 40.7, "longitude": -74, "why": "database entry of 203.0.113.7"},
    "country": "US",
    "country_why": "database entry of 203.0.113.7",
    "residency": None,
    "transceivers": [
        {"name": "a", "rank": 1, "score_ms": 15.6, "why": "a in us-east: 351 km from the caller, about 16 ms."},
        {"name": "b", "rank": None, "score_ms": 91.8, "why": "b in eu-west: takes no calls, draining."},
    ],
    "ingresses": [{"name": "ingress 1", "rank": 1, "score_ms": 15.6, "why": "ingress 1 in us-east: near."}],
    "tcp_ingresses": [],
}


@attrs.define
class FakeSignal:
    """A signal server whose fleet a test makes up."""

    url: str = ""
    state: dict[str, Any] = attrs.field(factory=make_state)
    key: str = ""
    is_broken: bool = False
    asked: list[str] = attrs.field(factory=list)

    def answer(self, path: str, authorization: str) -> tuple[int, bytes, str]:
        self.asked.append(path)
        name = urlsplit(path).path.removeprefix("/")
        if name in {"fleet/state", "fleet/where"}:
            if self.is_broken:
                return 500, b"", "text/plain"
            if self.key and authorization != f"Bearer {self.key}":
                return 401, b"{}", "application/json"
            content = self.state if name == "fleet/state" else EXPLANATION
            return 200, json.dumps(content).encode(), "application/json"
        file = PAGES.get("fleet.html" if name == "fleet" else name)
        return (404, b"", "text/plain") if file is None else (200, file.body, file.media_type)


@pytest.fixture
def signal() -> Iterator[FakeSignal]:
    fake = FakeSignal()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body, media_type = fake.answer(self.path, self.headers.get("Authorization", ""))
            self.send_response(status)
            for name, value in (*PAGE_HEADERS, ("Content-Type", media_type), ("Content-Length", str(len(body)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        fake.url = f"http://127.0.0.1:{server.server_port}/fleet"
        yield fake
        server.shutdown()
        thread.join()


def test_the_map_shows_regions_relays_calls_and_round_trips(signal: FakeSignal, open_page) -> None:
    page = open_page(signal.url)
    expect(page.locator("[data-total=calls]")).to_have_text("1,814")
    expect(page.locator("[data-total=transceivers]")).to_have_text("16 of 18")
    expect(page.locator("[data-total=ingresses]")).to_have_text("17 of 18")
    expect(page.locator("[data-total=roundTrip]")).to_have_text("41 ms")
    expect(page.get_by_role("status")).to_have_text("2 of 18 transceivers take no calls.")
    expect(page.locator("#map .region")).to_have_count(9)
    expect(page.locator("#map .region[data-tone=bad]")).to_have_attribute("data-region", "af-south")
    expect(page.locator("#map .region[data-tone=draining]")).to_have_attribute("data-region", "us-west")
    expect(page.locator("#map .region[data-tone=ailing]")).to_have_attribute("data-region", "ap-south")
    expect(page.locator("#map .relay[data-tone=ailing]")).to_have_count(1)
    expect(page.locator("#map .region .relay")).to_have_count(18)
    expect(page.locator("#map .relay[data-tone=bad]")).to_have_count(1)
    expect(page.locator("#map .caller")).to_have_count(16)  # nobody knows where the seventeenth is
    tones = {
        tone: page.locator(f"#map .way[data-tone={tone}]").count() for tone in ("near", "middling", "far", "unmeasured")
    }
    assert tones == {"near": 10, "middling": 4, "far": 1, "unmeasured": 1}
    row = page.locator("#regions tr", has_text="eu-central")
    expect(row).to_contain_text("371 of 400")
    expect(row).to_contain_text("93 %")
    row = page.locator("#regions tr", has_text="ap-south")
    expect(row).to_contain_text("callers of 23 networks lose 5.0% in the region (+100 ms)")
    expect(page.locator("#transceivers tr", has_text="10.2.0.2")).to_contain_text(
        "ready; answers from it to relays take 40 ms (+40 ms)"
    )
    expect(page.locator("#ingresses tr", has_text="203.0.113.7:")).to_contain_text(
        "in answers; 3.0% of PINGs from its relay are lost (+60 ms)"
    )
    expect(page.locator("#transceivers tr", has_text="10.8.0.1")).to_contain_text("ready, back for 12 s")
    expect(page.locator("#ingresses")).to_contain_text("no heartbeat for 6 s")


def test_what_changes_is_shown_and_a_silent_server_is_told(signal: FakeSignal, open_page) -> None:
    page = open_page(signal.url, expect_errors=True)
    expect(page.locator("#map .region-load").first).to_be_attached()
    for each in signal.state["transceivers"]:
        each["ready"] = True
    signal.state["callers"].clear()
    expect(page.get_by_role("status")).to_have_text("All transceivers take calls.")
    expect(page.locator("#map .caller")).to_have_count(0)
    signal.is_broken = True
    expect(page.get_by_role("status")).to_contain_text("gives no answer")
    expect(page.locator("#map .region")).to_have_count(9)
    signal.is_broken = False
    expect(page.get_by_role("status")).to_have_text("All transceivers take calls.")


def test_a_server_with_keys_is_shown_one(signal: FakeSignal, open_page) -> None:
    signal.key = "let-me-in"
    page = open_page(signal.url, expect_errors=True)
    expect(page.get_by_role("status")).to_contain_text("wants an API key")
    for key, words in (("wrong", "does not know this key"), ("let-me-in", "2 of 18 transceivers")):
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Use key").click()
        expect(page.get_by_role("status")).to_contain_text(words)
    expect(page.get_by_label("API key")).to_be_hidden()


def test_a_choice_is_explained(signal: FakeSignal, open_page) -> None:
    page = open_page(signal.url)
    page.get_by_label("IP address").fill("203.0.113.7")
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("#explanation li")).to_have_count(3)
    expect(page.locator("#explanation")).to_contain_text("203.0.113.7 is at 40.7, -74, by: database entry")
    expect(page.locator("#explanation [data-left-out]")).to_contain_text("takes no calls, draining")
    assert "/fleet/where?ip=203.0.113.7" in signal.asked


def test_a_fleet_without_places_is_told_in_words(signal: FakeSignal, open_page) -> None:
    signal.state = {"regions": [], "transceivers": [], "ingresses": [], "callers": []}
    page = open_page(signal.url)
    expect(page.locator("#regions")).to_contain_text("No region is configured")
    expect(page.locator("[data-total=load]")).to_have_text("\N{EN DASH}")


def test_a_phone_never_scrolls_sideways(signal: FakeSignal, open_page) -> None:
    page = open_page(signal.url, viewport={"width": 390, "height": 844})
    expect(page.locator("#map .region")).to_have_count(9)
    assert page.evaluate("() => document.scrollingElement.scrollWidth - window.innerWidth") <= 0


def test_the_real_edge_shows_its_own_fleet(real_edge: str, open_page) -> None:
    page = open_page(real_edge + "fleet")
    expect(page.get_by_role("status")).to_have_text("All transceivers take calls.")
    expect(page.locator("[data-total=transceivers]")).to_have_text("1 of 1")
    page.get_by_label("IP address").fill("192.0.2.1")
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("#explanation li").first).to_contain_text("nobody tells where the caller is")
