"""The invariant of docs/failover.md over random histories: no (key, nonce) is used by two processes.

Owners send, make checkpoints whose answers are lost or come late, are taken over while they go on as zombies that still
hear the client, are moved exactly, and do without the store; and the 16 bits of the sequence number wrap meanwhile.
"""

import random
from pathlib import Path as FilePath

import attrs
import pytest

from dtls.options import DtlsOptions
from dtls.versions import Version
from edge.caller.events import EventReceived
from edge.caller.progress import Stage
from srtp.profile import ProtectionProfile
from srtp.session import DropReason as SrtpDropReason
from transceiver.handover import ceilings
from transceiver.media import DropReason as MediaDropReason
from wire.demux import Kind, kind_of
from wire.errors import LocalProtocolError

STEPS = 40
MARGINS = {"RTP_MARGIN": 60, "RTCP_MARGIN": 9, "DTLS_MARGIN": 14}
SETUPS = ("active", "passive")


@attrs.define(eq=False)
class History:
    """One call, the store's record of it, its owner, and all who were."""

    network: object
    channel_id: int
    tap: object
    chance: random.Random
    restore: object
    pack: object
    stored: bytes | None = None
    generation: int = 0
    name: int = 0
    zombies: list[tuple[int, object]] = attrs.field(factory=list)
    seen: int = 0
    fed: int = 0
    said: int = 0
    takeovers: int = 0
    moves: int = 0
    counts: dict[str, int] = attrs.field(factory=dict)

    @property
    def owner(self):
        return self.network.server

    def run(self, seconds: float) -> None:
        network = self.network
        network.run(seconds)
        for _, _, data in network.downstream[self.seen :]:
            self.tap.note(self.name, data)
        self.seen = len(network.downstream)
        heard = network.upstream[self.fed :]
        self.fed = len(network.upstream)
        for name, zombie in self.zombies:
            # It still gets what the client sends, on another way, and answers it.
            if self.chance.random() < 0.7:
                for _, source, data in heard:
                    if kind_of(data) is not Kind.STUN:
                        list(zombie.receive_datagram(data, source, network.now))
            list(zombie.handle_timeout(network.now))
            if self.chance.random() < 0.3:
                self.say(zombie)
            for data, _ in zombie.datagrams_to_send(network.now):
                self.tap.note(name, data)

    def say(self, session) -> None:
        self.said += 1
        try:
            session.send_message(self.channel_id, f"{self.said} " * self.chance.choice((1, 1, 600)), self.network.now)
        except LocalProtocolError:
            assert session.closed is not None

    def checkpoint(self) -> None:
        owner = self.owner
        snapshot = owner.snapshot(self.network.now)
        if owner.ceilings is None:
            owner.raise_ceilings(snapshot)
        fate = self.chance.random()
        if fate < 0.85:
            self.stored = self.pack(snapshot)
        if self.chance.random() < 0.3:
            self.run(self.chance.random())
        if fate < 0.7:
            owner.raise_ceilings(snapshot)

    def crash(self) -> None:
        """The owner is taken for dead, which it may be or not."""
        if self.stored is None:
            return
        if self.chance.random() < 0.8:
            self.zombies = [*self.zombies, (self.name, self.owner)][-3:]
        self.begin(self.restore(self.stored, self.network.now, is_exact=False, ahead=self.chance.uniform(-90, 1e6)))
        self.takeovers += 1
        snapshot = self.owner.snapshot(self.network.now)
        fate = self.chance.random()
        if fate < 0.75:
            self.stored = self.pack(snapshot)
        if fate < 0.65:
            self.owner.raise_ceilings(snapshot)

    def release(self) -> None:
        """The store was away for so long that nobody can take the session over."""
        self.stored = None
        self.owner.release_ceilings()

    def drain(self) -> None:
        network = self.network
        network.collect()
        self.run(0)
        data = self.pack(self.owner.snapshot(network.now))
        self.owner.abandon("moved")
        self.begin(self.restore(data, network.now, is_exact=True, ahead=self.chance.uniform(-90, 1e6)))
        self.moves += 1

    def begin(self, session) -> None:
        self.run(0)  # what the old one has said by now
        self.name += 1
        self.network.server = session

    def leap(self) -> None:
        """Come near to where the sequence number wraps, in steps that a receiver can follow."""
        source, echo = self.owner.media._outbound, self.owner.media._backend
        ceiling = None if self.owner.ceilings is None else self.owner.ceilings.rtp[source.ssrc]
        target = (source.sequence_number | 0xFFFF) - self.chance.randrange(60)
        if ceiling is None and echo.theirs is not None and target > source.sequence_number:
            step = min(target - source.sequence_number, 0x7000)
            source.sequence_number += step
            echo.sequence_offset += step

    def play(self) -> None:
        self.seen, self.fed = len(self.network.downstream), len(self.network.upstream)
        for _ in range(2):
            self.leap()
            self.run(0.2)
        steps = {self.checkpoint: 3.0, self.crash: 3.0, self.drain: 1.5, self.release: 0.4, self.nothing: 1.0}
        for _ in range(STEPS):
            (step,) = self.chance.choices(list(steps), list(steps.values()))
            step()
            self.say(self.owner)
            self.run(self.chance.choice((0.0, 0.02, 0.1, 0.4, 1.5)))
        self.owner.raise_ceilings(self.owner.snapshot(self.network.now))
        self.run(3)

    def nothing(self) -> None:
        """All is well."""

    def drops_at_ceilings(self) -> int:
        return sum(session.media.drops[MediaDropReason.CEILING] for _, session in [*self.zombies, (0, self.owner)])


@pytest.fixture
def wire_tap(load_neighbour):
    return load_neighbour(FilePath(__file__).with_name("wire_tap.py"))


@pytest.fixture
def play(call_with_events, restore, packed, wire_tap):
    """Play the history of a seed."""

    def make(seed: int, kind: type[History] = History) -> History:
        chance = random.Random(seed)
        network, channel_id = call_with_events(
            setup=chance.choice(SETUPS),
            dtls=DtlsOptions(
                versions=(chance.choice((Version.DTLS_1_2, Version.DTLS_1_3)),),
                srtp_profiles=(chance.choice(tuple(ProtectionProfile)),),
            ),
            change_offer=lambda offer: offer.replace("a=extmap-allow-mixed\r\n", ""),
        )
        history = kind(network, channel_id, wire_tap.WireTap(network.server), chance, restore, packed)
        history.play()
        return history

    return make


@pytest.fixture
def small_margins(monkeypatch):
    """So small that every history comes to its ceilings."""
    for name, margin in MARGINS.items():
        monkeypatch.setattr(ceilings, name, margin)


def check(history: History) -> None:
    """What holds at the end of every history."""
    said = [int(event.text.split()[0]) for event in history.network.events if isinstance(event, EventReceived)]
    # Lost, but never in another order, nor in part.
    assert said == sorted(set(said))
    assert history.network.caller.stage is Stage.TALKING
    assert not [reason for reason in history.network.caller.dropped() if reason == SrtpDropReason.AUTHENTICATION]
    assert history.tap.counts[history.name, "rtp"] > 50


@pytest.mark.parametrize("seed", range(6, 12))
def test_no_nonce_is_used_by_two(play, small_margins, seed):
    check(play(seed))


@pytest.mark.parametrize("seed", range(100, 104))
def test_no_nonce_is_used_by_two_with_the_real_margins(play, seed):
    check(play(seed))


def test_histories_hold_what_they_are_for(play, small_margins):
    histories = [play(seed) for seed in range(6)]
    for history in histories:
        check(history)
    assert all(history.takeovers > 3 and history.moves > 2 for history in histories)
    assert all(history.drops_at_ceilings() for history in histories)
    # Sequence numbers wrap while one takes over from the other.
    assert all(history.tap.highest > 0x10000 for history in histories)
    for kind in ("rtp", "rtcp", "dtls"):
        owners = [owner for history in histories for owner, of_kind in history.tap.counts if of_kind == kind]
        assert len(owners) > 20
    zombies = [
        name
        for history in histories
        for name, session in history.zombies
        if history.tap.counts.get((name, "rtp"), 0) > MARGINS["RTP_MARGIN"]
    ]
    assert zombies


def is_found(wire_tap, play, kind: type[History]) -> bool:
    """Whether one of some histories shows what is wrong with this kind."""
    for seed in range(24):
        try:
            play(seed, kind)
        except wire_tap.NonceUsedTwice:
            return True
    return False


class Unrestrained(History):
    """Nobody keeps to ceilings."""

    def begin(self, session) -> None:
        super().begin(session)
        session.release_ceilings()

    def checkpoint(self) -> None:
        super().checkpoint()
        self.owner.release_ceilings()


class Hasty(History):
    """A successor sends before its own checkpoint is known to be kept."""

    def crash(self) -> None:
        before = self.takeovers
        super().crash()
        if self.takeovers > before:
            self.owner.raise_ceilings(self.owner.snapshot(self.network.now))


class Trusting(History):
    """Ceilings rise when a checkpoint is asked for."""

    def checkpoint(self) -> None:
        self.owner.raise_ceilings(self.owner.snapshot(self.network.now))
        super().checkpoint()


class Heedless(History):
    """After a move, the ceilings of the source are forgotten."""

    def drain(self) -> None:
        super().drain()
        self.owner.release_ceilings()


@pytest.mark.parametrize("kind", [Unrestrained, Hasty, Trusting, Heedless])
def test_it_is_found_when_a_rule_is_broken(play, small_margins, wire_tap, kind):
    assert is_found(wire_tap, play, kind)


@pytest.mark.parametrize("name", list(MARGINS))
def test_it_is_found_when_a_margin_is_missing(play, small_margins, wire_tap, monkeypatch, name):
    """The owner counts up to it, and the successor does not begin above it."""

    class Low(History):
        def crash(self) -> None:
            monkeypatch.setattr(ceilings, name, 0)
            super().crash()
            monkeypatch.setattr(ceilings, name, MARGINS[name])

    assert is_found(wire_tap, play, Low)
