"""The control API of a transceiver, be it one worker or several.

Its `/readyz` says yes for the first time when the fleet knows of the transceiver, and it knows the fleet: until then it
could take over nothing, and whoever replaces transceivers one after the other would stop the next one too soon.
"""

from collections.abc import Callable
from typing import Protocol

from edge.config.model import TransceiverConfig
from edge.control.server import CONTROL_LIMITS, ControlHandler
from edge.http.server import HttpServer
from edge.keys import Bundle
from edge.tiers.control_tls import handshake_reports, server_context
from edge.tiers.keyring import control_bearers
from edge.tiers.serving import failure_hook
from edge.tiers.tier import Surroundings
from transceiver.calls import Calls, Conversations
from transceiver.handover.movable import Movable

__all__ = ["Controlled", "control_server"]


class Controlled(Calls, Conversations, Movable, Protocol):
    """All that is commanded."""


def control_server(
    controlled: Controlled,
    config: TransceiverConfig,
    keys: Bundle,
    surroundings: Surroundings,
    starting: Callable[[], str] = lambda: "",
) -> tuple[ControlHandler, HttpServer]:
    """Make the handler and the server of a control API, which serves nothing yet.

    Args:
        controlled: the worker, or all of them.
        config: the transceiver's section.
        keys: its bundle.
        surroundings: metrics and log of the process.
        starting: tells why the start is not over, besides the store; empty when it is.

    Raises:
        StartError: a file of its certificate cannot be used.
    """
    membership = surroundings.membership

    def still_starting() -> str:
        return starting() or ("" if membership is None else membership.not_joined_reason)

    tls = server_context(config)
    handler = ControlHandler(
        controlled,
        control_bearers(keys),
        surroundings.metrics.render,
        conversations=controlled,
        movable=controlled,
        needs_certificate=tls is not None,
        starting=still_starting,
    )
    server = HttpServer(
        handler,
        limits=CONTROL_LIMITS,
        tls=tls,
        on_failure=failure_hook(surroundings.report),
        on_handshake_failure=handshake_reports(surroundings.report),
    )
    return handler, server
