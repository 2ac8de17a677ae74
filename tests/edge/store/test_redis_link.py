"""The connection to Redis, over a server that goes away, hangs, and asks for a password."""

import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager

import attrs
import pytest
import trio

import edge.store.link
from edge.config.store import StoreConfig
from edge.store.connection import open_connection
from edge.store.link import RedisLink
from edge.store.place import BadStoreUrl, RedisPlace
from edge.store.redis import SCRIPTS, RedisOwnership
from edge.store.script import Script
from transceiver.handover.ownership import Confirmation, Owner, Ownership, StoreUnavailable

A = Owner(cluster=1, incarnation=1, worker=0)
B = Owner(cluster=1, incarnation=2, worker=0)


def record(session=1, snapshot=b"snapshot") -> Ownership:
    return Ownership(
        session=session, call_id=f"rtc_{session}", owner=A, generation=0, snapshot=snapshot, may_create=True
    )


@pytest.fixture
def own_redis(redis_server):
    """A server that may be killed."""
    with redis_server.redis_server() as server:
        yield server


@attrs.define
class Reported:
    lines: list = attrs.field(factory=list)

    def __call__(self, name, facts) -> None:
        self.lines.append((name, dict(facts)))


async def linked(nursery, config, report=lambda _name, _facts: None) -> tuple[RedisLink, RedisOwnership]:
    link = RedisLink(config, SCRIPTS, report)
    await nursery.start(link.run)
    return link, RedisOwnership(link, config.prefix)


async def until_back(link: RedisLink) -> None:
    with trio.fail_after(5):
        while link.problem:  # noqa: ASYNC110 - a link has no event for it, as nobody else waits
            await trio.sleep(0.01)


async def test_a_server_that_goes_away_is_said_to_be_away_at_once_and_found_again(own_redis, nursery):
    report = Reported()
    link, store = await linked(nursery, StoreConfig(url=own_redis.url), report)
    await store.checkpoint([record()])
    own_redis.stop()
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match=r"redis\.sock"), trio.fail_after(0.5):
            await store.checkpoint([record()])
    own_redis.start()
    await until_back(link)
    assert await store.checkpoint([record()]) == [Confirmation.CREATED]  # it had nothing on its disk
    names = [name for name, _ in report.lines]
    assert names[0] == names[-1] == "store-reached"
    assert set(names[1:-1]) == {"store-away"}


async def test_a_process_starts_without_a_store_and_finds_it_later(own_redis, nursery):
    own_redis.stop()
    link, store = await linked(nursery, StoreConfig(url=own_redis.url))
    with pytest.raises(StoreUnavailable):
        await store.find(1)
    own_redis.start()
    await until_back(link)
    assert await store.find(1) is None


async def test_a_server_that_hangs_is_waited_for_until_the_deadline(own_redis, nursery):
    link, store = await linked(nursery, StoreConfig(url=own_redis.url, timeout=0.2))
    await store.checkpoint([record()])
    os.kill(own_redis.process.pid, signal.SIGSTOP)
    began = trio.current_time()
    with pytest.raises(StoreUnavailable, match=r"no answer from .* within 0\.2 seconds"):
        await store.find(1)
    assert 0.15 < trio.current_time() - began < 1.0
    with pytest.raises(StoreUnavailable), trio.fail_after(0.1):
        await store.find(1)  # the next ones do not wait
    os.kill(own_redis.process.pid, signal.SIGCONT)
    await until_back(link)
    assert await store.checkpoint([record()]) == [Confirmation.CONFIRMED]


async def test_a_server_that_vanishes_unnoticed_is_missed_within_two_seconds(own_redis, nursery):
    link, _ = await linked(nursery, StoreConfig(url=own_redis.url, timeout=0.2))
    os.kill(own_redis.process.pid, signal.SIGSTOP)
    with trio.fail_after(2):
        while not link.problem:  # noqa: ASYNC110 - as above
            await trio.sleep(0.05)


async def test_a_server_that_has_forgotten_the_scripts_is_told_them_again(redis, nursery):
    link, store = await linked(nursery, StoreConfig(url=redis.url))
    redis.command("SCRIPT", "FLUSH")
    with pytest.raises(StoreUnavailable, match="script"):
        await store.find(1)
    await until_back(link)
    assert await store.find(1) is None


async def test_a_server_that_does_not_take_the_scripts_is_told_from_one_that_is_away(redis, nursery):
    link = RedisLink(StoreConfig(url=redis.url), [Script("#!old")], lambda _name, _facts: None)  # as Redis 6 reads ours
    await nursery.start(link.run)
    assert "Redis 7 or Valkey is needed" in link.problem


async def test_a_password_comes_from_a_file_and_a_wrong_one_is_told(redis, nursery, tmp_path):
    file = tmp_path / "password"
    file.write_text("wrong\n")
    redis.command("CONFIG", "SET", "requirepass", "secret word")
    try:
        link, store = await linked(nursery, StoreConfig(url=redis.url, password_file=str(file)))
        assert "password" in link.problem
        assert "wrong\n" not in link.problem
        file.write_text("secret word\n")
        await until_back(link)
        assert await store.find(1) is None
        file.unlink()
        missing, _ = await linked(nursery, StoreConfig(url=redis.url, password_file=str(file)))
        assert str(file) in missing.problem
    finally:
        redis.command("--pass", "secret word", "CONFIG", "SET", "requirepass", "")


async def test_many_checkpoints_are_answered_in_their_order(redis, nursery):
    _, store = await linked(nursery, StoreConfig(url=redis.url))
    records = [record(number, bytes(2000)) for number in range(1000)]
    await store.checkpoint(records[::3])
    confirmations = await store.checkpoint(records)
    assert [number for number, each in enumerate(confirmations) if each is Confirmation.CONFIRMED] == list(
        range(0, 1000, 3)
    )
    assert sorted(await store.sessions_of(A)) == [(number, 0) for number in range(1000)]


async def test_fleets_with_prefixes_of_their_own_share_a_server(redis, nursery):
    _, store = await linked(nursery, StoreConfig(url=redis.url, prefix="one:"))
    _, other = await linked(nursery, StoreConfig(url=redis.url, prefix="two:"))
    await store.checkpoint([record()])
    assert await other.find(1) is None
    assert await other.sessions_of(A) == []
    assert all(key.startswith("one:") for key in redis.command("KEYS", "*").split())


async def test_nothing_stays_of_sessions_that_nobody_speaks_of(redis, nursery):
    link, _ = await linked(nursery, StoreConfig(url=redis.url))
    store = RedisOwnership(link, "test:", life=0.05)
    await store.checkpoint([record(1), record(2)])
    await store.take(1, generation=0, owner=B, within=None)
    await store.forget(2, owner=A, generation=0)
    await trio.sleep(0.1)
    assert redis.command("KEYS", "*") == ""


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://redis.local", RedisPlace(host="redis.local")),
        ("redis://10.0.0.1:7777/3", RedisPlace(host="10.0.0.1", port=7777, database=3)),
        ("rediss://voice@[fd00::1]:6380", RedisPlace(host="fd00::1", port=6380, username="voice", uses_tls=True)),
        ("unix:///run/redis.sock", RedisPlace(path="/run/redis.sock")),
    ],
)
def test_urls(url, place):
    assert RedisPlace.parse(url) == place


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("http://redis.local", "redis://HOST"),
        ("redis:///0", "redis://HOST"),
        ("redis://host/x", "redis://HOST"),
        ("redis://host:port", "a URL"),
        ("redis://voice:secret@host", "password_file"),
        ("redis://host?db=1", "without"),
        ("unix://host/path", "unix:///PATH"),
    ],
)
def test_urls_that_are_none_are_told_what_would_be_right(url, wanted):
    with pytest.raises(BadStoreUrl, match=wanted) as caught:
        RedisPlace.parse(url)
    assert "secret" not in str(caught.value)


def test_what_needs_no_store_does_not_load_its_client():
    modules = "edge.serve, edge.roles, edge.tiers.relay, edge.tiers.transceiver, edge.tiers.signal, edge.workers.tier"
    source = f"import sys, {modules}; sys.exit('coredis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", source], check=False).returncode == 0


async def test_a_checkpoint_that_was_under_way_for_too_long_is_refused(redis, nursery):
    link, _ = await linked(nursery, StoreConfig(url=redis.url))
    ours = [100.0]
    store = RedisOwnership(link, "late:", clock=lambda: ours[0])
    assert await store.checkpoint([record()]) == [Confirmation.CREATED]
    ours[0] -= 6.0  # it is carried out 6 s after it was sent
    with pytest.raises(StoreUnavailable, match="too late"):
        await store.checkpoint([record()])
    assert await store.checkpoint([record()]) == [Confirmation.CONFIRMED]  # the time is known again


async def test_a_session_is_not_taken_from_what_an_earlier_run_has_kept(redis, nursery):
    link, _ = await linked(nursery, StoreConfig(url=redis.url))
    store = RedisOwnership(link, "run:")
    await store.checkpoint([record()])
    redis.command("HSET", "run:session:1", "run", "0" * 40)
    assert await store.take(1, generation=0, owner=A, within=20.0) is None
    await store.checkpoint([record()])
    assert await store.take(1, generation=0, owner=A, within=20.0) is not None


async def test_a_mistake_in_the_client_library_is_no_more_than_an_absence(redis, nursery, monkeypatch):
    open_connection = edge.store.link._load_client()
    attempts = []

    @asynccontextmanager
    async def mistaken(*arguments):
        attempts.append(arguments)
        async with open_connection(*arguments) as connection:
            if len(attempts) == 1:
                raise RuntimeError("not what it should be")
            yield connection

    monkeypatch.setattr(edge.store.link, "_load_client", lambda: mistaken)
    link, store = await linked(nursery, StoreConfig(url=redis.url))
    assert "not what it should be" in link.problem
    await until_back(link)
    assert await store.find(1) is None


async def test_who_asks_over_a_connection_that_is_being_closed_is_told_so(redis):
    place, config = RedisPlace.parse(redis.url), StoreConfig(url=redis.url)
    async with open_connection(config, place, SCRIPTS) as connection:
        assert not connection.problem
    with pytest.raises(StoreUnavailable, match="pool"):
        await connection.ask(SCRIPTS[0], ("test:", 1000))
    assert connection.lost.is_set()
