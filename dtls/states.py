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

_TYPES = {int(each): each for each in HandshakeType}


@attrs.frozen(kw_only=True)
class StateTable(Generic[_State]):
    """A handshake's order of messages.

    Attributes:
        name: for people and diagrams.
        initial: where it begins.
        rows: for each state, in the order of the handshake, the messages that may come and where each leads.
    """

    name: str
    initial: _State
    rows: Mapping[_State, Mapping[HandshakeType, _State]]

    def next_state(self, state: _State, message_type: int) -> _State:
        """Return where a message leads.

        Raises:
            AbortError: it must not come here.
        """
        known = _TYPES.get(message_type)
        target = None if known is None else self.rows[state].get(known)
        if target is not None:
            return target
        detail = f"handshake message {message_type} in state {state.name}"
        raise AbortError(AlertDescription.UNEXPECTED_MESSAGE, "unexpected-message", detail)
