"""What a bridge is made of; its two sides share it."""

from collections import Counter, deque

import attrs

from transceiver.calls import CallWishes
from transceiver.realtime.audience import Audience
from transceiver.realtime.identifiers import Identifiers
from transceiver.realtime.items import ConversationItems
from transceiver.realtime.options import BackendProfile, BridgeOptions
from transceiver.realtime.outputs import Output
from transceiver.realtime.playback import Playback
from transceiver.realtime.session_config import SessionConfiguration
from transceiver.realtime.session_updates import SessionUpdates
from transceiver.realtime.uplink import Uplink
from wire.core import Drops

__all__ = ["Parts", "Tally"]

_MAX_NAMES = 64


@attrs.define(eq=False)
class Tally:
    """What happened in a session, in numbers.

    Attributes:
        from_clients: events of the client's and of sidebands, by type.
        from_backend: events of the backend's, by type.
        interruptions: how often the agent was cut off by the caller.
        clears: how often it was by a client's `output_audio_buffer.clear`.
        caller_turns: how often the caller's audio was committed.
        responses: how many the backend finished.
        reconnections: how often a backend was replaced.
        is_caller_speaking: as the backend hears it.
        last_loss: why the backend was lost, in words for the operator; empty when it was not.
    """

    from_clients: Counter[str] = attrs.field(factory=Counter)
    from_backend: Counter[str] = attrs.field(factory=Counter)
    interruptions: int = 0
    clears: int = 0
    caller_turns: int = 0
    responses: int = 0
    reconnections: int = 0
    is_caller_speaking: bool = False
    last_loss: str = ""

    @staticmethod
    def count(counter: Counter[str], name: str) -> None:
        """Count an event; when there are many types already, new ones are counted together."""
        known = name in counter or (len(counter) < _MAX_NAMES and len(name) <= _MAX_NAMES)
        counter[name if known else "other"] += 1

    def describe(self) -> dict[str, object]:
        """Tell it in JSON types."""
        return {
            "is_caller_speaking": self.is_caller_speaking,
            "caller_turns": self.caller_turns,
            "responses": self.responses,
            "interruptions": self.interruptions,
            "clears": self.clears,
            "reconnections": self.reconnections,
            "last_loss": self.last_loss[:200],
            "events_from_clients": dict(self.from_clients),
            "events_from_backend": dict(self.from_backend),
        }


@attrs.define(eq=False, kw_only=True)
class Parts:
    """What the sides of a bridge share.

    Attributes:
        options: how the bridge behaves.
        wishes: what the call was made with.
        identifiers: names what is made here.
        outputs: what is to be done, in order.
        drops: what was not passed on, by reason.
        audience: who listens.
        configuration: what the session is set to.
        updates: which settings wait for an answer.
        playback: what the agent says.
        items: what was said.
        uplink: what the caller says.
        tally: what happened, in numbers.
    """

    options: BridgeOptions
    wishes: CallWishes
    identifiers: Identifiers
    outputs: deque[Output]
    drops: Drops
    audience: Audience
    configuration: SessionConfiguration
    updates: SessionUpdates
    playback: Playback
    items: ConversationItems
    uplink: Uplink
    tally: Tally = attrs.field(factory=Tally)

    @property
    def profile(self) -> BackendProfile:
        """What the backend understands."""
        return self.options.backend
