"""State machines as tables.

A table says which handshake message leads from which state to which. A cell that is missing is a policy too: the
message is unexpected and ends the handshake (RFC 8446 §4, RFC 5246 §7.2.2: unexpected_message).
"""

import enum
from collections.abc import Mapping
from typing import Generic, TypeVar

import attrs

from dtls.alerts import AbortError, AlertDescription
from dtls.handshake.message import HandshakeType

__all__ = ["StateTable"]

_State = TypeVar("_State", bound=enum.Enum)


@attrs.frozen(kw_only=True)
class StateTable(Generic[_State]):
    """A handshake's order of messages.

    Attributes:
        name: for diagrams.
        initial: where it begins.
        rows: for each state the messages that may come, and where each leads.
    """

    name: str
    initial: _State
    rows: Mapping[_State, Mapping[HandshakeType, _State]]

    def next_state(self, state: _State, message_type: int) -> _State:
        """Return where a message leads.

        Raises:
            AbortError: it must not come here.
        """
        for expected, target in self.rows.get(state, {}).items():
            if expected == message_type:
                return target
        detail = f"handshake message {message_type} in state {state.name}"
        raise AbortError(AlertDescription.UNEXPECTED_MESSAGE, "unexpected-message", detail)

    def to_mermaid(self) -> str:
        """Draw the table as a Mermaid state diagram."""
        lines = ["stateDiagram-v2", f"    [*] --> {self.initial.name}"]
        for state, row in self.rows.items():
            lines += [f"    {state.name} --> {target.name} : {message.name}" for message, target in row.items()]
        return "\n".join(lines) + "\n"
