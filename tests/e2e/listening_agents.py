"""Agents for the tests, named as agent:listening_agents:FUNCTION by processes that have this folder in PYTHONPATH.

Nothing of pytest's is here, and the tests do not import it: see `voice_edge.recording_of` for the recorder's other end.
"""

import os
import struct
import time
from pathlib import Path

from sound import speech

from transceiver.agents.contract import Conversation

__all__ = ["recorder", "storyteller"]


async def recorder(conversation: Conversation) -> None:
    """Write down all that is heard, with the time of day, and recite the built-in voice whenever asked to answer."""
    path = Path(os.environ["TEST_RECORDINGS"], conversation.model)
    with path.open("wb", buffering=0) as file:  # noqa: ASYNC230 - a test's file, written as audio comes
        conversation.listen(lambda pcm: file.write(struct.pack("<dI", time.time(), len(pcm)) + pcm))
        async for _ in conversation.turns():
            async with conversation.reply() as reply:
                await reply.say(speech(conversation.rate), transcript="A voice.")


async def storyteller(conversation: Conversation) -> None:
    """Answer everything at length: the answer is still being made while most of it is heard."""
    async for _ in conversation.turns():
        async with conversation.reply() as reply:
            for _ in range(3):
                await reply.say(speech(conversation.rate), transcript="A long story. ")
