"""The file that tells where addresses are, re-opened when a newer one takes its place.

The file is read into memory: a map of it would follow whoever writes over it, and a process whose map is cut short is
killed by the kernel. A file that cannot be read leaves the one before in use, and is told once.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import maxminddb
import trio

__all__ = ["DatabaseUnreadable", "LocationFile"]

_LOOK_SECONDS = 5.0

Report = Callable[[str, Mapping[str, object]], None]


class DatabaseUnreadable(Exception):  # noqa: N818 - named for what is wrong with the file
    """The file is missing or no database; the text says what is wrong."""


class LocationFile:
    """A `geo.database.LocationDatabase` over a file.

    Args:
        path: of a MaxMind-format file.
        report: told when another file is used, or cannot be.

    Raises:
        DatabaseUnreadable: the file cannot be used.
    """

    def __init__(self, path: str, report: Report) -> None:
        self._path = path
        self._report = report
        self._version, self._reader = _open(path)

    def get(self, ip_address: str) -> object:
        """Return the record of an address; None when there is none, or the file is damaged there.

        Raises:
            ValueError: it is no address, or one of a family that the database does not have.
        """
        try:
            return self._reader.get(ip_address)
        except maxminddb.InvalidDatabaseError:
            return None

    async def follow(self) -> None:
        """Watch for a newer file until cancelled."""
        while True:
            await trio.sleep(_LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Use the file under the path if it is another one by now."""
        try:
            if _version_of(self._path) == self._version:
                return
            # Reading it takes a tenth of a second; calls go on being placed meanwhile. Cancelled, it is not used.
            self._version, self._reader = await trio.to_thread.run_sync(_open, self._path, abandon_on_cancel=True)
        except (OSError, DatabaseUnreadable) as error:
            if self._version != (unreadable := _version_or_none(self._path)):
                self._version = unreadable
                self._report("location-database-unreadable", {"path": self._path, "error": str(error)})
        else:
            self._report("location-database-opened", {"path": self._path, **self.describe()})

    def describe(self) -> dict[str, object]:
        """Tell what the file is, in JSON types."""
        metadata = self._reader.metadata()
        return {"type": metadata.database_type, "built": metadata.build_epoch}


Version = tuple[int, int, int] | None


def _open(path: str) -> tuple[Version, maxminddb.Reader]:
    try:
        version = _version_of(path)
        return version, maxminddb.open_database(path, maxminddb.MODE_MEMORY)
    except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
        raise DatabaseUnreadable(f"{path}: {error}") from error


def _version_of(path: str) -> Version:
    found = Path(path).stat()
    return found.st_ino, found.st_mtime_ns, found.st_size


def _version_or_none(path: str) -> Version:
    try:
        return _version_of(path)
    except OSError:
        return None
