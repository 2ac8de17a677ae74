"""Ownership of sessions in Redis: each change is one script, and the only clock is Redis's own.

Keys, behind the prefix:

    session:{session}    hash   owner, generation, call_id, snapshot, raised (ms), run; ended, when the call has
    owner:{owner}        sorted set of "{session}:{generation}" by when they were last touched (ms)

Sessions and owners are written as text: Lua's numbers hold 53 bits exactly, a session has 64. Both keys expire
`RECORD_LIFE` after they were touched; what is in an owner's set for longer than that is not counted, and removed by its
next checkpoint.

A Redis that was started again, or a replica that was promoted, may have forgotten the latest checkpoints and nothing
else. So a session is taken only when its last checkpoint was kept by this very run of Redis.

A checkpoint that is carried out more than `_LATE` seconds after it was sent is refused: nobody knows any more that it
was (docs/failover.md). So what Redis has said last of its clock goes with it.

A full Redis (`maxmemory` with `noeviction`) refuses checkpoints before anything is changed; then they are sent again as
a script that needs no room, because it makes no record where there is none:

    a record that is there, and would not grow     is replaced
    one that would                                 too, while Redis is less than an eighth above its limit
    one that may not                               stays as it is, but for its life: UNKEPT
    one that is not there                          is not made: NO_ROOM

"Not grow" goes by `_STEP` bytes, as snapshots vary by some. So all that is ever above the limit, whatever clients do to
make their calls' snapshots large, is an eighth of it and `_STEP` for each record. Sessions are taken and forgotten as
ever, which needs next to no room.
"""

import time
from collections.abc import Callable, Sequence

import trio

from edge.store.fullness import StoreFull
from edge.store.link import RedisLink
from edge.store.script import Argument, Script
from transceiver.handover.ownership import (
    LAST_GENERATION,
    RECORD_LIFE,
    Confirmation,
    Owner,
    Ownership,
    StoreUnavailable,
)

__all__ = ["SCRIPTS", "RedisOwnership"]

_LATE = 5.0
_BATCH = 250
"""Records to a script: Redis does nothing else meanwhile, and a snapshot has some kilobytes."""
_STEP = 1024
"""Bytes of which a snapshot has room for a whole number."""

_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local prefix, life = ARGV[1], tonumber(ARGV[2])
local function touch(session, owner, generation)
  redis.call('PEXPIRE', prefix .. 'session:' .. session, life)
  redis.call('ZADD', prefix .. 'owner:' .. owner, now, session .. ':' .. generation)
  redis.call('PEXPIRE', prefix .. 'owner:' .. owner, life)
end
local function leave(session, owner, generation)
  redis.call('ZREM', prefix .. 'owner:' .. owner, session .. ':' .. generation)
end
"""

_RUN = """
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
"""

_ANY_ROOM = """
local function has_room() return true end
"""

_LITTLE_ROOM = f"""
local memory = redis.call('INFO', 'memory')
local function bytes(name)
  return tonumber(string.match(memory, '\\n' .. name .. ':(%d+)') or 0)
end
local above = bytes('used_memory') - bytes('mem_not_counted_for_evict') - bytes('maxmemory')
local left = bytes('maxmemory') / 8 - above
local function has_room(key, snapshot, is_there)
  if not is_there then return false end
  local before = redis.call('HSTRLEN', key, 'snapshot')
  if math.ceil(#snapshot / {_STEP}) <= math.ceil(before / {_STEP}) then return true end
  if #snapshot - before > left then return false end
  left = left - (#snapshot - before)
  return true
end
"""

_KEEP = (
    _NOW
    + _RUN
    + """
local said = {now}
if now > tonumber(ARGV[3]) then return said end
if #ARGV > 3 then redis.call('ZREMRANGEBYSCORE', prefix .. 'owner:' .. ARGV[5], '-inf', now - life) end
for at = 4, #ARGV, 6 do
  local session, owner, generation, call_id, snapshot, may_create = unpack(ARGV, at, at + 5)
  local key = prefix .. 'session:' .. session
  local kept = redis.call('HMGET', key, 'owner', 'generation', 'ended')
  local is_ours = kept[1] == owner and kept[2] == generation and not kept[3]
  local is_missing = not kept[2] or tonumber(kept[2]) < tonumber(generation)
  if is_missing and may_create ~= '1' then
    table.insert(said, 'missing')
  elseif (is_ours or is_missing) and not has_room(key, snapshot, kept[2]) then
    if is_ours then touch(session, owner, generation) end
    table.insert(said, is_ours and 'unkept' or 'no-room')
  elseif is_ours or is_missing then
    if not is_ours and kept[2] then
      redis.call('DEL', key)
      leave(session, kept[1], kept[2])
    end
    redis.call('HSET', key, 'owner', owner, 'generation', generation, 'call_id', call_id, 'snapshot', snapshot,
      'raised', string.format('%.0f', now), 'run', run)
    touch(session, owner, generation)
    table.insert(said, is_ours and 'confirmed' or 'created')
  else
    table.insert(said, 'fenced')
  end
end
return said
"""
)

_CHECKPOINT = Script("#!lua\n" + _ANY_ROOM + _KEEP)

_CHECKPOINT_OF_FULL = Script("#!lua flags=allow-oom\n" + _LITTLE_ROOM + _KEEP)

_TIME = Script("#!lua flags=no-writes\n" + _NOW + "return now")

_TAKE = Script(
    "#!lua flags=allow-oom\n"
    + _NOW
    + _RUN
    + """
local session, generation, owner, within = unpack(ARGV, 3, 6)
local key = prefix .. 'session:' .. session
local kept = redis.call('HMGET', key, 'owner', 'generation', 'ended', 'raised', 'call_id', 'snapshot', 'run')
if kept[2] ~= generation or kept[3] then return false end
if within ~= '' and (now - tonumber(kept[4]) > tonumber(within) or kept[7] ~= run) then return false end
local next = string.format('%.0f', tonumber(generation) + 1)
redis.call('HSET', key, 'owner', owner, 'generation', next)
leave(session, kept[1], generation)
touch(session, owner, next)
return {kept[5], kept[6], now - tonumber(kept[4])}
"""
)

_FORGET = Script(
    "#!lua flags=allow-oom\n"
    + _NOW
    + """
local session, owner, generation = unpack(ARGV, 3, 5)
local key = prefix .. 'session:' .. session
local kept = redis.call('HMGET', key, 'owner', 'generation')
if kept[1] ~= owner or kept[2] ~= generation then return false end
redis.call('HDEL', key, 'snapshot', 'call_id', 'raised')
redis.call('HSET', key, 'ended', '1')
redis.call('PEXPIRE', key, life)
leave(session, owner, generation)
return true
"""
)

_SESSIONS_OF = Script(
    "#!lua flags=no-writes\n"
    + _NOW
    + """
return redis.call('ZRANGEBYSCORE', prefix .. 'owner:' .. ARGV[3], '(' .. string.format('%.0f', now - life), '+inf')
"""
)

_FIND = Script(
    "#!lua flags=no-writes\n"
    + _NOW
    + """
local kept = redis.call('HMGET', prefix .. 'session:' .. ARGV[3], 'owner', 'generation', 'call_id', 'ended')
if not kept[1] or kept[4] then return false end
return {kept[1], kept[2], kept[3]}
"""
)

SCRIPTS = (_CHECKPOINT, _CHECKPOINT_OF_FULL, _TIME, _TAKE, _FORGET, _SESSIONS_OF, _FIND)


class RedisOwnership:
    """An `OwnershipStore` that all transceivers of a fleet share.

    Args:
        link: knows `SCRIPTS`; somebody else runs it.
        prefix: what all keys begin with.
        life: seconds after which records are forgotten; for tests.
        clock: monotonic seconds of this process.
    """

    def __init__(
        self,
        link: RedisLink,
        prefix: str,
        *,
        life: float = RECORD_LIFE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link = link
        self._clock = clock
        self._ahead: float | None = None  # Redis's clock, as it was told last, less ours; ms
        self._common = (prefix, round(life * 1000))

    async def checkpoint(self, records: Sequence[Ownership]) -> Sequence[Confirmation]:
        """Keep fresh snapshots; see `OwnershipStore.checkpoint`."""
        batches = [records[at : at + _BATCH] for at in range(0, len(records), _BATCH)]
        said: list[Sequence[Confirmation]] = [()] * len(batches)
        problems: list[StoreUnavailable] = []

        async def send(number: int) -> None:
            try:
                said[number] = await self._checkpoint(batches[number])
            except StoreUnavailable as problem:
                problems.append(problem)

        async with trio.open_nursery() as nursery:  # on one connection, one behind the other, without waiting
            for number in range(len(batches)):
                nursery.start_soon(send, number)
        if problems:
            raise problems[0]
        return [confirmation for batch in said for confirmation in batch]

    async def _checkpoint(self, records: Sequence[Ownership]) -> Sequence[Confirmation]:
        if self._ahead is None:
            self._learn_time(await self._link.ask(_TIME, self._common))
        arguments: list[Argument] = [round((self._ahead or 0.0) + (self._clock() + _LATE) * 1000)]
        for each in records:
            arguments += (f"{each.session:x}", _text(each.owner), each.generation, each.call_id, each.snapshot)
            arguments.append(int(each.may_create))
        try:
            answer = await self._link.ask(_CHECKPOINT, (*self._common, *arguments))
        except StoreFull:  # with the same arguments: they are not younger than when they were sent first
            answer = await self._link.ask(_CHECKPOINT_OF_FULL, (*self._common, *arguments))
        assert isinstance(answer, list)  # noqa: S101 - what the script returns
        self._learn_time(answer[0])
        if len(answer) <= len(records):
            raise StoreUnavailable("the checkpoint came too late, or Redis's clock was set")
        return [Confirmation(each.decode()) for each in answer[1:]]

    def _learn_time(self, milliseconds: object) -> None:
        # As if it had been said this moment: so it is behind by the answer's way back, never ahead.
        assert isinstance(milliseconds, int)  # noqa: S101 - what the script returns
        self._ahead = milliseconds - self._clock() * 1000

    async def take(self, session: int, *, generation: int, owner: Owner, within: float | None) -> Ownership | None:
        """Become the owner of a session; see `OwnershipStore.take`."""
        if generation >= LAST_GENERATION:
            return None
        limit = "" if within is None else round(within * 1000)
        answer = await self._link.ask(_TAKE, (*self._common, f"{session:x}", generation, _text(owner), limit))
        if not isinstance(answer, list):
            return None
        call_id, snapshot, age = answer
        return Ownership(
            session=session,
            call_id=call_id.decode(),
            owner=owner,
            generation=generation + 1,
            snapshot=snapshot,
            age=age / 1000,
        )

    async def forget(self, session: int, *, owner: Owner, generation: int) -> None:
        """Note that a call has ended; see `OwnershipStore.forget`."""
        await self._link.ask(_FORGET, (*self._common, f"{session:x}", _text(owner), generation))

    async def sessions_of(self, owner: Owner) -> Sequence[tuple[int, int]]:
        """Find all sessions of an owner; see `OwnershipStore.sessions_of`."""
        answer = await self._link.ask(_SESSIONS_OF, (*self._common, _text(owner)))
        assert isinstance(answer, list)  # noqa: S101 - what the script returns
        pairs = (each.decode().split(":") for each in answer)
        return [(int(session, 16), int(generation)) for session, generation in pairs]

    async def find(self, session: int) -> Ownership | None:
        """Find who has a session; see `OwnershipStore.find`."""
        answer = await self._link.ask(_FIND, (*self._common, f"{session:x}"))
        if not isinstance(answer, list):
            return None
        owner, generation, call_id = (each.decode() for each in answer)
        return Ownership(session=session, call_id=call_id, owner=_owner(owner), generation=int(generation))


def _text(owner: Owner) -> str:
    return f"{owner.cluster}.{owner.incarnation:x}.{owner.worker}"


def _owner(text: str) -> Owner:
    cluster, incarnation, worker = text.split(".")
    return Owner(cluster=int(cluster), incarnation=int(incarnation, 16), worker=int(worker))
