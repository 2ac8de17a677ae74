"""A Redis of the tests' own, on a Unix socket in a folder of its own."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs


@attrs.define
class RedisServer:
    """A server that can be stopped and started again.

    Attributes:
        folder: where its socket is.
    """

    folder: Path
    process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.folder}/redis.sock"

    def start(self, *options: str) -> None:
        socket = self.folder / "redis.sock"
        socket.unlink(missing_ok=True)
        command = ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no"]
        with (self.folder / "redis.log").open("a") as log:
            self.process = subprocess.Popen([*command, "--dir", str(self.folder), *options], stdout=log)
        deadline = time.monotonic() + 10
        while self.command("PING") != "PONG":
            assert self.process.poll() is None, (self.folder / "redis.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def command(self, *words: str) -> str:
        """Ask it something, over a connection of its own."""
        command = ["redis-cli", "-s", str(self.folder / "redis.sock"), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """Run a server until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:  # short: a socket's path has a hundred bytes
        server = RedisServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()
