"""CPU of sending large messages through a data channel: ours over aiortc's.

Both ends are in one process of their own, without DTLS, sockets and loss: what is compared is SCTP and data channels.
The process has one thread, nothing else to do, and never waits, so what a megabyte costs is the inverse of the
throughput. The notes tell the throughput as well, by the clock on the wall: the less, the more else the machine does.
"""

from statistics import median

import attrs

from bench.settings import Settings
from bench.table import Row
from bench.voices import run_program

__all__ = ["measure"]

_SIZE = 65_536
_OURS, _AIORTC = 1200, 480
"""Messages, which take either about a second."""

_ROUNDS = 3
_MEGABYTE = 1_000_000


async def measure(settings: Settings) -> list[Row]:
    """Measure in rounds that take turns."""
    ours, aiortc = [], []
    for number in range(settings.fewer(_ROUNDS)):
        ours.append(await _send("sctp_ours", _OURS))
        aiortc.append(await _send("sctp_aiortc", _AIORTC))
        settings.say(f"data: round {number + 1}: ours {ours[-1]}, aiortc {aiortc[-1]}")
    rates = (median(each.rate for each in rounds) for rounds in (ours, aiortc))
    return [
        Row.of_rounds(
            "data channel, CPU of both ends over aiortc's",
            [each.cpu for each in ours],
            [each.cpu for each in aiortc],
            _show,
            must=1 / 3,
            notes=(
                f"messages of {_SIZE // 1024} KiB, SCTP alone: no DTLS, no socket, no loss",
                "throughput by the clock on the wall: ours {:.0f} MB/s, aiortc {:.0f} MB/s".format(*rates),
            ),
        )
    ]


@attrs.frozen(kw_only=True)
class _Sent:
    """What sending took.

    Attributes:
        cpu: seconds of both ends for a megabyte.
        rate: megabytes that arrived in a second of wall time.
    """

    cpu: float
    rate: float

    def __str__(self) -> str:
        return f"{_show(self.cpu)}, {self.rate:.0f} MB/s"


async def _send(program: str, messages: int) -> _Sent:
    used = await run_program(program, messages, _SIZE)
    assert isinstance(used, dict)
    megabytes = used["bytes"] / _MEGABYTE
    return _Sent(cpu=used["cpu"] / megabytes, rate=megabytes / used["seconds"])


def _show(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms for a MB"
