"""A link to an agent in this process: before it runs, while it runs, and what it costs to find the agent."""

import os
from pathlib import Path

import pytest
import trio
import trio.testing

from transceiver.agents.contract import Conversation
from transceiver.agents.loading import AgentNotFound, load_agent
from transceiver.agents.parrot import parrot
from transceiver.agents.server import AgentServer
from transceiver.backends.agent import AgentLink
from transceiver.backends.contract import BackendUnavailable, Speech


class Sink:
    """Takes everything, in order."""

    def __init__(self) -> None:
        self.got: list = []
        self.texts: list = []

    def backend_opened(self) -> None:
        self.got.append("opened")

    def backend_event(self, event: dict) -> None:
        self.got.append(event["type"])

    def backend_audio(self, speech: Speech, pcm: bytes) -> None:
        self.got.append(speech)


def write(link: AgentLink, text: str) -> None:
    content = [{"type": "input_text", "text": text}]
    item = {"type": "message", "role": "user", "content": content}
    link.send_event({"type": "conversation.item.create", "item": item})


async def test_what_comes_before_it_runs_waits_and_keeps_its_order() -> None:
    link, sink = AgentLink(parrot, entropy=bytes), Sink()
    assert link.describe() == {}
    link.send_event({"type": "session.update", "session": {"audio": {"input": {"turn_detection": None}}}})
    link.send_audio(b"\1\1" * 2400)
    link.send_event({"type": "input_audio_buffer.commit"})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.run, sink)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert sink.got[:4] == ["opened", "session.created", "session.updated", "input_audio_buffer.committed"]
    assert link.describe() == {"response": None, "items": 1, "items_forgotten": 0, "happenings_dropped": 0}


async def test_what_the_sink_says_while_it_starts_keeps_its_order_too() -> None:
    class Eager(Sink):
        def backend_event(self, event: dict) -> None:
            super().backend_event(event)
            if event["type"] == "session.created":
                write(link, "second")
            if event["type"] == "conversation.item.done" and len(self.texts) < 3:
                write(link, "third")
            if event["type"] == "conversation.item.added":
                self.texts.append(event["item"]["content"][0]["text"])

    link, sink = AgentLink(parrot, entropy=os.urandom), Eager()
    write(link, "first")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.run, sink)
        await trio.testing.wait_all_tasks_blocked()
        link.close()
    assert sink.texts[:3] == ["first", "second", "third"]


async def test_too_much_before_it_runs_ends_it() -> None:
    link, sink = AgentLink(parrot, entropy=bytes), Sink()
    for _ in range(257):
        link.send_audio(bytes(960))
    with pytest.raises(BackendUnavailable, match="more than 256"):
        await link.run(sink)
    assert sink.got == []


async def test_closing_before_it_runs() -> None:
    link, sink = AgentLink(parrot, entropy=bytes), Sink()
    link.close()
    await link.run(sink)
    assert sink.got == []


async def test_a_cancelled_link_says_goodbye_to_nobody_and_ends_at_once() -> None:
    link, sink = AgentLink(parrot, entropy=bytes), Sink()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.run, sink)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    before = list(sink.got)
    write(link, "anyone?")
    link.send_audio(bytes(960))
    assert sink.got == before


def served(rates: tuple[int, ...]) -> tuple[AgentServer, list]:
    events: list = []

    class Listener(Sink):
        def backend_event(self, event: dict) -> None:
            events.append(event)

    return AgentServer(parrot, sink=Listener(), entropy=bytes, rates=rates), events


def formats(rate: int, other: int | None = None) -> dict:
    sides = {"input": {"format": {"type": "audio/pcm", "rate": rate}}}
    if other is not None:
        sides["output"] = {"format": {"type": "audio/pcm", "rate": other}}
    return {"type": "session.update", "session": {"audio": sides}}


def test_a_client_may_choose_the_rate_before_it_speaks() -> None:
    server, events = served((8000, 16_000, 24_000))
    server.receive_event(formats(16_000))
    assert server.rate == 16_000
    assert events[-1]["session"]["audio"]["output"]["format"]["rate"] == 16_000, "one rate, both ways"
    server.receive_event(formats(8000, 24_000))
    assert events[-1]["error"]["param"] == "session.audio.output.format.rate"
    server.receive_event(formats(48_000))
    assert "8000, 16000, 24000" in events[-1]["error"]["message"]
    server.receive_audio(bytes(640))
    server.receive_event(formats(16_000, 16_000))
    assert events[-1]["type"] == "session.updated", "nothing changes"
    server.receive_event(formats(8000))
    assert "cannot change after the first audio" in events[-1]["error"]["message"]
    assert server.rate == 16_000


async def test_speech_becomes_an_event_where_a_transport_needs_one() -> None:
    deltas = []

    class Socket(Sink):
        def backend_audio(self, speech: Speech, pcm: bytes) -> None:
            deltas.append(server.audio_delta(speech, pcm))

    async def agent(conversation: Conversation) -> None:
        async with conversation.reply() as reply:
            await reply.call_tool("f", {})
            await reply.say(b"\1\2\3\4")

    server = AgentServer(agent, sink=Socket(), entropy=os.urandom)
    await server.run()
    (delta,) = deltas
    assert delta["type"] == "response.output_audio.delta"
    assert (delta["output_index"], delta["content_index"], delta["delta"]) == (1, 0, "AQIDBA==")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_agents_for_a_test.py").write_text(
        "class Kept:\n"
        "    async def __call__(self, conversation): ...\n"
        "    @staticmethod\n"
        "    async def inside(conversation): ...\n"
        "async def agent(conversation): ...\n"
        "def not_async(conversation): ...\n"
        "async def no_argument(): ...\n"
        "kept = Kept()\n"
        "number = 7\n"
    )
    (tmp_path / "broken_for_a_test.py").write_text("raise OSError('no such model')\n")
    (tmp_path / "needy_for_a_test.py").write_text("import not_there_for_a_test\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    return tmp_path


@pytest.mark.parametrize("path", ["agent", "Kept.inside", "kept"])
def test_agents_are_found_in_the_current_folder(folder: Path, path: str) -> None:
    assert callable(load_agent(f"my_agents_for_a_test:{path}"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("module", 'not of the form "module:function"'),
        (":agent", 'not of the form "module:function"'),
        ("nowhere_for_a_test:agent", 'there is no module "nowhere_for_a_test"; looked in'),
        ("needy_for_a_test:agent", 'no module "not_there_for_a_test", which "needy_for_a_test" imports'),
        ("broken_for_a_test:agent", "cannot be imported: OSError: no such model"),
        ("my_agents_for_a_test:agents", '"my_agents_for_a_test" has no "agents"'),
        ("my_agents_for_a_test:not_async", "async def not_async(conversation)"),
        ("my_agents_for_a_test:number", "is not an async function"),
        ("my_agents_for_a_test:no_argument", "should take one argument"),
    ],
)
def test_what_is_no_agent_is_told_with_what_would_be_right(folder: Path, name: str, words: str) -> None:
    with pytest.raises(AgentNotFound) as caught:
        load_agent(name)
    assert words in str(caught.value)
