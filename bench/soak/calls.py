"""The calls, one after another and many at a time."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator

import attrs
import trio

from bench.soak.attempt import Attempt, Means
from bench.soak.conversing import Talk
from bench.soak.endings import ENDINGS, Ending
from bench.soak.sockets import attend, pass_through
from dtls.options import DtlsOptions
from dtls.versions import Version
from edge.caller.description import OfferedSetup
from edge.caller.signalling import CallFailed
from wire.errors import LocalProtocolError

__all__ = ["Plan", "Tally", "call_in_turn"]

_LONGEST = 60.0
_NOTICED_SECONDS = 32.0
_TALKS = tuple(Talk)
_SETUPS: tuple[OfferedSetup, ...] = ("actpass", "active", "passive")
_VERSIONS = ((Version.DTLS_1_3,), (Version.DTLS_1_2,))
_SOCKET_EVERY = 101
"""Calls; a prime, so that sidebands meet every way to end."""


@attrs.frozen(kw_only=True)
class Plan:
    """What is to become of a call: each number has its own, and all that differs meets all else.

    Attributes:
        ending: how it ends.
        talk: what is said before.
        setup: the DTLS role that it offers.
        versions: of DTLS.
        has_sideband: whether a sideband is attached to it.
        has_pass_through: whether somebody talks with the agent without a call meanwhile.
    """

    ending: Ending
    talk: Talk
    setup: OfferedSetup
    versions: tuple[Version, ...]
    has_sideband: bool
    has_pass_through: bool

    @classmethod
    def of(cls, number: int) -> "Plan":
        """Make the plan of a call: the digits of its number choose, like those of a mileage counter."""
        rest, ending = divmod(number, len(ENDINGS))
        rest, talk = divmod(rest, len(_TALKS))
        rest, setup = divmod(rest, len(_SETUPS))
        rest, version = divmod(rest, len(_VERSIONS))
        return cls(
            ending=ENDINGS[ending],
            talk=_TALKS[talk],
            setup=_SETUPS[setup],
            versions=_VERSIONS[version],
            has_sideband=number % _SOCKET_EVERY == 0,
            has_pass_through=number % _SOCKET_EVERY == _SOCKET_EVERY // 2,
        )


@attrs.define
class Tally:
    """What became of the calls.

    Attributes:
        ended: calls that went as planned, by the name of their ending.
        problems: what went otherwise, by what went wrong.
        sockets: WebSockets that were opened beside.
        under_way: calls and sockets that are going on.
    """

    ended: Counter[str] = attrs.field(factory=Counter)
    problems: Counter[str] = attrs.field(factory=Counter)
    sockets: int = 0
    under_way: int = 0


async def call_in_turn(
    means: Means, numbers: Iterable[int], tally: Tally, sockets: trio.Nursery, *, at_once: int
) -> None:
    """Live through calls, and return when our side of all of them is over.

    Args:
        means: what to place them with.
        numbers: of the calls.
        tally: takes what became of them.
        sockets: owns the WebSockets beside, which end when the transceiver has noticed that their calls did.
        at_once: how many there are at a time. Those that vanished are not counted: the transceiver has to find out.
    """
    pending = iter(numbers)
    rounds = _Rounds(means, tally, sockets)
    async with trio.open_nursery() as nursery:
        for _ in range(at_once):
            nursery.start_soon(_call_some, rounds, pending)


@attrs.frozen
class _Rounds:
    """What `call_in_turn` is told."""

    means: Means
    tally: Tally
    sockets: trio.Nursery

    async def call(self, number: int) -> None:
        """Live through one call."""
        plan = Plan.of(number)
        if plan.has_pass_through:
            self._open_beside(lambda: pass_through(self.means.url))
        attempt = Attempt(
            means=self.means,
            talk=plan.talk,
            setup=plan.setup,
            dtls=DtlsOptions(versions=plan.versions),
            placed=self._attend(number) if plan.has_sideband else lambda _path: None,
        )
        if plan.ending.is_silent:
            await self.means.unnoticed.acquire()
            self.sockets.start_soon(self._be_noticed)
        if await self._noted(plan.ending.name, lambda: plan.ending.live(attempt)):
            self.tally.ended[plan.ending.name] += 1

    async def _be_noticed(self) -> None:
        """Make room for another one when the transceiver must have noticed the end of this one."""
        await trio.sleep(_NOTICED_SECONDS)
        self.means.unnoticed.release()

    def _attend(self, number: int) -> Callable[[str], None]:
        """Attach a sideband as soon as there is a call; every other one leaves before the call does."""
        leaves_after = None if number % 2 else 0.5

        def placed(path: str) -> None:
            call_id = path.rpartition("/")[2]
            self._open_beside(lambda: attend(self.means.url, call_id, leaves_after=leaves_after))

        return placed

    def _open_beside(self, run: Callable[[], Awaitable[None]]) -> None:
        self.tally.sockets += 1
        self.sockets.start_soon(self._noted, "socket", run)

    async def _noted(self, name: str, run: Callable[[], Awaitable[None]]) -> bool:
        """Do something, and note what goes wrong; tell whether nothing did."""
        self.tally.under_way += 1
        try:
            with trio.fail_after(_LONGEST):
                await run()
        except (CallFailed, LocalProtocolError) as problem:
            self.tally.problems[f"{name}: {problem}"] += 1
        except trio.TooSlowError:
            self.tally.problems[f"{name}: took more than {_LONGEST:g} s"] += 1
        else:
            return True
        finally:
            self.tally.under_way -= 1
        return False


async def _call_some(rounds: _Rounds, pending: Iterator[int]) -> None:
    for number in pending:
        await rounds.call(number)
