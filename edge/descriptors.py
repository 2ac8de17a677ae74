"""How many sockets and files the process may have open."""

import sys

__all__ = ["allow_many_descriptors"]


def allow_many_descriptors() -> None:
    """Take as many as the system grants.

    Systems grant 1024 at first for the sake of programs that use select(2), and some hundred times as many to who asks.
    Our own bounds on connections are what should end first: each of them sheds what is new, but a process without
    descriptors can open no file and no connection to a backend either.
    """
    if sys.platform == "win32":
        return
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (OSError, ValueError):  # macOS grants less than it says
        return
