"""Why a role could not start: an address that cannot be bound, named with its key and the way out."""

import errno
import socket
from collections.abc import Iterable

from edge.config.problems import ConfigError, Problem
from edge.config.values import format_address
from wire.core import Address

__all__ = ["StartError", "first_that_cannot_be_bound"]

_OPTIONS = {"signal.listen": "--http IP:PORT", "relay.ingresses": "--media-port PORT"}


class StartError(ConfigError):
    """The configuration is right in itself, but cannot be used on this machine now."""

    exit_code = 1

    def tell(self) -> str:
        """List what is in the way."""
        return "\n".join(["cannot start.", *(f"  {problem}" for problem in self.problems)])

    @classmethod
    def for_address(cls, key: str, address: Address, error: OSError) -> "StartError":
        """Say why an address cannot be bound, and what to do."""
        found = f"{format_address(address)} cannot be used: {error.strerror or error}"
        right = "Choose another."
        if error.errno == errno.EADDRINUSE:
            found = f"{format_address(address)} is in use by another program"
            option = next((option for start, option in _OPTIONS.items() if key.startswith(start)), None)
            right = f"Stop that program, or choose another address{f' with {option}' if option else ''}."
        elif error.errno == errno.EADDRNOTAVAIL:
            found = f"{format_address(address)} is not an address of this machine"
            right = "Bind one that it has, or 0.0.0.0 for all; clients are told the address in `advertise`."
        elif error.errno in {errno.EACCES, errno.EPERM}:
            found = f"this process may not bind {format_address(address)}"
            right = "Ports under 1024 need a privilege; choose a higher one."
        return cls([Problem(key, found, right)])


def first_that_cannot_be_bound(addresses: Iterable[tuple[str, Address, str]], error: OSError) -> StartError:
    """Find which of several addresses is to blame, when binding them together failed.

    Args:
        addresses: each with its key and "udp" or "tcp", in the order of binding.
        error: what the binding raised; it is told when each can be bound alone after all.
    """
    key, address = "", ("", 0)
    for key, address, protocol in addresses:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM) as probe:
            if protocol == "tcp":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as problem:
                return StartError.for_address(key, address, problem)
    return StartError.for_address(key, address, error)
