"""Calls of Chromium's that may be disturbed: how they are placed, watched by the page, and hung up."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page

from .chromium import CALL
from .interruptions import DisturbedCall, Store
from .namespaces import ip
from .travelling import KEY, Journey

__all__ = ["disturbed_call", "kept", "place_call", "show_datagrams"]

_WATCH = """() => {
  const { pc, channel } = window.call;
  const seen = window.seen = { ice: [], connection: [], negotiations: 0, closed: false };
  pc.addEventListener("iceconnectionstatechange", () => seen.ice.push(pc.iceConnectionState));
  pc.addEventListener("connectionstatechange", () => seen.connection.push(pc.connectionState));
  pc.addEventListener("signalingstatechange", () => seen.negotiations++);
  channel.addEventListener("close", () => seen.closed = true);
}"""


@contextmanager
def disturbed_call(travelling: Journey, store: Store, page: Page) -> Iterator[DisturbedCall]:
    """Place a call with audio and a data channel, and wait until it is at rest; hangs up behind the block."""
    show_datagrams(travelling)
    location, source = place_call(page)
    call = DisturbedCall(travelling, store, page, location, source)
    with kept(call):
        yield call


def show_datagrams(travelling: Journey) -> None:
    """Have what is sent in segments be cut where it leaves, so that it is not seen as one long datagram."""
    for host in ("relay-a", "relay-b", "server"):
        ip("-n", travelling.names[host], "link", "set", "eth", "gso_max_segs", "1")


def place_call(page: Page, **options: object) -> tuple[str, bytes]:
    """Place a call with audio and a data channel; returns its location and the SSRC of what the client hears."""
    location = page.evaluate(CALL, {"key": KEY, "channel": True, **options})["location"]
    page.evaluate(_WATCH)
    source = page.evaluate("async () => (await window.call.stats())['inbound-rtp'].ssrc")
    return location, int(source).to_bytes(4, "big")


@contextmanager
def kept(call: DisturbedCall) -> Iterator[None]:
    """Let a call be at rest; hangs up behind the block."""
    try:
        time.sleep(2.0)
        yield
    finally:
        call.page.evaluate("() => window.call.pc.close()")
        for relay in tuple(call.successors):
            call.kill_relay(relay)
