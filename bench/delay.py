"""A long line in user space: everything between two ends arrives a fixed time later, in both directions.

The kernel of a test machine may have no netem. A proxy does as well when nothing is lost: each datagram, and each
piece of a TCP stream, is held back for the one-way delay. Opening a TCP connection costs no round trip here, so what is
measured must use one that is open.

    python -m bench.delay SECONDS tcp:PORT:TARGET udp:PORT:TARGET …
"""

import asyncio
import sys
from collections import deque
from collections.abc import Awaitable, Callable

__all__: list[str] = []

_HOST = "127.0.0.1"
_CHUNK = 65_536


class _Line:
    """Delivers what is put in, in order, a fixed time later."""

    def __init__(self, delay: float, deliver: Callable[[bytes], None]) -> None:
        self._delay = delay
        self._deliver = deliver
        self._under_way: deque[bytes] = deque()

    def put(self, data: bytes) -> None:
        self._under_way.append(data)
        # Equal times fire in any order, so what fires takes the oldest.
        asyncio.get_running_loop().call_later(self._delay, self._arrive)

    def _arrive(self) -> None:
        self._deliver(self._under_way.popleft())


class _Back(asyncio.DatagramProtocol):
    """The way back from the target to one client."""

    def __init__(self, line: _Line) -> None:
        self._line = line

    def datagram_received(self, data: bytes, _: object) -> None:
        self._line.put(data)


class _UdpProxy(asyncio.DatagramProtocol):
    """Gives each client a socket of its own towards the target."""

    def __init__(self, delay: float, target: int) -> None:
        self._delay = delay
        self._target = target
        self._lines: dict[tuple[str, int], asyncio.Future[_Line]] = {}
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # typeshed
        self._transport = transport

    def datagram_received(self, data: bytes, client: tuple[str, int]) -> None:
        line = self._lines.get(client)
        if line is None:
            line = self._lines[client] = asyncio.ensure_future(self._open(client))
        line.add_done_callback(lambda opened: opened.result().put(data))

    async def _open(self, client: tuple[str, int]) -> _Line:
        assert self._transport is not None
        proxy = self._transport
        back = _Line(self._delay, lambda data: proxy.sendto(data, client))
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Back(back), remote_addr=(_HOST, self._target)
        )
        return _Line(self._delay, transport.sendto)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    line = _Line(delay, writer.write)
    while data := await reader.read(_CHUNK):
        line.put(data)
    await asyncio.sleep(delay)
    writer.close()


def _tcp_proxy(delay: float, target: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward_reader, onward_writer = await asyncio.open_connection(_HOST, target)
        await asyncio.gather(
            _pump(reader, onward_writer, delay), _pump(onward_reader, writer, delay), return_exceptions=True
        )

    return serve


async def _open(kind: str, port: int, target: int, delay: float) -> None:
    if kind == "tcp":
        await asyncio.start_server(_tcp_proxy(delay, target), _HOST, port)
    else:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: _UdpProxy(delay, target), local_addr=(_HOST, port))


async def _main() -> None:
    for line in sys.argv[2:]:
        kind, port, target = line.split(":")
        await _open(kind, int(port), int(target), float(sys.argv[1]))
    print("ready")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main())
