"""The server's ICE agent: answers checks, validates the paths they come from, follows the client where it goes.

A lite agent has one address that everybody can reach, so it never searches for a path. The life of one:

1. A check arrives. It is verified, answered, and its path entered unvalidated (`PathAppeared`).
2. A Binding Request of our own goes back to the same address, as soon as the client's password is known.
3. The client answers it: the path is validated (`PathValidated`), and the first one is selected (`PathSelected`).
4. The client nominates another, or its media arrives over another: that one is validated too, then selected.
5. Nothing authentic arrives for 30 seconds: the path is forgotten (`PathExpired`); after the last, `Closed`.

The rules for paths, and the attackers they are for, are in `stun.paths`.

Source: RFC 8445 §7.3, §8.2; RFC 8489 §6.3, §9.1.
"""

from collections.abc import Iterable

import attrs

from stun.attributes import Attribute, AttributeType
from stun.binding import (
    Refusal,
    binding_request,
    check_request,
    check_response,
    error_response,
    pack_username,
    success_response,
)
from stun.events import DropReason, PathAppeared
from stun.integrity import verify_fingerprint
from stun.message import BINDING, Message, MessageClass
from stun.paths import PathOptions, PathTable, TrackedPath
from wire.core import Closed, Drops, Entropy, Event, Path
from wire.errors import MalformedError

__all__ = ["IceLite", "IceLiteOptions"]

# RFC 8445 §5.1.2.1: 2^24 * type preference + 2^8 * local preference + (256 - component ID);
# §7.1.1: with the type preference of a peer-reflexive candidate, 110.
_PRIORITY = ((110 << 24) | (0xFFFF << 8) | 255).to_bytes(4, "big")


@attrs.frozen(kw_only=True)
class IceLiteOptions(PathOptions):
    """The numbers of an `IceLite`, besides those of its paths.

    Attributes:
        request_interval: seconds from the first Binding Request to a path to the second, if a check asks for it;
            doubles with each. Chrome's checks come 50 ms apart at first, so a lost request costs little.
        request_interval_limit: seconds beyond which that does not grow.
        error_interval: seconds between two error responses, so that nobody can have many of them sent to a third party.
        remembered_transactions: how many of the client's transaction ids are kept to notice repetitions. Chrome sends
            20 checks a second at first and one in two seconds later.
    """

    request_interval: float = 0.05
    request_interval_limit: float = 2.0
    error_interval: float = 0.05
    remembered_transactions: int = 128


class IceLite:
    """A lite ICE agent, always controlled; a `wire.core.MultipathCore`.

    Checks are answered while the client's credentials are not known yet, as an answer may be prepared before there
    is an offer; nothing but answers is sent until they are.

    DEVIATES: RFC 8445 §7 has a lite agent send no checks. Ours sends a Binding Request to each path that wants media,
    because a check does not prove its source address (see `stun.paths`). Full agents answer it as any other.

    Args:
        local_ufrag: our username fragment.
        local_pwd: our password.
        entropy: for transaction ids and the tiebreaker.
        now: the present time.
        remote_ufrag: the client's username fragment, if known.
        remote_pwd: the client's password, if known.
        options: numbers that may be tuned.

    Attributes:
        drops: how many datagrams were dropped, by `DropReason`.
        round_trip_time: seconds between the last request of ours that was answered and its answer; None before.
    """

    __slots__ = (
        "_closed",
        "_entropy",
        "_errors_from",
        "_expiry",
        "_local_key",
        "_local_ufrag",
        "_options",
        "_outgoing",
        "_paths",
        "_remote_key",
        "_remote_ufrag",
        "_requests",
        "_selected_path",
        "_tiebreaker",
        "_transactions",
        "_unasked",
        "_was_selected",
        "drops",
        "round_trip_time",
    )

    def __init__(
        self,
        *,
        local_ufrag: str,
        local_pwd: str,
        entropy: Entropy,
        now: float,
        remote_ufrag: str | None = None,
        remote_pwd: str | None = None,
        options: IceLiteOptions = IceLiteOptions(),
    ) -> None:
        self._local_ufrag = local_ufrag
        self._local_key = local_pwd.encode()
        self._remote_ufrag = remote_ufrag
        self._remote_key = None if remote_pwd is None else remote_pwd.encode()
        self._entropy = entropy
        self._options = options
        self._tiebreaker = entropy(8)
        self._paths = PathTable(options)
        self._selected_path: Path | None = None  # the same as in _paths, for `authentic_traffic`
        self._transactions: dict[bytes, Path] = {}  # the client's, in order of arrival
        self._requests: dict[bytes, tuple[Path, float]] = {}  # ours that are not answered, and when they were sent
        self._outgoing: list[tuple[bytes, Path]] = []
        self._was_selected = False
        self._unasked = False
        self._errors_from = now
        self._expiry: float | None = None
        self._closed = False
        self.drops: Drops = Drops()
        self.round_trip_time: float | None = None

    # What the session asks and says.

    @property
    def selected(self) -> Path | None:
        """The path to send to; None before one is validated."""
        return self._selected_path

    def knows(self, path: Path) -> bool:
        """Whether an authenticated check has come over a path that is not forgotten yet."""
        return self._paths.get(path) is not None

    def is_validated(self, path: Path) -> bool:
        """Whether more than STUN answers and one DTLS flight may be sent to a path."""
        if path == self._selected_path:  # the common case, a quarter of the time of the look-up
            return True
        tracked = self._paths.get(path)
        return tracked is not None and tracked.is_validated

    def set_remote_credentials(self, ufrag: str, pwd: str) -> None:
        """Learn the client's credentials; the paths that wait for validation are asked at the next sending."""
        self._remote_ufrag = ufrag
        self._remote_key = pwd.encode()
        self._requests.clear()
        self._unasked = True

    def path_proven(self, path: Path, now: float) -> Iterable[Event]:
        """Learn that DTLS has completed over a path: the client's Finished covers our random, so it receives there."""
        tracked = self._paths.get(path)
        if tracked is None or self._closed:
            return ()
        return self._noting(self._paths.prove(tracked, now))

    def authentic_traffic(self, path: Path, now: float) -> Iterable[Event]:
        """Learn of an SRTP packet or DTLS record that is authentic and no repetition.

        It keeps the path alive, and over another path than the selected one it moves media there. Called for every
        media packet: a comparison and two attribute look-ups when the path is the selected one.
        """
        if path == self._selected_path:
            selected = self._paths.selected
            if selected is not None:
                selected.heard = now
            return ()
        tracked = self._paths.get(path)
        if tracked is None or self._closed:
            return ()
        events = self._paths.hear(tracked, now)
        self._ask(tracked, now)
        return self._noting(events)

    # What the network says.

    def receive_datagram(self, data: bytes, source: Path, now: float) -> Iterable[Event]:
        """Take one STUN datagram that came from `source`."""
        if self._closed:
            return self._drop(DropReason.CLOSED)
        try:
            message = Message.parse(data)
        except MalformedError:
            return self._drop(DropReason.MALFORMED)
        # RFC 8445 §7.3: MUST utilize the FINGERPRINT mechanism; RFC 8489 §6.3: otherwise silently discarded.
        if not verify_fingerprint(data):
            return self._drop(DropReason.FINGERPRINT)
        if message.method != BINDING:
            return self._drop(DropReason.METHOD)
        if message.message_class is MessageClass.REQUEST:
            return self._handle_request(message, data, source, now)
        if message.message_class is MessageClass.INDICATION:
            return self._drop(DropReason.INDICATION)
        return self._handle_response(message, data, source, now)

    def _handle_request(self, message: Message, data: bytes, source: Path, now: float) -> Iterable[Event]:
        refusal = check_request(
            message,
            data,
            ufrag=self._local_ufrag.encode(),
            key=self._local_key,
            own_role=AttributeType.ICE_CONTROLLED,
        )
        if refusal is not None:
            return self._refuse(message, refusal, source, now)
        first_source = self._transactions.get(message.transaction_id, source)
        is_fresh = message.transaction_id not in self._transactions
        # An overheard check, sent again from elsewhere, must not make a path.
        if first_source != source:
            return self._drop(DropReason.REPEATED_ELSEWHERE)
        events: list[Event] = []
        tracked = self._paths.get(source)
        if tracked is None:
            admitted = self._paths.admit(source, now)
            if isinstance(admitted, DropReason):
                return self._drop(admitted)
            tracked, events = admitted
            events.append(PathAppeared(path=source))
            if self._expiry is None:
                self._expiry = self._paths.next_expiry()
        self._outgoing.append((success_response(message, source.address, self._local_key), source))
        # RFC 8489 §6.3.1: respond to retransmissions so that the overall state is the same. They renew nothing.
        if is_fresh:
            self._remember(message.transaction_id, source)
            tracked.heard = now
            # RFC 8445 §7.3.2, §8.2: a lite agent takes a nomination as it comes; the latest wins.
            if message.get(AttributeType.USE_CANDIDATE) is not None:
                events += self._paths.claim(tracked, now)
        self._ask(tracked, now)
        return self._noting(events)

    def _refuse(self, message: Message, refusal: Refusal, source: Path, now: float) -> Iterable[Event]:
        if now >= self._errors_from:
            self._errors_from = now + self._options.error_interval
            self._outgoing.append((error_response(message, refusal, self._local_key), source))
        return self._drop(refusal.drop_reason)

    def _handle_response(self, message: Message, data: bytes, source: Path, now: float) -> Iterable[Event]:
        request = self._requests.get(message.transaction_id)
        if request is None or self._remote_key is None:
            return self._drop(DropReason.TRANSACTION)
        path, sent = request
        # RFC 8445 §7.2.5.2.1: the source of the response MUST be equal to the destination of the request.
        if source != path:
            return self._drop(DropReason.RESPONSE_ELSEWHERE)
        if not check_response(message, data, self._remote_key):
            return self._drop(DropReason.RESPONSE_INTEGRITY)
        del self._requests[message.transaction_id]
        if message.message_class is not MessageClass.SUCCESS or message.unknown_required():
            return self._drop(DropReason.REFUSED)
        self.round_trip_time = now - sent
        tracked = self._paths.get(path)
        if tracked is None:
            return ()
        return self._noting(self._paths.prove(tracked, now))

    # Time and sending.

    def handle_timeout(self, now: float) -> Iterable[Event]:
        """Let paths expire, and the session with the last of them, if that is due."""
        if self._closed or self._expiry is None or now < self._expiry:
            return ()
        events = self._noting(self._paths.expire(now))
        for tracked in self._paths:
            if tracked.is_validated:
                self._ask(tracked, now)
        if self._was_selected and not len(self._paths):
            return [*events, self._close()]
        # The time that was waited for may have passed without any path being silent that long.
        self._expiry = self._paths.next_expiry()
        return events

    def next_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called; traffic does not move it, which would cost for every packet."""
        return self._expiry

    def datagrams_to_send(self, now: float) -> Iterable[tuple[bytes, Path]]:
        """Take what is to be sent, each with its destination."""
        if self._unasked:
            self._unasked = False
            for tracked in self._paths:
                self._ask(tracked, now)
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    # Small parts.

    def _ask(self, tracked: TrackedPath, now: float) -> None:
        """Send a Binding Request over a path, if an answer would change something and it is not too soon."""
        if self._remote_ufrag is None or self._remote_key is None or not self._paths.wants_proof(tracked, now):
            return
        if now < tracked.next_request:
            return
        interval = self._options.request_interval * 2**tracked.requests
        if interval < self._options.request_interval_limit:
            tracked.requests += 1
        tracked.next_request = now + min(interval, self._options.request_interval_limit)
        transaction_id = self._entropy(12)
        attributes = (
            Attribute(AttributeType.PRIORITY, _PRIORITY),
            # RFC 8445 §7.1.3: the controlled agent MUST include ICE-CONTROLLED.
            Attribute(AttributeType.ICE_CONTROLLED, self._tiebreaker),
        )
        username = pack_username(self._remote_ufrag, self._local_ufrag)
        request = binding_request(transaction_id, username, self._remote_key, attributes)
        self._requests[transaction_id] = (tracked.path, now)
        # Bounded whatever paths come and go: the oldest will not be answered any more.
        if len(self._requests) > self._options.max_paths * 8:
            del self._requests[next(iter(self._requests))]
        self._outgoing.append((request, tracked.path))

    def _remember(self, transaction_id: bytes, source: Path) -> None:
        self._transactions[transaction_id] = source
        if len(self._transactions) > self._options.remembered_transactions:
            del self._transactions[next(iter(self._transactions))]

    def _noting(self, events: list[Event]) -> list[Event]:
        """Keep the copy of the selected path in step with the table."""
        selected = self._paths.selected
        self._selected_path = None if selected is None else selected.path
        self._was_selected = self._was_selected or selected is not None
        return events

    def _drop(self, reason: DropReason) -> Iterable[Event]:
        self.drops[reason] += 1
        return ()

    def _close(self) -> Closed:
        self._closed = True
        self._outgoing.clear()
        self._expiry = None
        self._selected_path = None
        return Closed(reason="consent-expired", detail="nothing authentic came from the client for 30 seconds")
