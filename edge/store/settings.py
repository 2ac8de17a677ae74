"""Where the store is, as the configuration says it."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import attrs

__all__ = ["DEFAULT_PREFIX", "BadStoreUrl", "RedisPlace", "StoreConfig", "read_password"]

DEFAULT_PREFIX = "trio-voice:"

_PORT = 6379


class BadStoreUrl(ValueError):  # noqa: N818 - named for what is wrong
    """A URL that is no Redis's; the text says what would be right."""


@attrs.frozen(kw_only=True)
class StoreConfig:
    """What the processes of a fleet share: who is there, and who has which call. One process needs no store.

    Attributes:
        url: where Redis 7 or Valkey is: "redis://HOST:PORT/NUMBER", with "rediss://" over TLS, or "unix:///PATH". One
            server, or what stands before several; no Redis Cluster. Left out, this process is a fleet of its own, of
            the members that its configuration names.
        password: the store's password; in a file it is better kept out of this one, see `password_file`.
        password_file: path of a file with the password, read again for every connection.
        ca: PEM file with the authorities whose certificate the server may show, with "rediss://"; left out, the
            system's.
        prefix: what the names of all keys begin with; fleets that share a store have one each.
        timeout: seconds for one answer of the store; after that it counts as away, and calls go on without it.
    """

    url: str | None = None
    password: str = attrs.field(default="", repr=False)
    password_file: str | None = None
    ca: str | None = None
    prefix: str = DEFAULT_PREFIX
    timeout: float = 1.0


@attrs.frozen(kw_only=True)
class RedisPlace:
    """What a URL says.

    Attributes:
        host: name or IP address; empty for a Unix socket.
        port: TCP port.
        path: of a Unix socket; empty for TCP.
        database: number of the database.
        username: whom to log in as; None for the default user.
        uses_tls: whether TLS is spoken.
    """

    host: str = ""
    port: int = _PORT
    path: str = ""
    database: int = 0
    username: str | None = None
    uses_tls: bool = False

    @classmethod
    def parse(cls, url: str) -> "RedisPlace":
        """Take a URL apart.

        Raises:
            BadStoreUrl: it is none, or says something that belongs elsewhere.
        """
        try:
            parts = urlsplit(url)
            port = parts.port or _PORT
        except ValueError as error:
            raise BadStoreUrl(f"a URL; {error}") from None
        if parts.password is not None:
            raise BadStoreUrl("a URL without a password; that is store.password, or better store.password_file")
        if parts.query or parts.fragment:
            raise BadStoreUrl('a URL without "?" and "#"')
        username = unquote(parts.username) if parts.username else None
        if parts.scheme == "unix" and not parts.netloc and parts.path:
            return cls(path=unquote(parts.path))
        database = parts.path.strip("/") or "0"
        if parts.scheme not in {"redis", "rediss"} or not parts.hostname or not database.isdecimal():
            raise BadStoreUrl('"redis://HOST:PORT/NUMBER", "rediss://HOST:PORT/NUMBER" or "unix:///PATH"')
        return cls(
            host=parts.hostname,
            port=port,
            database=int(database),
            username=username,
            uses_tls=parts.scheme == "rediss",
        )

    def __str__(self) -> str:
        """Name it for logs."""
        return self.path or f"{self.host}:{self.port}"


def read_password(config: StoreConfig) -> str:
    """Return the password; empty for none.

    Raises:
        OSError: its file cannot be read.
    """
    if config.password_file is None:
        return config.password
    return Path(config.password_file).read_text(encoding="utf-8").strip()
