"""Which addresses may be sent to, and which of them media goes to.

Goal: media and handshakes reach the client wherever it moves, and nobody else; a third party can neither have our
traffic sent to a victim nor pull a call away from its client.

Attackers, from weak to strong:

* **Off the path, spoofing source addresses.** Knows no password. Its requests fail the integrity check and make no
  path, which is why the table is entered only with authenticated requests.
* **The client itself, spoofing source addresses**, to have a victim flooded by us (or a thousand clients, or a page
  that makes its visitors do it). It knows the password, and a check proves no more than that: the source address of
  a datagram proves nothing. So an address is *unvalidated* until something unpredictable that we sent there came
  back. An unvalidated path gets answers, each smaller than the check it answers; Binding Requests, each in exchange
  for a check and soon not more than one in two seconds; and one DTLS flight, never repeated. At most three such
  addresses appear in ten seconds, and no path appears twice in that time: with two ingresses, a session sends
  strangers six flights in ten seconds, a kilobyte a second, whatever is done to it.
* **A listener near the client**, who sees its datagrams and repeats them from another address, to become the path.
  A transaction id that was seen before counts only from where it was seen first, and later not at all (see
  `stun.repetition`). Where the listener is faster than the client, it makes an unvalidated path at most, and cannot
  validate it: that takes the client's password; the client's own copy still counts over a validated path.
* **The same listener, repeating a nomination or a media packet with the client's former address as source**, to send
  media to where the client no longer is. A repeated transaction id renews nothing and nominates nothing; SRTP and
  DTLS refuse repeated packets before we hear of them. And a move needs a *fresh* proof: media moves to a path that
  has not answered for some seconds only after it has answered again.
* **Somebody on the path** can forward everything and so become a working path, or cut the call off. That is what a
  router does; the media stays encrypted, and the client's next nomination or packet over another path moves it back.

What validates a path: an answer to our own Binding Request, whose transaction id is random and whose integrity is
keyed with the client's password; or a completed DTLS handshake over it, whose Finished covers our random.

What selects a path: nothing more, if it is the first one validated (a client need not nominate before media flows:
RFC 8445 §8.1.1 lets data be sent on any valid pair, and Chrome nominates late); a nomination that was not seen
before; or authentic traffic, since the client has moved already then. Traffic does not move media back and forth
within a fraction of a second, so packets that were overtaken on the way do not count as a move.

An ICE restart (RFC 8445 §9) gives both ends new credentials, and the paths that are checked with them are of a new
*generation*. Media stays where it is until the client chooses one of those; as soon as one of them has answered with
the new credentials, paths that only the former ones were used on can be left but not chosen any more, and give way to
new ones.

What remains: a client that validated an address, gave it away, and goes on sending authentic packets with it as their
source keeps media flowing to whoever has it now. RFC 7675's consent checks would stop it; a lite agent sends none
(RFC 7675 §1). And a listener who is faster than the client with check after check keeps a new address of the client's
out, though not one that is validated.
"""

import enum
from collections.abc import Iterator

import attrs

from stun.events import DropReason, PathExpired, PathSelected, PathValidated
from wire.core import Address, Event, Path

__all__ = ["PATH_TRANSITIONS", "PathInput", "PathOptions", "PathState", "PathTable", "TrackedPath"]


class PathState(enum.Enum):
    """How far a path is trusted."""

    UNVALIDATED = "unvalidated"
    VALIDATED = "validated"
    SELECTED = "selected"
    EXPIRED = "expired"


class PathInput(enum.Enum):
    """What may happen to a path."""

    PROVEN = "proven"
    CHOSEN = "chosen"
    DISPLACED = "displaced"
    SILENT = "silent"


PATH_TRANSITIONS: dict[PathState, dict[PathInput, PathState]] = {
    PathState.UNVALIDATED: {PathInput.PROVEN: PathState.VALIDATED, PathInput.SILENT: PathState.EXPIRED},
    PathState.VALIDATED: {PathInput.CHOSEN: PathState.SELECTED, PathInput.SILENT: PathState.EXPIRED},
    PathState.SELECTED: {PathInput.DISPLACED: PathState.VALIDATED, PathInput.SILENT: PathState.EXPIRED},
    PathState.EXPIRED: {},
}
"""Where each input leads. A missing cell changes nothing: above all, an unvalidated path cannot be chosen."""


@attrs.frozen(kw_only=True)
class PathOptions:
    """The numbers behind the rules.

    Attributes:
        max_paths: paths a session may have, for memory's sake. Two network interfaces and four relays make eight.
        max_unvalidated_addresses: how many addresses may wait for validation at a time.
        unvalidated_window: seconds for which an address that was not validated counts, and keeps its place.
        consent_timeout: seconds after which a path without anything authentic is forgotten. RFC 7675 §5.1 says 30.
        proof_lifetime: seconds for which a proof lets media move to a path; longer ones let an old nomination
            be repeated, shorter ones make a client that alternates between paths wait a round trip for each move.
        move_hold: seconds after a move in which traffic does not move media again; about the largest difference in
            delay between two paths.
    """

    max_paths: int = 8
    max_unvalidated_addresses: int = 3
    unvalidated_window: float = 10.0
    consent_timeout: float = 30.0
    proof_lifetime: float = 10.0
    move_hold: float = 0.2


@attrs.define(kw_only=True)
class TrackedPath:
    """What is known of a path.

    Attributes:
        path: the path.
        state: how far it is trusted.
        appeared: when the first check came over it.
        heard: when something authentic came over it last.
        proven: when it was last shown that the client receives what is sent there; None for never.
        requests: how many Binding Requests were sent there since it was proven; counted while the interval grows.
        next_request: when the next may be sent.
        generation: of the newest credentials that it was checked with.
    """

    path: Path
    state: PathState = PathState.UNVALIDATED
    appeared: float
    heard: float
    proven: float | None = None
    requests: int = 0
    next_request: float = 0.0
    generation: int = 0

    @property
    def is_validated(self) -> bool:
        """Whether more than answers and one flight may be sent."""
        return self.state in (PathState.VALIDATED, PathState.SELECTED)

    def apply(self, happened: PathInput) -> bool:
        """Take a step of the table; returns whether there was one."""
        after = PATH_TRANSITIONS[self.state].get(happened)
        if after is None:
            return False
        self.state = after
        return True


class PathTable:
    """The paths of one session.

    Args:
        options: the numbers.

    Attributes:
        selected: where media goes; None before the first path is validated, and after the selected one expired.
        generation: paths of an earlier one cannot be chosen, and give way.
        claimant: the path that wants to be selected, and lacks a fresh proof.
        strangers: addresses that appeared and are not validated, and when.
        moved: when media moved to another path last; minus infinity for never.
    """

    __slots__ = ("_options", "_paths", "claimant", "generation", "moved", "selected", "strangers")

    def __init__(self, options: PathOptions) -> None:
        self._options = options
        self._paths: dict[Path, TrackedPath] = {}
        self.strangers: list[tuple[float, Address]] = []
        self.claimant: TrackedPath | None = None
        self.moved = float("-inf")
        self.selected: TrackedPath | None = None
        self.generation = 0

    def __len__(self) -> int:
        """How many paths are known."""
        return len(self._paths)

    def __iter__(self) -> Iterator[TrackedPath]:
        """Go through the known paths, in order of appearance."""
        return iter(self._paths.values())

    def get(self, path: Path) -> TrackedPath | None:
        """Return what is known of a path."""
        return self._paths.get(path)

    def enter(self, tracked: TrackedPath) -> None:
        """Enter a path of which all is known: the table is that of another process."""
        self._paths[tracked.path] = tracked
        if tracked.state is PathState.SELECTED:
            self.selected = tracked

    def admit(self, path: Path, now: float) -> tuple[TrackedPath, list[Event]] | DropReason:
        """Enter a path over which a first authenticated check has come.

        Returns:
            The path, and the expiry of another that had to give way; or why it is not admitted.
        """
        address = path.address
        # An address that is validated through one ingress is no stranger at another.
        is_stranger = not any(known.path.address == address and known.is_validated for known in self)
        # One that appears at another ingress counts from then on: it is worth a flight there, too.
        horizon = now - self._options.unvalidated_window
        others = [(at, other) for at, other in self.strangers if at > horizon and other != address]
        if is_stranger and len(others) >= self._options.max_unvalidated_addresses:
            return DropReason.UNVALIDATED_ADDRESSES
        events: list[Event] = []
        if len(self._paths) >= self._options.max_paths:
            # A validated path never gives way to one that may be made up; expiry frees its place. Nor does a young
            # one, lest paths that take turns in giving way appear, and get a flight, again and again.
            given_up = [known for known in self if not known.is_validated and known.appeared <= horizon]
            given_up += [known for known in self if known.generation < self.generation and known is not self.selected]
            if not given_up:
                return DropReason.PATHS
            events = self._forget(min(given_up, key=lambda known: known.heard))
        if is_stranger:
            self.strangers = [*others, (now, address)]
        tracked = self._paths[path] = TrackedPath(path=path, appeared=now, heard=now)
        return tracked, events

    def renew(self, tracked: TrackedPath, generation: int) -> None:
        """Note that a path was checked with newer credentials; with these it has yet to be proven."""
        tracked.generation = generation
        tracked.proven = None
        tracked.requests = 0
        tracked.next_request = 0.0

    def retire(self, generation: int) -> None:
        """Let paths of earlier generations than this be left, but not chosen any more."""
        self.generation = generation
        if self.claimant is not None and self.claimant.generation < generation:
            self.claimant = None

    def prove(self, tracked: TrackedPath, now: float) -> list[Event]:
        """Note that the client receives what is sent to this path."""
        tracked.proven = now
        tracked.requests = 0
        events: list[Event] = []
        if tracked.apply(PathInput.PROVEN):
            events.append(PathValidated(path=tracked.path))
            address = tracked.path.address
            self.strangers = [stranger for stranger in self.strangers if stranger[1] != address]
        if self.selected is None or tracked is self.claimant:
            events += self._select(tracked, now)
        return events

    def claim(self, tracked: TrackedPath, now: float) -> list[Event]:
        """Note that the client wants this path selected, at once or when it is proven. The latest claim wins."""
        if tracked is self.selected:
            self.claimant = None
            return []
        if tracked.generation < self.generation:
            return []
        if self._is_fresh(tracked, now):
            return self._select(tracked, now)
        self.claimant = tracked
        return []

    def hear(self, tracked: TrackedPath, now: float) -> list[Event]:
        """Note authentic traffic: media or DTLS that is no repetition."""
        tracked.heard = now
        if tracked is self.selected or now < self.moved + self._options.move_hold:
            return []
        return self.claim(tracked, now)

    def wants_proof(self, tracked: TrackedPath, now: float) -> bool:
        """Whether an answer from this path would change anything."""
        if not tracked.is_validated or tracked.proven is None:
            return True
        return tracked is self.claimant and not self._is_fresh(tracked, now)

    def expire(self, now: float) -> list[Event]:
        """Forget the paths that have been silent for too long; let another take over if the selected one was."""
        had_selected = self.selected is not None
        events: list[Event] = []
        for tracked in list(self):
            # RFC 7675 §5.1: consent expires after 30 seconds; MUST cease transmission on that 5-tuple.
            if now >= tracked.heard + self._options.consent_timeout:
                events += self._forget(tracked)
        if had_selected and self.selected is None:
            validated = [known for known in self if known.is_validated and known.generation >= self.generation]
            if validated:
                events += self.claim(max(validated, key=lambda known: known.heard), now)
        return events

    def next_expiry(self) -> float | None:
        """When the first path would expire if nothing more came over it."""
        first = min((known.heard for known in self), default=None)
        return None if first is None else first + self._options.consent_timeout

    def _is_fresh(self, tracked: TrackedPath, now: float) -> bool:
        return (
            tracked.is_validated and tracked.proven is not None and now - tracked.proven <= self._options.proof_lifetime
        )

    def _select(self, tracked: TrackedPath, now: float) -> list[Event]:
        previous = self.selected
        if tracked is previous or not tracked.apply(PathInput.CHOSEN):
            return []
        if previous is not None:
            previous.apply(PathInput.DISPLACED)
        self.selected = tracked
        self.claimant = None
        self.moved = now
        return [PathSelected(path=tracked.path)]

    def _forget(self, tracked: TrackedPath) -> list[Event]:
        tracked.apply(PathInput.SILENT)
        del self._paths[tracked.path]
        if tracked is self.selected:
            self.selected = None
        if tracked is self.claimant:
            self.claimant = None
        return [PathExpired(path=tracked.path)]
