"""A conversation as the page shows it: Chromium on one side, on the other an agent whose every word the test says."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.e2e

HOSTILE = "<img src=x onerror='window.hacked = 1'><b>bold</b>"


@pytest.fixture
def agent(edge):
    edge.behave("agent")
    return edge


@pytest.fixture
def page(agent, open_with_mouth) -> Page:
    """In a call with an agent that has introduced itself."""
    page = open_with_mouth(agent.url + "?processing=off")
    talk(page, agent)
    return page


def talk(page: Page, agent) -> None:
    page.get_by_role("button", name="Talk").click()
    expect(page.locator("#events .type")).to_have_text(["session.update"], timeout=15_000)
    agent.send("session.created", session={})
    expect(page.locator("body")).to_have_attribute("data-partner", "agent")


def rows(page: Page, kind: str):
    return page.locator(f"#conversation [data-kind={kind}]")


def last_sent(page: Page, agent, count: int) -> list[dict[str, Any]]:
    """The newest events that the agent was sent, once they have all arrived."""
    expect(page.locator("#events [data-direction=out]")).to_have_count(count)
    for _ in range(100):
        if len(agent.events()) == count:
            break
        page.wait_for_timeout(20)
    return agent.events()


def say_turn(agent, item_id: str = "item_1", start: int = 300, end: int = 1800) -> None:
    agent.send("input_audio_buffer.speech_started", item_id=item_id, audio_start_ms=start)
    agent.send("input_audio_buffer.speech_stopped", item_id=item_id, audio_end_ms=end)


def begin_reply(agent, response_id: str = "resp_1", item_id: str = "item_2") -> None:
    agent.send("response.created", response={"id": response_id, "status": "in_progress"})
    item = {"id": item_id, "type": "message", "role": "assistant", "content": []}
    agent.send("response.output_item.added", response_id=response_id, item=item)
    agent.send("output_audio_buffer.started", response_id=response_id)


def test_the_page_introduces_itself_with_its_tools(page, agent):
    (update,) = agent.events()
    assert update["type"] == "session.update"
    assert update["session"]["type"] == "realtime"
    assert [(tool["type"], tool["name"]) for tool in update["session"]["tools"]] == [("function", "get_time")]
    expect(page.get_by_role("status")).to_contain_text("Say something and pause")


def test_a_turn_and_its_answer(page, agent):
    page.evaluate("() => speak(true)")
    page.wait_for_timeout(500)
    agent.send("input_audio_buffer.speech_started", item_id="item_1", audio_start_ms=200)
    expect(rows(page, "turn")).to_contain_text("speaking")
    page.evaluate("() => speak(false)")
    page.wait_for_timeout(400)
    agent.send("input_audio_buffer.speech_stopped", item_id="item_1", audio_end_ms=2700)
    expect(rows(page, "turn")).to_contain_text("turn of 2.5 s")
    page.wait_for_timeout(200)
    begin_reply(agent)
    agent.behave("speak")
    expect(rows(page, "reply")).to_contain_text("speaking")
    expect(rows(page, "reply")).to_contain_text(re.compile(r"heard after \d+ ms"))
    for words in ("This is ", "the answer."):
        agent.send("response.output_audio_transcript.delta", response_id="resp_1", item_id="item_2", delta=words)
    agent.send("response.done", response={"id": "resp_1", "status": "completed"})
    agent.behave("hush")
    agent.send("output_audio_buffer.stopped", response_id="resp_1")
    agent.send("conversation.item.input_audio_transcription.completed", item_id="item_1", transcript="What was asked.")

    expect(rows(page, "reply").locator(".words")).to_have_text("This is the answer.")
    expect(rows(page, "reply")).to_contain_text("of speech")
    expect(rows(page, "turn").locator(".words")).to_have_text("What was asked.")
    times = page.evaluate("() => trioVoice.times")
    # From silence: 400 ms until the server noticed, and 200 ms until it answered. From its notice: the 200 ms alone.
    assert 200 < times["agent"]["last"] < 2000
    assert times["agent"]["last"] + 300 < times["heard"]["last"] < 5000
    assert (times["heard"]["count"], times["interruptions"]) == (1, 0)
    shown = page.locator("[data-time=heard]").text_content()
    assert shown == f"{int(times['heard']['median'] + 0.5)} ms"
    expect(page.locator("[data-time=heardNote]")).to_have_text("one answer")


def test_an_interruption_is_marked_where_it_was(page, agent):
    say_turn(agent)
    begin_reply(agent)
    expect(page.get_by_role("button", name="Interrupt")).to_have_attribute("aria-disabled", "false")
    agent.send("input_audio_buffer.speech_started", item_id="item_3", audio_start_ms=4000)
    agent.send("output_audio_buffer.cleared", response_id="resp_1")
    agent.send("response.done", response={"id": "resp_1", "status": "cancelled"})
    agent.send("conversation.item.truncated", item_id="item_2", content_index=0, audio_end_ms=1234)
    expect(rows(page, "reply")).to_contain_text("cut off after 1.2 s")
    expect(page.locator("[data-time=interruptions]")).to_have_text("1")
    expect(page.get_by_role("button", name="Interrupt")).to_have_attribute("aria-disabled", "true")
    # A second end of the same speech changes nothing.
    agent.send("output_audio_buffer.stopped", response_id="resp_1")
    agent.send("output_audio_buffer.cleared", response_id="resp_1")
    agent.send("error", error={"message": "the last event"})
    expect(rows(page, "problem")).to_have_count(1)
    assert page.evaluate("() => trioVoice.times.interruptions") == 1


def test_an_answer_that_is_taken_back_before_it_is_heard(page, agent):
    agent.send("response.created", response={"id": "resp_1", "status": "in_progress"})
    agent.send("response.output_item.added", response_id="resp_1", item={"id": "item_2", "type": "message"})
    agent.send("response.output_audio_transcript.delta", response_id="resp_1", delta="Nobody hears this.")
    agent.send("conversation.item.truncated", item_id="item_2", content_index=0, audio_end_ms=0)
    expect(rows(page, "reply")).to_contain_text("cut off before it was heard")


@pytest.mark.parametrize("way", ["button", "key"])
def test_the_button_and_the_escape_key_silence_the_agent(page, agent, way):
    say_turn(agent)
    begin_reply(agent)
    expect(rows(page, "reply")).to_contain_text("speaking")

    def interrupt() -> None:
        page.get_by_role("button", name="Interrupt").click() if way == "button" else page.keyboard.press("Escape")

    interrupt()
    assert last_sent(page, agent, 3)[1:] == [{"type": "response.cancel"}, {"type": "output_audio_buffer.clear"}]
    # A response that is made already, and still heard, is not cancelled.
    agent.send("response.done", response={"id": "resp_1", "status": "completed"})
    expect(page.locator("#events .type").last).to_have_text("response.done")
    interrupt()
    assert last_sent(page, agent, 4)[3:] == [{"type": "output_audio_buffer.clear"}]
    agent.send("output_audio_buffer.cleared", response_id="resp_1")
    expect(rows(page, "reply")).to_contain_text("cut off")
    if way == "key":  # nothing is said: nothing is sent
        interrupt()
        page.wait_for_timeout(100)
        assert len(agent.events()) == 4


def test_a_tool_call_is_shown_and_answered_by_the_page(page, agent):
    page.get_by_role("button", name="Have it call a tool").click()
    created, asked = last_sent(page, agent, 3)[1:]
    assert created["item"]["content"] == [{"type": "input_text", "text": "call get_time {}"}]
    assert asked == {"type": "response.create"}
    item = {"id": "item_1", "role": "user", "type": "message", "content": created["item"]["content"]}
    for kind in ("added", "done"):
        agent.send(f"conversation.item.{kind}", item=item)
    expect(rows(page, "written").locator(".words")).to_have_text(["call get_time {}"])

    agent.send("response.created", response={"id": "resp_1"})
    call = {"type": "function_call", "status": "completed", "name": "get_time", "call_id": "call_1"}
    call["arguments"] = '{"time_zone": "Asia/Kolkata"}'
    agent.send("response.output_item.done", response_id="resp_1", item=call)
    expect(rows(page, "tool").locator(".words")).to_have_text('get_time {"time_zone": "Asia/Kolkata"}')
    (output,) = last_sent(page, agent, 4)[3:]
    assert (output["item"]["type"], output["item"]["call_id"]) == ("function_call_output", "call_1")
    assert re.search(r'"time":".*GMT\+5:30","time_zone":"Asia/', output["item"]["output"])
    expect(rows(page, "tool")).to_contain_text("this page answered")
    # The next response is asked for once this one is over.
    agent.send("response.done", response={"id": "resp_1", "status": "completed"})
    assert last_sent(page, agent, 5)[4:] == [{"type": "response.create"}]


@pytest.mark.parametrize("given", ["no JSON", "[1", "null", '"text"', '{"time_zone": "Nowhere/At_All"}'])
def test_arguments_of_any_kind_get_an_answer(page, agent, given):
    agent.send("response.created", response={"id": "resp_1"})
    call = {"type": "function_call", "name": "get_time", "call_id": "call_1", "arguments": given}
    agent.send("response.output_item.done", item=call)
    output = last_sent(page, agent, 2)[1]["item"]["output"]
    assert ('"error"' in output) == (given not in ("null", '"text"'))


def test_a_tool_of_somebody_else_is_left_to_them(page, agent):
    call = {"type": "function_call", "name": "book_table", "call_id": "call_1", "arguments": "{}"}
    agent.send("response.output_item.done", item=call)
    expect(rows(page, "tool")).to_contain_text("this page has no such tool")
    agent.send(
        "conversation.item.added", item={"type": "function_call_output", "call_id": "call_1", "output": "booked"}
    )
    expect(rows(page, "tool")).to_contain_text("answered booked")
    assert len(agent.events()) == 1


def test_what_is_written_waits_for_the_answer_before(page, agent):
    field = page.get_by_label("Write to the agent")
    for text in ("one", "two", "three"):
        field.fill(text)
        field.press("Enter")
    expect(field).to_have_value("")
    kinds = [event["type"] for event in last_sent(page, agent, 5)[1:]]
    item = "conversation.item.create"
    assert kinds == [item, "response.create", item, item]
    agent.send("response.created", response={"id": "resp_1"})
    agent.send("response.done", response={"id": "resp_1"})
    assert last_sent(page, agent, 6)[5] == {"type": "response.create"}
    agent.send("response.created", response={"id": "resp_2"})
    agent.send("response.done", response={"id": "resp_2"})
    page.wait_for_timeout(100)
    assert len(agent.events()) == 6


def test_a_refused_request_does_not_hold_up_the_next(page, agent):
    field = page.get_by_label("Write to the agent")
    field.fill("one")
    field.press("Enter")
    last_sent(page, agent, 3)
    page.locator("#events summary").nth(3).click()
    event_id = re.findall(r'"event_id": "(\w+)"', page.locator("#events pre").text_content() or "")[0]
    agent.send("error", error={"message": "Not now.", "code": "busy", "event_id": event_id})
    expect(rows(page, "problem")).to_contain_text("Not now.")
    field.fill("two")
    field.press("Enter")
    assert last_sent(page, agent, 5)[4] == {"type": "response.create"}


def test_an_error_is_told_and_the_call_goes_on(page, agent):
    agent.send(
        "error", error={"type": "server_error", "code": "backend_disconnected", "message": "The agent has gone."}
    )
    expect(rows(page, "problem")).to_contain_text("The agent has gone.")
    expect(rows(page, "problem")).to_contain_text("backend_disconnected")
    failed = {"id": "resp_9", "status": "failed", "status_details": {"type": "failed", "error": {"message": "No GPU."}}}
    agent.send("response.done", response=failed)
    expect(rows(page, "problem")).to_have_count(2)
    expect(rows(page, "problem").last).to_contain_text("No GPU.")
    assert page.evaluate("() => trioVoice.state") == "talking"


def test_whatever_the_server_says_stays_text(page, agent):
    begin_reply(agent)
    agent.send("response.output_audio_transcript.delta", response_id="resp_1", delta=HOSTILE)
    agent.send("error", error={"message": HOSTILE, "code": HOSTILE})
    call = {"type": "function_call", "name": HOSTILE, "call_id": "c", "arguments": HOSTILE}
    agent.send("response.output_item.done", item=call)
    agent.send(HOSTILE)
    expect(page.locator("#events .type").last).to_have_text(HOSTILE)
    expect(rows(page, "reply").locator(".words")).to_have_text(HOSTILE)
    expect(rows(page, "problem").locator(".words")).to_have_text(HOSTILE)
    page.locator("#events summary").last.click()
    expect(page.locator("#events pre")).to_contain_text("onerror")
    assert page.evaluate("() => [document.querySelectorAll('img, b').length, window.hacked ?? 0]") == [0, 0]


@pytest.mark.parametrize(
    "text",
    ["no JSON", "null", "[]", "7", '{"type": 7}', '{"type": "constructor"}', '{"type": "__proto__"}']
    + [
        f'{{"type": "{kind}"}}'
        for kind in (
            "error",
            "response.created",
            "response.done",
            "response.output_item.added",
            "response.output_item.done",
            "response.output_audio_transcript.delta",
            "conversation.item.added",
            "conversation.item.truncated",
            "conversation.item.input_audio_transcription.completed",
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "output_audio_buffer.started",
            "output_audio_buffer.cleared",
        )
    ]
    + [
        '{"type": "conversation.item.added", "item": {"type": "message", "role": "user", "content": [null, 3]}}',
        '{"type": "input_audio_buffer.speech_started", "item_id": {}, "audio_start_ms": "soon"}',
        '{"type": "response.done", "response": {"id": [], "status": "failed", "status_details": 3}}',
        '{"type": "response.output_item.done", "item": {"type": "function_call", "name": "get_time"}}',
    ],
)
def test_events_without_sense_do_no_harm(shared_page, agent_of_module, text):
    page, agent = shared_page, agent_of_module
    agent.send_text(text)
    agent.send("error", error={"message": text})
    expect(rows(page, "problem").last).to_contain_text(text)


def test_the_end_of_a_call_ends_what_was_going_on(page, agent):
    begin_reply(agent)
    agent.send("input_audio_buffer.speech_started", item_id="item_7", audio_start_ms=100)
    expect(rows(page, "turn")).to_contain_text("speaking")
    agent.behave("hang-up")
    expect(page.get_by_role("status")).to_contain_text("The server ended the call")
    expect(rows(page, "turn")).to_contain_text("turn of")
    expect(rows(page, "reply")).to_contain_text("of speech")
    expect(page.get_by_label("Write to the agent")).to_be_disabled()
    expect(page.get_by_role("button", name="Interrupt")).to_be_hidden()
    # What was said can still be read, until the next call.
    agent.behave("agent")
    talk(page, agent)
    expect(page.locator("#conversation li")).to_have_count(0)
    expect(page.locator("[data-time=heard]")).to_have_text("\N{EN DASH}")


def test_who_hangs_up_cannot_go_on_writing(page, agent):
    begin_reply(agent)
    expect(page.get_by_role("button", name="Interrupt")).to_have_attribute("aria-disabled", "false")
    page.get_by_role("button", name="Hang up").click()
    expect(page.get_by_label("Write to the agent")).to_be_disabled()
    page.keyboard.press("Escape")
    expect(page.locator("#events [data-direction=out]")).to_have_count(1)


def test_a_channel_that_closes_in_a_call(page, agent):
    expect(page.get_by_label("Write to the agent")).to_be_enabled()
    agent.behave("close-channel")
    expect(page.get_by_label("Write to the agent")).to_be_disabled()
    assert page.evaluate("() => [trioVoice.state, trioVoice.partner]") == ["talking", "agent"]


@pytest.mark.parametrize(("behaviour", "timeout"), [("echo", 300), ("no-channel", 60_000)])
def test_a_plain_echo_is_called_so(edge, open_page, behaviour, timeout):
    """No agent introduces itself, or the channel is refused: the page shows the sound alone, and says why."""
    edge.behave(behaviour)
    page = open_page(f"{edge.url}?agent-timeout={timeout}")
    expect(page.get_by_role("heading", name="Conversation")).to_be_visible()
    page.get_by_role("button", name="Talk").click()
    expect(page.get_by_role("status")).to_contain_text("taken for the plain echo", timeout=15_000)
    for name in ("Conversation", "Events"):
        expect(page.get_by_role("heading", name=name)).to_be_hidden()
    expect(page.get_by_role("meter", name="echo")).not_to_have_attribute("aria-valuenow", "-60")
    assert page.evaluate("() => [trioVoice.state, trioVoice.partner]") == ["talking", "none"]
    page.get_by_role("button", name="Hang up").click()


def test_an_agent_that_comes_late_is_welcome(agent, open_page):
    page = open_page(agent.url + "?agent-timeout=100")
    page.get_by_role("button", name="Talk").click()
    expect(page.locator("body")).to_have_attribute("data-partner", "none", timeout=15_000)
    agent.send("session.created", session={})
    expect(page.locator("body")).to_have_attribute("data-partner", "agent")
    expect(page.get_by_role("heading", name="Conversation")).to_be_visible()


@pytest.fixture(scope="module")
def agent_of_module(running_edge):
    return running_edge


@pytest.fixture
def shared_page(agent_of_module, kept_page):
    return kept_page


@pytest.fixture(scope="module")
def kept_page(chromium, agent_of_module):
    """One call for many small tests."""
    agent_of_module.behave("agent")
    context = chromium.new_context(permissions=["microphone"])
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(agent_of_module.url)
    talk(page, agent_of_module)
    yield page
    context.close()
    assert errors == []
