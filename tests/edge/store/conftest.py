"""The stores that the common tests run over, and a way to let time pass in each."""

from collections.abc import Callable

import attrs
import pytest

from edge.config.store import StoreConfig
from edge.store.link import RedisLink
from edge.store.memory import MemoryOwnership
from edge.store.redis import SCRIPTS, RedisOwnership
from transceiver.handover.ownership import OwnershipStore

PREFIX = "test:"

AGE = """
local by = tonumber(ARGV[1])
for _, key in ipairs(redis.call('KEYS', '*')) do
  if redis.call('TYPE', key).ok == 'hash' then
    local raised = redis.call('HGET', key, 'raised')
    if raised then redis.call('HSET', key, 'raised', string.format('%.0f', raised - by)) end
  else
    for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do redis.call('ZINCRBY', key, -by, member) end
  end
  redis.call('PEXPIRE', key, redis.call('PTTL', key) - by)
end
"""


@attrs.define
class Aging:
    """A store whose records can be made older."""

    store: OwnershipStore
    age: Callable[[float], object]


@pytest.fixture
async def link(redis, nursery) -> RedisLink:
    link = RedisLink(StoreConfig(url=redis.url), SCRIPTS, lambda _name, _facts: None)
    await nursery.start(link.run)
    return link


@pytest.fixture
def aging_memory() -> Aging:
    clock = [1000.0]

    def age(seconds: float) -> None:
        clock[0] += seconds

    return Aging(MemoryOwnership(lambda: clock[0]), age)


@pytest.fixture
async def aging_redis(redis, link) -> Aging:
    # Ages are whole milliseconds of a clock that goes on: what is compared differs by a second at least.
    def age(seconds: float) -> None:
        redis.command("EVAL", AGE, "0", str(round(seconds * 1000)))

    return Aging(RedisOwnership(link, PREFIX), age)


@pytest.fixture(params=["memory", "redis"])
def aging(request) -> Aging:
    return request.getfixturevalue(f"aging_{request.param}")


@pytest.fixture
def store(aging) -> OwnershipStore:
    return aging.store
