"""The relay's loop: sockets around the sans-IO `Forwarder`, on Trio.

One task takes what has arrived on all sockets in bounded batches, feeds the forwarder inline and sends what came of it,
all without a switch of tasks. Before the first batch from clients it hears the transceivers (`relay.opening`). A full
send buffer drops and counts; nothing here waits to send. Another task keeps time for claims and links.
"""

import os
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack

import attrs
import trio

from relay import mmsg
from relay.allocator import keep_no_holes
from relay.datagrams import RELAY_BATCH
from relay.datapath import Datapath
from relay.forwarder import Forwarder, ForwarderOptions
from relay.hop.keys import HopKeys
from relay.hop.mtu import never_fragment
from relay.opening import Opening
from relay.places import NO_CLUSTERS, ClusterMap
from relay.plain_path import PlainPath
from relay.slot_path import SlotPath
from relay.sockets import IngressBinding, IngressProtocol, RelaySockets, open_sockets
from relay.tags import FlowTags
from relay.tcp.connections import Connections
from relay.tcp.options import TcpOptions
from relay.tcp.sockets import TcpSockets, peer_of
from relay.udp import UdpDropReason, address_of, canonical, lost_on_arrival, receive_rounds
from stun.credentials import CredentialKeys
from wire.core import Address, Drops

__all__ = ["IngressBinding", "IngressProtocol", "RelayKeys", "RelayOptions", "RelayWorker", "run_relay"]

_LONGEST_SLEEP = 0.25
"""A batch can bring a deadline forward, and does not wake the timer: it looks again after this many seconds at most.
Only announced flows wake it, as a relay that has just started must know them soon."""
_MOST_ROUNDS = 32
"""So many batches are read at once to hear a transceiver that is silent; it takes some ten milliseconds."""


@attrs.frozen(kw_only=True)
class RelayOptions:
    """What a relay is told by its configuration.

    Attributes:
        hop: IP address and port of the hop socket, reachable from the transceivers and from nobody else.
        ingresses: the public addresses, at least one. Where one is bound to a wildcard, answers leave from the address
            that was asked, as far as that is known (`relay.local_addresses`).
        transceivers: hop addresses of all transceiver workers, by IP address.
        clusters: relays of other clusters, by IP address.
        forwarder: bounds.
        tcp: bounds of the TCP ingresses.
    """

    hop: Address
    ingresses: Sequence[IngressBinding]
    transceivers: Sequence[Address]
    clusters: ClusterMap = NO_CLUSTERS
    forwarder: ForwarderOptions = attrs.field(factory=ForwarderOptions)
    tcp: TcpOptions = attrs.field(factory=TcpOptions)


@attrs.frozen(kw_only=True)
class RelayKeys:
    """The keys that a relay's bundle holds.

    Attributes:
        credentials: opens tokens and derives passwords.
        hop: shared with the transceivers.
        flow_tags: shared with the relays of the ingress group.
    """

    credentials: CredentialKeys = attrs.field(repr=False)
    hop: HopKeys = attrs.field(repr=False)
    flow_tags: FlowTags = attrs.field(repr=False)


class RelayWorker:
    """One relay: binds its sockets when it is made, and forwards while `run` runs.

    Args:
        options: addresses and bounds.
        keys: what the bundle holds.
        sockets: lent by somebody who closes them; None to open and close our own.
        on_warning: called with a sentence for the operator.

    Raises:
        OSError: an address cannot be bound.

    Attributes:
        forwarder: the core; its counters are live.
        send_drops: datagrams that the kernel did not take, by `UdpDropReason`.
        traffic: datagrams and bytes by direction: "up_datagrams", "up_bytes", "down_datagrams", "down_bytes".
            Up is what was made for the hop socket (control messages included), down what was made for clients.
        hop_address: where the hop socket is bound.
        ingress_addresses: where each ingress is bound, by number.
        connections: the clients on TCP.
        is_forwarding: set when clients are read, once the transceivers have been heard.
    """

    def __init__(
        self,
        options: RelayOptions,
        keys: RelayKeys,
        *,
        sockets: RelaySockets | None = None,
        on_warning: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._closing = ExitStack()
        if sockets is None:
            sockets = open_sockets(options.hop, options.ingresses, on_warning=on_warning)
            self._closing.callback(sockets.close)
        self._hop, self._ingresses = sockets.hop, sockets.ingresses
        for sock in (self._hop, *self._ingresses.values()):
            never_fragment(sock)
        self.hop_address = address_of(self._hop)
        self.ingress_addresses: Mapping[int, Address] = {
            number: address_of(sock) for number, sock in {**sockets.ingresses, **sockets.listeners}.items()
        }
        self.is_forwarding = trio.Event()
        self.send_drops: Drops = Counter()
        self.traffic: Counter[str] = Counter()
        connected: dict[int, set[Address]] = {
            ingress.id: set() for ingress in options.ingresses if ingress.protocol == "tcp"
        }
        self.forwarder = Forwarder(
            credentials=keys.credentials,
            hop_keys=keys.hop,
            flow_tags=keys.flow_tags,
            ingresses=[ingress.id for ingress in options.ingresses],
            transceivers=[canonical(address) for address in options.transceivers],
            entropy=os.urandom,
            now=trio.current_time(),
            options=options.forwarder,
            clusters=_canonical(options.clusters),
            connected=connected,
        )
        self.connections = Connections(forwarder=self.forwarder, connected=connected, options=options.tcp)
        self._tcp = TcpSockets(self.connections, sockets.listeners) if connected else None
        self._is_learning = trio.Event()
        self._lost = 0
        path = SlotPath if mmsg.is_available() else PlainPath
        self._path: Datapath = path(self.forwarder, self._hop, self._ingresses, self.send_drops)
        self._receivers: dict[socket.socket | TcpSockets, Callable[[float], int]] = dict(self._path.receivers.items())
        if self._tcp is not None:
            self._closing.callback(self._tcp.close)
            self._receivers[self._tcp] = self._tcp.receive

    async def run(self, *, task_status: trio.TaskStatus["RelayWorker"] = trio.TASK_STATUS_IGNORED) -> None:
        """Forward until cancelled; then the sockets are closed, unless they are lent.

        Cancellation takes effect between batches: a datagram that was taken is also forwarded.
        """
        keep_no_holes()
        with self._closing:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._keep_time)
                task_status.started(self)
                await self._catch_up()
                self.is_forwarding.set()
                nursery.start_soon(receive_rounds, self._receivers, self._flush, RELAY_BATCH)

    def close(self) -> None:
        """Close the sockets of a relay that was never run, unless they are lent."""
        self._closing.close()

    async def _catch_up(self) -> None:
        """Hear what transceivers have to say first (`relay.opening`)."""
        opening = Opening(self.forwarder, self._hop, trio.current_time())
        with trio.CancelScope(deadline=opening.end) as scope:

            def flush(now: float) -> None:
                self._flush(now)
                scope.deadline = opening.end

            await receive_rounds({self._hop: opening.receive}, flush)
        now = trio.current_time()
        opening.close(now)
        self._flush(now)

    def adopt(self, sock: socket.socket, ingress: int) -> None:
        """Take over a client's connection that somebody else has accepted, and of which nothing has been read.

        Args:
            sock: the connection; it is closed here, whatever becomes of it.
            ingress: number of a TCP ingress.
        """
        try:
            client = peer_of(sock)
        except OSError:  # it has ended meanwhile
            client = None
        if self._tcp is None or client is None:
            sock.close()
        else:
            self._tcp.adopt(sock, ingress, client, trio.current_time())

    def replace_keys(self, keys: RelayKeys) -> None:
        """Use other keys from now on; claims and links stay."""
        self.forwarder.admission.credentials = keys.credentials
        self.forwarder.flow_tags = keys.flow_tags
        self.forwarder.replace_hop_keys(keys.hop)

    def set_peers(self, transceivers: Iterable[Address], clusters: ClusterMap) -> None:
        """Follow changed lists of transceivers and of relays of other clusters; see `RelayOptions`."""
        known = [canonical(address) for address in transceivers]
        self.forwarder.set_peers(known, _canonical(clusters), trio.current_time())

    @property
    def drops(self) -> Drops:
        """Everything dropped, by reason: by the forwarder, by the links, and by the kernel."""
        lost = sum(map(lost_on_arrival, (self._hop, *self._ingresses.values())))
        arrival = Counter({UdpDropReason.RECEIVE_BUFFER_FULL: lost})
        return self.forwarder.drops + self.forwarder.links.drops + self.connections.drops + self.send_drops + arrival

    async def _keep_time(self) -> None:
        while True:
            now = trio.current_time()
            self._hear_before_judging(now)
            self.forwarder.handle_timeout(now)
            times = [self.forwarder.next_timeout()]
            if self._tcp is not None:
                self._tcp.handle_timeout(now)
                times.append(self._tcp.next_timeout())
            self._flush(now)
            latest = now + _LONGEST_SLEEP
            self._is_learning = trio.Event()
            with trio.move_on_at(min((when for when in times if when is not None and when < latest), default=latest)):
                await self._is_learning.wait()

    def _hear_before_judging(self, now: float) -> None:
        """Before a transceiver is suspected for its silence, take all that has arrived; else nobody is suspected."""
        watch, lost = self.forwarder.links.watch, lost_on_arrival(self._hop)
        if lost != self._lost:
            self._lost = lost
            watch.excuse(now)
        elif watch.is_about_to_suspect(now):
            receive, rounds = self._path.receivers[self._hop], 0
            while self.is_forwarding.is_set() and rounds < _MOST_ROUNDS:
                rounds += 1
                if receive(now) < RELAY_BATCH:
                    self._flush(now)
                    return
                self._flush(now)
            watch.excuse(now)

    def _flush(self, now: float) -> None:
        if self.forwarder.links.is_learning:
            self._is_learning.set()
        sent, traffic = self._path.flush(), self.traffic
        if sent.up_datagrams:
            traffic["up_datagrams"] += sent.up_datagrams
            traffic["up_bytes"] += sent.up_bytes
        if sent.down_datagrams:
            traffic["down_datagrams"] += sent.down_datagrams
            traffic["down_bytes"] += sent.down_bytes
        if self._tcp is not None:
            datagrams, size = self._tcp.flush(now)
            traffic["down_datagrams"] += datagrams
            traffic["down_bytes"] += size


async def run_relay(
    options: RelayOptions,
    keys: RelayKeys,
    *,
    on_warning: Callable[[str], object] = lambda _: None,
    task_status: trio.TaskStatus[RelayWorker] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Bind a relay's sockets and forward until cancelled.

    Args:
        options: addresses and bounds.
        keys: what the bundle holds.
        on_warning: called with a sentence for the operator.
        task_status: started with the worker once its sockets are bound.

    Raises:
        OSError: an address cannot be bound.
    """
    await RelayWorker(options, keys, on_warning=on_warning).run(task_status=task_status)


def _canonical(clusters: ClusterMap) -> ClusterMap:
    return {cluster: [canonical(address) for address in relays] for cluster, relays in clusters.items()}
