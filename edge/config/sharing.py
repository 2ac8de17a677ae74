"""Whether a TCP ingress of the relay shares signal's port, where the first byte of a connection tells whose it is."""

from edge.config.model import Config, RelayIngress
from wire.core import Address

__all__ = ["ingresses_beside_signal"]


def ingresses_beside_signal(config: Config) -> tuple[RelayIngress, ...]:
    """Find the ingresses of the relay in this process that signal, in the same process, accepts connections for."""
    if config.signal is None or config.relay is None:
        return ()
    listen = config.signal.listen
    return tuple(each for each in config.relay.ingresses if each.protocol == "tcp" and _meet(each.bind, listen))


def _meet(one: Address, other: Address) -> bool:
    """Whether one port is meant: sockets on both addresses would be in each other's way."""
    wildcards = {"0.0.0.0", "::"}  # noqa: S104 - looked for, not bound
    return one[1] == other[1] != 0 and (one[0] == other[0] or one[0] in wildcards or other[0] in wildcards)
