"""A call of Chromium's in a fleet on hosts of its own, and all that may happen to it; each time's cost is counted.

Counted is the RTP on both sides: at the client's interface, and at that of the transceivers' host; beside it what the
browser says of itself. The page does nothing to help.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs
from playwright.sync_api import Page

from .costs import Cost, Watched, audio_of, is_check
from .edge_processes import Edge
from .restarting import kill_worker, reload_relay, worker_pids
from .sniffing import Sniffer, sniffing
from .travelling import PUBLIC, Journey

__all__ = ["DisturbedCall", "Store", "troubles"]

RELAY = "relay-a"
_MOVES = "trio_voice_transceiver_moves_total"
_PATIENCE = 30.0
_UNDER_WAY = 0.3
_KEEP_SAYING = """() => {
  const { call } = window;
  call.saying = setInterval(() => call.channel.send("still there?"), 50);
}"""
_STOP_SAYING = """async () => {
  const { pc, channel, saying } = window.call;
  clearInterval(saying);
  channel.send("all of it?");
  const after = pc.createDataChannel("after");
  const late = new Promise((resolve) => setTimeout(() => resolve(false), 10000));
  const closed = new Promise((resolve) => { after.onclose = () => resolve(true); });
  after.onopen = () => after.close();
  return { state: channel.readyState, arrived: await Promise.race([closed, late]), waits: channel.bufferedAmount };
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


@attrs.define
class DisturbedCall:
    """The call.

    Attributes:
        travelling: the hosts and the processes.
        store: what the fleet shares.
        page: the browser's.
        location: of the call, at signal.
        source: the SSRC of what the client hears.
        successors: relays that we have not started ourselves, by name.
    """

    travelling: Journey
    store: Store
    page: Page
    location: str
    source: bytes
    successors: dict[str, int] = attrs.field(factory=dict)

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

    def start_own_relay(self) -> None:
        """Have a relay run that has not replaced another: such a one ends with the call."""
        self.restart_relay()
        self.wait("the relay is back", lambda: self.is_ready(RELAY))

    def drain(self, name: str) -> None:
        """Stop a transceiver as an operator does, and wait until it has ended."""
        self.start_draining(name)
        self.wait_for_end(name)

    def start_draining(self, name: str) -> None:
        """Stop a transceiver as an operator does, and wait until another has its calls."""
        calls = self.calls_of(name)
        others = [other for other in self.running() if other != name]
        had = sum(map(self.calls_of, others))
        self.edge.processes[name].send_signal(signal.SIGTERM)
        self.wait("others have its calls", lambda: sum(map(self.calls_of, others)) == had + calls)

    def wait_for_end(self, name: str) -> None:
        """Wait until a transceiver that was drained has ended; it may still have the backend's connection."""
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
        return self.cost_of(self.watch(happening, seconds, behind_check=behind_check))

    def cost_of(self, watched: Watched) -> Cost:
        """What was watched cost the call, if there was no other."""
        return watched.cost(self.audio_times(watched.client), self._hop_ports())

    def watch(self, happening: Callable[[], object], seconds: float, *, behind_check: bool = False) -> Watched:
        """Watch what goes by while something happens; see `count`."""
        server = self.travelling.names["server"]
        with sniffing(self.travelling.client) as client, sniffing(server) as hop:
            if behind_check:
                self.wait_for_check(client)
            self.keep_saying()
            before, begin = self._browser(), time.monotonic()
            time.sleep(0.3)
            at = time.monotonic()
            happening()
            time.sleep(seconds)
            end, after = time.monotonic(), self._browser()
            time.sleep(_UNDER_WAY)
        self.stop_saying()
        return Watched(client=client, hop=hop, stretch=(begin, end), at=at, before=before, after=after)

    def audio_times(self, client: Sniffer) -> list[float]:
        """When the client got audio."""
        return audio_of(client, self.source)

    # What the client says meanwhile over its data channel

    def keep_saying(self) -> None:
        """Have it say something every 50 ms."""
        self.page.evaluate(_KEEP_SAYING)

    def stop_saying(self) -> None:
        """Have it say the last of it, and wait until that has arrived.

        A page is not told what was acknowledged, but when a channel is closed on both sides: and that is when the
        transceiver has all that was sent before, on any channel (RFC 6525 §5.2.2, by the sender's last assigned TSN).
        """
        said = self.page.evaluate(_STOP_SAYING)
        assert said == {"state": "open", "arrived": True, "waits": 0}, said

    # What the other side of the call says by itself: an echo nothing

    def speak(self) -> None:
        """Have it speak."""

    def hush(self) -> None:
        """Have it be silent."""

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
        return self.travelling.running()

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

    def wait_for_check(self, client: Sniffer) -> None:
        """Wait until the client has checked the path of this call, which has audio."""

        def checks() -> int:
            ports = {each.target for each in client.seen if each.source == PUBLIC and each.data[8:12] == self.source}
            return len([each for each in client.to(*PUBLIC) if is_check(each.data) and each.source in ports])

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
            "troubles": troubles(self.seen()),
        }


def troubles(seen: Mapping[str, Any]) -> int:
    """How often a call failed, was negotiated again or lost its channel, of what `DisturbedCall.seen` tells."""
    failed = [*seen["ice"], *seen["connection"]].count("failed")
    return int(failed + seen["negotiations"] + seen["closed"])
