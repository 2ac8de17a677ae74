"""An agent that gives the caller's audio straight back, piece by piece: what a call costs before its agent works.

It also shows `listen`: no queue and no task stand between the microphone and the answer, and no turns are looked for.
"""

import trio

from transceiver.agents.contract import Conversation

__all__ = ["pcm_echo"]


async def pcm_echo(conversation: Conversation) -> None:
    """Say everything back at once, until the caller hangs up."""
    async with conversation.reply() as reply:
        conversation.listen(reply.say_now)
        await trio.sleep_forever()
