"""What a MaxMind-format database says of an address.

The file belongs to whoever opened it; here is only how its records are read. Fields are those of GeoLite2-City and
GeoLite2-Country, which other vendors copy: `location.latitude`, `location.longitude`, `country.iso_code`.
"""

from collections.abc import Mapping
from typing import Protocol

import attrs

from geo.regions import Place

__all__ = ["DatabaseEntry", "LocationDatabase", "look_up"]


class LocationDatabase(Protocol):
    """A database by IP address; `maxminddb.Reader` is one."""

    def get(self, ip_address: str) -> object:
        """Return the record of an address; None when there is none.

        Raises:
            ValueError: it is no address, or one of a family that the database does not have.
        """


@attrs.frozen(kw_only=True)
class DatabaseEntry:
    """What could be read of a record.

    Attributes:
        place: the coordinates; None when the record has none.
        country: ISO 3166-1 code in upper case; empty when the record has none.
    """

    place: Place | None = None
    country: str = ""


_NOTHING = DatabaseEntry()


def look_up(database: LocationDatabase, address: str) -> DatabaseEntry:
    """Look an address up; whatever is missing or wrong in a record is left out of the answer."""
    try:
        record = database.get(address)
    except ValueError:
        return _NOTHING
    location = _table(record, "location")
    try:
        place = Place(
            latitude=_number(location.get("latitude")),
            longitude=_number(location.get("longitude")),
            why=f"database entry of {address}",
        )
    except (TypeError, ValueError):
        place = None
    country = _table(record, "country").get("iso_code")
    return DatabaseEntry(place=place, country=country.upper() if isinstance(country, str) else "")


def _table(record: object, name: str) -> Mapping[str, object]:
    value = record.get(name) if isinstance(record, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _number(value: object) -> float:
    if not isinstance(value, int | float):
        raise TypeError("no number")
    return float(value)
