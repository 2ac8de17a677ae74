"""A client behind a NAT, and two relays of one ingress group behind the same public address: network namespaces.

    client ── gateway (nftables masquerade; its route chooses the relay) ─┬─ relay a ─┐
                                                                         └─ relay b ─┴─ server: signal, transceiver

Both relays hold the public address, as with anycast; nothing translates addresses towards them. With a store there may
be several transceivers, which move calls between them, and nobody's configuration names another.
"""

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import attrs

from .edge_processes import PROGRAM, Edge, add_server
from .namespaces import ip, run_in, switched

__all__ = ["PUBLIC", "RELAYS", "Journey", "journey"]

PUBLIC = ("10.90.0.1", 3478)
KEY = "sk-test"
SERVER, RELAYS = "10.78.0.1", {"a": "10.78.0.5", "b": "10.78.0.6"}
HOMES = ("10.78.0.8", "10.78.0.9")
CLIENT, GATEWAY = "10.80.0.2", "10.80.0.1"

_SIGNAL = f"""
[signal]
listen = "{SERVER}:8080"
api_keys = ["{KEY}"]
"""
_SIGNAL_KNOWS = f"""
transceivers = ["http://127.0.0.1:7080"]
ingresses = ["1={PUBLIC[0]}:{PUBLIC[1]}"]
"""
_TRANSCEIVER = """
{backends}
[transceiver]
backend = "echo"
hop = "{server}:{hop}"
control = "127.0.0.1:{control}"
{section}
"""
_RELAY = """
[relay]
hop = "{host}:7000"
http = "{host}:7090"
ingresses = ["1={public}/{public}"]
reload_socket = "{socket}"
"""
_RELAY_KNOWS = f"""
transceivers = ["{SERVER}:7001"]
"""
_JSON_LOG = '[log]\nformat = "json"\n'
_HOP_PORT, _CONTROL_PORT = 7001, 7080
"""Of the first transceiver; the next ones follow."""


@attrs.define
class Journey:
    """The edge, and what may happen on the way to it.

    Attributes:
        edge: the edge.
        names: namespaces by host.
        store_url: of the store; empty without one.
        transceivers: their names.
        relay: the one that the client's packets come out at.
        backends: tables of further backends for the transceivers' configuration.
        section: further lines for their section.
    """

    edge: Edge
    names: dict[str, str]
    store_url: str = ""
    transceivers: list[str] = attrs.field(factory=list)
    relay: str = "a"
    backends: str = ""
    section: str = ""
    _home: int = 0

    @property
    def client(self) -> str:
        return self.names["client"]

    @property
    def client_address(self) -> str:
        """What the world sees of the client: the NAT's address."""
        return HOMES[self._home]

    def lead_to(self, relay: str) -> None:
        """From now on the client's packets come out at another relay."""
        ip("-n", self.names["gateway"], "route", "replace", f"{PUBLIC[0]}/32", "via", RELAYS[relay])
        self.relay = relay

    def rebind(self) -> None:
        """The NAT gets another address, and with it all its mappings are new; it happens to a home once a day."""
        old, self._home = HOMES[self._home], 1 - self._home
        new = HOMES[self._home]
        run_in(
            self.names["gateway"],
            "sh",
            "-c",
            # The first address of a network takes its routes along, if it goes first.
            f"ip address add {new}/16 dev eth && ip address del {old}/16 dev eth",
        )

    def add_transceiver(self, name: str) -> None:
        """Configure one more, to be started."""
        control = _CONTROL_PORT + len(self.transceivers)
        self.transceivers.append(name)
        text = _TRANSCEIVER.format(
            server=SERVER, hop=self.hop_port(name), control=control, backends=self.backends, section=self.section
        )
        self._add(name, "transceiver", text, f"http://127.0.0.1:{control}", self.names["server"])

    def run_relays_first(self) -> None:
        """Let relays run before everything else on this machine; from their next start on."""
        if shutil.which("chrt") is None:
            return
        for name in (name for name in self.edge.servers if name.startswith("relay-")):
            server = self.edge.servers[name]
            self.edge.servers[name] = attrs.evolve(server, command=["chrt", "--fifo", "1", *server.command])

    def running(self) -> list[str]:
        """The transceivers that run."""
        processes = self.edge.processes
        return [name for name in self.transceivers if name in processes and processes[name].poll() is None]

    def missing(self) -> list[str]:
        """The transceivers that do not run."""
        return [name for name in self.transceivers if name not in self.running()]

    def hop_port(self, transceiver: str) -> int:
        """Where a transceiver talks with the relays."""
        return _HOP_PORT + self.transceivers.index(transceiver)

    def relay_url(self, relay: str) -> str:
        return f"http://{RELAYS[relay]}:7090"

    def forwarded(self, relay: str) -> float:
        """Datagrams that a relay has passed on to clients."""
        return self.edge.metric(self.relay_url(relay), "trio_voice_relay_traffic_total", what="down_datagrams")

    def _add(
        self,
        name: str,
        role: str,
        text: str,
        health: str,
        namespace: str,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        top = _JSON_LOG
        if self.store_url:
            top += f'[store]\nurl = "{self.store_url}"\n[node]\nname = "{name}"\n'
        add_server(self.edge, name, f"{top}{text}", health, role=role, namespace=namespace, environment=environment)


@contextmanager
def journey(
    folder: Path,
    *,
    store_url: str = "",
    transceivers: Sequence[str] = ("transceiver",),
    relay_environment: Mapping[str, str] = MappingProxyType({}),
    backends: str = "",
    section: str = "",
    relays_first: bool = False,
) -> Iterator[Journey]:
    """Build it, start all; needs root and nft.

    Args:
        folder: for keys, configuration and logs.
        store_url: of the store that all share; empty for none. It is reached from all hosts, so by a Unix socket.
        transceivers: their names; one without a store.
        relay_environment: further variables of the relays.
        backends: tables of backends beside the echo.
        section: further lines for the section of the transceivers.
        relays_first: whether relays run before everything else on this machine, as on hosts of their own.
    """
    subprocess.run([PROGRAM, "keys", "new", str(folder / "keys")], check=True, capture_output=True)
    hosts = {"server": [f"{SERVER}/16"], "gateway": [f"{HOMES[0]}/16"], "client": []}
    hosts |= {f"relay-{name}": [f"{address}/16"] for name, address in RELAYS.items()}
    with switched(hosts) as names:
        client, gateway = names["client"], names["gateway"]
        # The client's cable goes to the gateway instead of the switch.
        ip("-n", client, "link", "del", "eth")
        ip("-n", client, "link", "add", "eth", "type", "veth", "peer", "name", "home", "netns", gateway)
        ip("-n", client, "address", "add", f"{CLIENT}/24", "dev", "eth")
        ip("-n", gateway, "address", "add", f"{GATEWAY}/24", "dev", "home")
        ip("-n", client, "link", "set", "eth", "up")
        ip("-n", gateway, "link", "set", "home", "up")
        ip("-n", client, "route", "add", "default", "via", GATEWAY)
        run_in(gateway, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.promote_secondaries=1")
        run_in(gateway, "sysctl", "-qw", "net.ipv4.conf.eth.promote_secondaries=1")
        rules = "add table ip nat; add chain ip nat out { type nat hook postrouting priority 100; }; "
        run_in(gateway, "nft", rules + 'add rule ip nat out oifname "eth" masquerade random')
        for name in RELAYS:
            ip("-n", names[f"relay-{name}"], "address", "add", f"{PUBLIC[0]}/32", "dev", "lo")
        edge = Edge(
            folder,
            f"http://{SERVER}:8080",
            f"http://{RELAYS['a']}:7090",
            "http://127.0.0.1:7080",
            PUBLIC[1],
            key=KEY,
            namespace=names["server"],
        )
        made = Journey(edge, names, store_url, backends=backends, section=section)
        # As an installed program has it: a start takes it.
        bytecode = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": f"{folder}/bytecode"}
        known = "" if store_url else _SIGNAL_KNOWS
        made._add("signal", "signal", _SIGNAL + known, edge.signal_url, names["server"])
        for name in transceivers:
            made.add_transceiver(name)
        for name, host in RELAYS.items():
            socket = folder / f"relay-{name}.sock"
            text = _RELAY.format(host=host, public=f"{PUBLIC[0]}:{PUBLIC[1]}", socket=socket)
            text += "" if store_url else _RELAY_KNOWS
            where = names[f"relay-{name}"]
            variables = {**bytecode, **relay_environment}
            made._add(f"relay-{name}", "relay", text, f"http://{host}:7090", where, variables)
        made.lead_to("a")
        if relays_first:
            made.run_relays_first()
        edge.start_all()
        try:
            yield made
        finally:
            edge.kill()
