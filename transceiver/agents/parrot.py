"""A small agent that says back what it heard, written with nothing but the contract.

* Spoken to, it repeats what was said, without the pauses around it.
* Written to, it answers in writing, with a beep.
* Told "call NAME {json}", in writing, or made to by the client's `tool_choice`, it calls that tool; it then tells what
  the tool gave.

Who interrupts it is listened to at once: what stands inside `reply` is cancelled.
"""

import json
import re
from collections.abc import Mapping

from transceiver.agents.contract import Conversation, Turn
from transceiver.agents.tones import beep
from transceiver.agents.turns import trim_silence

__all__ = ["parrot"]

_CALL = re.compile(r"\s*call\s+(?P<name>[\w.-]+)\s*(?P<arguments>\{.*\})?\s*", re.DOTALL | re.IGNORECASE)


async def parrot(conversation: Conversation) -> None:
    """Say back what the caller says, until the caller hangs up."""
    async for turn in conversation.turns():
        async with conversation.reply() as reply:
            if turn.tool_results:
                told = "\n".join(f"{result.name} says: {result.output}" for result in turn.tool_results)
                await reply.say(beep(conversation.rate), transcript=told)
            elif call := _wanted_call(turn):
                await reply.call_tool(*call)
            elif words := trim_silence(turn.audio, conversation.rate):
                await reply.say(words, transcript="This is what you said.")
            else:
                await reply.say(beep(conversation.rate), transcript=turn.text or "I have heard nothing.")


def _wanted_call(turn: Turn) -> tuple[str, Mapping[str, object]] | None:
    """Tell which tool is to be called, and with what; None for none."""
    spoken = _CALL.fullmatch(turn.text)
    arguments = _object_in(spoken["arguments"] or "{}") if spoken else {}
    if turn.forced_tool is not None:
        return turn.forced_tool, arguments or {}
    if spoken is None or arguments is None or turn.tool_choice == "none":
        return None
    return spoken["name"], arguments


def _object_in(text: str) -> Mapping[str, object] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
