"""A location database is read, replaced while it is used, and never a reason to stop."""

import pytest
import trio

from edge.signal.locating import DatabaseUnreadable, LocationFile
from geo.caller import locate_address

SYDNEY = {"location": {"latitude": -33.87, "longitude": 151.21}, "country": {"iso_code": "AU"}}
PARIS = {"location": {"latitude": 48.86, "longitude": 2.35}, "country": {"iso_code": "FR"}}


@pytest.fixture
def opened(tmp_path, mmdb_file):
    """A file with a place for two networks, and what is reported of it."""
    path = tmp_path / "places.mmdb"
    path.write_bytes(mmdb_file.write_mmdb({"203.0.113.0/24": SYDNEY, "2001:db8::/32": SYDNEY}))
    reports = []
    return LocationFile(str(path), lambda name, facts: reports.append((name, facts))), path, reports


def replace(path, data: bytes) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(data)
    new.rename(path)


def test_addresses_of_both_families_are_found(opened):
    file, _, _ = opened
    for address in ("203.0.113.7", "2001:db8::7"):
        location = locate_address(address, database=file)
        assert (location.place.latitude, location.place.longitude, location.country) == (-33.87, 151.21, "AU")
    assert locate_address("198.51.100.1", database=file).place is None
    assert file.describe() == {"type": "Test-City", "built": 1_700_000_000}


async def test_a_newer_file_is_used(opened, mmdb_file):
    file, path, reports = opened
    await file.look()
    assert reports == []
    replace(path, mmdb_file.write_mmdb({"203.0.113.0/24": PARIS}, built=1_800_000_000))
    await file.look()
    assert locate_address("203.0.113.7", database=file).country == "FR"
    facts = {"path": str(path), "type": "Test-City", "built": 1_800_000_000}
    assert reports == [("location-database-opened", facts)]


async def test_a_file_that_is_none_leaves_the_old_one_in_use_and_is_told_once(opened, mmdb_file):
    file, path, reports = opened
    replace(path, b"half a download")
    for _ in range(3):
        await file.look()
    assert [name for name, _ in reports] == ["location-database-unreadable"]
    assert str(path) in reports[0][1]["error"]
    path.unlink()
    for _ in range(3):
        await file.look()
    assert len(reports) == 2
    assert locate_address("203.0.113.7", database=file).country == "AU"
    path.write_bytes(mmdb_file.write_mmdb({"203.0.113.0/24": PARIS}))
    await file.look()
    assert locate_address("203.0.113.7", database=file).country == "FR"


async def test_it_looks_by_itself(opened, mmdb_file, autojump_clock, monkeypatch, nursery):
    file, path, reports = opened

    async def at_once(function, *args, abandon_on_cancel):
        return function(*args)

    monkeypatch.setattr(trio.to_thread, "run_sync", at_once)  # a thread takes no time on a clock that jumps
    nursery.start_soon(file.follow)
    replace(path, mmdb_file.write_mmdb({"203.0.113.0/24": PARIS}))
    await trio.sleep(6)
    assert [name for name, _ in reports] == ["location-database-opened"]
    nursery.cancel_scope.cancel()


def test_a_damaged_record_is_no_place(opened, mmdb_file, tmp_path):
    path = tmp_path / "damaged.mmdb"
    whole = mmdb_file.write_mmdb({"203.0.113.0/24": SYDNEY})
    # The record's map claims more entries than there are.
    path.write_bytes(whole.replace(b"\xe2\x48location", b"\xfc\x48location"))
    location = locate_address("203.0.113.7", database=LocationFile(str(path), lambda *_: None))
    assert (location.place, location.country) == (None, "")


@pytest.mark.parametrize("content", [None, b"", b"no database"])
def test_a_file_that_is_none_cannot_be_opened_at_first(tmp_path, content):
    path = tmp_path / "none.mmdb"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DatabaseUnreadable, match=r"none\.mmdb"):
        LocationFile(str(path), lambda *_: None)
