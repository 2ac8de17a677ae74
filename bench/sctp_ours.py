"""Two of our data channels in one process, on a link that is a list: no DTLS, no socket, nothing gets lost.

    python -m bench.sctp_ours MESSAGES SIZE

prints the bytes that arrived, the CPU seconds that both ends took together and how many passed, as JSON.
"""

import json
import os
import sys
import time

from sctp.channel_events import MessageReceived
from sctp.channels import DataChannels

__all__ = ["LEAD"]

LEAD = 262_144
"""Bytes that an application lets wait in front of the network."""


class _Pair:
    """Two ends, and what is under way between them."""

    def __init__(self) -> None:
        now = time.monotonic()
        self.near, self.far = (
            DataChannels(is_dtls_client=is_client, entropy=os.urandom, now=now, max_message_size=LEAD)
            for is_client in (True, False)
        )
        self.arrived = 0
        self.channel_id = self.near.open("bench", now=now)

    def carry(self) -> None:
        """Carry what both have to say now."""
        now = time.monotonic()
        has_moved = False
        for source, destination in ((self.near, self.far), (self.far, self.near)):
            for packet in source.datagrams_to_send(now):
                has_moved = True
                for event in destination.receive_datagram(packet, now):
                    if isinstance(event, MessageReceived):
                        self.arrived += len(event.message)
        if not has_moved:
            self._wait(now)

    def _wait(self, now: float) -> None:
        times = [when for end in (self.near, self.far) if (when := end.next_timeout()) is not None]
        time.sleep(max(min(times) - now, 0))
        for end in (self.near, self.far):
            end.handle_timeout(time.monotonic())


def _run(messages: int, size: int) -> dict[str, float]:
    pair = _Pair()
    while not pair.far.channels:
        pair.carry()
    message = os.urandom(size)
    began, cpu_began = time.monotonic(), time.process_time()
    waiting = messages
    while pair.arrived < messages * size:
        while waiting and pair.near.buffered_amount(pair.channel_id) < LEAD:
            pair.near.send(pair.channel_id, message, time.monotonic())
            waiting -= 1
        pair.carry()
    cpu = time.process_time() - cpu_began
    return {"bytes": pair.arrived, "cpu": cpu, "seconds": time.monotonic() - began}


if __name__ == "__main__":
    print(json.dumps(_run(int(sys.argv[1]), int(sys.argv[2]))))
