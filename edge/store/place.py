"""Where the store is, taken out of a URL."""

from urllib.parse import unquote, urlsplit

import attrs

__all__ = ["BadStoreUrl", "RedisPlace"]

_PORT = 6379


class BadStoreUrl(ValueError):  # noqa: N818 - named for what is wrong
    """A URL that is no Redis's; the text says what would be right."""


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
