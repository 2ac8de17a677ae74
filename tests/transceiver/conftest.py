"""Sessions to try, against the caller of `edge` in a network without sockets."""

from collections.abc import Callable

import pytest

from dtls.certificate import Certificate
from edge.caller.opus_file import Clip


@pytest.fixture(scope="session")
def clip(call_network) -> Clip:
    return call_network.load_clip()


@pytest.fixture(scope="session")
def certificate(call_network) -> Certificate:
    return Certificate.generate(unix_time=call_network.UNIX)


@pytest.fixture
def connect(call_network, certificate: Certificate, clip: Clip) -> Callable[..., object]:
    """Make a caller whose offer was answered, the session that answered it, and the network between them."""

    def make(**changes: object) -> object:
        return call_network.connect(certificate, clip, **changes)

    return make


@pytest.fixture
def talk(connect: Callable[..., object]) -> Callable[..., object]:
    """The same, a second into the call."""

    def make(**changes: object) -> object:
        network = connect(**changes)
        network.run(1)
        assert network.server.media is not None
        return network

    return make
