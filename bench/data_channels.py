"""CPU of sending large messages through a data channel: ours over aiortc's.

Both ends are in one process of their own, without DTLS, sockets and loss: what is compared is SCTP and data channels.
"""

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
        ours.append(await _cpu_per_megabyte("sctp_ours", _OURS))
        aiortc.append(await _cpu_per_megabyte("sctp_aiortc", _AIORTC))
        settings.say(f"data: round {number + 1}: ours {_show(ours[-1])}, aiortc {_show(aiortc[-1])}")
    return [
        Row.of_rounds(
            "data channel, CPU of both ends over aiortc's",
            ours,
            aiortc,
            _show,
            must=1 / 3,
            notes=(f"messages of {_SIZE // 1024} KiB, SCTP alone: no DTLS, no socket, no loss",),
        )
    ]


async def _cpu_per_megabyte(program: str, messages: int) -> float:
    used = await run_program(program, messages, _SIZE)
    assert isinstance(used, dict)
    return float(used["cpu"] / (used["bytes"] / _MEGABYTE))


def _show(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms for a MB"
