"""coturn, the TURN server that everybody has: what our relay replaces.

Its clients' datagrams are channel data (RFC 8656 §12.4), the shortest form that TURN has: 4 bytes in front. To the peer
it sends from an address of its own for each client, so it has a socket for each.
"""

import resource
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from bench.ports import free_port
from bench.processes import cpu_of, spawned
from bench.relay.far_end import far_end
from bench.relay.load import Load
from bench.relay.sides import LOOPBACK, Clients, Side
from bench.relay.turn_client import CHANNEL, Credentials, allocate_all
from bench.settings import NotMeasured

__all__ = ["Coturn", "coturn"]

_RELAYED_HOST = "127.0.0.2"
"""Of its own, so that nobody else's ports are in the way of 50,000."""
_CREDENTIALS = Credentials(user="bench", realm="bench", password="bench")  # noqa: S106 - of a server that lives a minute
_OTHER_DESCRIPTORS = 200

_OPTIONS = (
    *("-n", "--no-cli", "--no-tls", "--no-dtls", "--no-tcp", "--no-tcp-relay", "--no-rfc5780"),
    *("--no-software-attribute", "--lt-cred-mech", "--allow-loopback-peers", "--relay-threads=1"),
    *("--min-port=10000", "--max-port=65535", "--channel-lifetime=3600", "--permission-lifetime=3600"),
    *("--log-file=stdout", "--simple-log", "--no-stdout-log"),
)


@attrs.frozen(kw_only=True)
class Coturn:
    """coturn with all its channels.

    Attributes:
        side: to measure.
        claim_cost: CPU seconds that it took to allocate an address and bind a channel, of a client.
    """

    side: Side
    claim_cost: float


@contextmanager
def coturn(folder: Path, clients: Clients) -> Iterator[Coturn]:
    """Run it, and have each client allocate; fewer clients, if a process may not have as many sockets.

    Raises:
        NotMeasured: it is not installed.
    """
    program = shutil.which("turnserver")
    if program is None:
        raise NotMeasured("coturn is not installed (Debian: apt install coturn)")
    allowed = _allow_descriptors(len(clients.hosts) + _OTHER_DESCRIPTORS) - _OTHER_DESCRIPTORS
    name = "coturn"
    if allowed < len(clients.hosts):
        name = f"coturn, with {allowed} flows,"
        clients = attrs.evolve(clients, hosts=clients.hosts[:allowed])
    port = free_port()
    user = f"{_CREDENTIALS.user}:{_CREDENTIALS.password}"
    command = [program, *_OPTIONS, "-L", LOOPBACK, "-E", _RELAYED_HOST, "-p", str(port), "-u", user]
    command += ["-r", _CREDENTIALS.realm, f"--pidfile={folder}/coturn.pid", f"--userdb={folder}/coturn.db"]
    with (
        far_end(LOOPBACK) as transceiver,
        spawned({"coturn": command}, folder, lambda: _is_bound(port)) as ran,
    ):
        pid = ran["coturn"].pid
        before = cpu_of(pid)
        relayed = allocate_all(clients, (LOOPBACK, port), transceiver.address, _CREDENTIALS)
        claimed = cpu_of(pid) - before
        header = CHANNEL.to_bytes(2, "big") + b"\0\0"
        side = Side(
            name=name,
            pids=(pid,),
            up=Load.of(
                clients.sock,
                transceiver.sock,
                [(host, (LOOPBACK, port), header) for host in clients.hosts],
                is_channel=True,
            ),
            down=Load.of(transceiver.sock, clients.sock, [(None, address, b"") for address in relayed]),
        )
        yield Coturn(side=side, claim_cost=claimed / len(relayed))


def _allow_descriptors(count: int) -> int:
    """Have processes be allowed so many files and sockets, and return how many they are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if count > soft:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (count, max(count, hard)))
        except (OSError, ValueError):  # more than `ulimit -Hn` takes a privilege
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            return hard
    return count


def _is_bound(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return True
    return False
