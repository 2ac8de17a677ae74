"""What `trio-voice call --events` shows, and what it writes to an agent."""

import json

import trio

from edge.caller.conversing import Conversing
from edge.caller.events import EventReceived, EventsClosed, EventsOpened
from wire.core import Closed
from wire.errors import LocalProtocolError


class Channel:
    """Takes what is sent."""

    def __init__(self, problem: str = "") -> None:
        self.sent: list[dict[str, object]] = []
        self.problem = problem

    def send(self, text: str, now: float) -> None:
        assert now == trio.current_time()
        if self.problem:
            raise LocalProtocolError(self.problem)
        self.sent.append(json.loads(text))


class Session:
    def __init__(self, events: Channel | None) -> None:
        self.events = events


async def begin(autojump_clock, channel: Channel | None, text: str | None) -> tuple[Conversing, list[str], list[float]]:
    lines: list[str] = []
    flushed: list[float] = []
    conversing = Conversing(Session(channel), flushed.append, text, lines.append)
    await trio.sleep(1.5)
    conversing.see(EventsOpened())
    return conversing, lines, flushed


async def test_text_is_written_once_the_channel_is_open_and_leaves_at_once(autojump_clock) -> None:
    channel = Channel()
    _, lines, flushed = await begin(autojump_clock, channel, "call get_time {}")
    assert [event["type"] for event in channel.sent] == [
        "session.update",
        "conversation.item.create",
        "response.create",
    ]
    assert channel.sent[1]["item"]["content"] == [{"type": "input_text", "text": "call get_time {}"}]
    assert flushed == [1.5]
    assert lines == [
        "  1.500 s ▶ session.update",
        "  1.500 s ▶ conversation.item.create",
        "  1.500 s ▶ response.create",
    ]


async def test_without_a_text_only_the_session_is_configured(autojump_clock) -> None:
    channel = Channel()
    await begin(autojump_clock, channel, None)
    assert [event["type"] for event in channel.sent] == ["session.update"]


async def test_each_event_is_a_line_with_what_it_says(autojump_clock) -> None:
    conversing, lines, _ = await begin(autojump_clock, None, None)
    for event, line in (
        ({"type": "response.done"}, "response.done"),
        ({"type": "response.output_audio_transcript.done", "transcript": "Hi."}, "…_transcript.done  Hi."),
        ({"type": "error", "error": {"message": "No such event."}}, "error  No such event."),
        ({"type": "f.done", "name": "get_time", "arguments": "{}"}, "f.done  get_time({})"),
        ("{", "not JSON: '{'"),
        ("[1]", "not an object: '[1]'"),
    ):
        conversing.see(EventReceived(text=event if isinstance(event, str) else json.dumps(event)))
        assert lines[-1].endswith(line.removeprefix("…"))
    assert len(lines[-1]) < 300
    conversing.see(EventReceived(text="x" * 10_000))
    assert len(lines[-1]) < 300
    conversing.see(EventsClosed(reason="peer-abort"))
    assert lines[-1].endswith("! no more events: peer-abort")
    count = len(lines)
    conversing.see(Closed(reason="close-notify"))  # told elsewhere
    assert len(lines) == count


async def test_what_cannot_be_sent_is_said(autojump_clock) -> None:
    _, lines, _ = await begin(autojump_clock, Channel("too long"), None)
    assert lines == ["  1.500 s ! session.update could not be sent: too long"]
