"""An agent in a few lines: greets the caller, repeats what it hears, and looks things up with the client's tools.

    trio-voice serve --backend agent:docs.examples.greeter:greeter

Everything that an agent can do is in `transceiver/agents/contract.py`.
"""

from transceiver.agents.contract import Conversation
from transceiver.agents.tones import beep


async def greeter(conversation: Conversation) -> None:
    """Be the agent of one call."""
    async with conversation.reply() as reply:
        await reply.say(beep(conversation.rate), transcript="Hello! Say something.")

    async for turn in conversation.turns():
        async with conversation.reply() as reply:  # whatever is in here stops when the caller interrupts
            for result in turn.tool_results:
                await reply.say(transcript=f"I looked it up: {result.output}")
            if "weather" in turn.text and turn.tools:
                await reply.call_tool("weather", {"city": "Lisbon"})
            elif turn.audio:
                await reply.say(turn.audio, transcript="You said this.")
        if "goodbye" in turn.text:
            return  # hangs up
