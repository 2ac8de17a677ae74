"""What all tests share: repeatable property tests, and a network that calls are tried in."""

import gc
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# The same examples in every run: a failure here is a failure for everybody, at once.
settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    max_examples=80,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")


def pytest_collection_finish() -> None:
    """What was collected stays for good: the garbage collector need not look through all of it, again and again."""
    gc.freeze()


def load_module(path: Path) -> ModuleType:
    """Load what tests share; they are no package, so it is found by its file."""
    name = path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def load_neighbour() -> Callable[[Path], ModuleType]:
    """Load a module that stands beside a conftest.py."""
    return load_module


@pytest.fixture(scope="session")
def call_network() -> ModuleType:
    """The module next door: a caller and a session in a network without sockets or a clock."""
    return load_module(Path(__file__).with_name("call_network.py"))


@pytest.fixture(scope="session")
def redis_server() -> ModuleType:
    """The module next door: a Redis of the tests' own."""
    return load_module(Path(__file__).with_name("redis_server.py"))


@pytest.fixture(scope="session")
def shared_redis(redis_server: ModuleType) -> Iterator[object]:
    """One server for all that only want one."""
    with redis_server.redis_server() as server:
        yield server


@pytest.fixture
def redis(shared_redis: Any) -> object:
    """The server, with nothing in it."""
    shared_redis.command("FLUSHALL")
    return shared_redis


@pytest.fixture(scope="session")
def mmdb_file() -> ModuleType:
    """Another one: writes small MaxMind-format databases."""
    return load_module(Path(__file__).with_name("mmdb_file.py"))


@pytest.fixture(scope="session")
def clip(call_network: ModuleType) -> object:
    """Something to say."""
    return call_network.load_clip()


@pytest.fixture(scope="session")
def certificate(call_network: ModuleType) -> object:
    """A caller's certificate."""
    return call_network.Certificate.generate(unix_time=call_network.UNIX)


@pytest.fixture
def connect(call_network: ModuleType, certificate: object, clip: object) -> Callable[..., object]:
    """Make a caller whose offer was answered, the session that answered it, and the network between them."""

    def make(**changes: object) -> object:
        return call_network.connect(certificate, clip, **changes)

    return make
