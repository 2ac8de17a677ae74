"""The states of an association, as a table.

A cell that is missing is a policy: the input changes nothing. A chunk that finds no cell is dropped and counted as
`unexpected-chunk`; a command that finds none is ignored, but for `send`, which raises.

RFC 9260 §4 has one CLOSED before and after. Here nothing comes after: an association that has ended stays ENDED, and
its owner makes another one if it wants to.

Source: RFC 9260 §4, figure 3.
"""

import enum
from collections.abc import Mapping

__all__ = ["ASSOCIATION_STATES", "RECEIVES_DATA", "RECEIVES_SACK", "SENDS_DATA", "State", "Trigger"]


class State(enum.Enum):
    """States of an association; the names are the RFC's."""

    CLOSED = "closed"
    COOKIE_WAIT = "cookie-wait"
    COOKIE_ECHOED = "cookie-echoed"
    ESTABLISHED = "established"
    SHUTDOWN_PENDING = "shutdown-pending"
    SHUTDOWN_SENT = "shutdown-sent"
    SHUTDOWN_RECEIVED = "shutdown-received"
    SHUTDOWN_ACK_SENT = "shutdown-ack-sent"
    ENDED = "ended"


class Trigger(enum.Enum):
    """What moves an association: chunks that were found good, commands, and what follows from them."""

    ASSOCIATE = "connect()"
    INIT_ACK = "INIT ACK"
    COOKIE_ECHO = "COOKIE ECHO"
    COOKIE_ACK = "COOKIE ACK"
    STALE_COOKIE = "stale cookie"
    RESTART = "restart"
    BEGIN_ANEW = "begin anew"
    SHUTDOWN_REQUEST = "shutdown()"
    ALL_ACKNOWLEDGED = "all acknowledged"
    SHUTDOWN = "SHUTDOWN"
    SHUTDOWN_ACK = "SHUTDOWN ACK"
    SHUTDOWN_COMPLETE = "SHUTDOWN COMPLETE"
    END = "abort or timeout"


_S, _T = State, Trigger

ASSOCIATION_STATES: Mapping[State, Mapping[Trigger, State]] = {
    _S.CLOSED: {
        _T.ASSOCIATE: _S.COOKIE_WAIT,
        _T.COOKIE_ECHO: _S.ESTABLISHED,
        _T.SHUTDOWN_REQUEST: _S.ENDED,
        _T.END: _S.ENDED,
    },
    _S.COOKIE_WAIT: {
        _T.INIT_ACK: _S.COOKIE_ECHOED,
        # §5.2.4 B: the peer was faster.
        _T.COOKIE_ECHO: _S.ESTABLISHED,
        _T.SHUTDOWN_REQUEST: _S.ENDED,
        _T.END: _S.ENDED,
    },
    _S.COOKIE_ECHOED: {
        _T.COOKIE_ACK: _S.ESTABLISHED,
        # §5.2.4 B and D.
        _T.COOKIE_ECHO: _S.ESTABLISHED,
        # §5.2.6: a new INIT is sent.
        _T.STALE_COOKIE: _S.COOKIE_WAIT,
        _T.SHUTDOWN_REQUEST: _S.ENDED,
        _T.END: _S.ENDED,
    },
    _S.ESTABLISHED: {
        # §5.2.4 A.
        _T.RESTART: _S.ESTABLISHED,
        # Of both sides in one round trip (`answering`).
        _T.BEGIN_ANEW: _S.COOKIE_WAIT,
        _T.SHUTDOWN_REQUEST: _S.SHUTDOWN_PENDING,
        _T.SHUTDOWN: _S.SHUTDOWN_RECEIVED,
        _T.END: _S.ENDED,
    },
    _S.SHUTDOWN_PENDING: {
        _T.RESTART: _S.ESTABLISHED,
        _T.ALL_ACKNOWLEDGED: _S.SHUTDOWN_SENT,
        _T.SHUTDOWN: _S.SHUTDOWN_RECEIVED,
        _T.END: _S.ENDED,
    },
    _S.SHUTDOWN_SENT: {
        _T.RESTART: _S.ESTABLISHED,
        # §9.2: both sides wanted it at the same time.
        _T.SHUTDOWN: _S.SHUTDOWN_ACK_SENT,
        _T.SHUTDOWN_ACK: _S.ENDED,
        _T.END: _S.ENDED,
    },
    _S.SHUTDOWN_RECEIVED: {
        _T.RESTART: _S.ESTABLISHED,
        _T.ALL_ACKNOWLEDGED: _S.SHUTDOWN_ACK_SENT,
        _T.END: _S.ENDED,
    },
    # §5.2.4 A: no restart from here.
    _S.SHUTDOWN_ACK_SENT: {
        _T.SHUTDOWN_ACK: _S.ENDED,
        _T.SHUTDOWN_COMPLETE: _S.ENDED,
        _T.END: _S.ENDED,
    },
    _S.ENDED: {},
}

RECEIVES_DATA = frozenset({_S.ESTABLISHED, _S.SHUTDOWN_PENDING, _S.SHUTDOWN_SENT})
"""RFC 9260 §6: DATA received in any other state SHOULD be discarded."""

RECEIVES_SACK = frozenset({_S.ESTABLISHED, _S.SHUTDOWN_PENDING, _S.SHUTDOWN_RECEIVED})
"""RFC 9260 §6."""

SENDS_DATA = frozenset({_S.ESTABLISHED, _S.SHUTDOWN_PENDING, _S.SHUTDOWN_RECEIVED})
"""RFC 9260 §6; besides, one packet with the COOKIE ECHO."""
