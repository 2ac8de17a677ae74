"""Agents for measurements: one gives the caller's audio back, one tells when it hears and says sharp sounds.

Named "bench.agents:onsets" to a transceiver, or "bench.agents:by_model" to `trio-voice backend`.
"""

import random
import time

import trio

from bench.onsets import OnsetDetector, tone
from transceiver.agents.contract import Conversation
from transceiver.agents.pcm_echo import pcm_echo

__all__ = ["HEARD", "ONSETS", "SAID", "by_model", "onsets"]

ONSETS = "onsets"
"""Models whose name ends so, and with a number, are answered by `onsets`."""

HEARD, SAID = "onset-heard", "onset-said"
"""Begin a line of the log, followed by the model and the time."""

_PAUSE = (0.05, 0.15)
"""Seconds from what was heard to what is said, by chance, so that it falls anywhere between two ticks."""


async def onsets(conversation: Conversation) -> None:
    """Answer each sharp sound with another a little later, and print when both were."""
    detector = OnsetDetector(conversation.rate)
    sound = tone(conversation.rate)
    heard = trio.Event()

    def hear(pcm: bytes) -> None:
        now = time.monotonic()
        if detector.hears(pcm):
            print(HEARD, conversation.model, now)
            heard.set()

    async with conversation.reply() as reply:
        conversation.listen(hear)
        while True:
            await heard.wait()
            heard = trio.Event()
            await trio.sleep(random.uniform(*_PAUSE))
            print(SAID, conversation.model, time.monotonic())
            reply.say_now(sound)


async def by_model(conversation: Conversation) -> None:
    """Be what the caller asked for: `onsets`, or else an echo."""
    if ONSETS in conversation.model:
        await onsets(conversation)
    else:
        await pcm_echo(conversation)
