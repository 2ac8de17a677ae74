"""The stores that the common tests run over, and a way to let time pass in each."""

from collections.abc import Callable

import attrs
import pytest

from edge.store.memory import MemoryOwnership
from transceiver.handover.ownership import OwnershipStore


@attrs.define
class Aging:
    """A store whose records can be made older."""

    store: OwnershipStore
    age: Callable[[float], None]


@pytest.fixture(params=["memory"])
def aging(request) -> Aging:
    clock = [1000.0]

    def age(seconds: float) -> None:
        clock[0] += seconds

    return Aging(MemoryOwnership(lambda: clock[0]), age)


@pytest.fixture
def store(aging) -> OwnershipStore:
    return aging.store
