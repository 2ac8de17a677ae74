"""A call of stock Chromium's outlives its transceiver, which is drained or killed.

The page does nothing to help: no ICE restart, no renegotiation. Counted are the packets on the loopback interface,
beside what Chromium says itself.
"""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Playwright

from bench.ports import free_port

from .conftest import chromium_page
from .edge_processes import PROGRAM, Edge
from .fleet_processes import listed_fleet, start_fleet
from .owners import NAMES, owner_and_other, transceiver_calls, wait_for_record
from .sniffing import Sniffer, is_rtp, sniffing
from .stalls import silences

pytestmark = pytest.mark.e2e

CALL = (Path(__file__).parent / "call.js").read_text()
CONVERSE = (Path(__file__).parent / "converse.js").read_text()
TONE_HZ = 700

SPEAKER = """
import trio

from transceiver.agents.tones import beep

async def speaker(conversation):
    with open("conversations.txt", "a") as lines:
        lines.write("one\\n")
    async for turn in conversation.turns():
        async with conversation.reply() as reply:
            if "count" in turn.text:
                for number in range(40):
                    await reply.say(beep(conversation.rate, seconds=0.1), transcript=f"{number} ")
                    await trio.sleep(0.1)
                continue
            seconds = 4.0 if "length" in turn.text else 0.2
            await reply.say(beep(conversation.rate, seconds=seconds), transcript=turn.text)
"""

WATCH = """() => {
  const { pc, channel } = window.call;
  const seen = window.seen = { ice: [pc.iceConnectionState], connection: [pc.connectionState], negotiations: 0 };
  pc.addEventListener("iceconnectionstatechange", () => seen.ice.push(pc.iceConnectionState));
  pc.addEventListener("connectionstatechange", () => seen.connection.push(pc.connectionState));
  pc.addEventListener("signalingstatechange", () => seen.negotiations++);
  channel.addEventListener("close", () => seen.closed = true);
}"""
SEEN = "() => ({ ...window.seen, channel: window.call.channel.readyState })"


@pytest.fixture
def fleet(server: Any, tmp_path: Path) -> Iterator[Edge]:
    """A relay, a signal server and two transceivers, of which the tests may leave one."""
    with listed_fleet(tmp_path, server, NAMES) as fleet:
        yield fleet


@pytest.fixture
def page(fleet: Edge, playwright: Playwright, tone_wav: Path) -> Iterator[Page]:
    with chromium_page(playwright, tone_wav, fleet.signal_url) as page:
        yield page


@pytest.fixture
def talking(
    server: Any, tmp_path: Path, playwright: Playwright, tone_wav: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[Edge, Page]]:
    """A fleet whose calls for the model "talk" are answered by a process of its own, and a page; see `fleet`."""
    port = free_port()
    (tmp_path / "speaking.py").write_text(SPEAKER)
    command = [PROGRAM, "backend", "--listen", f"127.0.0.1:{port}", "--agent", "speaking:speaker"]
    backend = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=tmp_path)
    use = f'[[backend]]\nuse = "realtime:ws://127.0.0.1:{port}/v1/realtime"\nmodels = ["talk"]\n'
    # Time for what is to be seen while the backend is reached through the old process, and not more.
    more = f"drain_deadline = 14.0\nworkers = {getattr(request, 'param', 1)}\n"
    fleet = start_fleet(tmp_path, server.url, NAMES, top=use, sections={"transceiver": more})
    try:
        with chromium_page(playwright, tone_wav, fleet.signal_url) as page:
            yield fleet, page
    finally:
        fleet.kill()
        backend.kill()
        backend.wait()


def longest_silence(sniffer: Sniffer, port: int, since: float) -> float:
    """Seconds without RTP from the relay's public port, that the client did not stand still in."""
    rtp = [each for each in sniffer.seen if is_rtp(each.data) and each.at > since - 0.2]
    arrivals = [each.at for each in rtp if each.source[1] == port]
    departures = [each.at for each in rtp if each.target[1] == port]
    return max(silence.seconds for silence in silences(arrivals, departures))


def in_chromium(page: Page, fleet: Edge, disturb: Callable[[str], None]) -> tuple[Sniffer, float, str]:
    """Place a call, do something to its transceiver, and see that the client's own view of it is untroubled."""
    page.evaluate(CALL, {"channel": True})
    page.evaluate(WATCH)
    wait_for_record(fleet)
    name, other = owner_and_other(fleet)
    time.sleep(1.0)
    with sniffing(None, "lo") as sniffer:
        time.sleep(0.5)
        at = time.monotonic()
        disturb(name)
        time.sleep(4.0)
    seen = page.evaluate(SEEN)
    assert seen["negotiations"] == 0
    assert seen["ice"][-1] == "connected"
    assert "failed" not in seen["ice"] + seen["connection"]
    assert seen["channel"] == "open"
    assert "closed" not in seen
    page.wait_for_function("tone => Math.abs(window.call.peakHz().hz - tone) < 30", arg=TONE_HZ)  # it is heard again
    assert transceiver_calls(fleet, other) == 1
    page.evaluate("() => window.call.channel.send('still there?')")
    fleet.wait_until("the channel carries", lambda: page.evaluate("() => window.call.channel.bufferedAmount") == 0)
    return sniffer, at, other


def test_chromium_does_not_notice_a_drain(fleet: Edge, page: Page) -> None:
    def drain(name: str) -> None:
        fleet.processes[name].send_signal(signal.SIGTERM)
        assert fleet.processes[name].wait(10) == 0

    sniffer, at, _ = in_chromium(page, fleet, drain)
    heard = sniffer.heard(("127.0.0.1", fleet.media_port), since=at - 0.3)
    print(heard)
    assert heard.missing <= 2


def test_chromium_hears_again_within_a_second_of_a_kill(fleet: Edge, page: Page) -> None:
    sniffer, at, _ = in_chromium(page, fleet, lambda name: fleet.processes[name].kill())
    silence = longest_silence(sniffer, fleet.media_port, at)
    print(f"silent for {1000 * silence:.0f} ms")
    assert silence <= 1.0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["drained", "killed"])
def test_a_conversation_with_a_backend_elsewhere_goes_on(talking: tuple[Edge, Page], number: signal.Signals) -> None:
    fleet, page = talking
    assert "output_audio_buffer.stopped" in page.evaluate(CONVERSE, {"model": "talk"})
    wait_for_record(fleet)
    name, other = owner_and_other(fleet)
    time.sleep(2.0)  # what was said is in the record
    before = page.evaluate("() => window.talk.events.length")
    fleet.processes[name].send_signal(number)
    fleet.processes[name].wait(15)
    fleet.wait_until("another has it", lambda: transceiver_calls(fleet, other) == 1)
    time.sleep(2.0)  # what is said while SCTP is being restarted may be lost
    assert "output_audio_buffer.stopped" in page.evaluate("() => window.talk.say('and again')")
    talk = page.evaluate("""() => ({ ice: window.talk.ice, negotiations: window.talk.negotiations,
        channel: window.talk.channel.readyState, types: window.talk.since(0) })""")
    assert (talk["channel"], talk["negotiations"]) == ("open", 0)
    assert "failed" not in talk["ice"]
    assert talk["types"].count("session.created") == 1
    assert "error" not in talk["types"][before:]


def test_an_answer_is_heard_to_its_end_across_a_drain(talking: tuple[Edge, Page]) -> None:
    fleet, page = talking
    page.evaluate(CONVERSE, {"model": "talk"})
    wait_for_record(fleet)
    name, other = owner_and_other(fleet)
    before = page.evaluate("() => window.talk.events.length")
    page.evaluate("() => { window.talk.answer = window.talk.say('speak at length'); }")
    fleet.wait_until("it is heard", lambda: "output_audio_buffer.started" in types_since(page, before))
    fleet.processes[name].send_signal(signal.SIGTERM)
    fleet.wait_until("another has it", lambda: transceiver_calls(fleet, other) == 1)
    assert "output_audio_buffer.stopped" not in types_since(page, before), "it was moved in the middle"
    began = time.monotonic()
    page.evaluate("() => window.talk.answer")
    assert time.monotonic() - began > 0.5
    told = page.evaluate("(from) => window.talk.events.slice(from)", before)
    of_buffer = [event["type"] for event in told if event["type"].startswith("output_audio_buffer.")]
    assert of_buffer == ["output_audio_buffer.started", "output_audio_buffer.stopped"]
    assert [event["response"]["status"] for event in told if event["type"] == "response.done"] == ["completed"]
    assert "error" not in {event["type"] for event in told}
    assert "output_audio_buffer.stopped" in page.evaluate("() => window.talk.say('and again')")
    assert fleet.processes[name].wait(15) == 0
    assert "output_audio_buffer.stopped" in page.evaluate("() => window.talk.say('and anew')")


@pytest.mark.parametrize("talking", [1, 2], indirect=True, ids=["a worker", "several workers"])
def test_a_backend_elsewhere_does_not_notice_a_drain_in_the_middle_of_its_answer(talking: tuple[Edge, Page]) -> None:
    fleet, page = talking
    page.evaluate(CONVERSE, {"model": "talk"})
    wait_for_record(fleet)
    name, other = owner_and_other(fleet)
    before = page.evaluate("() => window.talk.events.length")
    page.evaluate("() => { window.talk.answer = window.talk.say('count'); }")
    fleet.wait_until("it counts", lambda: len(said_since(page, before)) > 3)
    with sniffing(None, "lo") as sniffer:
        time.sleep(0.3)
        at = time.monotonic()
        fleet.processes[name].send_signal(signal.SIGTERM)
        fleet.wait_until("another has it", lambda: transceiver_calls(fleet, other) == 1)
        assert len(said_since(page, before)) < 30, "it was moved in the middle"
        time.sleep(2.0)
        heard = sniffer.heard(("127.0.0.1", fleet.media_port), since=at - 0.3)
    print(heard)
    assert heard.missing <= 2
    moves = fleet.counted(fleet.servers[name].health, "trio_voice_transceiver_moves_total")
    assert moves["tunnel.taken"] == 1
    page.evaluate("() => window.talk.answer")
    assert said_since(page, before) == [f"{number} " for number in range(40)]
    told = page.evaluate("(from) => window.talk.events.slice(from)", before)
    assert [event["response"]["status"] for event in told if event["type"] == "response.done"] == ["completed"]
    assert "error" not in {event["type"] for event in told}
    assert conversations(fleet) == 1, "the backend has seen one connection"
    # The old process ends in time, and the backend is connected anew, between two turns.
    assert fleet.processes[name].wait(15) == 0
    assert "output_audio_buffer.stopped" in page.evaluate("() => window.talk.say('and again')")
    assert conversations(fleet) == 2
    assert "error" not in types_since(page, before)


def said_since(page: Page, number: int) -> list[str]:
    told = page.evaluate("(from) => window.talk.events.slice(from)", number)
    return [event["delta"] for event in told if event["type"] == "response.output_audio_transcript.delta"]


def conversations(fleet: Edge) -> int:
    return len((fleet.folder / "conversations.txt").read_text().splitlines())


def types_since(page: Page, number: int) -> list[str]:
    types: list[str] = page.evaluate("(from) => window.talk.since(from)", number)
    return types
