"""Somebody who reads what relay and transceiver say to each other, and sends what he likes from any address.

He holds no key. Between network namespaces, with a raw socket; his datagrams are counted by the two ends.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import attrs
import pytest

from relay.hop.header import CONTROL, DOWN, TAG_SIZE, UP, answering, pack_header

from .attack_arena import ATTACKER, BYSTANDER, RELAY, RELAY_HOP, SERVER, TRANSCEIVER_HOP, Arena, namespace_arena
from .calling import flood
from .sniffing import Sniffer, sniffing

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]

RELAY_END, TRANSCEIVER_END = (RELAY, RELAY_HOP), (SERVER, TRANSCEIVER_HOP)
OWN = (ATTACKER, 7777)
RATE = 500
HELLO, WELCOME, CONFIRM = 1, 2, 3
PACKETS = 50
"""Of the call beside it all, at least."""


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with namespace_arena(tmp_path_factory.mktemp("arena")) as arena:
        yield arena


@attrs.define
class Ends:
    """What both ends have dropped."""

    arena: Arena

    def relay(self) -> Counter[str]:
        return self.arena.drops()

    def transceiver(self) -> Counter[str]:
        return self.arena.edge.counted(self.arena.edge.control_url, "trio_voice_transceiver_drops_total")

    def links(self) -> tuple[float, float]:
        edge = self.arena.edge
        return (
            edge.metric(edge.relay_url, "trio_voice_relay_transceivers"),
            edge.metric(edge.control_url, "trio_voice_transceiver_relays"),
        )


@pytest.fixture
def ends(arena: Arena) -> Ends:
    return Ends(arena)


def send(
    arena: Arena, target: tuple[str, int], source: tuple[str, int], datagrams: Sequence[bytes], *, times: int = 1
) -> int:
    """Send each so often; returns how many that was."""
    seconds = len(datagrams) * times / RATE
    started = flood(
        target,
        sources=[source],
        payloads=datagrams,
        rate=RATE,
        seconds=seconds,
        raw=True,
        namespace=arena.attacker,
    )
    return started.wait()


def overheard_on(sniffer: Sniffer, first: int) -> tuple[list[bytes], list[bytes]]:
    """What begins with a byte, from the relay and from the transceiver."""
    return (
        [data for data in sniffer.between(RELAY_END, TRANSCEIVER_END) if data[0] == first],
        [data for data in sniffer.between(TRANSCEIVER_END, RELAY_END) if data[0] == first],
    )


def overheard_handshake(arena: Arena, sniffer: Sniffer) -> tuple[list[bytes], list[bytes]]:
    """Wait for a HELLO, its WELCOME and its CONFIRM; returns all messages until then, as `overheard_on` does."""

    def is_whole() -> bool:
        by_relay, by_transceiver = ({data[1] for data in said} for said in overheard_on(sniffer, CONTROL))
        return {HELLO, CONFIRM} <= by_relay and WELCOME in by_transceiver

    arena.edge.wait_until("they have shaken hands", is_whole)
    return overheard_on(sniffer, CONTROL)


def test_forged_messages(arena: Arena, ends: Ends) -> None:
    weather = random.Random(1)
    kinds = [bytes((CONTROL, kind, 0, 0)) for kind in range(16)]
    forged = [kind + weather.randbytes(weather.choice([10, 55, 59, 400])) for kind in kinds for _ in range(20)]
    with arena.call() as call:
        before, before_there = ends.relay(), ends.transceiver()
        call.begin()
        as_transceiver = send(arena, RELAY_END, TRANSCEIVER_END, forged)
        as_itself = send(arena, RELAY_END, OWN, forged)
        as_relay = send(arena, TRANSCEIVER_END, RELAY_END, forged) + send(arena, TRANSCEIVER_END, OWN, forged)
        counted = call.finish(at_least=PACKETS)
        arena.assert_nothing_lost(call, counted)
        dropped, dropped_there = ends.relay() - before, ends.transceiver() - before_there
        # Each of them, by what was wrong with it: a random tag, or no link with who says so.
        assert dropped["hop-unknown-peer"] == as_itself
        assert dropped["hop-not-authentic"] + dropped["hop-malformed"] + dropped["hop-unknown-key"] == as_transceiver
        assert sum(count for reason, count in dropped_there.items() if reason.startswith("hop.")) == as_relay
    assert ends.links() == (1, 1)


def test_replayed_and_reflected_messages(arena: Arena, ends: Ends) -> None:
    """All that the ends said to each other in some seconds: again, from elsewhere, and back to who said it."""
    with sniffing(arena.names["relay"]) as sniffer, arena.call() as call:
        by_relay, by_transceiver = overheard_handshake(arena, sniffer)
        before = ends.relay()
        call.begin()
        replayed = send(arena, RELAY_END, TRANSCEIVER_END, by_transceiver, times=20)
        reflected = send(arena, RELAY_END, TRANSCEIVER_END, by_relay, times=20)
        from_elsewhere = send(arena, RELAY_END, OWN, by_transceiver, times=20)
        send(arena, TRANSCEIVER_END, RELAY_END, by_relay, times=20)
        send(arena, TRANSCEIVER_END, RELAY_END, by_transceiver, times=20)
        counted = call.finish(at_least=PACKETS)
        arena.assert_nothing_lost(call, counted)
        dropped = ends.relay() - before
        assert dropped["hop-unknown-peer"] == from_elsewhere
        # Not one that was said before, or by the relay itself, counts. A HELLO that was replayed to the transceiver
        # in the relay's name brings a WELCOME that answers no question any more.
        refused = sum(count for reason, count in dropped.items() if reason.startswith("hop-")) - from_elsewhere
        assert refused >= replayed + reflected
        assert dropped["hop-stale-nonce"] > 0
    assert ends.links() == (1, 1)


def test_a_hello_neither_dumps_nor_moves_flows(arena: Arena, ends: Ends) -> None:
    """The relay's HELLO and CONFIRM, repeated from an address of the attacker's, who waits for what it brings him."""
    with sniffing(arena.names["relay"]) as sniffer, arena.call() as call:
        by_relay, _ = overheard_handshake(arena, sniffer)
        up, _ = overheard_on(sniffer, UP)
        with sniffing(arena.names["attacker"]) as brought:
            call.begin()
            sent = send(arena, TRANSCEIVER_END, OWN, by_relay, times=50)
            refused = ends.transceiver()
            strange = send(arena, TRANSCEIVER_END, OWN, up[-50:], times=10)
            refused = ends.transceiver() - refused
            time.sleep(1)
            counted = call.finish(at_least=PACKETS)
        arena.assert_nothing_lost(call, counted)
        answers = brought.to(*OWN)
        # A WELCOME for each HELLO, no longer than it; no other message, and nothing of the call.
        assert {each.data[0] for each in answers} == {CONTROL}
        assert {each.data[1] for each in answers} == {WELCOME}
        assert sum(len(each.data) for each in answers) <= sent * max(map(len, by_relay))
        assert len(answers) <= sent
        assert refused["worker.not-a-relay"] == strange
        # The call's way back still leads by the relay.
        assert counted.twice == 0
    assert ends.links() == (1, 1)


def test_the_relay_sends_to_nobody_without_its_own_tag(arena: Arena, ends: Ends) -> None:
    """DOWN in the transceiver's name, to a bystander: a guessed tag, and the tag of another's flow."""
    with sniffing(arena.names["relay"]) as sniffer, arena.call() as call:
        arena.edge.wait_until("the call goes on", lambda: len(overheard_on(sniffer, DOWN)[1]) >= 20)
        up, down = overheard_on(sniffer, UP)[0], overheard_on(sniffer, DOWN)[1]
        tag, session = up[-1][16:24], int.from_bytes(up[-1][8:16], "big")
        aimed = [
            pack_header(UP, ingress=1, client=(BYSTANDER, 9), session=session, tag=guess)
            for guess in (tag, bytes(TAG_SIZE), os.urandom(TAG_SIZE))
        ]
        aimed = [
            answering(header, validated=validated) + b"\x80hello" for header in aimed for validated in (True, False)
        ]
        with sniffing(arena.names["bystander"]) as brought:
            before = ends.relay()
            call.begin()
            sent = send(arena, RELAY_END, TRANSCEIVER_END, aimed, times=100)
            from_elsewhere = send(arena, RELAY_END, OWN, [*aimed, *down[-6:]], times=50)
            counted = call.finish(at_least=PACKETS)
        arena.assert_nothing_lost(call, counted)
        assert brought.to(BYSTANDER) == []
        dropped = ends.relay() - before
        assert dropped["forged-tag"] == sent
        assert dropped["unknown-peer"] == from_elsewhere
