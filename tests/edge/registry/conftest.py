"""Members, and the stores that the common tests run over."""

from collections.abc import Callable

import attrs
import pytest

from edge.config.model import Role, SignalIngress
from edge.config.store import StoreConfig
from edge.registry.member import MeasuredLink, Member, MemberStore
from edge.registry.memory import MemoryMembers
from edge.registry.redis import MEMBER_SCRIPTS, RedisMembers
from edge.store.link import RedisLink

AGE = "for i, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do redis.call('ZINCRBY', KEYS[1], -ARGV[1], id) end"


@attrs.define
class Aging:
    """A store whose heartbeats can be made older."""

    store: MemberStore
    age: Callable[[float], object]


@pytest.fixture
def transceiver() -> Member:
    return Member(
        kind=Role.TRANSCEIVER,
        name="node ü",
        incarnation=0xFFFFFFFF,
        version="1.2",
        cluster=3,
        region="eu-west",
        control="http://10.0.0.3:7080",
        hop=(("10.0.0.3", 7001), ("fd00::3", 7002)),
        workers=2,
        calls=7,
        max_calls=100,
        is_ready=False,
        reason="draining",
        is_draining=True,
        lateness=0.25,
    )


@pytest.fixture
def relay() -> Member:
    ingress = SignalIngress(id=1, advertise=("203.0.113.5", 3478), region="eu-west", protocol="tcp")
    return Member(kind=Role.RELAY, name="relay", incarnation=5, hop=(("10.0.0.4", 7000),), ingresses=(ingress,))


@pytest.fixture
def measuring_relay(relay) -> Member:
    link = MeasuredLink(cluster=3, incarnation=0xFFFFFFFF, pings=60, lost=3, round_trip=0.41)
    return attrs.evolve(relay, links=(link, attrs.evolve(link, cluster=4, round_trip=None)))


@pytest.fixture
def aging_memory() -> Aging:
    clock = [1000.0]

    def age(seconds: float) -> None:
        clock[0] += seconds

    return Aging(MemoryMembers(lambda: clock[0]), age)


@pytest.fixture
async def link(redis, nursery) -> RedisLink:
    link = RedisLink(StoreConfig(url=redis.url), MEMBER_SCRIPTS, lambda _name, _facts: None)
    await nursery.start(link.run)
    return link


@pytest.fixture
async def aging_redis(redis, link) -> Aging:
    def age(seconds: float) -> None:
        redis.command("EVAL", AGE, "1", "test:members:heard", str(round(seconds * 1000)))

    return Aging(RedisMembers(link, "test:"), age)


@pytest.fixture(params=["memory", "redis"])
def aging(request) -> Aging:
    return request.getfixturevalue(f"aging_{request.param}")
