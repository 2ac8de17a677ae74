"""Members in Redis, by Redis's clock.

Keys, behind the prefix:

    members         hash: what each member said last, as JSON, by its id
    members:heard   sorted set: the ids by when that was (ms)

Whoever announces himself removes those whose lease has ended. A full Redis lists members as ever: a heartbeat takes the
place of the one before it.
"""

import json
from collections.abc import Sequence
from functools import cache

import cattrs
from cattrs.preconf.json import JsonConverter, make_converter

from edge.registry.member import LEASE, Heard, Member
from edge.store.link import RedisLink
from edge.store.script import Script

__all__ = ["MEMBER_SCRIPTS", "RedisMembers"]

_COMMON = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local members, heard = ARGV[1] .. 'members', ARGV[1] .. 'members:heard'
local oldest = now - tonumber(ARGV[2])
"""

_ANNOUNCE = Script(
    "#!lua flags=allow-oom\n"
    + _COMMON
    + """
redis.call('HSET', members, ARGV[3], ARGV[4])
redis.call('ZADD', heard, now, ARGV[3])
for _, id in ipairs(redis.call('ZRANGEBYSCORE', heard, '-inf', '(' .. string.format('%.0f', oldest))) do
  redis.call('HDEL', members, id)
  redis.call('ZREM', heard, id)
end
redis.call('PEXPIRE', members, 2 * ARGV[2])
redis.call('PEXPIRE', heard, 2 * ARGV[2])
return true
"""
)

_WITHDRAW = Script(
    "#!lua flags=allow-oom\n"
    + _COMMON
    + """
redis.call('HDEL', members, ARGV[3])
redis.call('ZREM', heard, ARGV[3])
return true
"""
)

_MEMBERS = Script(
    "#!lua flags=no-writes\n"
    + _COMMON
    + """
local found = redis.call('ZRANGEBYSCORE', heard, string.format('%.0f', oldest), '+inf', 'WITHSCORES')
local said = {}
for at = 1, #found, 2 do
  table.insert(said, redis.call('HGET', members, found[at]) or '')
  table.insert(said, now - tonumber(found[at + 1]))
end
return said
"""
)

MEMBER_SCRIPTS = (_ANNOUNCE, _WITHDRAW, _MEMBERS)


class RedisMembers:
    """A `MemberStore` that all processes of a fleet share.

    Args:
        link: knows `MEMBER_SCRIPTS`; somebody else runs it.
        prefix: what all keys begin with.
    """

    def __init__(self, link: RedisLink, prefix: str) -> None:
        self._link = link
        self._common = (prefix, round(LEASE * 1000))

    async def announce(self, member: Member) -> None:
        """Say that a member lives; see `MemberStore.announce`."""
        await self._link.ask(_ANNOUNCE, (*self._common, member.id, _converter().dumps(member)))

    async def withdraw(self, member: Member) -> None:
        """Say that a member has left; see `MemberStore.withdraw`."""
        await self._link.ask(_WITHDRAW, (*self._common, member.id))

    async def members(self) -> Sequence[Heard]:
        """List who is there; see `MemberStore.members`. Those that cannot be understood are left out."""
        answer = await self._link.ask(_MEMBERS, self._common)
        assert isinstance(answer, list)  # noqa: S101 - what the script returns
        found = []
        for data, age in zip(answer[::2], answer[1::2], strict=True):
            member = _read(data)
            if member is not None:
                found.append(Heard(member, age / 1000))
        return found


def _read(data: bytes) -> Member | None:
    """Read a member of any version; None when it is of a kind that we do not know, or no member at all."""
    try:
        return _converter().structure(dict(json.loads(data)), Member)
    except (ValueError, KeyError, TypeError, RecursionError, cattrs.BaseValidationError):
        return None


@cache
def _converter() -> JsonConverter:
    return make_converter(forbid_extra_keys=False)
