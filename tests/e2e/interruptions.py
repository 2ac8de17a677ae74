"""A call of Chromium's in a fleet on hosts of its own, and all that may happen to it; each time's cost is counted.

Counted is the RTP on both sides: at the client's interface, and at that of the transceivers' host; beside it what the
browser says of itself. The page does nothing to help.
"""

import contextlib
import itertools
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import attrs
from playwright.sync_api import Page

from .chromium import CALL
from .crossing import Crossed, through_the_relay
from .edge_processes import Edge
from .namespaces import ip
from .nonces import numbers_of, used_twice
from .restarting import kill_worker, reload_relay, worker_pids
from .sniffing import Sniffer, is_rtp, sniffing
from .travelling import KEY, PUBLIC, Journey

__all__ = ["Cost", "DisturbedCall", "Store", "audio_times", "disturbed_call", "run_first"]

RELAY = "relay-a"
_BINDING_REQUEST = b"\x00\x01"
_MOVES = "trio_voice_transceiver_moves_total"
_PATIENCE = 30.0
_UNDER_WAY = 0.3
_WATCH = """() => {
  const { pc, channel } = window.call;
  const seen = window.seen = { ice: [], connection: [], negotiations: 0, closed: false };
  pc.addEventListener("iceconnectionstatechange", () => seen.ice.push(pc.iceConnectionState));
  pc.addEventListener("connectionstatechange", () => seen.connection.push(pc.connectionState));
  pc.addEventListener("signalingstatechange", () => seen.negotiations++);
  channel.addEventListener("close", () => seen.closed = true);
}"""


class Store(Protocol):
    """The Redis of the tests."""

    url: str

    def start(self) -> None:
        """Start it."""

    def stop(self) -> None:
        """Kill it."""

    def command(self, *words: str) -> str:
        """Ask it something."""


@attrs.frozen(kw_only=True)
class Cost:
    """What an interruption cost.

    Attributes:
        up: towards the transceiver: what left the client, and what of it came nowhere.
        down: back.
        missing: numbers that never came back, of those that the transceiver echoes; more than were lost behind a
            death, since the successor leaves some out.
        gap_ms: the longest time without audio at the client.
        reused: numbers that make nonces and that the transceivers have used twice, as far as they stand in the clear.
        checks: Binding Requests of the client's between the interruption and the end of the longest gap.
        browser: how far its own counters went meanwhile: packets sent, received and lost, milliseconds concealed.
    """

    up: Crossed
    down: Crossed
    missing: int
    gap_ms: float
    reused: int
    checks: int
    browser: dict[str, float]

    @property
    def frames(self) -> int:
        """Packets that were lost between client and transceiver, on either way."""
        return self.up.lost + self.down.lost


@attrs.define
class DisturbedCall:
    """The call.

    Attributes:
        travelling: the hosts and the processes.
        store: what the fleet shares.
        page: the browser's.
        location: of the call, at signal.
        successors: relays that we have not started ourselves, by name.
    """

    travelling: Journey
    store: Store
    page: Page
    location: str
    successors: dict[str, int]

    @property
    def edge(self) -> Edge:
        """The processes."""
        return self.travelling.edge

    # What may happen

    def kill_worker(self) -> None:
        """Kill the worker of the relay that has the call."""
        kill_worker(self.edge, self._busy_worker(), RELAY)

    def restart_relay(self, relay: str = RELAY) -> None:
        """Kill a relay with all its workers, and start it again at once."""
        self.kill_relay(relay)
        self.edge.start(relay)

    def kill_relay(self, relay: str) -> None:
        """Kill a relay with all its workers."""
        known = self.successors.pop(relay, 0)
        for pid in (known or self.edge.processes[relay].pid, *worker_pids(self.edge, relay).values()):
            with contextlib.suppress(ProcessLookupError):  # workers do not outlive the relay for long
                os.kill(pid, signal.SIGKILL)
        self.edge.processes[relay].wait()

    def reload_relay(self) -> None:
        """Have it replaced as planned."""
        self.successors[RELAY] = reload_relay(self.edge, RELAY)

    def drain(self, name: str) -> None:
        """Stop a transceiver as an operator does."""
        self.edge.processes[name].send_signal(signal.SIGTERM)
        assert self.edge.processes[name].wait(_PATIENCE) == 0

    def kill(self, name: str) -> None:
        """Kill a transceiver."""
        self.edge.processes[name].kill()
        self.edge.processes[name].wait()

    def pause(self, name: str) -> None:
        """Stop a transceiver in its tracks until another has its call, and wait until it has let go of it."""
        self.edge.processes[name].send_signal(signal.SIGSTOP)
        others = [other for other in self.running() if other != name]
        try:
            self.wait("another has it", lambda: any(map(self.calls_of, others)))
        finally:
            self.edge.processes[name].send_signal(signal.SIGCONT)
        self.wait("the old owner lets go", lambda: self.calls_of(name) == 0)

    def restart_store(self) -> None:
        """Kill Redis, and start it again with nothing in it."""
        self.store.stop()
        self.store.start()

    # What comes of it

    def count(self, happening: Callable[[], object], seconds: float, *, behind_check: bool = False) -> Cost:
        """Count around something that happens, until some seconds behind it.

        With `behind_check` it happens right after the client has checked its path, so that no check will help soon.
        """
        server = self.travelling.names["server"]
        with sniffing(self.travelling.client) as client, sniffing(server) as hop:
            if behind_check:
                self._wait_for_check(client)
            before, begin = self._browser(), time.monotonic()
            time.sleep(0.3)
            at = time.monotonic()
            happening()
            time.sleep(seconds)
            end, after = time.monotonic(), self._browser()
            time.sleep(_UNDER_WAY)
        up, down = through_the_relay(client, hop, (begin, end))
        gap = _longest_gap(client, at - 0.1, end)
        checks = [each for each in client.to(*PUBLIC) if each.data[:2] == _BINDING_REQUEST and at < each.at < gap[1]]
        return Cost(
            up=up,
            down=down,
            missing=client.heard(PUBLIC, since=begin).missing,
            gap_ms=round(1000 * (gap[1] - gap[0]), 1),
            reused=len(used_twice(*(numbers_of(hop, port) for port in self._hop_ports()))),
            checks=len(checks),
            browser={name: round(after[name] - before[name], 1) for name in after},
        )

    def seen(self) -> dict[str, Any]:
        """What the browser has seen of the call: changes of state, all in all, and whether the channel was closed."""
        told: dict[str, Any] = self.page.evaluate("() => window.seen")
        return told

    # Who has it

    def calls_of(self, name: str) -> int:
        """How many calls a transceiver has; none when it does not run."""
        if self.edge.processes[name].poll() is not None:
            return 0
        return int(self.edge.metric(self.edge.servers[name].health, "trio_voice_transceiver_calls"))

    def running(self) -> list[str]:
        """The transceivers that run."""
        return [
            name
            for name in self.travelling.transceivers
            if name in self.edge.processes and self.edge.processes[name].poll() is None
        ]

    def owner(self) -> str:
        """The one that has the call."""
        return str(self.wait("a transceiver has the call", lambda: next(filter(self.calls_of, self.running()), "")))

    def owner_with_record(self) -> str:
        """The one that has the call, when the store has its record and all others can take it over."""
        owner = self.owner()

        def is_kept() -> bool:
            counted = self.edge.counted(self.edge.servers[owner].health, _MOVES)
            return bool(counted["checkpoint.created"] or counted["checkpoint.confirmed"])

        self.wait("the store has a record", is_kept)
        self.wait("all are ready", lambda: all(self.is_ready(name) for name in self.running()))
        return owner

    def start(self, name: str) -> None:
        """Start a process, and wait until it is ready."""
        self.edge.start(name)
        self.wait(f"{name} is ready", lambda: self.is_ready(name))

    def is_ready(self, name: str) -> bool:
        """Whether a process is ready."""
        return self.edge.is_ready(self.edge.servers[name].health)

    def wait(self, what: str, condition: Callable[[], Any]) -> Any:
        """Wait for what other processes will do."""
        return self.edge.wait_until(what, condition, _PATIENCE)

    def client_host(self) -> str:
        """Where the client is, as its transceiver knows it."""
        state = self.wait("the call is found", lambda: self.edge.call_state(self.location))
        return str(state["client"].rpartition(":")[0])

    def hang_up(self) -> int:
        """Hang up by the call's id; returns the status of the answer."""
        return self.edge.delete(self.location)[0]

    def created(self) -> int:
        """How many records the owner has made in the store."""
        counted = self.edge.counted(self.edge.servers[self.owner()].health, _MOVES)
        return counted["checkpoint.created"]

    def _hop_ports(self) -> list[int]:
        return [self.travelling.hop_port(name) for name in self.travelling.transceivers]

    def _busy_worker(self) -> int:
        def forwarded() -> list[float]:
            name = "trio_voice_relay_worker_datagrams_down_total"
            samples = self.edge.samples(self.travelling.relay_url("a"), name).items()
            return [value for _, value in sorted(samples)]

        before = forwarded()
        time.sleep(0.6)  # figures come once a while
        grown = [after - first for first, after in zip(before, forwarded(), strict=True)]
        assert max(grown) > 0, grown
        return grown.index(max(grown))

    def _wait_for_check(self, client: Sniffer) -> None:
        def checks() -> int:
            return len([each for each in client.to(*PUBLIC) if each.data[:2] == _BINDING_REQUEST])

        had, deadline = checks(), time.monotonic() + 10
        while checks() == had:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def _browser(self) -> dict[str, float]:
        stats = self.page.evaluate("() => window.call.stats()")
        inbound = stats["inbound-rtp"]
        return {
            "sent": stats["outbound-rtp"]["packetsSent"],
            "received": inbound["packetsReceived"],
            "lost": inbound["packetsLost"],
            "concealed_ms": inbound["concealedSamples"] / 48,
        }


def audio_times(client: Sniffer) -> list[float]:
    """When audio came to the client."""
    return [each.at for each in client.seen if each.source == PUBLIC and is_rtp(each.data)]


def _longest_gap(client: Sniffer, since: float, until: float) -> tuple[float, float]:
    """Begin and end of the longest time without audio at the client, at least up to the end of the stretch."""
    times = [*(at for at in audio_times(client) if since < at < until), until]
    return max(itertools.pairwise(times), key=lambda pair: pair[1] - pair[0])


def run_first(travelling: Journey) -> None:
    """Let relays run before everything else on this machine, as on hosts of their own; from their next start on."""
    if shutil.which("chrt") is None:
        return
    for name in (name for name in travelling.edge.servers if name.startswith("relay-")):
        server = travelling.edge.servers[name]
        travelling.edge.servers[name] = attrs.evolve(server, command=["chrt", "--fifo", "1", *server.command])


@contextmanager
def disturbed_call(travelling: Journey, store: Store, page: Page) -> Iterator[DisturbedCall]:
    """Place a call with audio and a data channel, and wait until it is at rest; hangs up behind the block."""
    for host in ("relay-a", "relay-b", "server"):
        # What is sent in segments is to be cut where it leaves, and not seen as one long datagram.
        ip("-n", travelling.names[host], "link", "set", "eth", "gso_max_segs", "1")
    location = page.evaluate(CALL, {"key": KEY, "channel": True})["location"]
    page.evaluate(_WATCH)
    call = DisturbedCall(travelling, store, page, location, {})
    try:
        time.sleep(2.0)
        yield call
    finally:
        page.evaluate("() => window.call.pc.close()")
        for relay in tuple(call.successors):
            call.kill_relay(relay)
