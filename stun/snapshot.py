"""The paths of a session as bytes, to go on in another process.

Times are written as distances from the present, since the reader's clock is another one. `IceLite.snapshot` writes
the version of the format, and the credentials, in front of it.

What is left behind: our Binding Requests that wait for an answer, which are sent again when a check asks for it; and
transaction ids of long ago. A check that somebody recorded so early could at most claim media for a path that is the
client's and has been proven within `PathOptions.proof_lifetime`, or have a strange address asked for a proof.
"""

import math

from stun.paths import PathState, PathTable, TrackedPath
from stun.repetition import SeenTransactions
from wire.buffer import Reader, Writer
from wire.core import Address, Path
from wire.errors import MalformedError
from wire.snapshot_fields import (
    read_flag,
    read_optional_time,
    read_text,
    read_time,
    write_optional_time,
    write_text,
    write_time,
)

__all__ = ["read_paths", "write_paths"]

_STATES = (PathState.UNVALIDATED, PathState.VALIDATED, PathState.SELECTED)
_TRANSACTION_ID_SIZE = 12
_MOST_REQUESTS = 16  # the interval has stopped growing long before


def write_paths(writer: Writer, table: PathTable, seen: SeenTransactions, now: float) -> None:
    """Write the paths, and the transactions that were seen on them."""
    writer.u32(table.generation, "generation").u8(len(table), "paths")
    for tracked in table:
        _write_path(writer, tracked.path)
        writer.u8(_STATES.index(tracked.state), "state").u8(tracked is table.claimant)
        write_time(writer, tracked.appeared, now)
        write_time(writer, tracked.heard, now)
        write_optional_time(writer, tracked.proven, now)
        writer.u8(min(tracked.requests, _MOST_REQUESTS), "requests").u32(tracked.generation, "generation")
        write_time(writer, max(tracked.next_request, now), now)
    writer.u8(len(table.strangers), "strangers")
    for appeared, address in table.strangers:
        write_time(writer, appeared, now)
        _write_address(writer, address)
    write_optional_time(writer, None if math.isinf(table.moved) else table.moved, now)
    # Many came over few paths: each is named once.
    numbers = {path: number for number, path in enumerate(dict.fromkeys(seen.recent.values()))}
    writer.u16(len(numbers), "sources")
    for path in numbers:
        _write_path(writer, path)
    writer.u16(len(seen.recent), "transactions")
    for transaction_id, path in seen.recent.items():
        writer.octets(transaction_id).u16(numbers[path], "source")


def read_paths(reader: Reader, table: PathTable, seen: SeenTransactions, now: float, age: float) -> None:
    """Fill a new table with what `write_paths` wrote.

    Args:
        reader: over the bytes.
        table: a new one.
        seen: a new one.
        now: the present here.
        age: how many seconds ago they were written; counts for all but when each path was heard last.

    Raises:
        MalformedError: it is something else.
    """
    table.generation = reader.u32("generation")
    for _ in range(reader.u8("paths")):
        _read_tracked(reader, table, now, now - age)
    for _ in range(reader.u8("strangers")):
        appeared = read_time(reader, now - age, "appeared")
        table.strangers.append((appeared, _read_address(reader)))
    moved = read_optional_time(reader, now - age, "moved")
    table.moved = -math.inf if moved is None else moved
    sources = [_read_path(reader) for _ in range(reader.u16("sources"))]
    for _ in range(reader.u16("transactions")):
        transaction_id, at = reader.octets(_TRANSACTION_ID_SIZE, "transaction id"), reader.offset
        if (index := reader.u16("source")) >= len(sources):
            raise MalformedError("source", at, f"there is no source {index}")
        seen.remember(transaction_id, sources[index])


def _read_tracked(reader: Reader, table: PathTable, now: float, then: float) -> None:
    at, path = reader.offset, _read_path(reader)
    state = reader.u8("state")
    if state >= len(_STATES) or table.get(path) is not None:
        raise MalformedError("path", at, "comes twice, or has no such state")
    if _STATES[state] is PathState.SELECTED and table.selected is not None:
        raise MalformedError("path", at, "is the second that is selected")
    is_claimant = read_flag(reader, "claims")
    tracked = TrackedPath(
        path=path,
        state=_STATES[state],
        appeared=read_time(reader, then, "appeared"),
        heard=read_time(reader, now, "heard"),
        proven=read_optional_time(reader, then, "proven"),
        requests=min(reader.u8("requests"), _MOST_REQUESTS),
        generation=reader.u32("generation"),
        next_request=read_time(reader, then, "next request"),
    )
    table.enter(tracked)
    if is_claimant:
        table.claimant = tracked


def _write_path(writer: Writer, path: Path) -> None:
    _write_address(writer, path.address)
    writer.u32(path.via, "via")


def _read_path(reader: Reader) -> Path:
    return Path(_read_address(reader), reader.u32("via"))


def _write_address(writer: Writer, address: Address) -> None:
    host, port = address
    write_text(writer, host, "host")
    writer.u16(port, "port")


def _read_address(reader: Reader) -> Address:
    return read_text(reader, "host"), reader.u16("port")
