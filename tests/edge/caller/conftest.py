"""Callers to try: alone, or in a network with the transceiver's session."""

from collections.abc import Callable

import pytest

from transceiver.session import Session


@pytest.fixture
def weather(connect: Callable[..., object]) -> Callable[..., object]:
    """`connect`, where it is the network that matters."""
    return connect


@pytest.fixture(scope="session")
def server_maker(call_network) -> Callable[..., tuple[Session, str]]:
    """The function that answers an offer with a transceiver's session."""
    return call_network.make_server
