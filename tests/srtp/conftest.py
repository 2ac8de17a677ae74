"""Keys, packets and vectors that the SRTP tests share."""

import random
from collections.abc import Callable

import pytest

from srtp.keying import MasterKey
from srtp.profile import ProtectionProfile


@pytest.fixture(params=list(ProtectionProfile), ids=lambda profile: profile.name)
def profile(request: pytest.FixtureRequest) -> ProtectionProfile:
    return request.param


def _make_key(profile: ProtectionProfile, seed: int = 1) -> MasterKey:
    rng = random.Random(seed)
    return MasterKey(rng.randbytes(profile.key_length), rng.randbytes(profile.salt_length))


@pytest.fixture
def make_key() -> Callable[..., MasterKey]:
    return _make_key


@pytest.fixture
def outbound(profile: ProtectionProfile) -> MasterKey:
    return _make_key(profile, 1)


@pytest.fixture
def inbound(profile: ProtectionProfile) -> MasterKey:
    return _make_key(profile, 2)
