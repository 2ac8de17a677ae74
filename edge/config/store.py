"""What the processes of a fleet share, and what each of them is called there: the keys and their rules."""

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import attrs

from edge.config.problems import Problem, describe
from edge.store.place import BadStoreUrl, RedisPlace

__all__ = ["NodeConfig", "StoreConfig", "check_store", "read_password"]


@attrs.frozen(kw_only=True)
class NodeConfig:
    """What this process is called in its fleet, and where the others find it; used with a store only.

    Attributes:
        name: what `trio-voice fleet` lists it as, and `trio-voice drain` is told; left out, the name of the host.
        region: name of the region it is in.
        address: IP address at which the fleet reaches what listens on all addresses here; left out, the one that this
            machine uses towards the store.
    """

    name: str | None = None
    region: str | None = None
    address: str | None = None


@attrs.frozen(kw_only=True)
class StoreConfig:
    """What the processes of a fleet share: who is there, and who has which call. One process needs no store.

    Attributes:
        url: where Redis 7 or Valkey is: "redis://HOST:PORT/NUMBER", with "rediss://" over TLS, or "unix:///PATH". One
            server, or what stands before several; no Redis Cluster. Left out, this process is a fleet of its own, of
            the members that its configuration names.
        password: the store's password.
        password_file: path of a file with the password, used instead of it and read again for every connection.
        ca: PEM file with the authorities whose certificate the server may show, with "rediss://"; left out, the
            system's.
        prefix: what the names of all keys begin with; fleets that share a store have one each.
        timeout: seconds for one answer of the store; after that it counts as away, and calls go on without it.
    """

    url: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    password_file: str | None = None
    ca: str | None = None
    prefix: str = "trio-voice:"
    timeout: float = 1.0


def read_password(config: StoreConfig) -> str | None:
    """Return the password; None for none.

    Raises:
        OSError: its file cannot be read.
    """
    if config.password_file is None:
        return config.password
    return Path(config.password_file).read_text(encoding="utf-8").strip()


def check_store(store: StoreConfig, node: NodeConfig) -> Iterator[Problem]:
    """Find what is wrong with the store, and with what the fleet is told of this process."""
    if node.address is not None and not _is_address(node.address):
        right = "It should be the IP address at which other members of the fleet reach this machine."
        yield Problem("node.address", f"found {describe(node.address)}", right)
    if store.url is not None:
        yield from _check_url(store.url, store.ca)
    for key, name in (("store.password_file", store.password_file), ("store.ca", store.ca)):
        if name is not None and not Path(name).is_file():
            yield Problem(key, f"there is no file {describe(name)}", "Give the path of a file that can be read.")
    if store.timeout <= 0:
        yield Problem("store.timeout", f"found {store.timeout:g}", "It should be more than 0 seconds.")


def _check_url(url: str, ca: str | None) -> Iterator[Problem]:
    try:
        place = RedisPlace.parse(url)
    except BadStoreUrl as error:
        found = f"found {describe(url, is_secret='@' in url)}"
        yield Problem("store.url", found, f"It should be {error}.")
        return
    if ca is not None and not place.uses_tls:
        yield Problem("store.ca", "found a file", 'It is for "rediss://", and store.url speaks no TLS.')


def _is_address(text: str) -> bool:
    try:
        return not ip_address(text).is_unspecified
    except ValueError:
        return False
