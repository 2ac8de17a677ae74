"""What the tests of SCTP share."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def channel_network(load_neighbour: Callable[[Path], ModuleType]) -> ModuleType:
    """The module next door: two cores in a network without sockets or a clock."""
    return load_neighbour(Path(__file__).with_name("channel_network.py"))


@pytest.fixture(scope="session")
def sctp_network(load_neighbour: Callable[[Path], ModuleType]) -> ModuleType:
    """The other module next door: two bare associations in bad weather."""
    return load_neighbour(Path(__file__).with_name("association_network.py"))


@pytest.fixture(scope="session")
def aiortc_network(load_neighbour: Callable[[Path], ModuleType]) -> ModuleType:
    """The third module next door: our data channels and aiortc's, with a wire between them."""
    return load_neighbour(Path(__file__).with_name("aiortc_network.py"))
