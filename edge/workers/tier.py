"""The transceiver tier with more than one worker: a front with the one control API that signal knows."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import attrs
import trio

from edge.children.launch import Launch, launch_child, python_command
from edge.config.backends import backends_of
from edge.config.model import Config, TransceiverConfig
from edge.config.problems import Problem
from edge.config.values import format_address
from edge.keys import Bundle
from edge.metrics import Metrics
from edge.start import StartError
from edge.tiers.control_serving import control_server
from edge.tiers.control_tls import server_context
from edge.tiers.keyring import call_id_keys, control_bearers
from edge.tiers.serving import add_http_metrics, open_http
from edge.tiers.tier import Surroundings
from edge.tiers.transceiver import check_agents_of, new_incarnation
from edge.tiers.transceiver_metrics import add_transceiver_metrics
from edge.workers.front import Front
from edge.workers.messages import Start, WorkerSettings
from edge.workers.place import Place
from wire.core import Address

if TYPE_CHECKING:
    from edge.registry.describing import Node
    from edge.registry.member import Member

__all__ = ["WorkersTier", "settings_of"]

_PATIENCE = 1.0
_LAUNCH: Launch = partial(launch_child, python_command("edge", "worker"))


class WorkersTier:
    """A transceiver of several processes.

    Args:
        config: of the whole process; its transceiver section says how many workers.
        keys: the bundle of the role.
        surroundings: metrics and log of the process.
        launch: starts a worker's process.

    Attributes:
        control_address: where signal reaches it; known once `run` has started.

    Raises:
        StartError: a backend is an agent that is not there, or a certificate cannot be used.
    """

    def __init__(
        self,
        config: Config,
        keys: Bundle,
        surroundings: Surroundings,
        launch: Launch = _LAUNCH,
    ) -> None:
        section = config.transceiver or TransceiverConfig()
        # Here too, so that a wrong name is told once, and before anything is started.
        check_agents_of(backends_of(config.backend, section.backend))
        incarnation = new_incarnation()
        self.control_address: Address = section.control
        self._config = section
        self._places = [
            Place(
                Start(
                    settings=settings_of(config, keys, number),
                    number=number,
                    # Ports of the kernel's choice are not consecutive; relays here are told each by `hop_addresses`.
                    announced=section.workers if section.hop[1] else 1,
                    incarnation=incarnation,
                ),
                surroundings.report,
                launch,
            )
            for number in range(section.workers)
        ]
        self._front = Front(
            self._places, call_id_keys=call_id_keys(keys), cluster=section.cluster, incarnation=incarnation
        )
        self._handler, self._server = control_server(
            self._front, section, keys, surroundings, self._front.not_joined_reason
        )
        add_transceiver_metrics(surroundings.metrics, self._front)
        _add_worker_metrics(surroundings.metrics, self._places)
        add_http_metrics(surroundings.metrics, "transceiver", self._server)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until cancelled or stopped; see `Tier.run`. No process is left when it returns."""
        listener = await open_http("transceiver.control", self._config.control)
        async with trio.open_nursery() as nursery:
            async with trio.open_nursery() as starting:
                for place in self._places:
                    starting.start_soon(nursery.start, place.run)
            (self.control_address,) = await nursery.start(self._server.serve, [listener])
            task_status.started()

    async def reload(self, config: Config, keys: Bundle) -> None:
        """Use another configuration and keys; see `Tier.reload`. The workers have them when this returns."""
        if config.transceiver is None:
            return
        check_agents_of(backends_of(config.backend, config.transceiver.backend))
        tls = server_context(config.transceiver)
        self._server.replace_tls(tls)
        self._handler.needs_certificate = tls is not None
        self._front.call_id_keys = call_id_keys(keys)
        self._handler.replace_keys(control_bearers(keys))
        problems: list[Problem] = []

        async def reload(place: Place) -> None:
            problems.extend(await place.reload(settings_of(config, keys, place.number)))

        async with trio.open_nursery() as nursery:
            for place in self._places:
                nursery.start_soon(reload, place)
        if problems:
            raise StartError(problems)

    async def stop(self) -> None:
        """Take no further call, let every worker say goodbye to its clients, and end; see `Tier.stop`."""
        self._front.start_draining()
        async with trio.open_nursery() as nursery:
            for place in self._places:
                nursery.start_soon(place.stop)
        await self._server.stop(_PATIENCE)  # last: tunnels to the backends of calls that move are taken through it

    def not_ready_reason(self) -> str:
        """Tell why no worker takes calls now; empty when one does."""
        return self._front.not_ready_reason()

    @property
    def control_scheme(self) -> str:
        """How the control address is asked: "http" or "https"."""
        return "https" if self._handler.needs_certificate else "http"

    @property
    def hop_addresses(self) -> tuple[Address, ...]:
        """Where relays reach each worker; known once `run` has started."""
        return tuple(place.hop for place in self._places)

    def describe(self) -> str:
        """Tell people where it can be reached."""
        hops = ", ".join(map(format_address, self.hop_addresses))
        control = format_address(self.control_address)
        url = f"{self.control_scheme}://{control}"
        return f"transceiver: control {url}, {len(self._places)} workers, relays send to {hops}"

    def describe_member(self, node: "Node") -> "Member":
        """Tell the fleet what it is and how it is."""
        from edge.registry.describing import describe_transceiver

        control = node.url(self.control_scheme, self.control_address)
        return describe_transceiver(node, self._config, self.hop_addresses, control, self._front.status())


def settings_of(config: Config, keys: Bundle, number: int) -> WorkerSettings:
    """Tell one worker of its part: the next port, a share of the calls, and no TLS, for the front asks on loopback."""
    section = config.transceiver or TransceiverConfig()
    host, port = section.hop
    share, left = divmod(section.max_calls, section.workers)
    own = attrs.evolve(
        section,
        hop=(host, port + number if port else 0),
        control=("127.0.0.1", 0),
        tls_certificate=None,
        tls_key=None,
        tls_client_ca=None,
        max_calls=share + (number < left),
    )
    return WorkerSettings(
        transceiver=own, backend=config.backend, log=config.log, keys=keys, store=config.store, node=config.node
    )


def _add_worker_metrics(metrics: Metrics, places: Sequence[Place]) -> None:
    def of_each(read: Callable[[Place], float]) -> Callable[[], Mapping[int, float]]:
        return lambda: {place.number: read(place) for place in places}

    metrics.add_gauges(
        "transceiver_worker_calls",
        "Calls that are going on, by worker.",
        "worker",
        of_each(lambda place: place.figures.calls),
    )
    metrics.add_gauges(
        "transceiver_worker_ready",
        "Whether each worker takes calls now.",
        "worker",
        of_each(lambda place: float(not place.not_ready_reason())),
    )
    metrics.add_gauges(
        "transceiver_worker_store_full",
        "Whether the store has refused something of each worker lately, as it has no room.",
        "worker",
        of_each(lambda place: float(place.figures.store_full)),
    )
    metrics.add_gauges(
        "transceiver_worker_resident_bytes",
        "Memory of each worker's process.",
        "worker",
        of_each(lambda place: place.figures.resident_bytes),
    )
    metrics.add_counters(
        "transceiver_worker_cpu_seconds",
        "Processor time of each worker's processes.",
        "worker",
        of_each(lambda place: place.ended.cpu_seconds + place.figures.cpu_seconds),
    )
    metrics.add_counters(
        "transceiver_worker_starts",
        "How often a process has served as each worker; more than once, and one has died.",
        "worker",
        of_each(lambda place: place.starts),
    )
