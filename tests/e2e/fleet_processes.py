"""A fleet of processes that know of each other by a store alone."""

import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .edge_processes import PROGRAM, Edge, add_server, free_port

__all__ = ["start_fleet"]


def start_fleet(folder: Path, store_url: str, transceivers: Sequence[str] = ("alpha", "beta"), top: str = "") -> Edge:
    """Start signal, a relay and some transceivers, with echo behind them; nobody's configuration names another.

    Args:
        folder: where keys, configuration and logs go.
        store_url: where the store is.
        transceivers: their names.
        top: further lines for all, above the sections.
    """
    subprocess.run([PROGRAM, "keys", "new", str(folder / "keys")], check=True, capture_output=True)
    http, relay_http = free_port(), free_port()
    media, hop = (free_port(socket.SOCK_DGRAM) for _ in range(2))
    edge = Edge(folder, f"http://127.0.0.1:{http}", f"http://127.0.0.1:{relay_http}", "", media)

    def add(name: str, role: str, text: str, health: str) -> None:
        shared = f'{top}\n[store]\nurl = "{store_url}"\n[node]\nname = "{name}"\nregion = "here"\n'
        add_server(edge, name, f"{shared}[{role}]\n{text}", health, role=role)

    add("signal", "signal", f'listen = "127.0.0.1:{http}"\nregions = ["here"]\n', edge.signal_url)
    add(
        "relay",
        "relay",
        f'hop = "127.0.0.1:{hop}"\nhttp = "127.0.0.1:{relay_http}"\n'
        f'ingresses = ["1=127.0.0.1:{media}/127.0.0.1:{media}"]\n',
        edge.relay_url,
    )
    for name in transceivers:
        control, own_hop = free_port(), free_port(socket.SOCK_DGRAM)
        text = f'backend = "echo"\nhop = "127.0.0.1:{own_hop}"\ncontrol = "127.0.0.1:{control}"\n'
        add(name, "transceiver", text, f"http://127.0.0.1:{control}")
    edge.start_all()
    return edge
