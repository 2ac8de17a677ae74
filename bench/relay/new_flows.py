"""What a flow costs that is new, what one costs that is refused, and how much memory one takes.

Requests come as floods do, many at a time. A new flow is a Binding Request with a token and integrity that are right,
and then the transceiver's word that the path is proven; coturn's is three requests: to be asked for credentials, to
allocate, and to bind a channel. Of what is refused each comes from a source of its own, so that no budget spares us the
work; what follows no flow at all is what a flood of noise is.
"""

import itertools
import os
from base64 import b64encode
from collections.abc import Iterable, Mapping
from pathlib import Path

from bench.relay.calls import Calls
from bench.relay.load import Load
from bench.relay.sizes import Sizes
from bench.settings import Settings
from bench.table import Row

__all__ = ["claim_row", "memory_row", "refusal_row", "send_refused"]

_MUST_BYTES = 400
_REFUSED, _QUICK_REFUSED, _RATE = 20_000, 4_000, 10_000
_PREFIX_LENGTH = 2
_NOBODY = 1 << 40
"""Sessions from here on are nobody's."""
_WHOLE = Sizes("whole datagrams", (0,))


def claim_row(calls: Calls, count: int, coturn_cost: float | None) -> Row:
    """Tell what it took to set calls up.

    Args:
        calls: have noted it.
        count: of how many.
        coturn_cost: CPU seconds that coturn took for one; None when it is not there.
    """
    claim, prove = calls.claim_cpu / count, calls.prove_cpu / count
    peer = "" if coturn_cost is None else f"coturn {coturn_cost * 1e6:.0f} µs"
    return Row(
        what=f"CPU of a new flow, {count} of them",
        ours=f"{(claim + prove) * 1e6:.0f} µs",
        peer=peer,
        notes=(f"the request {claim * 1e6:.1f} µs, the path's proof {prove * 1e6:.1f} µs; forwarding included",),
        details={"claim": claim, "prove": prove, "coturn": coturn_cost},
    )


def memory_row(few: int, many: int, grown: int) -> Row:
    """Tell how much memory a flow takes.

    Args:
        few: how many there were.
        many: how many there are.
        grown: by how many bytes the relay's resident memory grew with them.
    """
    each = grown / (many - few)
    return Row(
        what=f"memory of a flow, {many} of them",
        ours=f"{each:.0f} bytes",
        peer=f"{_MUST_BYTES} bytes",
        ratio=each / _MUST_BYTES,
        must=1.0,
        notes=(f"growth of the relay's resident memory from {few} flows to {many}, each of a token and proven",),
        details={"bytes_per_flow": each},
    )


def refusal_row(programs: Path, calls: Calls, idle: float, settings: Settings) -> Row:
    """Have the relay refuse requests of all kinds, and tell what each costs."""
    count = _QUICK_REFUSED if settings.is_quick else _REFUSED
    path = _WHOLE.write(programs)
    costs: dict[str, float] = {}
    for name, load in _refused(calls, count).items():
        calls.refresh()
        passed = load.run(programs, calls.relay.pids, path, 2 * count / _RATE, rate=_RATE, count=count, idle=idle)
        costs[name] = passed.cpu / passed.sent
    return Row(
        what="CPU of a datagram that is refused",
        ours=", ".join(f"{name} {cost * 1e6:.1f} µs" for name, cost in costs.items()),
        details=costs,
    )


def send_refused(programs: Path, calls: Calls, count: int) -> None:
    """Send so many of each kind."""
    path = _WHOLE.write(programs)
    for load in _refused(calls, count).values():
        load.run(programs, (), path, 2 * count / _RATE, rate=_RATE, count=count)


def _refused(calls: Calls, count: int) -> Mapping[str, Load]:
    # From hosts that have no flow: a known one's token passes with a comparison.
    strangers = [f"127.{200 + (n >> 16)}.{n >> 8 & 255}.{n & 255}" for n in range(count)]
    token = calls.token(1)
    prefix, size = token[:_PREFIX_LENGTH], len(token)

    def forged() -> str:
        return (prefix + b64encode(os.urandom(size)).decode())[:size]

    def load(datagrams: Iterable[bytes]) -> Load:
        flows = [(host, calls.relay.public, data) for host, data in zip(strangers, datagrams, strict=True)]
        return Load.of(calls.clients.sock, calls.relay.transceiver.sock, flows)

    return {
        "forged token": load(calls.request(1, ufrag=forged(), password="?" * 32) for _ in strangers),
        "bad integrity": load(calls.request(_NOBODY + number, password="?" * 32) for number in range(count)),
        "no flow": load(itertools.repeat(b"\x80" * 120, count)),
    }
