"""The ICE agent of our own caller: tries every candidate of a lite server, and picks one.

1. A check goes to each candidate, the preferred one first, 50 ms apart, and again until it is answered.
2. The first that is answered is selected at once (`PathValidated`, `PathSelected`): media may flow.
3. As soon as no preferred candidate can still turn out to work, or after some patience, the best is nominated: the
   same check again, with USE-CANDIDATE. The server follows.
4. From then on a check every five seconds asks whether the server still consents to be sent to; after 30 seconds
   without an answer, `Closed`. Who misses what should come over the path has it checked at once (`check_now`): a NAT
   that has forgotten us gives us another address, and only a check tells the server.

The server's own Binding Requests, by which it validates our address, are answered all the time.

Source: RFC 8445 §6.1.4, §7.2, §8.1; RFC 7675 §5.1.
"""

from collections.abc import Iterable, Sequence

import attrs

from stun.attributes import Attribute, AttributeType
from stun.binding import (
    binding_request,
    check_request,
    check_response,
    error_response,
    pack_username,
    receive_message,
    success_response,
)
from stun.checklist import CandidatePair, Checklist, PairInput, PairState
from stun.consent import Consent
from stun.events import DropReason, PathSelected, PathValidated
from stun.message import Message, MessageClass
from stun.transaction import Purpose, Transaction
from wire.core import Closed, Drops, Entropy, Event, Path
from wire.errors import LocalProtocolError

__all__ = ["IceControlling", "IceControllingOptions"]

# RFC 8445 §5.1.2.1, §7.1.1: as a peer-reflexive candidate (type preference 110), component 1.
_PRIORITY = ((110 << 24) | (0xFFFF << 8) | 255).to_bytes(4, "big")


@attrs.frozen(kw_only=True)
class IceControllingOptions:
    """The numbers of an `IceControlling`.

    Attributes:
        check_interval: seconds between two new checks; Ta of RFC 8445 §14.2, whose default is 50 ms.
        min_rto: seconds before a check is repeated first; RFC 8445 §14.3 forbids less than 500 ms.
        nomination_patience: seconds for which a preferred candidate is waited for once another works. Media
            flows meanwhile.
        consent_interval: seconds between two consent checks, on average; RFC 7675 §5.1 says 5.
        consent_timeout: seconds without an answer after which the server no longer consents; RFC 7675 §5.1 says 30.
        max_pairs: how many candidates may be tried, those that the server's requests reveal included.
    """

    check_interval: float = 0.05
    min_rto: float = 0.5
    nomination_patience: float = 0.5
    consent_interval: float = 5.0
    consent_timeout: float = 30.0
    max_pairs: int = 16


class IceControlling:
    """A full ICE agent in the controlling role towards a lite one; a `wire.core.MultipathCore`.

    DEVIATES: RFC 8445 §7.2.5.1 has an agent change roles on a 487. The server said in its answer that it is lite, so
    it can only be controlled; a 487 fails the pair.

    Args:
        local_ufrag: our username fragment.
        local_pwd: our password.
        remote_ufrag: the server's username fragment.
        remote_pwd: the server's password.
        candidates: where the server may be reached, each with the priority that its answer gives it.
        entropy: for transaction ids, the tiebreaker, and the consent checks' random intervals.
        now: the present time; the first check is ready to be sent.
        options: numbers that may be tuned.

    Attributes:
        drops: how many datagrams were dropped, by `DropReason`.
        round_trip_time: seconds that the last unambiguous request took to be answered; None before.

    Raises:
        LocalProtocolError: there is no candidate.
    """

    def __init__(
        self,
        *,
        local_ufrag: str,
        local_pwd: str,
        remote_ufrag: str,
        remote_pwd: str,
        candidates: Sequence[tuple[Path, int]],
        entropy: Entropy,
        now: float,
        options: IceControllingOptions = IceControllingOptions(),
    ) -> None:
        if not candidates:
            raise LocalProtocolError("there is no candidate to try")
        self._local_ufrag = local_ufrag.encode()
        self._local_key = local_pwd.encode()
        self._remote_key = remote_pwd.encode()
        self._username = pack_username(remote_ufrag, local_ufrag)
        self._entropy = entropy
        self._options = options
        self._tiebreaker = entropy(8)
        self._checklist = Checklist(candidates, limit=max(options.max_pairs, len(candidates)))
        self._transactions: dict[bytes, Transaction] = {}
        self._outgoing: list[tuple[bytes, Path]] = []
        self._next_check = now
        self._selected: CandidatePair | None = None
        self._patience_until: float | None = None  # None before the first pair works
        self._nominee: CandidatePair | None = None  # its nomination was sent
        self._is_nominated = False  # and answered
        self._consent = Consent(interval=options.consent_interval, timeout=options.consent_timeout, entropy=entropy)
        self._timeout: float | None = None
        self._closed = False
        self.drops: Drops = Drops()
        self.round_trip_time: float | None = None
        self._advance(now)

    @property
    def selected(self) -> Path | None:
        """The path to send to; None before any works."""
        return None if self._selected is None else self._selected.path

    # What the network says.

    def receive_datagram(self, data: bytes, source: Path, now: float) -> Iterable[Event]:
        """Take one STUN datagram that came from `source`."""
        if self._closed:
            return self._drop(DropReason.CLOSED)
        message = receive_message(data)
        if isinstance(message, DropReason):
            return self._drop(message)
        if message.message_class is MessageClass.REQUEST:
            events = self._handle_request(message, data, source, now)
        else:
            events = self._handle_response(message, data, source, now)
        return [*events, *self._advance(now)]

    def _handle_request(self, message: Message, data: bytes, source: Path, now: float) -> Iterable[Event]:
        own_role = AttributeType.ICE_CONTROLLING
        refusal = check_request(message, data, ufrag=self._local_ufrag, key=self._local_key, own_role=own_role)
        if refusal is not None:
            self._outgoing.append((error_response(message, refusal, self._local_key), source))
            return self._drop(refusal.drop_reason)
        self._outgoing.append((success_response(message, source.address, self._local_key), source))
        # RFC 8445 §8.1.2: once nominated, continue to respond, and check no more.
        if not self._is_nominated:
            self._trigger(message, source, now)
        return ()

    def _trigger(self, message: Message, source: Path, now: float) -> None:
        """Check a path soon that the server has just reached us over (RFC 8445 §7.3.1.3, §7.3.1.4)."""
        pair = self._checklist.get(source)
        if pair is None:
            priority = int.from_bytes((message.get(AttributeType.PRIORITY) or b"")[:4], "big")
            pair = self._checklist.learn(source, priority)
        if pair is None or pair.state is PairState.SUCCEEDED:
            return
        for transaction in self._transactions.values():
            if transaction.path == source:
                transaction.cancel(now)
        self._checklist.trigger(pair)

    def _handle_response(self, message: Message, data: bytes, source: Path, now: float) -> Iterable[Event]:
        transaction = self._transactions.get(message.transaction_id)
        if transaction is None:
            return self._drop(DropReason.TRANSACTION)
        # RFC 8489 §9.1.4: MUST be discarded, as if it had never been received; retransmits will continue.
        if not check_response(message, data, self._remote_key):
            return self._drop(DropReason.RESPONSE_INTEGRITY)
        # RFC 8445 §7.2.5.2.1: the source of the response MUST be equal to the destination of the request. (An authentic
        # response from elsewhere would fail the pair; a repeated one must not, so it is dropped.)
        if source != transaction.path:
            return self._drop(DropReason.RESPONSE_ELSEWHERE)
        del self._transactions[message.transaction_id]
        pair = self._checklist.get(transaction.path)
        if pair is None:
            return ()
        if message.message_class is not MessageClass.SUCCESS or message.unknown_required():
            self._drop(DropReason.REFUSED)
            self._give_up(pair, transaction.purpose)
            return ()
        round_trip_time = transaction.round_trip_time(now)
        if round_trip_time is not None:
            self.round_trip_time = round_trip_time
        return self._answered(pair, transaction.purpose, now)

    def _answered(self, pair: CandidatePair, purpose: Purpose, now: float) -> Iterable[Event]:
        if pair is self._selected:
            self._consent.grant(now)
        if purpose is Purpose.NOMINATION:
            # RFC 8445 §8.1.2: remove all other pairs from the checklist and cancel their transactions.
            self._is_nominated = True
            others = [key for key, transaction in self._transactions.items() if transaction.path != pair.path]
            for transaction_id in others:
                del self._transactions[transaction_id]
        if not pair.apply(PairInput.ANSWERED):
            return ()
        if self._patience_until is None:
            self._patience_until = now + self._options.nomination_patience
        return (PathValidated(path=pair.path),)

    # Time and sending.

    def check_now(self, now: float) -> None:
        """Check the selected path without waiting for the next consent check; nothing happens when there is none."""
        if self._closed or self._selected is None:
            return
        # RFC 7675 §5.1 keeps consent checks 4 seconds apart, as nothing hurries; this one asks whether the path has
        # broken. How often that may be asked is up to whoever does.
        self._consent.asked(now)
        self._request(self._selected, Purpose.CONSENT, now)
        self._timeout = self._find_timeout()

    def handle_timeout(self, now: float) -> Iterable[Event]:
        """Send what is due, and give up what was waited for long enough."""
        if self._closed or self._timeout is None or now < self._timeout:
            return ()
        return self._advance(now)

    def next_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called."""
        return self._timeout

    def datagrams_to_send(self, now: float) -> Iterable[tuple[bytes, Path]]:  # noqa: ARG002 - the contract's
        """Take what is to be sent, each with its destination."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def _advance(self, now: float) -> list[Event]:
        """Do all that is due, and find out when there is more."""
        self._send_again(now)
        self._send_check(now)
        events = self._select(now)
        self._nominate(now)
        closed = self._keep_consent(now)
        if closed is None and not self._checklist.is_alive():
            closed = Closed(reason="ice-failed", detail="no candidate of the server answered")
        if closed is not None:
            self._closed = True
            self._timeout = None
            self._transactions.clear()
            self._outgoing.clear()
            self._selected = None
            return [*events, closed]
        self._timeout = self._find_timeout()
        return events

    def _send_again(self, now: float) -> None:
        for transaction_id, transaction in list(self._transactions.items()):
            if now < transaction.due:
                continue
            if transaction.send_again(now):
                self._outgoing.append((transaction.data, transaction.path))
                continue
            del self._transactions[transaction_id]
            pair = self._checklist.get(transaction.path)
            if pair is not None:
                self._give_up(pair, transaction.purpose)

    def _send_check(self, now: float) -> None:
        # RFC 8445 §6.1.4.2, §14.2: one new check each Ta.
        if self._is_nominated or now < self._next_check:
            return
        pair = self._checklist.take_next()
        if pair is None:
            return
        pair.apply(PairInput.SENT)
        self._next_check = now + self._options.check_interval
        self._request(pair, Purpose.CHECK, now)

    def _select(self, now: float) -> list[Event]:
        """Send over the best pair that works; from the nomination on, over the nominee."""
        best = self._nominee or self._checklist.best()
        if best is self._selected:
            return []
        self._selected = best
        if best is None:
            return []
        self._consent.begin(now)
        return [PathSelected(path=best.path)]

    def _nominate(self, now: float) -> None:
        if self._selected is None or self._nominee is not None or self._patience_until is None:
            return
        if now < self._patience_until and self._checklist.may_improve():
            return
        # RFC 8445 §8.1.1: pick one valid pair and repeat its check with USE-CANDIDATE; another only if that fails.
        self._nominee = self._selected
        self._request(self._nominee, Purpose.NOMINATION, now)

    def _keep_consent(self, now: float) -> Closed | None:
        if self._selected is None:
            return None
        if now >= self._consent.until:
            return Closed(reason="consent-expired", detail="the server has answered no check for 30 seconds")
        if now >= self._consent.next_check:
            self._consent.asked(now)
            self._request(self._selected, Purpose.CONSENT, now)
        return None

    def _request(self, pair: CandidatePair, purpose: Purpose, now: float) -> None:
        attributes = [
            Attribute(AttributeType.PRIORITY, _PRIORITY),
            Attribute(AttributeType.ICE_CONTROLLING, self._tiebreaker),
        ]
        if purpose is Purpose.NOMINATION:
            attributes.append(Attribute(AttributeType.USE_CANDIDATE, b""))
        transaction_id = self._entropy(12)
        data = binding_request(transaction_id, self._username, self._remote_key, attributes)
        # RFC 8445 §14.3: RTO = MAX(500 ms, Ta * N * (Num-Waiting + Num-In-Progress)), N being all checks.
        pending = self._checklist.count(PairState.WAITING, PairState.IN_PROGRESS)
        rto = max(self._options.min_rto, self._options.check_interval * len(self._checklist) * pending)
        wait = self._options.consent_timeout if purpose is Purpose.CONSENT else rto
        self._transactions[transaction_id] = Transaction(
            path=pair.path, purpose=purpose, data=data, rto=rto, sent=now, due=now + wait
        )
        self._outgoing.append((data, pair.path))

    def _give_up(self, pair: CandidatePair, purpose: Purpose) -> None:
        """Note that a request failed. A lost consent check means nothing until consent expires."""
        if purpose is Purpose.NOMINATION:
            # RFC 8445 §7.2.5.3.4: if the request fails, MUST remove the pair from the valid list.
            self._nominee = None
            pair.apply(PairInput.GAVE_UP)
            return
        # A check that a triggered one replaced has not failed the pair while the newer is on its way.
        is_replaced = any(other.path == pair.path for other in self._transactions.values())
        if purpose is Purpose.CHECK and pair.state is PairState.IN_PROGRESS and not is_replaced:
            pair.apply(PairInput.GAVE_UP)

    def _find_timeout(self) -> float | None:
        times = [transaction.due for transaction in self._transactions.values()]
        if not self._is_nominated and self._checklist.count(PairState.WAITING):
            times.append(self._next_check)
        if self._selected is not None:
            times += [self._consent.until, self._consent.next_check]
            if self._nominee is None and self._patience_until is not None:
                times.append(self._patience_until)
        return min(times, default=None)

    def _drop(self, reason: DropReason) -> Iterable[Event]:
        self.drops[reason] += 1
        return ()
