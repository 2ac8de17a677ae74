"""The transceiver tier: a worker, and the control API in front of it."""

import os

import attrs
import trio

from edge.config.backends import backends_of
from edge.config.model import Config, TransceiverConfig
from edge.config.problems import Problem
from edge.config.values import format_address
from edge.control.server import CONTROL_LIMITS, ControlHandler
from edge.http.server import HttpServer
from edge.keys import Bundle
from edge.metrics import Histogram, Metrics
from edge.start import StartError
from edge.tiers.keyring import call_id_keys, control_bearers, credential_keys, hop_keys
from edge.tiers.tier import Surroundings, add_http_metrics, failure_hook, open_http
from transceiver.agents.loading import AgentNotFound
from transceiver.backends.choice import Backends
from transceiver.backends.links import check_agents
from transceiver.options import SessionOptions, WorkerOptions
from transceiver.worker import Worker
from wire.core import Address

__all__ = ["TransceiverTier"]

_PATIENCE = 1.0


class TransceiverTier:
    """A transceiver in this process.

    Args:
        config: its section.
        backends: what answers calls.
        keys: its bundle.
        surroundings: metrics and log of the process.

    Attributes:
        hop_address: where relays reach it; known once `run` has started.
        control_address: where signal reaches it; known once `run` has started.

    Raises:
        StartError: a backend is an agent that is not there.
    """

    def __init__(self, config: TransceiverConfig, backends: Backends, keys: Bundle, surroundings: Surroundings) -> None:
        _check_agents(backends)
        self.hop_address: Address = config.hop
        self.control_address: Address = config.control
        self._config = config
        self._worker = Worker(
            options=_worker_options(config, backends),
            credential_keys=credential_keys(keys),
            call_id_keys=call_id_keys(keys),
            hop_keys=hop_keys(keys),
            # Random per start: an old process's tokens never lead to a new one (DESIGN §5).
            incarnation=int.from_bytes(os.urandom(4), "big"),
            report=surroundings.report,
        )
        self._handler = ControlHandler(
            self._worker, control_bearers(keys), surroundings.metrics.render, conversations=self._worker
        )
        self._server = HttpServer(self._handler, limits=CONTROL_LIMITS, on_failure=failure_hook(surroundings.report))
        self._worker_scope = trio.CancelScope()
        self._worker_finished = trio.Event()
        _add_metrics(surroundings.metrics, self._worker)
        add_http_metrics(surroundings.metrics, "transceiver", self._server)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until cancelled or stopped; see `Tier.run`."""
        listener = await open_http("transceiver.control", self._config.control)
        async with trio.open_nursery() as nursery:
            self.hop_address = await nursery.start(self._run_worker)
            (self.control_address,) = await nursery.start(self._server.serve, [listener])
            task_status.started()

    async def _run_worker(self, *, task_status: trio.TaskStatus[Address]) -> None:
        try:
            with self._worker_scope:
                await self._worker.run(task_status=task_status)
        except OSError as error:
            raise StartError.for_address("transceiver.hop", self._config.hop, error) from None
        finally:
            self._worker_finished.set()

    async def reload(self, config: Config, keys: Bundle) -> None:
        """Use another configuration and keys; see `Tier.reload`. Calls go on as they began."""
        if config.transceiver is not None:
            backends = backends_of(config.backend, config.transceiver.backend)
            _check_agents(backends)
            self._worker.options = attrs.evolve(
                _worker_options(config.transceiver, backends), hop=self._worker.options.hop
            )
        self._worker.replace_keys(
            credential_keys=credential_keys(keys), call_id_keys=call_id_keys(keys), hop_keys=hop_keys(keys)
        )
        self._handler.replace_keys(control_bearers(keys))

    async def stop(self) -> None:
        """Take no further call, say goodbye to every client, and end; see `Tier.stop`."""
        self._worker.start_draining()
        await self._server.stop(_PATIENCE)
        self._worker_scope.cancel()
        await self._worker_finished.wait()

    def not_ready_reason(self) -> str:
        """Tell why it takes no calls now; empty when it does."""
        status = self._worker.status()
        return "" if status["ready"] else str(status["reason"])

    def describe(self) -> str:
        """Tell people where it can be reached."""
        control, hop = format_address(self.control_address), format_address(self.hop_address)
        return f"transceiver: control http://{control}, relays send to {hop}"


def _check_agents(backends: Backends) -> None:
    try:
        check_agents(backends)
    except AgentNotFound as error:
        right = "Name an async function that takes a Conversation: agent:MODULE:FUNCTION."
        raise StartError([Problem("backend", str(error), right)]) from None


def _worker_options(config: TransceiverConfig, backends: Backends) -> WorkerOptions:
    return WorkerOptions(
        hop=config.hop,
        cluster=config.cluster,
        max_calls=config.max_calls,
        backends=backends,
        session=SessionOptions(connect_timeout=config.connect_timeout, max_call=config.max_call),
    )


def _add_metrics(metrics: Metrics, worker: Worker) -> None:
    metrics.add_counters(
        "transceiver_events", "What became of offers and calls, by event.", "event", lambda: worker.counts
    )
    metrics.add_counters(
        "transceiver_drops", "Datagrams that were dropped, by layer and reason.", "reason", worker.all_drops
    )
    metrics.add_gauge("transceiver_calls", "Calls that are going on.", lambda: _number(worker, "calls"))
    metrics.add_gauge("transceiver_max_calls", "Calls that are taken at a time.", lambda: worker.options.max_calls)
    metrics.add_gauge("transceiver_relays", "Relays whose link is up.", lambda: _number(worker, "relays"))
    metrics.add_histogram("transceiver_tick_lateness_seconds", "How late ticks came.", lambda: _lateness(worker))


def _number(worker: Worker, name: str) -> float:
    value = worker.status()[name]
    return float(value) if isinstance(value, int | float) else 0.0


_LATENESS_BOUNDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, float("inf"))


def _lateness(worker: Worker) -> Histogram:
    """Put the worker's quarter milliseconds together to fewer buckets; the sum is that of upper bounds."""
    steps = [((index + 1) / 4000, count) for index, count in enumerate(worker.lateness.counts) if count]
    buckets, lower = [], 0.0
    for bound in _LATENESS_BOUNDS:
        buckets.append((bound, sum(count for upper, count in steps if lower < upper <= bound)))
        lower = bound
    return Histogram(buckets, sum(upper * count for upper, count in steps))
