"""Whether the sender of a Binding Request may have what it asks for.

Goal: nobody makes, moves or keeps a claim without the password of the session it names; and finding that out costs us
little, in this order: what the source has failed before (one look-up), the token (AES-SIV, 3 µs), its age, what the
session has used up and failed before (three look-ups), and last the integrity of the whole message (two HMACs and a
walk over it).

Attacker: anybody on the internet; sources forged, tokens of his own calls, requests recorded elsewhere. A recorded
request is authentic wherever it is sent from: that is why a claim is no proof of an address (`relay.flows`).
"""

from relay.budgets import FailureBudget, NewAddressBudget, source_of
from relay.drops import DropReason
from relay.flows import FlowTable
from stun.credentials import CredentialKeys, Route, token_age_problem
from stun.integrity import verify_message_integrity
from wire.core import Address, Drops, Entropy

__all__ = ["Admission"]


class Admission:
    """Judges requests, and counts what it refuses.

    Args:
        credentials: opens tokens and derives their passwords.
        max_call: how long a call may last, in seconds; older tokens are refused.
        entropy: for the choice of what a failing source may still ask.
        drops: where refusals are counted, by `DropReason`.

    Attributes:
        credentials: may be replaced at any time.
    """

    def __init__(self, *, credentials: CredentialKeys, max_call: float, entropy: Entropy, drops: Drops) -> None:
        self.credentials = credentials
        self._max_call = max_call
        self._drops = drops
        self._failures_by_source = FailureBudget(entropy)
        self._failures_by_session = FailureBudget(entropy)
        self._new_addresses = NewAddressBudget()

    def open(
        self, ufrag: str, source: Address, now: float, unix_time: float, *, is_known: bool = False
    ) -> Route | None:
        """Read the token that a request shows; None when it is refused.

        Args:
            ufrag: the token.
            source: who shows it.
            now: the present.
            unix_time: the present on the wall.
            is_known: it looks like one that was verified at this source before: then what has failed in the source's
                name is not held against it.
        """
        if not is_known and not self._failures_by_source.allows(source_of(source[0]), now):
            self._drops[DropReason.SOURCE_BUDGET] += 1
            return None
        token = self.credentials.open(ufrag)
        if token is None:
            self._fail(DropReason.FORGED_TOKEN, source, now)
            return None
        problem = token_age_problem(token, unix_time, self._max_call)
        if problem is not None:
            too_old = problem == "expired"
            self._fail(DropReason.EXPIRED_TOKEN if too_old else DropReason.FUTURE_TOKEN, source, now)
            return None
        return token

    def has_room(self, table: FlowTable, session: int, now: float) -> bool:
        """Whether a session may have another claim.

        Asked before integrity is verified, which costs most. Only authentic requests use up what a session may have, so
        nobody who lacks the password can; failures only make it a matter of chance.
        """
        if table.session_is_full(session):
            self._drops[DropReason.TOKEN_ADDRESSES] += 1
        elif self._new_addresses.is_spent(session, now):
            self._drops[DropReason.TOKEN_RATE] += 1
        elif table.is_full_of_proven:
            self._drops[DropReason.TABLE_FULL] += 1
        elif not self._failures_by_session.allows(session, now):
            self._drops[DropReason.TOKEN_FAILURES] += 1
        else:
            return True
        return False

    def count_new_address(self, session: int, now: float) -> None:
        """Hold an authentic request from a new address against its session."""
        self._new_addresses.spend(session, now)

    def verify(
        self, data: bytes, ufrag: str, session: int, source: Address, now: float, *, is_known: bool = False
    ) -> bool:
        """Whether the sender knows the password of a fragment that `open` has read.

        Args:
            data: the request.
            ufrag: its fragment.
            session: the session that the fragment names.
            source: who sends it.
            now: the present.
            is_known: it was verified at this source before. A failure is not held against the source then: it has a
                claim, and somebody may be forging its address.
        """
        if verify_message_integrity(data, self.credentials.password(ufrag).encode()):
            return True
        if is_known:
            self._drops[DropReason.BAD_INTEGRITY] += 1
        else:
            self._fail(DropReason.BAD_INTEGRITY, source, now)
            self._failures_by_session.failed(session, now)
        return False

    def _fail(self, reason: DropReason, source: Address, now: float) -> None:
        self._drops[reason] += 1
        self._failures_by_source.failed(source_of(source[0]), now)
