"""What answers the calls of a measurement: our three tiers, or a peer to compare them with."""

import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from bench.ports import free_port, hop_port
from bench.processes import cpu_of, memory_of, spawned

__all__ = [
    "EDGE",
    "PROGRAM",
    "RELAY",
    "SIGNAL",
    "TRANSCEIVER",
    "Server",
    "aiortc_echo",
    "bare_loop",
    "fetch",
    "our_edge",
    "our_edge_in_one",
]

SIGNAL, RELAY, TRANSCEIVER = "signal", "relay", "transceiver"

EDGE = (SIGNAL, RELAY, TRANSCEIVER)
"""Our three tiers; what else a server may run, such as a backend, is counted apart."""

_HTTP_SECONDS = 5.0
PROGRAM = (sys.executable, "-m", "edge")
"""What `trio-voice` runs, of the tree that this bench is in."""

_CONFIGURATION = {
    SIGNAL: """
[signal]
listen = "127.0.0.1:{http}"
transceivers = ["http://127.0.0.1:{control}"]
ingresses = ["1=127.0.0.1:{advertised}"]
""",
    RELAY: """
[relay]
hop = "127.0.0.1:{relay_hop}"
http = "127.0.0.1:{relay_http}"
transceivers = ["127.0.0.1:{transceiver_hop}"]
{relay_keys}
[[relay.ingresses]]
id = 1
advertise = "127.0.0.1:{advertised}"
bind = "127.0.0.1:{media}"
""",
    TRANSCEIVER: """
[transceiver]
backend = "{backend}"
hop = "127.0.0.1:{transceiver_hop}"
control = "127.0.0.1:{control}"
""",
}


@attrs.frozen(kw_only=True)
class Server:
    """One side of a comparison: a process or several.

    Attributes:
        name: for people.
        url: base URL of its HTTP server; empty without one.
        media_port: UDP port that takes the clients' datagrams; 0 when each call has its own.
        metrics_url: where its media process tells its metrics; empty when it has none.
        processes: by their part in it, such as "relay".
        logs: folder of what they print, a file by the name of each; None when nobody keeps it.
    """

    name: str
    url: str = ""
    media_port: int = 0
    metrics_url: str = ""
    processes: Mapping[str, subprocess.Popen[bytes]]
    logs: Path | None = None

    def cpu(self) -> dict[str, float]:
        """Return the CPU seconds of each process so far."""
        return {name: cpu_of(process.pid) for name, process in self.processes.items()}

    def memory(self) -> dict[str, int]:
        """Return how many bytes of each process are in memory."""
        return {name: memory_of(process.pid) for name, process in self.processes.items()}


@contextmanager
def our_edge(
    folder: Path,
    *,
    advertised_port: int | None = None,
    backend: str = "echo",
    claims: Mapping[str, str] | None = None,
    complexity: int | None = None,
    relay_keys: str = "",
    log_format: str = "auto",
    program: Sequence[str] = PROGRAM,
    more: Mapping[str, Sequence[str]] | None = None,
    more_urls: Sequence[str] = (),
) -> Iterator[Server]:
    """Run signal, relay and transceiver as three processes.

    Args:
        folder: empty, for keys, configuration and logs.
        advertised_port: UDP port of the loopback address that answers name; None for the relay's own.
        backend: what answers calls that ask for no model, as `--backend` names it.
        claims: further backends, by the pattern of the models that they answer for.
        complexity: of the transceiver's Opus encoder; None for what operators get.
        relay_keys: further lines of the relay's section.
        log_format: of all three.
        program: what runs each of the three instead of `trio-voice`.
        more: commands to run beside, by name.
        more_urls: what answers with status 200 when these are ready.
    """
    folder.mkdir(parents=True)
    subprocess.run([*PROGRAM, "keys", "new", str(folder / "keys")], check=True, capture_output=True)
    ports = {name: free_port() for name in ("http", "relay_http", "control", "media")}
    ports |= {name: hop_port() for name in ("relay_hop", "transceiver_hop")}
    if relay_keys:
        ports["relay_hop"] = 0  # which may be of several workers; transceivers learn the ports by themselves
    ports["advertised"] = advertised_port or ports["media"]
    commands = {name: list(command) for name, command in (more or {}).items()}
    for role, text in _CONFIGURATION.items():
        path = folder / f"{role}.toml"
        path.write_text(
            f'keys = "{folder}/keys/{role}.keys"\n{text.format(**ports, backend=backend, relay_keys=relay_keys)}'
        )
        with path.open("a") as config:
            config.write(f'[log]\nformat = "{log_format}"\n')
        commands[role] = [*program, "serve", "--role", role, "--config", str(path)]
    with (folder / f"{TRANSCEIVER}.toml").open("a") as config:
        config.writelines(
            f'[[backend]]\nuse = "{use}"\nmodels = ["{models}"]\n' for models, use in (claims or {}).items()
        )
        if complexity is not None:
            config.write(f"[transceiver.voice]\ncomplexity = {complexity}\n")
    url, *others = (f"http://127.0.0.1:{ports[name]}" for name in ("http", "relay_http", "control"))

    def is_ready() -> bool:
        return all(fetch(ready) for ready in (*more_urls, *(f"{base}/readyz" for base in (url, *others))))

    with spawned(commands, folder, is_ready) as processes:
        yield Server(
            name="trio-voice",
            url=url,
            media_port=ports["media"],
            metrics_url=f"{others[-1]}/metrics",
            processes=processes,
            logs=folder,
        )


@contextmanager
def our_edge_in_one(folder: Path, *, backend: str = "echo") -> Iterator[Server]:
    """Run signal, relay and transceiver in one process, as `trio-voice serve` does without a role.

    Args:
        folder: empty, for the log.
        backend: what answers calls, as `--backend` names it.
    """
    folder.mkdir(parents=True)
    http, media = free_port(), free_port()
    url = f"http://127.0.0.1:{http}"
    command = [*PROGRAM, "serve", "--http", str(http), "--media-port", str(media), "--backend", backend]
    with spawned({"all three": command}, folder, lambda: bool(fetch(f"{url}/readyz"))) as processes:
        yield Server(name="trio-voice in one process", url=url, media_port=media, processes=processes, logs=folder)


@contextmanager
def aiortc_echo(folder: Path) -> Iterator[Server]:
    """Run the echo on aiortc, one process."""
    folder.mkdir(parents=True)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "bench.aiortc_echo", str(port)]
    with spawned({"aiortc": command}, folder, lambda: bool(fetch(f"{url}/healthz"))) as processes:
        yield Server(name="aiortc", url=url, processes=processes)


@contextmanager
def bare_loop(folder: Path) -> Iterator[Server]:
    """Run the bare loop, one process."""
    folder.mkdir(parents=True)
    port = free_port()
    command = [sys.executable, "-m", "bench.bare_loop", str(port)]
    log = folder / "bare.log"
    with spawned({"bare": command}, folder, lambda: "ready" in log.read_text()) as processes:
        yield Server(name="bare loop", media_port=port, processes=processes)


def fetch(url: str) -> str:
    """Return what a URL answers with status 200; empty for any other status.

    Raises:
        OSError: nobody answers.
    """
    try:
        with urllib.request.urlopen(url, timeout=_HTTP_SECONDS) as response:  # noqa: S310 - a URL of our own making
            return str(response.read().decode())
    except urllib.error.HTTPError:
        return ""
