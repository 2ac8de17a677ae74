"""Children: started from where we are, given sockets, and never left behind."""

import os
import signal
import socket
import sys
from pathlib import Path

import pytest
import trio

import edge
from edge.children.channel import Channel, ChannelClosed
from edge.children.ending import describe_ending
from edge.children.launch import launch_child, python_command
from edge.children.passing import PassingStream


def test_a_folder_of_the_same_name_is_not_taken_for_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert "-P" in python_command("edge", "worker")
    monkeypatch.chdir(Path(edge.__file__).parents[1])
    assert "-P" not in python_command("edge", "worker")


def test_a_link_to_where_we_stand_is_another_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An upgrade may point it elsewhere; what is started then must not be what stands here."""
    here = Path(edge.__file__).parents[1]
    link = tmp_path / "installed"
    link.symlink_to(here)
    monkeypatch.chdir(here)
    monkeypatch.setattr(edge, "__file__", str(link / "edge" / "__init__.py"))
    assert "-P" in python_command("edge", "worker")


def test_endings_in_words() -> None:
    assert describe_ending(-9) == "killed by SIGKILL"
    assert describe_ending(3) == "exit code 3"


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    return PassingStream(ours), PassingStream(theirs)


def udp() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    return sock


async def test_sockets_arrive_with_their_line_and_with_what_waits_in_them(pair) -> None:
    ours, theirs = pair
    one, other = udp(), udp()
    with one, other, udp() as client:
        client.sendto(b"waits", one.getsockname())
        await Channel(ours).send(b"take these\n", [one, other])
        addresses = [one.getsockname(), other.getsockname()]
    assert await Channel(theirs).receive() == b"take these"
    taken = [socket.socket(fileno=theirs.arrived.popleft()) for _ in range(2)]
    with taken[0], taken[1]:
        assert [sock.getsockname() for sock in taken] == addresses, "bound still, though the sender has closed them"
        assert taken[0].recv(100) == b"waits"
        assert not any(os.get_inheritable(sock.fileno()) for sock in taken)


async def test_a_long_line_with_sockets_arrives_whole(pair, nursery) -> None:
    ours, theirs = pair
    line = b"x" * 1_000_000
    with udp() as sock:
        nursery.start_soon(Channel(ours).send, line + b"\n", [sock])
        assert await Channel(theirs).receive() == line
        assert len(theirs.arrived) == 1
    await theirs.aclose()


async def test_what_nobody_took_is_closed_with_the_end(pair) -> None:
    ours, theirs = pair
    with udp() as sock:
        await Channel(ours).send(b"take this\n", [sock])
        await Channel(theirs).receive()
    number = theirs.arrived[0]
    await theirs.aclose()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
    with udp() as sock, pytest.raises(ChannelClosed):
        await Channel(ours).send(b"too late\n", [sock])


async def test_a_child_that_does_not_go_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.children.launch._PATIENCE", 0.05)
    program = "import time\nprint(flush=True)\ntime.sleep(60)"
    async with launch_child([sys.executable, "-c", program]) as (process, _):
        pid = process.pid
    assert process.returncode == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_child_sees_the_end_of_its_channel() -> None:
    program = "import sys\nsys.exit(7 if sys.stdin.read() == '' else 1)"
    with trio.fail_after(20):
        async with launch_child([sys.executable, "-c", program]) as (process, channel):
            await channel.aclose()
            assert await process.wait() == 7
