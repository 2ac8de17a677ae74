"""What an owner knows of its ownership of one session: when to make a checkpoint, and what follows from the answer.

This is where docs/failover.md becomes a rule for each moment. It is pure: the store is asked by `checkpointing`, and
the ceilings are the session's.

    made ──first checkpoint──▶ HELD ──FENCED──▶ LOST: end without a word, another has it
                               │  ▲
       no answer for 40 s, and │  │ the store is back: the next checkpoint
       the client heard all    ▼  │
       the time               FREE   no ceilings: nobody has taken it, and nobody can

Goal: a ceiling is raised only on a word of the store that rules out every other owner, and left only when there can be
no other owner. Attacker: time. This process may be paused anywhere, so nothing here says "now" for longer than a scan.

A session whose client is silent for `LONGEST_GAP`, or that was not looked at for so long (we were paused), has a gap:
a successor may have it, and its packets. A gap is over when the client was heard again for `LONGEST_GAP`: its relays
lead to us, so they know of nobody else. The same is asked of a session whose record the store has lost, from then on;
only then it is made again.
"""

import enum

from transceiver.handover.ownership import Confirmation

__all__ = ["CHANGED_INTERVAL", "CHECKPOINT_INTERVAL", "FREE_AFTER", "LONGEST_GAP", "TAKE_WITHIN", "Custody", "Verdict"]

CHECKPOINT_INTERVAL = 10.0
"""Seconds between two checkpoints of a session of which nothing has changed."""
CHANGED_INTERVAL = 1.0
"""Seconds between two checkpoints of one of which something has."""
_PAUSE = 2.0
"""Not looked at for so many seconds, a process was paused, and somebody may have taken it for dead."""
_RETRY = 1.0
"""Seconds until a checkpoint that was of no use is made again."""
TAKE_WITHIN = 20.0
"""Seconds since the last checkpoint, by the store's clock, within which a session may be taken from an owner that has
not agreed to it."""
FREE_AFTER = 40.0
"""Seconds since the last checkpoint was begun, after which an owner may do without the store: more than
`TAKE_WITHIN`, by what clocks and networks may be off."""
LONGEST_GAP = 10.0
"""Longest silence of a client, in seconds, that shows nothing. Browsers check consent every 2.5 s, even when silent."""


class Verdict(enum.Enum):
    """What is to be done after a look at a session, or after an answer."""

    NOTHING = "nothing"
    RAISE = "raise"
    """The ceilings stand above the checkpoint that was confirmed."""
    RELEASE = "release"
    """There are no ceilings until the next checkpoint."""
    FENCE = "fence"
    """Another owns the session: end it here, without a word."""


class Custody:
    """The ownership of one session, as its owner sees it.

    Args:
        generation: how many owners it had before.
        now: monotonic seconds.
        is_known: whether the store has a record of us already, as after a move.

    Attributes:
        generation: as given.
        has_ceilings: whether the session's indices have an end.
    """

    def __init__(self, generation: int, now: float, *, is_known: bool = False) -> None:
        self.generation = generation
        self.has_ceilings = is_known
        self._is_known = is_known
        self._has_changed = True
        self._begun = self._begun_before = now  # the last checkpoint that may have been kept, and the one before it
        self._tried = now  # the last checkpoint, whatever became of it
        self._next = now
        self._heard = self._seen = now  # the client; this session, by `look`
        self._heard_since = now  # the client, without a gap
        self._missing_since: float | None = None  # the store has lost the record

    def look(self, heard: float, now: float) -> Verdict:
        """Note when the client was heard last; to be called at least every few seconds.

        Args:
            heard: when something authentic came from the client last, by any path.
            now: the present.

        Returns:
            RELEASE or NOTHING.
        """
        if now - self._seen > _PAUSE:
            self._next = now  # the store knows whether we were missed
        heard = max(heard, self._heard)
        if now - heard > LONGEST_GAP or now - self._seen > LONGEST_GAP or heard - self._heard > LONGEST_GAP:
            self._heard_since = now
        self._heard, self._seen = heard, now
        if not self.has_ceilings or now - self._begun <= FREE_AFTER or now - self._heard_since < LONGEST_GAP:
            return Verdict.NOTHING
        self.has_ceilings = False
        return Verdict.RELEASE

    def is_due(self, now: float) -> bool:
        """Whether a checkpoint is to be made."""
        return now >= self._next

    def touch(self, now: float) -> None:
        """Note that something has changed that a successor should know."""
        self._has_changed = True
        self._next = min(self._next, max(now, self._tried + CHANGED_INTERVAL))

    def begin(self, now: float) -> Verdict:
        """Note that a checkpoint is about to be sent; what changes from here on belongs to the next.

        Returns:
            RAISE when the session has no ceilings: then those of this checkpoint hold before it is sent, for it may be
            kept without our hearing of it. Else NOTHING.
        """
        self._has_changed = False
        self._begun_before, self._begun = self._begun, now
        self._tried = now
        self._next = now + CHECKPOINT_INTERVAL
        if self.has_ceilings:
            return Verdict.NOTHING
        self.has_ceilings = True
        return Verdict.RAISE

    def answered(self, confirmation: Confirmation, now: float) -> Verdict:
        """Take the store's answer to the checkpoint that was begun last.

        Returns:
            RAISE, FENCE or NOTHING.
        """
        self._is_known = True
        if confirmation is Confirmation.FENCED:
            return Verdict.FENCE
        if confirmation is Confirmation.MISSING:
            # The store does not know any more who else may have been the owner. The relays do, and our client.
            if self._missing_since is None:
                self._missing_since = now
            self._has_changed = True
            self._next = now + _RETRY
            return Verdict.NOTHING
        self._missing_since = None
        if self._has_changed:
            self.touch(now)
        return Verdict.RAISE

    def refused(self, confirmation: Confirmation, begun: float, now: float) -> None:
        """Take the word that a checkpoint was not kept for lack of room.

        It does not put off the time when an owner may do without the store, else trying again and again would do so for
        ever. Ceilings that were raised for it stay until then.

        Args:
            confirmation: UNKEPT or NO_ROOM.
            begun: when it was begun.
            now: the present.
        """
        if confirmation is Confirmation.UNKEPT:
            self._is_known = True
            self._missing_since = None
        self._has_changed = True
        self._next = now + _RETRY
        if begun == self._begun:  # else another was begun since, and may be kept
            self._begun = self._begun_before

    def may_create(self, now: float) -> bool:
        """Whether a record that is not there is to be made: nobody else can be the owner."""
        if not self._is_known:
            return True
        since = self._missing_since
        return since is not None and now - since > LONGEST_GAP and now - self._heard_since > LONGEST_GAP

    def unanswered(self, now: float) -> None:
        """Note that the store gave no answer; the next checkpoint is made as soon as it gives any."""
        self._has_changed = True
        self._next = now
