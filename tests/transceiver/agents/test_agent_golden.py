"""The whole exchange, event by event, as the stock client expects it (specs/clients.md §1.8)."""

from pathlib import Path

from transceiver.agents.parrot import parrot


def golden(name: str) -> list[str]:
    """Read what was looked at by a person once, and is not to change unnoticed."""
    return (Path(__file__).parent / "golden" / f"{name}.txt").read_text().splitlines()


async def test_a_spoken_turn(meet, tone, silence) -> None:
    async with meet(parrot) as client:
        assert client.kinds() == ["session.created"]
        client.forget()
        client.hear(silence(1.0) + tone(0.8) + silence(0.7))
        await client.settle()
        assert client.story() == golden("spoken_turn")
        assert client.last("response.done")["response"]["usage"]["total_tokens"] == 0


async def test_an_interruption(meet, syllables, silence) -> None:
    async with meet(parrot) as client:
        client.hear(silence(0.5) + syllables(20.0) + silence(0.6))
        await client.settle()
        assert client.kinds()[-1] == "(audio)", "it waits, since it is far ahead of what is played"
        client.forget()
        client.hear(syllables(0.08))
        item_id = client.last("response.done")["response"]["output"][0]["id"]
        client.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=1500)
        client.send("conversation.item.retrieve", item_id=item_id)
        assert client.story() == golden("interruption")
        assert client.last("response.done")["response"]["status_details"] == {
            "type": "cancelled",
            "reason": "turn_detected",
        }
        client.forget()
        client.hear(syllables(1.0) + silence(0.6))
        await client.settle()
        assert client.last("response.done")["response"]["status"] == "completed", "and goes on with the next turn"


async def test_a_tool_round_trip(meet) -> None:
    async with meet(parrot) as client:
        client.forget()
        client.write('call weather {"city": "Lisbon"}')
        await client.settle()
        call_id = client.last("response.function_call_arguments.done")["call_id"]
        output = {"type": "function_call_output", "call_id": call_id, "output": "sunny"}
        client.send("conversation.item.create", item=output)
        client.send("response.create")
        await client.settle()
        assert client.story() == golden("tool_round_trip")


async def test_text(meet) -> None:
    async with meet(parrot) as client:
        client.forget()
        client.write("hello", response={"output_modalities": ["text"]})
        await client.settle()
        assert client.story() == golden("text")
