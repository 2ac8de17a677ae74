"""Callers to try: alone, or in a network with the transceiver's session."""

from collections.abc import Callable

import pytest

from dtls.certificate import Certificate
from edge.caller.opus_file import Clip
from transceiver.session import Session


@pytest.fixture(scope="session")
def clip(call_network) -> Clip:
    return call_network.load_clip()


@pytest.fixture(scope="session")
def certificate(call_network) -> Certificate:
    return Certificate.generate(unix_time=call_network.UNIX)


@pytest.fixture
def weather(call_network, certificate: Certificate, clip: Clip) -> Callable[..., object]:
    """Make a caller whose offer was answered, and the server that answered it."""

    def make(**changes: object) -> object:
        return call_network.connect(certificate, clip, **changes)

    return make


@pytest.fixture(scope="session")
def server_maker(call_network) -> Callable[..., tuple[Session, str]]:
    """The function that answers an offer with a transceiver's session."""
    return call_network.make_server
