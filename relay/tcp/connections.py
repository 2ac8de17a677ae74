"""The rules that TCP connections live by, without a socket or a clock.

    stream ──▶ receive ──▶ frames ──▶ Forwarder.receive_from_client       the way of UDP from here on
    stream ◀── queues  ◀── collect ◀── Forwarder.to_clients[ingress]

Goal: a client whose network blocks UDP reaches its transceiver as any other; and what TCP adds to a relay that keeps
no state, connections, is worth nothing to who wants to harm it.

Attacker: opens connections from as many addresses as he has; says nothing, or a byte a second, or another protocol, or
garbage; reads slowly or never; holds credentials of calls of his own. He cannot forge his source, as with UDP: the
handshake has shown that he receives there.

Rules:

* *Who says nothing useful goes.* The first frame has to be whole within 5 s of the connection, however the bytes are
  spread over them, and has to be a Binding Request whose integrity is verified and that makes a claim (the very rules
  of UDP, `relay.stun_router`). If not, the connection ends there and then.
* *A connection lives as long as its claims.* They end with GONE, or by themselves when nothing authentic has come for
  30 s (`relay.flows`); 5 s after the last one the connection ends. So a half-sent frame keeps nothing alive either.
* *A flow ends with its connection*: its claims are removed. The transceiver is not told. It notices as it notices a NAT
  that has forgotten: by consent (RFC 7675). For a broken connection says little about the call; browsers open another
  within a second, and that is one more path of the same call, as after a change of networks.
* *Nothing goes down to a client that is not there.* `FlowTable.reaches` is asked before it believes a transceiver (or
  another relay) about a flow of TCP, so claims cannot come back without their connection.
* *New is shed before old.* There is an end to connections: in all, for each source, and for those that have shown
  nothing. Only of the last kind the oldest yields, and only after it has had time for a first frame.
* *Slow readers lose what they do not read.* A bounded queue; first media that is new is dropped, then everything;
  who takes nothing at all for 10 s is cut off.

What a connection holds: less than a frame inwards (1.5 KB), 64 KB outwards, and the kernel's buffers, which
`relay.tcp.sockets` keeps small.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from relay.budgets import source_of
from relay.forwarder import Forwarder
from relay.sockaddr import sockaddr_of
from relay.tcp.connection import Connection, ConnectionState
from relay.tcp.drops import TcpDropReason
from relay.tcp.options import TcpOptions
from wire.core import Address, Drops

__all__ = ["Connections"]

_SWEEP = 1.0
"""How often connections are looked at whose claims may have ended, or that may be stuck."""


class Connections:
    """All TCP connections of a relay.

    Args:
        forwarder: takes the datagrams, and has some.
        connected: of each TCP ingress, the clients that a transceiver may send to; kept here, read by the flow table.
        options: bounds.

    Attributes:
        drops: connections refused and ended, datagrams not sent, by `TcpDropReason`.
        closed: connections that have ended here since somebody last cleared the list; their sockets are to be closed.
    """

    def __init__(
        self,
        *,
        forwarder: Forwarder,
        connected: Mapping[int, set[Address]],
        options: TcpOptions,
    ) -> None:
        self.drops: Drops = Counter()
        self.closed: list[Connection] = []
        self._forwarder = forwarder
        self._connected = connected
        self._options = options
        self._by_client: dict[tuple[int, Address], Connection] = {}
        self._opening: dict[Connection, None] = {}  # in the order in which they came, which is that of their deadlines
        self._per_source: Counter[bytes] = Counter()
        self._next_sweep = 0.0

    def __len__(self) -> int:
        """How many connections there are."""
        return len(self._by_client)

    def __iter__(self) -> Iterator[Connection]:
        """All connections."""
        return iter(self._by_client.values())

    # Inputs

    def accept(self, ingress: int, client: Address, now: float) -> Connection | None:
        """Take a new connection.

        Returns:
            The connection; None when it is shed, and its socket has to be closed.
        """
        if (old := self._by_client.get((ingress, client))) is not None:
            self._end(old, TcpDropReason.REPLACED)
        source = source_of(client[0])
        if self._per_source[source] >= self._options.connections_per_source:
            self.drops[TcpDropReason.SOURCE_CONNECTIONS] += 1
            return None
        if not self._make_room(now):
            self.drops[TcpDropReason.TOO_MANY_CONNECTIONS] += 1
            return None
        if not self._by_client:
            self._next_sweep = now + _SWEEP
        connection = Connection(ingress=ingress, client=client, source=source, now=now, options=self._options)
        self._by_client[ingress, client] = connection
        self._opening[connection] = None
        self._per_source[source] += 1
        return connection

    def receive(self, connection: Connection, data: bytes, now: float, unix_time: float) -> None:
        """Take the next bytes of a connection's stream; see `Forwarder.receive_from_client`."""
        receive, client, ingress = self._forwarder.receive_from_client, connection.client, connection.ingress
        for datagram in connection.frames.receive(data):
            if connection.state is ConnectionState.OPENING:
                self._receive_first(connection, datagram, now, unix_time)
            elif connection.state is ConnectionState.OPEN:
                receive(datagram, client, ingress, now, unix_time)
        if connection.frames.is_broken:
            self._end(connection, TcpDropReason.FRAME_TOO_LONG)

    def lost(self, connection: Connection) -> None:
        """Note that the client has ended a connection, or the network has."""
        self._end(connection, None)

    def handle_timeout(self, now: float) -> None:
        """Do what `next_timeout` announced, if it is due."""
        while self._opening:
            oldest = next(iter(self._opening))
            if now - oldest.accepted < self._options.opening_timeout:
                break
            self._end(oldest, TcpDropReason.SILENT)
        if now >= self._next_sweep:
            self._next_sweep = now + _SWEEP
            for connection in tuple(self._by_client.values()):
                self._sweep(connection, now)

    # Outputs

    def collect(self) -> Sequence[Connection]:
        """Take what the forwarder has for clients into the queues of their connections.

        Returns:
            The connections that have something to send now and had nothing before; those that wait for the kernel
            already are left out.
        """
        ready: dict[Connection, None] = {}
        for ingress in self._connected:
            datagrams = self._forwarder.to_clients[ingress]
            for datagram, client in datagrams:
                connection = self._by_client.get((ingress, client))
                if connection is None:
                    self.drops[TcpDropReason.NO_CONNECTION] += 1
                elif datagram:
                    reason = connection.enqueue(datagram)
                    if reason is not None:
                        self.drops[reason] += 1
                    if connection.blocked_since is None:
                        ready[connection] = None
            datagrams.clear()
        return tuple(ready)

    def next_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called."""
        if not self._by_client:
            return None
        if not self._opening:
            return self._next_sweep
        return min(self._next_sweep, next(iter(self._opening)).accepted + self._options.opening_timeout)

    # The life of a connection

    def _receive_first(self, connection: Connection, datagram: bytes, now: float, unix_time: float) -> None:
        ingress, client = connection.ingress, connection.client
        self._forwarder.receive_from_client(datagram, client, ingress, now, unix_time)
        if not self._is_claimed(connection):
            self._end(connection, TcpDropReason.NOT_AUTHENTIC)
            return
        connection.state = ConnectionState.OPEN
        connection.unclaimed_since = None
        self._opening.pop(connection)
        self._connected[ingress].add(client)

    def _sweep(self, connection: Connection, now: float) -> None:
        blocked = connection.blocked_since
        if blocked is not None and now - blocked >= self._options.stuck_timeout:
            self._end(connection, TcpDropReason.STUCK)
        elif connection.state is not ConnectionState.OPEN:
            return
        elif self._is_claimed(connection):
            connection.unclaimed_since = None
        elif connection.unclaimed_since is None:
            connection.unclaimed_since = now
        elif now - connection.unclaimed_since >= self._options.opening_timeout:
            self._end(connection, TcpDropReason.NO_CLAIM)

    def _is_claimed(self, connection: Connection) -> bool:
        return bool(self._forwarder.table.claims_on(connection.ingress, sockaddr_of(connection.client)))

    def _make_room(self, now: float) -> bool:
        """Whether there is room for a connection that has shown nothing."""
        crowded = len(self._opening) >= self._options.opening
        if not crowded and len(self._by_client) < self._options.connections:
            return True
        oldest = next(iter(self._opening), None)
        if oldest is None or now - oldest.accepted < self._options.grace:
            return False
        self._end(oldest, TcpDropReason.CROWDED_OUT)
        return True

    def _end(self, connection: Connection, reason: TcpDropReason | None) -> None:
        if connection.state is ConnectionState.CLOSED:
            return
        connection.state = ConnectionState.CLOSED
        if reason is not None:
            self.drops[reason] += 1
        ingress, client = connection.ingress, connection.client
        del self._by_client[ingress, client]
        self._opening.pop(connection, None)
        self._connected[ingress].discard(client)
        self._per_source[connection.source] -= 1
        if not self._per_source[connection.source]:
            del self._per_source[connection.source]
        self._forwarder.table.leave(ingress, client)
        self.closed.append(connection)
