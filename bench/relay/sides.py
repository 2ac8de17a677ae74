"""What the relay's measurements compare: our relay, and the C forwarder with sockets like its own."""

import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from bench.ports import free_port, hop_port
from bench.processes import cpu_of, family_of, spawned
from bench.relay.far_end import FarEnd, far_end
from bench.relay.load import Load
from bench.servers import PROGRAM, fetch
from bench.settings import Settings
from relay.hop.header import answering
from relay.hop.mtu import never_fragment
from relay.udp import open_udp
from wire.core import Address

__all__ = ["INGRESS", "IP_PKTINFO", "LOOPBACK", "Clients", "OurRelay", "Side", "c_forwarder", "our_relay", "send_from"]

LOOPBACK = "127.0.0.1"
INGRESS = 1

IP_PKTINFO = 8
"""Linux's number of the option, which Python does not know."""
_PACKET_INFORMATION = struct.Struct("=i4s4x")
_IDLE_SECONDS = 1.0

_CONFIGURATION = """
keys = "{folder}/keys/relay.keys"
[relay]
hop = "127.0.0.1:{hop}"
http = "127.0.0.1:{http}"
transceivers = ["127.0.0.1:{transceiver}"]
[[relay.ingresses]]
id = {ingress}
advertise = "127.0.0.1:{public}"
bind = "127.0.0.1:{public}"
"""


@attrs.frozen(kw_only=True)
class Clients:
    """Clients' hosts: addresses of 127.0.0.0/8, all of which are this machine's, at one port.

    Attributes:
        sock: sends from, and receives at, all of them.
        hosts: their addresses.
    """

    sock: socket.socket
    hosts: Sequence[str]

    @classmethod
    def many(cls, sock: socket.socket, count: int) -> "Clients":
        """Make so many, behind a socket that is bound to any address."""
        return cls(sock=sock, hosts=[f"127.{1 + (n >> 16)}.{n >> 8 & 255}.{n & 255}" for n in range(count)])

    @property
    def port(self) -> int:
        """The port of all of them."""
        return int(self.sock.getsockname()[1])


def send_from(sock: socket.socket, host: str, data: bytes, to: Address) -> None:
    """Send a datagram from one of the addresses that a socket is bound to."""
    told = _PACKET_INFORMATION.pack(0, socket.inet_aton(host))
    sock.sendmsg([data], [(socket.IPPROTO_IP, IP_PKTINFO, told)], 0, to)


@attrs.frozen(kw_only=True)
class Side:
    """A forwarder under measurement, with all its flows known to it.

    Attributes:
        name: for people.
        pids: of its processes.
        up: datagrams of all flows to the transceiver.
        down: and to the clients.
        refresh: called before its turn, to keep the flows alive.
        idle: CPU seconds that it takes in a second when nothing comes.
    """

    name: str
    pids: Sequence[int]
    up: Load
    down: Load
    refresh: Callable[[], object] = lambda: None
    idle: float = 0.0

    def at_rest(self) -> "Side":
        """Watch it while nothing comes, and note what that takes."""
        self.refresh()
        cpu, began = sum(map(cpu_of, self.pids)), time.monotonic()
        time.sleep(_IDLE_SECONDS)
        return attrs.evolve(self, idle=(sum(map(cpu_of, self.pids)) - cpu) / (time.monotonic() - began))


@attrs.frozen(kw_only=True)
class OurRelay:
    """A relay that runs.

    Attributes:
        process: the one that was started.
        public: its address for clients.
        http: base URL for operators.
        transceiver: the transceiver that it is told of.
    """

    process: subprocess.Popen[bytes]
    public: Address
    http: str
    transceiver: FarEnd

    @property
    def pids(self) -> Sequence[int]:
        """Of all its processes at present."""
        return family_of(self.process.pid)


@contextmanager
def our_relay(folder: Path, *, options: Sequence[str] = (), program: Sequence[str] = PROGRAM) -> Iterator[OurRelay]:
    """Run `trio-voice serve --role relay`.

    Args:
        folder: has the keys in `keys`; for configuration and log.
        options: further ones of the command line.
        program: what runs it instead of `trio-voice`.
    """
    with far_end(LOOPBACK) as transceiver:
        ports = {"hop": hop_port(), "public": free_port(), "http": free_port()}
        path = folder / "relay.toml"
        path.write_text(
            _CONFIGURATION.format(folder=folder, **ports, ingress=INGRESS, transceiver=transceiver.address[1])
        )
        command = [*program, "serve", "--role", "relay", "--config", str(path), *options]
        http = f"http://{LOOPBACK}:{ports['http']}"
        with spawned({"relay": command}, folder, lambda: bool(fetch(f"{http}/healthz"))) as ran:
            yield OurRelay(process=ran["relay"], public=(LOOPBACK, ports["public"]), http=http, transceiver=transceiver)


@contextmanager
def c_forwarder(
    programs: Path, folder: Path, clients: Clients, up_headers: Sequence[bytes], settings: Settings
) -> Iterator[Side]:
    """Run the forwarder in C.

    Args:
        programs: where it is.
        folder: for its table and its log.
        clients: their hosts.
        up_headers: what stands in front of the datagrams of each.
        settings: is told the kernel's warnings.
    """
    with (
        far_end(LOOPBACK) as transceiver,
        open_udp(LOOPBACK, 0, on_warning=settings.say) as public,
        open_udp(LOOPBACK, 0, on_warning=settings.say) as hop,
    ):
        for sock in (public, hop):
            never_fragment(sock)
        port = clients.port.to_bytes(2, "big")
        records = (socket.inet_aton(host) + port + up for host, up in zip(clients.hosts, up_headers, strict=True))
        (folder / "table").write_bytes(b"".join(records))
        descriptors = (public.fileno(), hop.fileno())
        words = (programs / "forwarder", *descriptors, transceiver.address[1])
        command = ["sh", "-c", f"exec {' '.join(map(str, words))} < {folder}/table"]
        log = folder / "forwarder.log"
        with spawned(
            {"forwarder": command}, folder, lambda: "ready" in log.read_text(), descriptors=descriptors
        ) as ran:
            yield Side(
                name="in C",
                pids=(ran["forwarder"].pid,),
                up=Load.of(
                    clients.sock, transceiver.sock, [(host, public.getsockname(), b"") for host in clients.hosts]
                ),
                down=Load.of(
                    transceiver.sock,
                    clients.sock,
                    [(None, hop.getsockname(), answering(up, validated=True)) for up in up_headers],
                ),
            )
