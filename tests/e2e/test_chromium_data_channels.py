"""Chromium's dcSCTP and our stack, in a network that loses a tenth, repeats and reorders, each way."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from sctp.channel import Channel

from .channel_peer import BAD, FAIR, ChannelPeer, Weather, channel_peer
from .page_server import serve_pages

pytestmark = pytest.mark.e2e

LARGEST = 262_144  # bytes of a message, in the offer and in the answer
SIZES = (0, 1, 2, 3, 1150, 1172, 1200, 16_384, 65_535, 65_536, LARGEST)
Connect = Callable[..., tuple[Page, ChannelPeer]]


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with serve_pages() as origin:
        yield origin


@pytest.fixture
def connect(chromium: Browser, origin: str) -> Iterator[Connect]:
    """Connect a page and a peer, in bad weather from the first packet on; behind the test both are gone."""
    context = chromium.new_context()

    def connect_one(weather: Weather = BAD, *, seed: int = 1, setup: str = "actpass") -> tuple[Page, ChannelPeer]:
        page = context.new_page()
        page.goto(f"{origin}/channels.html")
        peer = stack.enter_context(channel_peer(weather, seed=seed))
        answer = peer.answer(page.evaluate("makeOffer", {"setup": setup}))
        assert ("a=setup:active" in answer) == (setup == "actpass")
        page.evaluate("takeAnswer", answer)
        return page, peer

    with contextlib.ExitStack() as stack:
        stack.callback(context.close)
        yield connect_one


def sums(messages: list[dict[str, Any]]) -> list[str]:
    return [message["sum"] for message in messages]


def exchange(page: Page, label: str, wanted: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
    return page.evaluate("exchange", {"label": label, "wanted": wanted, "seed": 1, **options})


@pytest.mark.parametrize(("setup", "seed"), [("actpass", 1), ("active", 2)], ids=["DTLS client", "DTLS server"])
def test_messages_of_all_sizes_come_back_equal(connect: Connect, setup: str, seed: int) -> None:
    page, peer = connect(setup=setup, seed=seed)
    wanted = [{"kind": kind, "size": size} for size in SIZES for kind in ("text", "bytes")]
    done = exchange(page, "sizes", wanted)
    assert [{"kind": message["kind"], "size": message["size"]} for message in done["sent"]] == wanted
    assert peer.received["sizes"] == sums(done["sent"])
    assert done["heard"] == done["sent"]
    assert peer.counts["lost"] > 50
    assert not peer.counts["not echoed"]


def send_numbered(page: Page, label: str, *, is_complete: bool = True, **scene: Any) -> list[int]:
    """Send messages that are numbered; return the numbers of those that came back."""
    quiet = 30_000 if is_complete else 2000
    done = page.evaluate("sendNumbered", {"label": label, "quietMs": quiet, **scene})
    assert done["strangers"] == 0
    return done["numbers"]


def channel_of(peer: ChannelPeer, label: str) -> Channel:
    return next(event.channel for event in peer.opened if event.channel.label == label)


def test_an_ordered_channel_keeps_its_order(connect: Connect) -> None:
    page, peer = connect()
    assert send_numbered(page, "ordered", count=300, size=500, everyMs=1) == list(range(300))
    assert len(set(peer.received["ordered"])) == 300


def test_an_unordered_channel_is_complete_and_does_not_wait(connect: Connect) -> None:
    page, peer = connect()
    numbers = send_numbered(page, "unordered", options={"ordered": False}, count=300, size=500, everyMs=1)
    assert sorted(numbers) == list(range(300))
    assert numbers != list(range(300))
    assert not channel_of(peer, "unordered").ordered


@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "unordered"])
@pytest.mark.parametrize("limit", [{"maxRetransmits": 0}, {"maxPacketLifeTime": 40}], ids=["retransmits", "lifetime"])
def test_a_limited_channel_loses_and_never_corrupts(connect: Connect, limit: dict[str, int], ordered: bool) -> None:
    """Both sides give messages up; those of two packets are whole or not there."""
    page, peer = connect()
    options = {"ordered": ordered, **limit}
    scene = {"options": options, "count": 150, "size": 1500, "everyMs": 20}
    numbers = send_numbered(page, "limited", is_complete=False, **scene)
    assert 10 < len(numbers) < 150
    assert len(set(numbers)) == len(numbers)
    if ordered:
        assert numbers == sorted(numbers)
    # What is missing was lost on both ways.
    assert len(numbers) < len(peer.received["limited"]) < 150
    channel = channel_of(peer, "limited")
    assert (channel.ordered, channel.max_retransmits) == (ordered, limit.get("maxRetransmits"))
    assert channel.lifetime == (0.04 if "maxPacketLifeTime" in limit else None)
    # The reliable channel beside it has not suffered.
    assert send_numbered(page, "reliable", count=20, size=3000) == list(range(20))


def test_a_thousand_channels_opened_and_closed(connect: Connect) -> None:
    """In waves, so that identifiers are used again."""
    page, peer = connect()
    identifiers: set[int] = set()
    for number in range(10):
        wave = page.evaluate("openAndClose", {"label": f"wave {number}", "count": 100})
        assert (wave["states"], wave["errors"]) == (["closed"], [])
        assert len(set(wave["ids"])) == 100
        identifiers.update(wave["ids"])
    assert len(identifiers) <= 200
    labels = [event.channel.label for event in peer.opened if event.channel.label != "control"]
    assert sorted(labels) == sorted(f"wave {number} {n}" for number in range(10) for n in range(100))
    assert all(len(peer.received[label]) == 1 for label in labels)
    peer.wait_until("every end is told", lambda: len(peer.closed) == 1000)
    peer.wait_until("every identifier is free", lambda: len(peer.held_identifiers) == 1)
    assert [channel.label for channel in peer.channels.values()] == ["control"]


@pytest.mark.parametrize(("setup", "parity"), [("actpass", 0), ("active", 1)], ids=["DTLS client", "DTLS server"])
def test_channels_that_we_open_and_close(connect: Connect, setup: str, parity: int) -> None:
    page, peer = connect(setup=setup)
    wishes = {
        "plain": {},
        "named": {"protocol": "json", "ordered": False},
        "retransmits": {"max_retransmits": 3},
        "timed": {"lifetime": 0.25, "ordered": False},
    }
    opened = {label: peer.open(label, **wish) for label, wish in wishes.items()}
    assert all(channel_id % 2 == parity for channel_id in opened.values())
    for label, wish in wishes.items():
        assert page.evaluate("describeArrived", {"label": label}) == {
            "id": opened[label],
            "protocol": wish.get("protocol", ""),
            "ordered": wish.get("ordered", True),
            "maxRetransmits": wish.get("max_retransmits"),
            "maxPacketLifeTime": 250 if "lifetime" in wish else None,
            "negotiated": False,
        }
    messages = ["text", b"bytes", "", b"", "é" * (LARGEST // 2), peer.chance.randbytes(LARGEST)]
    for message in messages:
        peer.send(opened["plain"], message)
    expected = [
        {"kind": kind, "size": len(data), "sum": hashlib.sha256(data).hexdigest()}
        for kind, data in (("text", m.encode()) if isinstance(m, str) else ("bytes", m) for m in messages)
    ]
    assert peer.buffered_amount(opened["plain"]) > LARGEST
    assert page.evaluate("messagesOn", {"label": "plain", "count": len(messages)}) == expected
    peer.wait_until("nothing waits", lambda: peer.buffered_amount(opened["plain"]) == 0)

    for channel_id in opened.values():
        peer.close_channel(channel_id)
    for label in wishes:
        assert page.evaluate("waitForClose", {"label": label}) == {"state": "closed", "errors": []}
    peer.wait_until("the browser has closed them, too", lambda: sorted(peer.closed) == sorted(opened.values()))
    # The first identifier is used again, by a channel of which nobody knows what the one before was.
    assert peer.open("again", protocol="other") == opened["plain"]
    assert page.evaluate("describeArrived", {"label": "again"})["protocol"] == "other"


def test_a_channel_that_both_know_of(connect: Connect) -> None:
    page, peer = connect()
    peer.open("agreed", negotiated_id=7)
    options = {"negotiated": True, "id": 7}
    assert send_numbered(page, "agreed", options=options, count=20, size=3000) == list(range(20))
    assert channel_of(peer, "agreed").is_negotiated
    # Nothing was opened in its place.
    peer.wait_until("the other channel has come", lambda: len(peer.opened) > 1)
    assert sorted(event.channel.label for event in peer.opened) == ["agreed", "control"]


def test_what_waits_in_the_browser_becomes_nothing(connect: Connect) -> None:
    page, peer = connect()
    done = page.evaluate("fillBuffer", {"label": "full", "size": 50_000, "count": 12})
    assert done["highest"] > 400_000
    assert 0 <= done["lowAt"] <= 50_000
    assert len(peer.received["full"]) == 12


def test_the_end_of_the_connection_is_noticed(connect: Connect) -> None:
    page, peer = connect()
    peer.wait_until("the channel has come", lambda: bool(peer.channels))
    # The one datagram that says goodbye is sent once; if it is lost, consent has to run out.
    peer.weather = FAIR
    page.evaluate("call.pc.close()")
    peer.wait_until("the session has ended", lambda: peer.closing is not None)
    assert peer.closing.reason == "close-notify"
    assert not peer.channels
