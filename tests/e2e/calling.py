"""Handles of the programs that the relay's tests run: a call that counts its packets, and a flood."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from dtls.certificate import Certificate
from edge.caller.description import make_offer

from .namespaces import command_in

__all__ = [
    "PACKETS_A_SECOND",
    "Counted",
    "Crowd",
    "CrowdCounted",
    "Flood",
    "PacedCall",
    "crowd",
    "flood",
    "mere_offer",
    "paced_call",
]

PACKETS_A_SECOND = 50
_HERE = Path(__file__).parent


@attrs.frozen(kw_only=True)
class Counted:
    """A stretch of a call, by the caller's own count; the server echoes every packet.

    Attributes:
        sent: packets sent.
        missing: numbers of those that never came back.
        twice: packets that came back once more.
        gap_ms: the longest time without one; what the caller itself stood still in does not count.
        gap_packets: the longest run of missing ones.
        send_errors: packets that the kernel did not take.
        closed: the stage of the session.
        records: DTLS records with SCTP in them that came, authentic.
        drops: what the caller has dropped in all its life, by reason.
    """

    sent: int
    missing: list[int]
    twice: int
    gap_ms: float
    gap_packets: int
    send_errors: int
    closed: str
    records: int
    drops: dict[str, int]


@attrs.define
class PacedCall:
    """A call of `paced_caller`.

    Attributes:
        location: of the call, at signal.
        port: the caller's.
        server: the ingress that it talks to.
    """

    _process: subprocess.Popen[str]
    location: str = ""
    port: int = 0
    server: tuple[str, int] = ("", 0)

    def wait_until_connected(self) -> None:
        told = self._read()
        self.location, self.port, self.server = told["connected"], told["local"], tuple(told["server"])

    def begin(self) -> None:
        """From here on packets count."""
        self._order("begin")

    def finish(self, at_least: int = 0) -> Counted:
        """Tell of the packets since, as soon as there are so many; waits for the last ones."""
        counted = Counted(**self._order(f"finish {at_least}"))
        assert counted.sent >= at_least, "the call does not go on"
        return counted

    def for_a_while(self, seconds: float) -> Counted:
        """Count for so long as audio of so many seconds takes: longer where the machine has other things to do."""
        self.begin()
        return self.finish(round(seconds * PACKETS_A_SECOND))

    def _order(self, word: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the caller has ended:\n{self._process.stderr.read() if self._process.stderr else ''}"
        return json.loads(line)


@contextmanager
def paced_call(
    url: str,
    *,
    key: str | None = None,
    namespace: str | None = None,
    address: str = "",
    port: int = 0,
    server: str = "",
    dtls12: bool = False,
    has_events: bool = False,
) -> Iterator[PacedCall]:
    """Start a call and wait until audio flows; hangs up behind the block.

    Args:
        url: of signal.
        key: API key.
        namespace: where the caller lives.
        address: to send from; empty for any.
        port: to send from; 0 for any.
        server: which of the answer's candidates to take; empty for all.
        dtls12: whether to speak no other DTLS than 1.2.
        has_events: whether to send events over a data channel all the time.
    """
    command = [sys.executable, _HERE / "paced_caller.py", url, "--port", str(port), "--address", address]
    command += ["--server", server] if server else []
    command += ["--key", key] if key else []
    command += ["--dtls-1.2"] if dtls12 else []
    command += ["--events"] if has_events else []
    process = subprocess.Popen(
        command_in(namespace, *command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        call = PacedCall(process)
        call.wait_until_connected()
        yield call
        process.communicate("stop\n", timeout=20)
    finally:
        process.kill()
        process.communicate()


def mere_offer() -> str:
    """Make an offer with nobody behind it: its call never connects."""
    return make_offer(
        ice_ufrag="abcd",
        ice_pwd="p" * 24,
        fingerprint=str(Certificate.generate(unix_time=1.8e9).fingerprint()),
        setup="actpass",
        session_id=1,
        ssrc=1,
        cname="c",
        has_data=False,
    )


@attrs.frozen(kw_only=True)
class CrowdCounted:
    """A stretch of many calls.

    Attributes:
        calls: what each has counted; see `paced_callers`.
        late: how late the callers' process was, in seconds, 99 times of 100.
    """

    calls: list[dict[str, Any]]
    late: float

    @property
    def missing(self) -> list[int]:
        """How many packets each call misses."""
        return [call["missing"] for call in self.calls]

    @property
    def lost(self) -> list[dict[str, Any]]:
        """The calls that are over, or silent since a second and more."""
        return [call for call in self.calls if call["stage"] != "talking" or call["silent_ms"] > 1000]

    def __str__(self) -> str:
        sent, gap = sum(call["sent"] for call in self.calls), max(call["gap_ms"] for call in self.calls)
        return (
            f"{len(self.calls)} calls: {sum(self.missing)} of {sent} frames lost, {max(self.missing)} of one call; "
            f"longest gap {gap:.0f} ms; callers {1000 * self.late:.0f} ms late"
        )


@attrs.define
class Crowd:
    """The calls of `paced_callers`."""

    _process: subprocess.Popen[str]

    def begin(self) -> None:
        """From here on packets count."""
        self._order("begin")

    def finish(self) -> CrowdCounted:
        """Tell of the packets since; waits for the last ones."""
        return CrowdCounted(**self._order("finish"))

    def _order(self, word: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if word:
            self._process.stdin.write(f"{word}\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the callers have ended:\n{self._process.stderr.read() if self._process.stderr else ''}"
        return json.loads(line)


@contextmanager
def crowd(url: str, count: int) -> Iterator[Crowd]:
    """Place calls and wait until audio flows in all of them; hangs up behind the block.

    Args:
        url: of signal.
        count: how many.
    """
    process = subprocess.Popen(
        [sys.executable, _HERE / "paced_callers.py", url, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        calls = Crowd(process)
        calls._order("")
        yield calls
        process.communicate("stop\n", timeout=30)
    finally:
        process.kill()
        process.communicate()


@attrs.define
class Flood:
    """A flood that is under way.

    Attributes:
        sent: how many datagrams it was, behind its end.
        seconds: how long it took.
    """

    _process: subprocess.Popen[str]
    sent: int = 0
    seconds: float = 0.0

    def wait(self) -> int:
        """Wait until it is over, and return how many datagrams it was."""
        output, errors = self._process.communicate(timeout=60)
        assert self._process.returncode == 0, errors
        told = json.loads(output)
        self.sent, self.seconds = told["sent"], told["seconds"]
        return self.sent


def flood(
    target: tuple[str, int],
    *,
    sources: Sequence[tuple[str, int]],
    payloads: Sequence[bytes],
    rate: int,
    seconds: float,
    raw: bool,
    namespace: str | None = None,
) -> Flood:
    """Start a flood; see `flooder`."""
    process = subprocess.Popen(
        command_in(namespace, sys.executable, _HERE / "flooder.py"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    plan = {
        "target": target,
        "sources": sources,
        "payloads": [payload.hex() for payload in payloads],
        "rate": rate,
        "seconds": seconds,
        "raw": raw,
    }
    assert process.stdin is not None
    process.stdin.write(json.dumps(plan))
    process.stdin.close()
    process.stdin = None
    return Flood(process)
