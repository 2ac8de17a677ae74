"""The life of a call, as a table; `docs/state-diagrams.md` draws it."""

import enum

__all__ = ["TRANSITIONS", "State", "Trigger"]


class State(enum.StrEnum):
    """How far a call has come."""

    WAITING = "waiting"
    """No client has shown the password yet."""
    CONNECTING = "connecting"
    """A path has appeared; DTLS is under way."""
    ESTABLISHED = "established"
    """The client is authenticated; media flows."""
    CLOSED = "closed"
    """It is over."""


class Trigger(enum.StrEnum):
    """What moves a call from state to state."""

    CHECKED = "first authenticated check"
    AUTHENTICATED = "DTLS connected, fingerprint matched"
    ENDED = "hang-up, close_notify, alert, consent expired, time limit"


TRANSITIONS: dict[State, dict[Trigger, State]] = {
    State.WAITING: {Trigger.CHECKED: State.CONNECTING, Trigger.ENDED: State.CLOSED},
    State.CONNECTING: {Trigger.AUTHENTICATED: State.ESTABLISHED, Trigger.ENDED: State.CLOSED},
    State.ESTABLISHED: {Trigger.ENDED: State.CLOSED},
    State.CLOSED: {},
}
"""A trigger without an entry for the state that it meets changes nothing."""
