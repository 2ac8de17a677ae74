"""A fleet of processes that know of each other by a store alone."""

import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bench.ports import free_port, hop_port

from .edge_processes import PROGRAM, Edge, add_server

__all__ = ["MEMBERS", "listed_fleet", "lists", "start_fleet"]

MEMBERS = "trio-voice:members"
"""The hash in which the store lists who is in the fleet."""


def lists(server: Any, members: int) -> bool:
    """Whether a store lists so many members."""
    return bool(server.command("HLEN", MEMBERS) == str(members))


def start_fleet(
    folder: Path,
    store_url: str,
    transceivers: Sequence[str] = ("alpha", "beta"),
    top: str = "",
    *,
    more_signals: Sequence[str] = (),
    more_relays: Sequence[str] = (),
    sections: Mapping[str, str] = MappingProxyType({}),
    environment: Callable[[str], Mapping[str, str]] = lambda _: {},
) -> Edge:
    """Start signal, a relay and some transceivers, with echo behind them; nobody's configuration names another.

    Args:
        folder: where keys, configuration and logs go.
        store_url: where the store is.
        transceivers: their names.
        top: further lines for all, above the sections.
        more_signals: names of further signal nodes.
        more_relays: names of further relays, each with an ingress of its own.
        sections: further lines for the section of a role.
        environment: gives further variables of a process, by its name.
    """
    subprocess.run([PROGRAM, "keys", "new", str(folder / "keys")], check=True, capture_output=True)
    http, relay_http = free_port(), free_port()
    media, hop = free_port(), hop_port()
    edge = Edge(
        folder, f"http://127.0.0.1:{http}", f"http://127.0.0.1:{relay_http}", "", media, ingresses=1 + len(more_relays)
    )

    def add(name: str, role: str, text: str, health: str) -> None:
        shared = f'{top}\n[store]\nurl = "{store_url}"\n[node]\nname = "{name}"\nregion = "here"\n'
        text = f"{shared}[{role}]\n{text}{sections.get(role, '')}"
        add_server(edge, name, text, health, role=role, environment=environment(name))

    for name, port in (("signal", http), *((name, free_port()) for name in more_signals)):
        add(name, "signal", f'listen = "127.0.0.1:{port}"\nregions = ["here"]\n', f"http://127.0.0.1:{port}")
    relays = [("relay", relay_http, media, hop)]
    relays += [(name, free_port(), free_port(), hop_port()) for name in more_relays]
    for number, (name, pages, public, own_hop) in enumerate(relays, 1):
        text = (
            f'hop = "127.0.0.1:{own_hop}"\nhttp = "127.0.0.1:{pages}"\n'
            f'ingresses = ["{number}=127.0.0.1:{public}/127.0.0.1:{public}"]\n'
            f'reload_socket = "{folder}/{name}.sock"\n'
        )
        add(name, "relay", text, f"http://127.0.0.1:{pages}")
    for name in transceivers:
        control, own_hop = free_port(), hop_port()
        text = f'backend = "echo"\nhop = "127.0.0.1:{own_hop}"\ncontrol = "127.0.0.1:{control}"\n'
        scheme = "https" if "tls_certificate" in sections.get("transceiver", "") else "http"
        add(name, "transceiver", text, f"{scheme}://127.0.0.1:{control}")
    edge.start_all()
    return edge


@contextmanager
def listed_fleet(
    folder: Path, server: Any, transceivers: Sequence[str] = ("alpha", "beta"), **options: Any
) -> Iterator[Edge]:
    """Start a fleet, wait until the store lists all of it, and leave nothing of it behind.

    Args:
        folder: see `start_fleet`.
        server: the store, of `tests.redis_server`.
        transceivers: their names.
        options: the others of `start_fleet`.
    """
    fleet = start_fleet(folder, server.url, transceivers, **options)
    try:
        fleet.wait_until("all are listed", lambda: lists(server, len(fleet.servers)))
        yield fleet
    finally:
        fleet.kill()
