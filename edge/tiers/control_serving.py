"""The control API of a transceiver, be it one worker or several."""

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
    controlled: Controlled, config: TransceiverConfig, keys: Bundle, surroundings: Surroundings
) -> tuple[ControlHandler, HttpServer]:
    """Make the handler and the server of a control API, which serves nothing yet.

    Args:
        controlled: the worker, or all of them.
        config: the transceiver's section.
        keys: its bundle.
        surroundings: metrics and log of the process.

    Raises:
        StartError: a file of its certificate cannot be used.
    """
    tls = server_context(config)
    handler = ControlHandler(
        controlled,
        control_bearers(keys),
        surroundings.metrics.render,
        conversations=controlled,
        movable=controlled,
        needs_certificate=tls is not None,
    )
    server = HttpServer(
        handler,
        limits=CONTROL_LIMITS,
        tls=tls,
        on_failure=failure_hook(surroundings.report),
        on_handshake_failure=handshake_reports(surroundings.report),
    )
    return handler, server
