"""Somebody who can write any source address, and has valid calls of his own, goes for another's call.

Between network namespaces, with a raw socket. At 50 and 200 datagrams a second: the point is not how many there are.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from .attack_arena import BYSTANDER, VICTIM, Arena, namespace_arena
from .calling import PACKETS_A_SECOND
from .sniffing import sniffing

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]

SECONDS = 7.0  # more than an unproven claim lives
PACKETS = round(SECONDS * PACKETS_A_SECOND)
RTP = b"\x80\x6f" + bytes(100)


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with namespace_arena(tmp_path_factory.mktemp("arena")) as arena:
        yield arena


def media_of(arena: Arena, location: str) -> dict[str, int]:
    """What a call's session has got besides checks, by what it made of it."""
    state = arena.edge.call_state(location)
    assert state is not None
    return {reason: count for reason, count in state["drops"].items() if not reason.startswith("ice.")}


def test_a_call_is_not_stolen_by_who_spoofs_its_address(arena: Arena) -> None:
    """Checks with tokens of the attacker's own calls, from the victim's address and port, for seconds."""
    with arena.call() as victim:
        thieves = [arena.credentials() for _ in range(3)]
        checks = [thief.request() for _ in range(100) for thief in thieves]
        victim.begin()
        flood = arena.flood([(VICTIM, victim.port)], [*checks, RTP, b"\x16junk"], rate=200, seconds=SECONDS)
        assert flood.wait() > 100 * SECONDS
        counted = victim.finish(at_least=PACKETS)
        arena.assert_nothing_lost(victim, counted)
        assert arena.source_of(victim) == (VICTIM, victim.port)
        # No session of the thief's has heard a packet of the victim's.
        assert [media_of(arena, thief.location) for thief in thieves] == [{}, {}, {}]


def test_a_caller_is_not_locked_out_by_who_has_claimed_his_address_before(arena: Arena) -> None:
    """Both places at the victim's address are taken, and kept, by an attacker's sessions before the victim calls."""
    port = 41234
    thieves = [arena.credentials() for _ in range(2)]
    checks = [thief.request() for _ in range(100) for thief in thieves]
    claimed = arena.events()["claimed"]
    flood = arena.flood([(VICTIM, port)], checks, rate=50, seconds=SECONDS + 4)
    arena.edge.wait_until("both places are taken", lambda: arena.events()["claimed"] >= claimed + 2)
    with arena.call(port=port) as victim:
        assert victim.port == port
        counted = victim.for_a_while(SECONDS - 2)
        arena.assert_nothing_lost(victim, counted)
        # The caller was routed by its own token while it had no claim.
        assert arena.events()["unclaimed"] >= 1
        flood.wait()


def test_replayed_checks_move_nothing_and_bring_nobody_traffic(arena: Arena) -> None:
    """Checks that were overheard are sent again: from the attacker's address, and as if from a bystander's."""
    with ExitStack() as stack:
        overheard = stack.enter_context(sniffing(arena.names["victim"]))
        victim = stack.enter_context(arena.call())

        def checks_seen() -> list[bytes]:
            sent = overheard.between((VICTIM, victim.port), arena.relay)
            return [data for data in sent if data[:2] == b"\x00\x01"]

        checks = arena.edge.wait_until(
            "the first checks and one of consent", lambda: seen if len(seen := checks_seen()) >= 3 else None, 20
        )
        at_bystander = stack.enter_context(sniffing(arena.names["bystander"]))
        victim.begin()
        own = arena.sources(8)  # these lead to the bystander, too
        flood = arena.flood([*own, (BYSTANDER, 9)], checks, rate=50, seconds=SECONDS)
        sent = flood.wait()
        counted = victim.finish(at_least=PACKETS)
        arena.assert_nothing_lost(victim, counted)
        assert arena.source_of(victim) == (VICTIM, victim.port)
        brought = [each for each in at_bystander.seen if each.source == arena.relay]
    # A transaction that was seen from the victim is answered to nobody else.
    assert brought == []
    assert sent >= 20 * SECONDS
