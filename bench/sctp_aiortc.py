"""The peer of `sctp_ours`: two data channels of aiortc's in one process, on a link that is a list.

python -m bench.sctp_aiortc MESSAGES SIZE
"""

import asyncio
import json
import os
import sys
import time
from collections import deque

from aiortc import RTCDataChannel, RTCDataChannelParameters
from aiortc.rtcsctptransport import RTCSctpCapabilities, RTCSctpTransport

from bench.sctp_ours import LEAD

__all__: list[str] = []

_PORT = 5000


class _Link:
    """What aiortc takes for a DTLS transport: one direction of the way between two ends."""

    state = "connected"

    def __init__(self, role: str) -> None:
        self._role = role  # which aiortc reads
        self.destination: RTCSctpTransport
        self._under_way: deque[bytes] = deque()
        self._news = asyncio.Event()

    async def _send_data(self, data: bytes) -> None:
        self._under_way.append(data)
        self._news.set()

    def _register_data_receiver(self, receiver: RTCSctpTransport) -> None:
        """Do nothing: the destination is known."""

    def _unregister_data_receiver(self, receiver: RTCSctpTransport) -> None:
        """Do nothing."""

    async def carry(self) -> None:
        """Carry what is sent, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._under_way:
                await self.destination._handle_data(self._under_way.popleft())  # noqa: SLF001 - as DTLS would


async def _run(messages: int, size: int) -> dict[str, float]:
    links = _Link("client"), _Link("server")
    near, far = (RTCSctpTransport(link) for link in links)  # type: ignore[arg-type]  # it takes what behaves alike
    links[0].destination, links[1].destination = far, near
    carriers = [asyncio.create_task(link.carry()) for link in links]
    arrived = 0
    all_arrived = asyncio.Event()

    def take(message: bytes) -> None:
        nonlocal arrived
        arrived += len(message)
        if arrived >= messages * size:
            all_arrived.set()

    far.on("datachannel", lambda channel: channel.on("message", take))
    for end in (near, far):
        await end.start(RTCSctpCapabilities(maxMessageSize=LEAD), _PORT)
    channel = RTCDataChannel(near, RTCDataChannelParameters(label="bench"))
    is_open, has_room = asyncio.Event(), asyncio.Event()
    channel.on("open", is_open.set)
    channel.bufferedAmountLowThreshold = LEAD - size
    channel.on("bufferedamountlow", has_room.set)
    await is_open.wait()
    message = os.urandom(size)
    began, cpu_began = time.monotonic(), time.process_time()
    for _ in range(messages):
        while channel.bufferedAmount >= LEAD:
            has_room.clear()
            await has_room.wait()
        channel.send(message)
    await all_arrived.wait()
    cpu, seconds = time.process_time() - cpu_began, time.monotonic() - began
    for carrier in carriers:
        carrier.cancel()
    for end in (near, far):
        await end.stop()
    return {"bytes": arrived, "cpu": cpu, "seconds": seconds}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_run(int(sys.argv[1]), int(sys.argv[2])))))
