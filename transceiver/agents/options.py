"""What an agent's server is willing to hold and to wait for, with the reason for each default."""

import attrs

__all__ = ["RATES", "AgentOptions"]

RATES = (8000, 16000, 24000, 48000)
"""Sample rates in Hz that an agent may hear and speak."""


@attrs.frozen(kw_only=True)
class AgentOptions:
    """Bounds and times of one conversation.

    Attributes:
        max_turn: seconds of one turn of the caller's that are kept. A turn that the detector follows ends there; with
            push to talk the oldest audio goes. A minute at 24 kHz is 2.9 MB.
        max_items: items of a conversation that are remembered; the oldest are forgotten.
        max_happenings: happenings that wait for an agent that is busy; then the oldest are dropped. Pieces of audio
            are happenings too, for an agent that iterates over them: at 20 ms each this is 10 s.
        max_lead: seconds that speech may run ahead of the time it takes to play. `Reply.say` waits beyond it, so an
            agent never fills memory with what is interrupted later, and is interrupted itself, not only its sound.
        goodbye: seconds that an agent has to come to an end after the caller has gone.
    """

    max_turn: float = 60.0
    max_items: int = 256
    max_happenings: int = 512
    max_lead: float = 10.0
    goodbye: float = 5.0
