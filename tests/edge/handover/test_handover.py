"""A relay is replaced by another program, or goes on: both ends of what they say to each other."""

import contextlib
import json
import os
import socket
import stat
import sys
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing

from edge.handover.listening import REQUEST, ReloadSocket
from edge.handover.predecessor import Predecessor
from edge.handover.successor import NotReplaced, Successor, own_arguments
from edge.start import StartError
from relay.sockets import IngressBinding, RelaySockets, open_sockets
from relay.udp import address_of

HERE = ("127.0.0.1", 0)

_SUCCEEDS = """
import socket, sys, trio
from edge.handover.predecessor import Predecessor

async def main():
    predecessor = Predecessor(socket.socket(fileno=int(sys.argv[-1])))
    await predecessor.receive_sockets()
    await predecessor.take_over()
    ingress = predecessor.sockets.take(0, 5, socket.SOCK_DGRAM, ("127.0.0.1", 0))
    data, source = ingress.recvfrom(100)
    ingress.sendto(b"successor: " + data, source)
    await predecessor.dismiss()

trio.run(main)
"""
_DIES_AT_ONCE = "import sys\nsys.exit(3)"
_DIES_AFTER_GO = _SUCCEEDS.replace("    ingress = ", "    sys.exit(4)\n    ingress = ")


@attrs.define(eq=False)
class Lender:
    """A relay that reads nothing, and remembers what it was told."""

    sockets: list[RelaySockets]
    pages_socket: socket.socket | None = None
    told: list[str] = attrs.field(factory=list)

    async def pause(self) -> None:
        self.told.append("pause")

    async def resume(self) -> None:
        self.told.append("resume")


@pytest.fixture
def lender():
    opened = open_sockets(HERE, [IngressBinding(id=5, bind=HERE)], on_warning=lambda _: None)
    with socket.create_server(HERE) as pages:
        yield Lender([opened], pages)
    opened.close()


def program(text: str) -> Successor:
    return Successor([sys.executable, "-c", text])


async def test_a_successor_gets_the_sockets_with_what_waits_in_them(lender) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.sendto(b"waits", address_of(lender.sockets[0].ingresses[5]))
        with trio.fail_after(30):
            pid = await program(_SUCCEEDS).replace(lender)
        assert client.recv(100) == b"successor: waits"
    assert lender.told == ["pause"]
    with contextlib.suppress(ChildProcessError):  # subprocess may have noticed its end before
        os.waitpid(pid, 0)  # noqa: ASYNC222 - it exits now


@pytest.mark.parametrize(
    ("text", "told", "reason"),
    [(_DIES_AT_ONCE, [], "exit code 3"), (_DIES_AFTER_GO, ["pause", "resume"], "exit code 4")],
)
async def test_a_successor_that_dies_leaves_the_old_one_at_work(lender, text, told, reason) -> None:
    with trio.fail_after(30), pytest.raises(NotReplaced, match=reason):
        await program(text).replace(lender)
    assert lender.told == told
    assert all(sock.fileno() >= 0 for sock in lender.sockets[0])


async def test_a_successor_that_hangs_is_killed(lender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.handover.successor._PREPARING", 0.5)
    with trio.fail_after(30), pytest.raises(NotReplaced, match=r"was not there within 0\.5 seconds"):
        await program("import time\ntime.sleep(60)").replace(lender)
    assert lender.told == []


async def test_what_cannot_be_started_is_no_successor(lender) -> None:
    with pytest.raises(NotReplaced, match="could not be started"):
        await Successor(["/no/such/program"]).replace(lender)


async def test_a_predecessor_that_is_none_is_refused() -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(b'{"say": "Go"}\n')
    with pytest.raises(StartError, match="no program to succeed"):
        await Predecessor(ours).receive_sockets()
    theirs.close()
    ours, theirs = socket.socketpair()
    theirs.close()
    with pytest.raises(StartError, match="no program to succeed"):
        await Predecessor(ours).receive_sockets()


def test_a_successor_is_started_as_its_predecessor_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys, "argv", ["trio-voice", "serve", "--role", "relay", "--successor-of", "7", "--workers", "2"]
    )
    assert own_arguments() == ["serve", "--role", "relay", "--workers", "2"]


@pytest.fixture
def listening(tmp_path: Path):
    """Make what listens, and record what it reports."""
    reports = []

    def make(replace) -> ReloadSocket:
        made = ReloadSocket(tmp_path / "relay.sock", replace, lambda name, facts: reports.append((name, dict(facts))))
        made.reports = reports
        return made

    return make


async def ask(path: Path, request: bytes = REQUEST) -> dict[str, object] | None:
    async with await trio.open_unix_socket(path) as stream:
        await stream.send_all(request)
        answer = b""
        while more := await stream.receive_some():
            answer += more
    return json.loads(answer) if answer else None


async def test_who_asks_is_told_of_the_new_process_and_the_old_one_ends(nursery, listening, tmp_path) -> None:
    async def replace() -> int:
        return 4711

    path, made = tmp_path / "relay.sock", listening(replace)
    ended = trio.Event()

    async def run(task_status) -> None:
        await made.run(is_successor=False, task_status=task_status)
        ended.set()

    await nursery.start(run)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert await ask(path, b"nonsense\n"[: len(REQUEST)]) is None
    assert not ended.is_set()
    assert await ask(path) == {"pid": 4711}
    await ended.wait()
    assert not path.exists()


async def test_who_asks_is_told_why_nothing_came_of_it(nursery, listening, tmp_path) -> None:
    async def replace() -> int:
        raise NotReplaced("exit code 3")

    made = listening(replace)
    await nursery.start(lambda task_status: made.run(is_successor=False, task_status=task_status))
    assert await ask(tmp_path / "relay.sock") == {"problem": "exit code 3"}
    assert made.reports == [("reload-refused", {"problems": ["exit code 3"]})]
    with pytest.raises(StartError, match="another relay is asked to reload"):
        await listening(replace).run(is_successor=False)
    nursery.cancel_scope.cancel()


async def test_a_successor_takes_the_place_over_and_keeps_it(nursery, listening, tmp_path) -> None:
    async def replace() -> int:
        return 1

    async with trio.open_nursery() as old:
        await old.start(lambda task_status: listening(replace).run(is_successor=False, task_status=task_status))
        new = listening(replace)
        await nursery.start(lambda task_status: new.run(is_successor=True, task_status=task_status))
        old.cancel_scope.cancel()
    assert await ask(tmp_path / "relay.sock") == {"pid": 1}


async def test_what_a_killed_relay_left_is_in_nobodys_way(nursery, listening, tmp_path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "relay.sock"))

    async def replace() -> int:
        return 1

    made = listening(replace)
    await nursery.start(lambda task_status: made.run(is_successor=False, task_status=task_status))
    assert await ask(tmp_path / "relay.sock") == {"pid": 1}
