"""What is done to a fleet while stock Chromium calls it, with an echo and with a backend in another process.

Once each; `python -m bench --only chromium` does it ten times, and has the limits that a quiet machine keeps. The page
does nothing to help.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from playwright.sync_api import Page, Playwright

from .chromium import chromium_page
from .conversing import (
    BACKEND,
    SECTION,
    Conversed,
    ConversingCall,
    NumberingBackend,
    SpokenCost,
    conversing_call,
    numbering_backend,
)
from .costs import Cost
from .interruptions import DisturbedCall, Store
from .placing import disturbed_call
from .travelling import Journey, journey

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]

NAMES = ["alpha", "beta"]
MOST_FRAMES = 2
AUDIO_BACK_MS, FENCED_MS = 1000, 3000
RECORDED_SECONDS = 2.0
"""After which what was said is in the store."""
LATE_RECORD_MS = 5000
"""The same on a busy machine, for what was said before a death."""


@pytest.fixture(scope="module")
def store(redis_server: ModuleType) -> Iterator[Store]:
    with redis_server.redis_server() as store:
        yield store


@pytest.fixture(scope="module")
def travelling(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    folder = tmp_path_factory.mktemp("journey")
    with journey(
        folder, store_url=store.url, transceivers=NAMES, backends=BACKEND, section=SECTION, relays_first=True
    ) as travelling:
        yield travelling


@pytest.fixture(scope="module")
def backend(travelling: Journey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NumberingBackend]:
    with numbering_backend(travelling, tmp_path_factory.mktemp("backend")) as backend:
        yield backend


@pytest.fixture(scope="module")
def page(travelling: Journey, playwright: Playwright, tone_wav: Path) -> Iterator[Page]:
    with chromium_page(playwright, tone_wav, travelling.edge.signal_url, namespace=travelling.client) as page:
        yield page


@pytest.fixture(scope="module", params=["echo", "realtime"])
def placed(
    request: pytest.FixtureRequest, travelling: Journey, store: Store, backend: NumberingBackend, page: Page
) -> Iterator[DisturbedCall]:
    if request.param == "echo":
        with disturbed_call(travelling, store, page) as call:
            yield call
            call.start_own_relay()
    else:
        with conversing_call(travelling, store, page, backend) as conversation:
            yield conversation


@pytest.fixture
def call(placed: DisturbedCall) -> DisturbedCall:
    """A call that says numbers and hears the backend speak, if there is one, with two transceivers for it."""
    if isinstance(placed, ConversingCall):
        placed.begin()
    began = time.monotonic()
    for name in placed.travelling.missing():
        placed.start(name)
    placed.owner_with_record()
    time.sleep(max(0.0, began + RECORDED_SECONDS - time.monotonic()))
    return placed


def count(call: DisturbedCall, happening: Callable[[], object], seconds: float) -> Cost:
    cost = call.count(happening, seconds)
    print(cost)
    assert cost.browser["troubles"] == 0
    assert min(cost.up.left, cost.down.left) >= 40
    return cost


def finish(call: DisturbedCall) -> Conversed | None:
    """Let a conversation come to an end; its next turn is answered, and it was told of no error."""
    if not isinstance(call, ConversingCall):
        return None
    conversed = call.finish()
    print(conversed)
    assert (conversed.errors, conversed.is_answered) == (0, True)
    return conversed


def assert_excused(conversed: Conversed) -> None:
    """Nothing was lost but what is said at a death."""
    assert conversed.events.broken == 0
    assert conversed.events.oldest_lost_ms <= LATE_RECORD_MS


def test_the_transceiver_is_drained_and_then_the_relay_replaced(call: DisturbedCall) -> None:
    owner = call.owner()
    drained = count(call, lambda: call.start_draining(owner), 1.0)
    frames = drained.missing + (drained.unheard if isinstance(drained, SpokenCost) else 0)
    assert frames <= MOST_FRAMES
    call.hush()
    call.wait_for_end(owner)
    call.speak()
    call.edge.start(owner)
    replaced = count(call, call.reload_relay, 1.0)
    assert frames + replaced.frames <= MOST_FRAMES
    call.wait("the transceiver is back", lambda: call.is_ready(owner))
    if conversed := finish(call):
        assert conversed.events.wrong == 0


def test_the_transceiver_is_killed(call: DisturbedCall) -> None:
    owner = call.owner()
    assert count(call, lambda: call.kill(owner), 2.0).gap_ms <= AUDIO_BACK_MS
    assert call.owner() != owner
    if conversed := finish(call):
        assert_excused(conversed)


def test_the_transceiver_is_paused_and_resumed(call: DisturbedCall) -> None:
    owner = call.owner()
    cost = count(call, lambda: call.pause(owner), 1.0)
    assert (cost.senders, cost.reused) == (2, 0)
    assert cost.gap_ms <= FENCED_MS
    assert call.owner() != owner
    ended = call.edge.counted(call.edge.servers[owner].health, "trio_voice_transceiver_events_total")
    assert ended["ended-fenced"] == 1
    if conversed := finish(call):
        assert_excused(conversed)


def test_redis_is_started_again(call: DisturbedCall) -> None:
    cost = count(call, call.restart_store, 1.0)
    assert cost.missing == cost.frames == 0
    if conversed := finish(call):
        assert conversed.events.wrong == 0
