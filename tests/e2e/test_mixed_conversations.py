"""A conversation with a backend elsewhere moves between a release and the one before it, in both directions.

What each knows to take along differs. What one of them does not know may cost the answer that is being made, and no
more: the client is told how it ended, keeps its connection and its channel, and goes on.
"""

import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
from playwright.sync_api import Page, Playwright

from bench.ports import free_port

from .conftest import chromium_page
from .edge_processes import PROGRAM, Edge
from .fleet_processes import start_fleet
from .former_release import Release, install, installed_on, own_release

pytestmark = pytest.mark.e2e

OWN = own_release()
CONVERSE = (Path(__file__).parent / "converse.js").read_text()
COUNTER = """
import trio

from transceiver.agents.tones import beep

async def counter(conversation):
    async for turn in conversation.turns():
        async with conversation.reply() as reply:
            for number in range(30 if "count" in turn.text else 1):
                await reply.say(beep(conversation.rate, seconds=0.1), transcript=f"{number} ")
                await trio.sleep(0.1)
"""


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[str]:
    """Where an agent listens that takes its time."""
    port = free_port()
    (tmp_path / "counting.py").write_text(COUNTER)
    command = [PROGRAM, "backend", "--listen", f"127.0.0.1:{port}", "--agent", "counting:counter"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=tmp_path)
    yield f"ws://127.0.0.1:{port}/v1/realtime"
    process.kill()
    process.wait()


@pytest.fixture(params=[True, False], ids=["upgrade", "rollback"])
def fleet(
    request: pytest.FixtureRequest,
    redis_server: ModuleType,
    backend: str,
    former: Release,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Edge]:
    """A call goes to alpha; beta is of the other release, and takes no call before that."""
    monkeypatch.chdir(tmp_path)
    for name in ("signal", "relay", "alpha", "beta"):
        install(former if (name == "alpha") == request.param else OWN, tmp_path, name)
    with redis_server.redis_server() as server:
        fleet = start_fleet(
            tmp_path,
            server.url,
            top=f'[[backend]]\nuse = "realtime:{backend}"\nmodels = ["talk"]\n',
            sections={"transceiver": "drain_deadline = 8.0\n"},
            environment=partial(installed_on, tmp_path),
        )
        try:
            fleet.processes["beta"].send_signal(signal.SIGTERM)
            assert fleet.processes["beta"].wait(20) == 0
            yield fleet
        finally:
            fleet.kill()


@pytest.fixture
def page(fleet: Edge, playwright: Playwright, tone_wav: Path) -> Iterator[Page]:
    with chromium_page(playwright, tone_wav, fleet.signal_url) as page:
        page.evaluate(CONVERSE, {"model": "talk"})
        fleet.start("beta")
        fleet.wait_until("beta is there", lambda: fleet.is_ready(fleet.servers["beta"].health), 60)
        fleet.wait_until("the store has a record", lambda: moves(fleet, "alpha").get("checkpoint.confirmed"), 30)
        yield page


def moves(fleet: Edge, name: str) -> dict[str, int]:
    return fleet.counted(fleet.servers[name].health, "trio_voice_transceiver_moves_total")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["drained", "killed"])
def test_a_conversation_goes_on_in_another_release(fleet: Edge, page: Page, number: signal.Signals) -> None:
    """In the middle of an answer, which ends as it can."""
    before = page.evaluate("() => window.talk.events.length")
    page.evaluate("() => { window.talk.say('count').catch(() => null); }")
    fleet.wait_until("it counts", lambda: said(page, before) > 3)
    fleet.processes["alpha"].send_signal(number)
    fleet.wait_until("beta has it", lambda: calls_of(fleet, "beta") == 1)
    assert fleet.processes["alpha"].wait(20) == (0 if number == signal.SIGTERM else -number)
    if number == signal.SIGTERM:  # behind a death nobody may know any more that there was one
        fleet.wait_until("the answer has ended", lambda: "response.done" in types_since(page, before), 15)
    page.wait_for_timeout(1500)  # what is said while SCTP is being restarted may be lost
    after = page.evaluate("() => window.talk.events.length")
    assert "output_audio_buffer.stopped" in page.evaluate("() => window.talk.say('and again')")
    talk = page.evaluate("""() => ({ ice: window.talk.ice, negotiations: window.talk.negotiations,
        channel: window.talk.channel.readyState })""")
    assert (talk["channel"], talk["negotiations"]) == ("open", 0)
    assert "failed" not in talk["ice"]
    types = types_since(page, 0)
    assert types.count("session.created") == 1
    assert "error" not in types
    assert types_since(page, before)[: after - before].count("response.done") <= 1
    assert types_since(page, after).count("response.done") == 1


def calls_of(fleet: Edge, name: str) -> int:
    return int(fleet.metric(fleet.servers[name].health, "trio_voice_transceiver_calls"))


def said(page: Page, number: int) -> int:
    return types_since(page, number).count("response.output_audio_transcript.delta")


def types_since(page: Page, number: int) -> list[str]:
    types: list[str] = page.evaluate("(from) => window.talk.since(from)", number)
    return types
