"""Rules of one value each, which several sections use: generators of what is wrong, with what would be right."""

from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from edge.config.problems import Problem, describe
from edge.config.values import format_address, is_ip
from wire.core import Address

__all__ = [
    "MAX_WORKERS",
    "PROTOCOLS",
    "at_least",
    "base_url",
    "cluster_number",
    "ingress_id",
    "is_an_ip",
    "more_than_zero",
    "one_of",
    "public",
    "reachable",
    "worker_count",
]

PROTOCOLS = ("udp", "tcp")

MAX_WORKERS = 255
"""A token names the worker in one byte, and so does the hop count them."""


def one_of(key: str, value: str, allowed: Sequence[str]) -> Iterator[Problem]:
    """Find a word that is none of those allowed."""
    if value not in allowed:
        names = [f'"{name}"' for name in allowed]
        right = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
        yield Problem(key, f"found {describe(value)}", f"It should be {right}.")


def at_least(key: str, value: int, minimum: int) -> Iterator[Problem]:
    """Find a number that is too small."""
    if value < minimum:
        yield Problem(key, f"found {value}", f"It should be at least {minimum}.")


def more_than_zero(key: str, value: float) -> Iterator[Problem]:
    """Find a number of seconds that is none."""
    if value <= 0:
        yield Problem(key, f"found {value:g}", "It should be more than 0 seconds.")


def is_an_ip(key: str, address: Address) -> Iterator[Problem]:
    """Find a host that is a name where an address has to be bound."""
    host, port = address
    if not is_ip(host):
        instead = format_address(("127.0.0.1" if host == "localhost" else "0.0.0.0", port))  # noqa: S104 - advice
        yield Problem(key, f"found the name {describe(host)}", f'It should be an IP address, such as "{instead}".')


def reachable(key: str, address: Address, what: str) -> Iterator[Problem]:
    """Find an address that nobody can be reached at."""
    host, port = address
    if not port or host in {"0.0.0.0", "::"}:  # noqa: S104 - refused, not bound
        right = f"Give the address that the {what} is reached at, with its port."
        yield Problem(key, f"found {format_address(address)}", right)


def public(section: str, key: str, address: Address) -> Iterator[Problem]:
    """Find an advertised address that clients cannot reach."""
    host, port = address
    right = f'It goes into answers, so it must be an IP address that clients reach ("203.0.113.5:{port or 3478}").'
    if not is_ip(host):
        yield Problem(f"{key}.advertise", f"found the name {describe(host)}", right)
    elif ip_address(host).is_unspecified or ip_address(host).is_multicast:
        yield Problem(f"{key}.advertise", f"found {format_address(address)}", right)
    elif not port:
        yield Problem(f"{key}.advertise", "found port 0", f"Clients need to know the {section}'s port: 3478 is usual.")


def ingress_id(key: str, number: int, earlier: Sequence[int]) -> Iterator[Problem]:
    """Find a number of an ingress that is out of range, or taken."""
    if not 1 <= number <= 65_535:
        yield Problem(f"{key}.id", f"found {number}", "It should be 1 to 65535.")
    elif number in earlier:
        yield Problem(f"{key}.id", f"found {number} again", "Each ingress of the fleet has a number of its own.")


def cluster_number(key: str, value: int) -> Iterator[Problem]:
    """Find a number of a cluster that a token cannot carry."""
    if not 0 <= value <= 65_535:
        yield Problem(key, f"found {value}", "It should be 0 to 65535.")


def worker_count(section: str, workers: int, port: int) -> Iterator[Problem]:
    """Find a number of workers that a token cannot name, or for which there are too few ports."""
    if not 1 <= workers <= MAX_WORKERS:
        yield Problem(f"{section}.workers", f"found {workers}", f"It should be 1 to {MAX_WORKERS}.")
    elif port and port + workers - 1 > 65_535:
        right = f"With {workers} workers, each on a port of its own, it should be {65_536 - workers} at most."
        yield Problem(f"{section}.hop", f"found port {port}", right)


def base_url(key: str, url: str) -> Iterator[Problem]:
    """Find a URL that cannot be the base of a control API."""
    right = 'It should be the base URL of a control address, such as "http://10.0.0.3:7080".'
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number
        usable = None
    if not usable or parts.path not in {"", "/"} or parts.query or parts.fragment or "@" in parts.netloc:
        yield Problem(key, f"found {describe(url)}", right)
