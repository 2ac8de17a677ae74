"""CPU of a forwarded packet: our relay's over that of a forwarder in C that does the same and nothing else.

Both have the same flows, headers, socket options and batch size, and both are flooded from one program, so that both
work in full batches; they take turns. The relay is the whole process that an operator runs. The C sources stand beside
this file and are compiled here. On loopback who sends also pays for the arrival: that is in both sides alike.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import attrs
import trio

from bench.processes import cpu_of, free_port, spawned
from bench.servers import PROGRAM, fetch
from bench.settings import NotMeasured, Settings
from bench.table import Row
from edge.config.model import Role
from edge.key_files import bundle_path, load_bundle
from edge.tiers.keyring import relay_keys
from relay.hop.header import CONTROL, UP, answering, pack_header
from relay.hop.links import TransceiverLink
from relay.tags import FlowTags
from relay.udp import open_udp

__all__ = ["measure"]

_FLOWS = (500, 50_000)
_PAYLOAD = 120
_ROUNDS, _SECONDS = 4, 1.5
_INGRESS = 1
_SETTLE = 1.2
"""Between two stretches, so that a HELLO of the relay is answered."""
_PACE, _AT_ONCE = 0.01, 200
_PASSES = 3
_PATIENCE = 20.0
_FOLDER = Path(__file__).parent

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
class _Side:
    """A forwarder under measurement.

    Attributes:
        pid: its process.
        public: its port for clients.
        hop: its port for the transceiver.
        transceiver: the socket that plays the transceiver.
    """

    pid: int
    public: int
    hop: int
    transceiver: socket.socket


@attrs.define
class _Costs:
    """CPU seconds a packet, round by round."""

    up: list[float] = attrs.field(factory=list)
    down: list[float] = attrs.field(factory=list)

    def both(self) -> list[float]:
        """Of a packet up and one down, the mean."""
        return [(up + down) / 2 for up, down in zip(self.up, self.down, strict=True)]


async def measure(settings: Settings) -> list[Row]:
    """Flood both in turn, with few flows and with many."""
    if shutil.which("gcc") is None:
        raise NotMeasured("the C side needs gcc (Debian: apt install gcc libc6-dev)")
    folder = settings.folder / "relay"
    folder.mkdir()
    return await trio.to_thread.run_sync(_measure, settings, folder)


def _measure(settings: Settings, folder: Path) -> list[Row]:
    for name in ("relay_forwarder", "relay_load"):
        command = ["gcc", "-O2", "-o", str(folder / name), str(_FOLDER / f"{name}.c")]
        subprocess.run(command, check=True, capture_output=True)
    return [_compare(settings, folder, flows) for flows in _FLOWS]


def _compare(settings: Settings, folder: Path, flows: int) -> Row:
    here = folder / str(flows)
    subprocess.run([*PROGRAM, "keys", "new", str(here / "keys")], check=True, capture_output=True)
    keys = relay_keys(load_bundle(bundle_path(here / "keys", Role.RELAY), Role.RELAY))
    ours, peer = _Costs(), _Costs()
    with ExitStack() as stack:
        clients = stack.enter_context(open_udp("0.0.0.0", 0, on_warning=settings.say))  # noqa: S104 - all of 127/8
        port = clients.getsockname()[1]
        hosts = [socket.inet_aton(f"127.{1 + (n >> 16)}.{n >> 8 & 255}.{n & 255}") for n in range(flows)]
        headers = [_up_header(keys.flow_tags, host, port, session) for session, host in enumerate(hosts, 1)]
        table = b"".join(host + port.to_bytes(2, "big") + header for host, header in zip(hosts, headers, strict=True))
        relay = stack.enter_context(_our_relay(here, settings))
        forwarder = stack.enter_context(_c_forwarder(folder, here, table, settings))
        link = TransceiverLink(
            keys=keys.hop, cluster=0, incarnation=1, worker=0, entropy=os.urandom, now=time.monotonic()
        )
        down = [answering(header, validated=True) for header in headers]
        _keep_link(relay, link, until_up=True)
        for number in range(settings.fewer(_ROUNDS)):
            for side, costs in ((relay, ours), (forwarder, peer)):
                if side is relay:
                    _prove(relay, link, clients, down)
                costs.up.append(
                    _flood(folder, side, clients, side.transceiver, side.public, b"".join(hosts), 0, settings)
                )
                _keep_link(relay, link)
                costs.down.append(
                    _flood(folder, side, side.transceiver, clients, side.hop, b"".join(down), len(down[0]), settings)
                )
                _keep_link(relay, link)
            settings.say(f"relay: {flows} flows: round {number + 1}: {_describe(ours)}; in C {_describe(peer)}")
    mean = median(c / o for o, c in zip(ours.both(), peer.both(), strict=True))
    return Row.of_rounds(
        f"relay's CPU for a packet over a C forwarder's, {flows} flows",
        ours.both(),
        peer.both(),
        lambda seconds: f"{seconds * 1e6:.2f} µs",
        must=1 / 0.6,
        want=1 / 0.72,
        notes=(
            f"{mean:.2f} of the packets a CPU-second of the C forwarder (must be 0.6, wanted 0.72)",
            f"ours {_describe(ours)}; in C {_describe(peer)}",
        ),
    )


def _describe(costs: _Costs) -> str:
    return f"{median(costs.up) * 1e6:.2f} µs up, {median(costs.down) * 1e6:.2f} µs down"


def _up_header(tags: FlowTags, host: bytes, port: int, session: int) -> bytes:
    client = (socket.inet_ntoa(host), port)
    tag = tags.make(_INGRESS, session, client)
    return pack_header(UP, ingress=_INGRESS, client=client, session=session, tag=tag)


@contextmanager
def _our_relay(folder: Path, settings: Settings) -> Iterator[_Side]:
    with open_udp("127.0.0.1", 0, on_warning=settings.say) as transceiver:
        ports = {name: free_port(socket.SOCK_DGRAM) for name in ("hop", "public")} | {"http": free_port()}
        path = folder / "relay.toml"
        path.write_text(
            _CONFIGURATION.format(folder=folder, **ports, ingress=_INGRESS, transceiver=transceiver.getsockname()[1])
        )
        command = [*PROGRAM, "serve", "--role", "relay", "--config", str(path)]
        with spawned(
            {"relay": command}, folder, lambda: bool(fetch(f"http://127.0.0.1:{ports['http']}/healthz"))
        ) as ran:
            yield _Side(pid=ran["relay"].pid, public=ports["public"], hop=ports["hop"], transceiver=transceiver)


@contextmanager
def _c_forwarder(programs: Path, folder: Path, table: bytes, settings: Settings) -> Iterator[_Side]:
    with open_udp("127.0.0.1", 0, on_warning=settings.say) as transceiver:
        public, hop = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)
        (folder / "table").write_bytes(table)
        words = f"{programs}/relay_forwarder {public} {hop} {transceiver.getsockname()[1]} < {folder}/table"
        log = folder / "forwarder.log"
        with spawned({"forwarder": ["sh", "-c", f"exec {words}"]}, folder, lambda: "ready" in log.read_text()) as ran:
            yield _Side(pid=ran["forwarder"].pid, public=public, hop=hop, transceiver=transceiver)


def _keep_link(relay: _Side, link: TransceiverLink, *, until_up: bool = False) -> None:
    """Answer what the relay says to its transceiver, for long enough that it says something."""
    end = time.monotonic() + (_PATIENCE if until_up else _SETTLE)
    while (now := time.monotonic()) < end and not (until_up and link.relays):
        try:
            data, source = relay.transceiver.recvfrom(2048)
        except BlockingIOError:
            time.sleep(0.005)
            continue
        if data[:1] == bytes((CONTROL,)):
            list(link.receive_control(data, source, now))
            for answer, destination in link.datagrams_to_send(now):
                relay.transceiver.sendto(answer, destination)
    if until_up and not link.relays:
        raise NotMeasured("the relay did not find its transceiver")


def _prove(relay: _Side, link: TransceiverLink, clients: socket.socket, headers: list[bytes]) -> None:
    """Send one datagram down each path, so that the relay knows it and has just heard of it.

    What was silent for ten seconds has to be proven again; so both floods come soon after this.
    """
    for _ in range(_PASSES):
        _discard(clients)
        arrived = 0
        for start in range(0, len(headers), _AT_ONCE):
            for header in headers[start : start + _AT_ONCE]:
                relay.transceiver.sendto(header + b"\x80", ("127.0.0.1", relay.hop))
            time.sleep(_PACE)
            arrived += _discard(clients)
        _keep_link(relay, link)
        arrived += _discard(clients)
        if arrived >= len(headers):
            return
    raise NotMeasured(f"the relay knows {arrived} flows of {len(headers)}")


def _discard(sock: socket.socket) -> int:
    count = 0
    try:
        while True:
            sock.recv(1)
            count += 1
    except BlockingIOError:
        return count


def _flood(
    programs: Path,
    side: _Side,
    sender: socket.socket,
    sink: socket.socket,
    port: int,
    records: bytes,
    header: int,
    settings: Settings,
) -> float:
    """Return the CPU seconds that a packet costs."""
    seconds = settings.shorter(_SECONDS)
    words = [str(word) for word in (sender.fileno(), sink.fileno(), port, seconds, header or 4, header, _PAYLOAD)]
    before = cpu_of(side.pid)
    told = subprocess.run(
        [str(programs / "relay_load"), *words],
        input=records,
        stdout=subprocess.PIPE,
        check=True,
        pass_fds=(sender.fileno(), sink.fileno()),
    ).stdout
    arrived = int(told)
    cpu = cpu_of(side.pid) - before
    # What still waits at the end is a small part of it.
    _discard(sink)
    return cpu / arrived
