"""Hosts of our own: network namespaces, and what it takes to look into them. All of it needs root."""

import ctypes
import itertools
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

__all__ = ["command_in", "inside", "ip", "namespaces", "run_in", "switched"]

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count()


def ip(*arguments: str) -> None:
    """Run `ip`."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


def command_in(namespace: str | None, *command: str | Path) -> list[str]:
    """Return the command line that runs a program in a namespace; `None` is where the tests run."""
    prefix = () if namespace is None else ("ip", "netns", "exec", namespace)
    return [*prefix, *map(str, command)]


def run_in(namespace: str | None, *command: str | Path) -> str:
    """Run a program in a namespace, and return what it printed."""
    ran = subprocess.run(command_in(namespace, *command), check=False, capture_output=True, text=True, timeout=30)
    assert ran.returncode == 0, f"{command}: {ran.stderr or ran.stdout}"
    return ran.stdout


def inside(namespace: str | None, work: Callable[[], T]) -> T:
    """Call a function in a thread that lives in a namespace: the sockets that it makes belong there for good."""
    if namespace is None:
        return work()
    results: list[T] = []
    errors: list[BaseException] = []

    def enter() -> None:
        try:
            descriptor = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
            try:
                if _libc.setns(descriptor, _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            finally:
                os.close(descriptor)
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again below, in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


@contextmanager
def namespaces(*hosts: str) -> Iterator[dict[str, str]]:
    """Make a namespace for each host, loopback up; return their names, and take them away again."""
    names = {host: f"tv{os.getpid()}-{next(_numbers)}-{host}" for host in hosts}
    with ExitStack() as stack:
        for name in names.values():
            ip("netns", "add", name)
            stack.callback(ip, "netns", "del", name)
            ip("-n", name, "link", "set", "lo", "up")
        yield names


@contextmanager
def switched(addresses: Mapping[str, Sequence[str]]) -> Iterator[dict[str, str]]:
    """Make a namespace for each host and one for the switch between them.

    Args:
        addresses: of each host, as "10.77.0.1/24".
    """
    with namespaces(*addresses, "switch") as names:
        switch = names["switch"]
        ip("-n", switch, "link", "add", "switch", "type", "bridge", "mcast_snooping", "0")
        ip("-n", switch, "link", "set", "switch", "up")
        for number, (host, own) in enumerate(addresses.items()):
            port = f"port{number}"
            ip("-n", names[host], "link", "add", "eth", "type", "veth", "peer", "name", port, "netns", switch)
            ip("-n", switch, "link", "set", port, "master", "switch", "up")
            for address in own:
                # IPv6 would wait for a second to see whether somebody else has the address.
                nodad = ("nodad",) if ":" in address else ()
                ip("-n", names[host], "address", "add", address, "dev", "eth", *nodad)
            ip("-n", names[host], "link", "set", "eth", "up")
        yield names
