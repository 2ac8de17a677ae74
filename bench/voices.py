"""What calls with a voice are answered by, and the bare codecs to compare them with."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trio

from bench.ports import free_port
from bench.servers import PROGRAM, Server, our_edge
from transceiver.audio.adaptation import SendingOptions
from transceiver.ticker import TICK_SECONDS

__all__ = ["BACKEND", "COMPLEXITY", "ECHO", "ONSETS", "PCM_ECHO", "SOCKET", "bare_codecs", "run_program", "voice_edge"]

BACKEND = "backend"
"""The process at the far end of the WebSockets; its CPU is not a call's."""

COMPLEXITY = SendingOptions().complexity
"""Of our Opus encoder, if nobody asks for another."""

PCM_ECHO = "agent:transceiver.agents.pcm_echo:pcm_echo"
"""What gives a call's PCM straight back, in the transceiver's process."""

ECHO, ONSETS, SOCKET = "echo", "onsets", "socket"
"""Models of `voice_edge`: an echo of packets, `bench.agents.onsets` in process, and both agents by WebSocket. Those of
onsets go on with a number."""


@contextmanager
def voice_edge(folder: Path) -> Iterator[Server]:
    """Run our edge, where calls that ask for no model get `PCM_ECHO`, and a backend that is reached by WebSocket."""
    at = f"127.0.0.1:{free_port()}"
    claims = {
        ECHO: "echo",
        f"{ONSETS}*": "agent:bench.agents:onsets",
        f"{SOCKET}*": f"realtime:ws://{at}/v1/realtime",
    }
    command = [*PROGRAM, "backend", "--listen", at, "--agent", "bench.agents:by_model"]
    with our_edge(
        folder,
        backend=PCM_ECHO,
        claims=claims,
        more={BACKEND: command},
        more_urls=[f"http://{at}/healthz"],
    ) as server:
        yield server


async def bare_codecs(streams: int, seconds: float, complexity: int = COMPLEXITY) -> float:
    """Return the share of a core that decoding and encoding one stream takes."""
    used = await run_program("bare_codec", streams, complexity, seconds)
    assert isinstance(used, dict)
    return float(used["cpu"] / (used["frames"] * TICK_SECONDS))


async def run_program(name: str, *arguments: object) -> object:
    """Run a program of the bench to its end, and return the JSON that it prints; cancellation kills it."""
    command = [sys.executable, "-m", f"bench.{name}", *map(str, arguments)]
    done = await trio.run_process(command, capture_stdout=True, cwd=Path(__file__).parent.parent)
    return json.loads(done.stdout)
