"""The sides of the relay's measurements: each forwards what the load sends, both ways, and the load counts it."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.relay.calls import Calls, calls_on_our_relay
from bench.relay.coturn import coturn
from bench.relay.load import Load, compile_programs
from bench.relay.new_flows import refusal_row
from bench.relay.sides import Clients, Side, c_forwarder
from bench.relay.sizes import OPUS_MIX, PAYLOAD_120
from bench.settings import Settings
from relay.udp import open_udp

FLOWS = 40
SENT = 4000


def test_recorded_sizes_are_of_speech_and_silence_and_as_long_as_a_call_in_srtp() -> None:
    assert len(OPUS_MIX.sizes) > 1000
    assert 60 < min(OPUS_MIX.sizes) < 90
    assert 130 < max(OPUS_MIX.sizes) < 300
    assert len(set(OPUS_MIX.sizes)) > 30


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(folder=tmp_path, is_quick=True)


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    if shutil.which("gcc") is None:
        pytest.fail("gcc is needed: deploy/install-test-packages bench")
    compile_programs(tmp_path)
    return tmp_path


@pytest.fixture
def clients(settings: Settings) -> Iterator[Clients]:
    with open_udp("0.0.0.0", 0, on_warning=settings.say) as sock:  # noqa: S104 - all of 127/8
        yield Clients.many(sock, FLOWS)


@pytest.fixture
def calls(tmp_path: Path, clients: Clients) -> Iterator[Calls]:
    with calls_on_our_relay(tmp_path / "ours", clients) as calls:
        calls.set_up(range(1, FLOWS + 1))
        yield calls


@pytest.mark.e2e
def test_a_load_notes_delays_and_counts_what_arrives(programs: Path, clients: Clients, settings: Settings) -> None:
    with open_udp("127.0.0.1", 0, on_warning=settings.say) as sink:
        load = Load.of(clients.sock, sink, [(host, sink.getsockname(), b"") for host in clients.hosts])
        passed = load.run(programs, (), PAYLOAD_120.write(programs), 5.0, rate=20_000, count=SENT)
    assert (passed.sent, passed.passed) == (SENT, SENT)
    assert len(passed.delays) == 101
    assert 0 <= passed.delays[0] <= passed.delays[50] <= passed.delays[100] < 5


@pytest.mark.e2e
def test_all_sides_forward_the_same_both_ways(programs: Path, calls: Calls, settings: Settings) -> None:
    headers = [calls.up_headers[session] for session in sorted(calls.up_headers)]
    with ExitStack() as stack:
        sides: list[Side] = [
            calls.as_side(),
            stack.enter_context(c_forwarder(programs, programs, calls.clients, headers, settings)),
        ]
        if shutil.which("turnserver") is not None:
            sides.append(stack.enter_context(coturn(programs, calls.clients)).side)
        for side in sides:
            side.refresh()
            for load in (side.up, side.down):
                passed = load.run(programs, side.pids, OPUS_MIX.write(programs), 10.0, rate=10_000, count=SENT)
                assert passed.sent == SENT
                assert passed.passed == SENT, side.name
                assert 0 < passed.cost < 0.001


@pytest.mark.e2e
def test_what_is_refused_is_counted_by_the_relay_as_such(programs: Path, calls: Calls, settings: Settings) -> None:
    row = refusal_row(programs, calls, 0.0, settings)
    assert all(0 < cost < 0.001 for cost in row.details.values())
    drops = calls.drops()
    for reason in ("forged-token", "bad-integrity", "no-flow"):
        assert drops[reason] > 3000, reason
