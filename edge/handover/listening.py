"""The Unix socket on which a running relay is asked to let itself be replaced."""

import json
import os
import socket
import stat
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import trio

from edge.config.problems import Problem
from edge.handover.successor import NotReplaced
from edge.reports import Report
from edge.start import StartError

__all__ = ["REQUEST", "ReloadSocket"]

REQUEST = b"reload\n"
_PATIENCE = 5.0
_CREDENTIALS = struct.Struct("=iII")  # unix(7), SO_PEERCRED: process, user, group


class ReloadSocket:
    """Listens, and has this process replaced when it is asked to.

    Args:
        path: of the socket.
        replace: has the process replaced, and returns the successor's number; raises `NotReplaced`.
        report: takes what happened.
    """

    def __init__(self, path: Path, replace: Callable[[], Awaitable[int]], report: Report) -> None:
        self._path = path
        self._replace = replace
        self._report = report
        self._replacing = trio.Lock()
        self.replaced = trio.Event()

    async def run(self, *, is_successor: bool, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled, or replaced; started when it does.

        Args:
            is_successor: whether the socket is our predecessor's, which does not need it any more.
            task_status: as in any nursery.

        Raises:
            StartError: the path cannot be used.
        """
        with self._open(is_successor=is_successor) as sock:
            inode = self._path.stat().st_ino
            listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(trio.serve_listeners, self._answer, [listener])
                    task_status.started()
                    await self.replaced.wait()
                    nursery.cancel_scope.cancel()
            finally:
                with suppress(OSError):
                    if self._path.stat().st_ino == inode:  # else it is the successor's
                        self._path.unlink()

    def _open(self, *, is_successor: bool) -> socket.socket:
        if not is_successor and self._is_served():
            found = f"another relay is asked to reload at {self._path}"
            raise StartError([Problem("relay.reload_socket", found, "Stop it, or choose another path.")])
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Bound beside it and then renamed: there is no moment without a socket, or with one that others may use.
        beside = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            with suppress(FileNotFoundError):
                beside.unlink()
            sock.bind(str(beside))
            beside.chmod(stat.S_IRUSR | stat.S_IWUSR)
            sock.listen(8)
            beside.rename(self._path)
        except OSError as error:
            sock.close()
            found = f"{self._path} cannot be used: {error.strerror or error}"
            raise StartError([Problem("relay.reload_socket", found, "Name a file in a folder of this user.")]) from None
        return sock

    def _is_served(self) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(self._path))
            except OSError:
                return False
        return True

    async def _answer(self, stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            asked = b""
            with trio.move_on_after(_PATIENCE):
                while not asked.endswith(b"\n") and len(asked) < len(REQUEST):
                    if not (more := await stream.receive_some(len(REQUEST))):
                        return
                    asked += more
            if asked != REQUEST or not _is_ours(stream):
                return
            async with self._replacing:
                if not self.replaced.is_set():
                    await self._reload(stream)

    async def _reload(self, stream: trio.SocketStream) -> None:
        try:
            pid = await self._replace()
        except NotReplaced as error:
            self._report("reload-refused", {"problems": [str(error)]})
            await stream.send_all(json.dumps({"problem": str(error)}).encode() + b"\n")
            return
        try:
            with trio.move_on_after(_PATIENCE):
                await stream.send_all(json.dumps({"pid": pid}).encode() + b"\n")
        finally:
            self.replaced.set()


def _is_ours(stream: trio.SocketStream) -> bool:
    """Whether the other end is of our user, or the superuser's."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True  # the mode of the file has to do
    told = stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    assert isinstance(told, bytes)  # noqa: S101 - as a length was given
    return _CREDENTIALS.unpack(told)[1] in {0, os.geteuid()}
