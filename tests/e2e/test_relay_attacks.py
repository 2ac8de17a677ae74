"""The relay is flooded while a call goes on, and the call loses nothing.

Each flood has a stated rate, `RATE`: enough that what it costs shows in the relay's counters, and little enough that
two processors, which victim, attacker and servers share here, are not simply used up: what is shown is what the relay
does with each datagram, and not how fast the machine is. The relay's counters account for the flood to the datagram,
so none of it waited in a buffer that was full; the call's packets are counted by the caller and by the transceiver.

Once on loopback, and once between network namespaces with source addresses of the attacker's choosing.
"""

import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from relay.binding import BUFFER_SIZE

from .attack_arena import Arena, loopback_arena, namespace_arena
from .calling import PACKETS_A_SECOND, Counted, Flood, PacedCall

pytestmark = pytest.mark.e2e

RATE = 5000
SECONDS = 3.0
PACKETS = round(SECONDS * PACKETS_A_SECOND)
"""Of the call, at least."""
FAILURES, SAMPLE, WINDOW = 32, 8, 10.0  # of relay.budgets
SKB_SIZE = 1024
"""More than the kernel counts for a datagram of a hundred bytes."""
ICE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


@pytest.fixture(scope="module", params=["loopback", "namespaces"])
def arena(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    if request.param == "namespaces" and os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    make = namespace_arena if request.param == "namespaces" else loopback_arena
    with make(tmp_path_factory.mktemp("arena")) as arena:
        yield arena


@pytest.fixture
def victim(arena: Arena) -> Iterator[PacedCall]:
    with arena.call() as call:
        yield call


def flooded(
    arena: Arena, victim: PacedCall, sources: Sequence[tuple[str, int]], payloads: Sequence[bytes]
) -> tuple[Flood, Counter[str], Counted]:
    """Flood the relay beside a call; returns the flood, what the relay dropped, and what the call counted."""
    before = arena.drops()
    victim.begin()
    flood = arena.flood(sources, payloads, rate=RATE, seconds=SECONDS)
    sent = flood.wait()
    counted = victim.finish(at_least=PACKETS)
    dropped = arena.drops()
    dropped.subtract(before)
    assert sent > RATE * SECONDS / 2, "this machine was too busy for the flood"
    assert dropped["receive-buffer-full"] == dropped["send-buffer-full"] == 0
    return flood, +dropped, counted


def assert_budget_holds(reason: str, flood: Flood, dropped: Counter[str], failing: int) -> None:
    """Few are looked at closely, by the budget of those that fail and by lot; the rest is refused before that."""
    sent = flood.sent
    refused = dropped["source-budget"] + dropped["token-failures"]
    assert dropped[reason] + refused == sent
    windows = 1 + flood.seconds // WINDOW + 1
    assert dropped[reason] <= failing * FAILURES * windows + 1.3 * sent / SAMPLE
    assert refused > sent / 2


def test_forged_tokens(arena: Arena, victim: PacedCall) -> None:
    real = arena.credentials()
    weather = random.Random(1)
    sources = arena.sources(8)
    # As long as a real one and under a key that exists, so that only opening it tells.
    forged = [
        type(real)(ufrag=real.ufrag[:2] + "".join(weather.choices(ICE, k=len(real.ufrag) - 2)), password="p" * 32)
        for _ in range(256)
    ]
    flood, dropped, counted = flooded(arena, victim, sources, [each.request() for each in forged])
    arena.assert_nothing_lost(victim, counted)
    assert_budget_holds("forged-token", flood, dropped, failing=len(sources))


def test_valid_tokens_with_bad_integrity(arena: Arena, victim: PacedCall) -> None:
    real = arena.credentials()
    sources = arena.sources(8)
    guesses = [type(real)(ufrag=real.ufrag, password=f"{number:032}").request() for number in range(256)]
    flood, dropped, counted = flooded(arena, victim, sources, guesses)
    arena.assert_nothing_lost(victim, counted)
    assert_budget_holds("bad-integrity", flood, dropped, failing=1)  # their session, wherever they come from
    assert dropped["token-failures"] > 0


def test_valid_tokens_from_many_sources(arena: Arena, victim: PacedCall) -> None:
    real = arena.credentials()
    flows, events = arena.flows(), arena.events()
    sources = arena.sources(1000)
    flood, dropped, counted = flooded(arena, victim, sources, [real.request() for _ in range(997)])
    arena.assert_nothing_lost(victim, counted)
    # Eight addresses at a time and four new ones a second; only what comes from these goes on.
    assert arena.flows() <= flows + 8
    claimed = (arena.events() - events)["claimed"]
    assert 1 <= claimed <= 4 * (flood.seconds + 2)
    refused = dropped["token-rate"] + dropped["token-addresses"]
    assert flood.sent - refused <= 8 * flood.sent / len(sources) + claimed + 8
    assert set(dropped) <= {"token-rate", "token-addresses", "unsendable"}


@pytest.mark.parametrize(
    "payload",
    [b"\x80\x6f" + bytes(170), b"\x16\xfe\xfd" + bytes(100), b"\x01\x01\x00\x00\x21\x12\xa4\x42" + bytes(12)],
    ids=["rtp", "dtls", "stun-response"],
)
def test_what_makes_no_flow_from_unknown_addresses(arena: Arena, victim: PacedCall, payload: bytes) -> None:
    claimed = arena.events()["claimed"]
    flood, dropped, counted = flooded(arena, victim, arena.sources(500), [payload])
    arena.assert_nothing_lost(victim, counted)
    assert dropped == {"no-flow": flood.sent}
    assert arena.events()["claimed"] == claimed


def test_bursts(arena: Arena, victim: PacedCall) -> None:
    """As many datagrams at once as half of the receive buffer holds, which is what a relay that is busy lives off."""
    granted = 2 * min(BUFFER_SIZE, int(Path("/proc/sys/net/core/rmem_max").read_text()))
    burst = min(4000, granted // SKB_SIZE // 2)
    before = arena.drops()
    victim.begin()
    sent = 0
    for _ in range(3):
        sent += arena.flood(arena.sources(10), [b"\x80\x6f" + bytes(98)], rate=100 * burst, seconds=0.01).wait()
    counted = victim.finish(at_least=5)
    assert sent == 3 * burst
    arena.assert_nothing_lost(victim, counted)
    assert arena.drops() - before == {"no-flow": sent}


def test_a_call_begins_while_others_flood(arena: Arena, victim: PacedCall) -> None:
    real = arena.credentials()
    guesses = [type(real)(ufrag=real.ufrag, password=f"{number:032}").request() for number in range(256)]
    flood = arena.flood(arena.sources(200), guesses, rate=RATE, seconds=2 * SECONDS)
    victim.begin()
    with arena.call() as second:
        counted = second.for_a_while(1.0)
        arena.assert_nothing_lost(second, counted)
    assert flood.wait()
    arena.assert_nothing_lost(victim, victim.finish(at_least=PACKETS))
