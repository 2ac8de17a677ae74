"""The parrot, and the example of the documentation."""

from pathlib import Path

import pytest

from transceiver.agents.loading import load_agent
from transceiver.agents.parrot import parrot
from transceiver.agents.tones import beep
from transceiver.agents.turns import levels_of

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}


def give(client, output: str) -> None:
    call_id = client.last("response.function_call_arguments.done")["call_id"]
    item = {"type": "function_call_output", "call_id": call_id, "output": output}
    client.send("conversation.item.create", item=item)
    client.send("response.create")


@pytest.mark.parametrize("rate", [8000, 16_000, 24_000, 48_000])
async def test_it_says_back_what_it_heard_without_the_silence(meet, noise, syllables, silence, rate: int) -> None:
    async with meet(parrot, rate=rate) as client:
        quiet = noise(0.6, rate, amplitude=20)
        client.hear(silence(0.4, rate) + syllables(0.68, rate) + quiet)
        await client.settle()
        speech = client.speech()
        assert syllables(0.68, rate) in speech
        assert len(speech) == 2 * round(0.8 * rate), "60 ms are left on either side"


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ("call weather", "weather", "{}"),
        (' Call get_weather {"city": "Lisbon", "days": [1, 2]} ', "get_weather", '{"city": "Lisbon", "days": [1, 2]}'),
        ("call mcp.look-up\n{}", "mcp.look-up", "{}"),
    ],
)
async def test_told_to_call_a_tool_it_does(meet, text: str, name: str, arguments: str) -> None:
    async with meet(parrot) as client:
        client.write(text)
        await client.settle()
        done = client.last("response.function_call_arguments.done")
        assert (done["name"], done["arguments"]) == (name, arguments)
        give(client, '{"sky": "blue"}')
        await client.settle()
        assert client.last("response.output_audio_transcript.done")["transcript"] == f'{name} says: {{"sky": "blue"}}'
        assert client.speech() == beep(24_000)


@pytest.mark.parametrize("text", ["call me maybe", "call weather {", "call weather [1]", "please call weather"])
async def test_other_texts_are_answered_in_writing_with_a_beep(meet, text: str) -> None:
    async with meet(parrot) as client:
        client.write(text)
        await client.settle()
        assert client.last("response.output_audio_transcript.done")["transcript"] == text
        assert client.speech() == beep(24_000)


async def test_made_to_call_a_tool_it_does_once(meet, syllables, silence) -> None:
    async with meet(parrot) as client:
        choice = {"type": "function", "name": "weather"}
        client.send("session.update", session={"tools": [WEATHER], "tool_choice": choice})
        client.hear(syllables(0.4) + silence(0.6))
        await client.settle()
        assert client.last("response.function_call_arguments.done")["arguments"] == "{}"
        give(client, "sunny")
        await client.settle()
        assert client.last("response.output_audio_transcript.done")["transcript"] == "weather says: sunny"
        assert len(client.of("response.function_call_arguments.done")) == 1


async def test_forbidden_to_call_a_tool_it_does_not(meet) -> None:
    async with meet(parrot) as client:
        client.write("call weather", response={"tool_choice": "none"})
        await client.settle()
        assert client.of("response.function_call_arguments.done") == []


async def test_asked_about_nothing_it_says_so(meet) -> None:
    async with meet(parrot) as client:
        client.send("response.create")
        await client.settle()
        assert client.last("response.output_audio_transcript.done")["transcript"] == "I have heard nothing."


@pytest.mark.parametrize("rate", [8000, 16_000, 24_000, 48_000])
def test_a_beep_is_heard_and_does_not_click(rate: int) -> None:
    tone = beep(rate)
    assert len(tone) == 2 * round(0.15 * rate)
    assert all(-20 < level < -10 for level in levels_of(tone, rate))
    assert tone[:2] == tone[-2:] == b"\0\0"


def test_the_example_is_short() -> None:
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text().splitlines()) <= 40


async def test_the_example_does_what_it_says(meet, syllables, silence) -> None:
    greeter = load_agent("docs.examples.greeter:greeter")
    async with meet(greeter) as client:
        assert client.last("response.output_audio_transcript.done")["transcript"] == "Hello! Say something."
        client.forget()
        client.hear(syllables(0.4) + silence(0.6))
        await client.settle()
        assert syllables(0.4) in client.speech()
        client.send("session.update", session={"tools": [WEATHER]})
        client.write("how is the weather?")
        await client.settle()
        give(client, "sunny")
        await client.settle()
        assert client.last("response.output_audio_transcript.done")["transcript"] == "I looked it up: sunny"
        client.write("goodbye")
        await client.ended.wait()
        assert client.lost is None
        assert client.of("error") == []
