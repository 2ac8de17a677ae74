"""The transceiver tier: a worker, and the control API in front of it."""

import os
from typing import TYPE_CHECKING

import attrs
import trio

from edge.config.backends import backends_of
from edge.config.model import Config, TransceiverConfig, VoiceConfig
from edge.config.problems import Problem
from edge.config.values import format_address
from edge.keys import Bundle
from edge.start import StartError
from edge.tiers.control_serving import control_server
from edge.tiers.control_tls import server_context
from edge.tiers.keyring import call_id_keys, control_bearers, credential_keys, hop_keys
from edge.tiers.moving import handover_services, snapshot_keys
from edge.tiers.serving import add_http_metrics, open_http
from edge.tiers.tier import Surroundings
from edge.tiers.transceiver_metrics import add_transceiver_metrics
from transceiver.agents.loading import AgentNotFound
from transceiver.audio.adaptation import SendingOptions
from transceiver.audio.listening_options import LISTENING, Preference
from transceiver.backends.choice import Backends
from transceiver.backends.links import check_agents
from transceiver.options import SessionOptions, VoiceOptions, WorkerOptions
from transceiver.worker import Worker
from wire.core import Address

if TYPE_CHECKING:
    from edge.registry.describing import Node
    from edge.registry.member import Member

__all__ = ["TransceiverTier", "WorkerIdentity", "check_agents_of", "new_incarnation"]

_PATIENCE = 1.0


def new_incarnation() -> int:
    """Draw the number by which tokens name a transceiver: an old one's tokens never lead to a new one (DESIGN §5)."""
    return int.from_bytes(os.urandom(4), "big")


@attrs.frozen(kw_only=True)
class WorkerIdentity:
    """Which worker of its transceiver this process is.

    Attributes:
        incarnation: the transceiver's.
        number: the worker's.
        announced: how many workers relays should look for on consecutive ports, this one included.
    """

    incarnation: int = attrs.field(factory=new_incarnation)
    number: int = 0
    announced: int = 1


class TransceiverTier:
    """A transceiver in this process, with one worker; several are `edge.workers`.

    Args:
        config: its section.
        backends: what answers calls.
        keys: its bundle.
        surroundings: metrics and log of the process.
        identity: which worker this is; None for the only one.

    Attributes:
        worker: what it runs.
        hop_address: where relays reach it; known once `run` has started.
        control_address: where signal reaches it; known once `run` has started.

    Raises:
        StartError: a backend is an agent that is not there, or a certificate cannot be used.
    """

    def __init__(
        self,
        config: TransceiverConfig,
        backends: Backends,
        keys: Bundle,
        surroundings: Surroundings,
        identity: WorkerIdentity | None = None,
    ) -> None:
        check_agents_of(backends)
        self.hop_address: Address = config.hop
        self.control_address: Address = config.control
        self._config = config
        self._identity = identity or WorkerIdentity()
        self.worker = Worker(
            options=_worker_options(config, backends, self._identity),
            credential_keys=credential_keys(keys),
            call_id_keys=call_id_keys(keys),
            hop_keys=hop_keys(keys),
            incarnation=self._identity.incarnation,
            report=surroundings.report,
            handover=handover_services(
                config,
                keys,
                surroundings.membership,
                incarnation=self._identity.incarnation,
                workers=self._identity.announced,
            ),
        )
        self._handler, self._server = control_server(self.worker, config, keys, surroundings)
        self._worker_scope = trio.CancelScope()
        self._worker_finished = trio.Event()
        add_transceiver_metrics(surroundings.metrics, self.worker)
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
                await self.worker.run(task_status=task_status)
        except OSError as error:
            raise StartError.for_address("transceiver.hop", self._config.hop, error) from None
        finally:
            self._worker_finished.set()

    async def reload(self, config: Config, keys: Bundle) -> None:
        """Use another configuration and keys; see `Tier.reload`. Calls go on as they began."""
        if config.transceiver is not None:
            backends = backends_of(config.backend, config.transceiver.backend)
            check_agents_of(backends)
            tls = server_context(config.transceiver)
            self._server.replace_tls(tls)
            self._handler.needs_certificate = tls is not None
            self.worker.options = attrs.evolve(
                _worker_options(config.transceiver, backends, self._identity), hop=self.worker.options.hop
            )
        self.worker.replace_keys(
            credential_keys=credential_keys(keys),
            call_id_keys=call_id_keys(keys),
            hop_keys=hop_keys(keys),
            snapshot_keys=snapshot_keys(keys),
        )
        self._handler.replace_keys(control_bearers(keys))

    async def stop(self) -> None:
        """Move all calls to others, say goodbye to the clients of those that are left, and end; see `Tier.stop`."""
        with trio.move_on_after(self._config.drain_deadline):
            await self.worker.drain()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._server.stop, _PATIENCE)
            nursery.start_soon(self.worker.stop)  # agents have a few seconds to come to an end
        self._worker_scope.cancel()
        await self._worker_finished.wait()

    def not_ready_reason(self) -> str:
        """Tell why it takes no calls now; empty when it does."""
        status = self.worker.status()
        return "" if status["ready"] else str(status["reason"])

    @property
    def control_scheme(self) -> str:
        """How the control address is asked: "http" or "https"."""
        return "https" if self._handler.needs_certificate else "http"

    @property
    def hop_addresses(self) -> tuple[Address, ...]:
        """Where relays reach its workers."""
        return (self.hop_address,)

    def describe(self) -> str:
        """Tell people where it can be reached."""
        control, hop = format_address(self.control_address), format_address(self.hop_address)
        return f"transceiver: control {self.control_scheme}://{control}, relays send to {hop}"

    def describe_member(self, node: "Node") -> "Member":
        """Tell the fleet what it is and how it is."""
        from edge.registry.describing import describe_transceiver

        control = node.url(self.control_scheme, self.control_address)
        return describe_transceiver(node, self._config, self.hop_addresses, control, self.worker.status())


def check_agents_of(backends: Backends) -> None:
    """Find every agent that a configuration names.

    Raises:
        StartError: one is not there.
    """
    try:
        check_agents(backends)
    except AgentNotFound as error:
        right = "Name an async function that takes a Conversation: agent:MODULE:FUNCTION."
        raise StartError([Problem("backend", str(error), right)]) from None


def _worker_options(config: TransceiverConfig, backends: Backends, identity: WorkerIdentity) -> WorkerOptions:
    return WorkerOptions(
        hop=config.hop,
        cluster=config.cluster,
        worker=identity.number,
        workers=identity.announced,
        hop_sealed=config.hop_sealed,
        max_calls=config.max_calls,
        drain_deadline=config.drain_deadline,
        backends=backends,
        session=SessionOptions(
            connect_timeout=config.connect_timeout, max_call=config.max_call, voice=_voice_options(config.voice)
        ),
    )


def _voice_options(config: VoiceConfig) -> VoiceOptions:
    return VoiceOptions(
        listening=LISTENING[Preference(config.listening)],
        sending=SendingOptions(
            bitrate=config.bitrate,
            min_bitrate=config.min_bitrate,
            max_bitrate=config.max_bitrate,
            complexity=config.complexity,
        ),
    )
