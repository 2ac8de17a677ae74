"""Asking the client to show that it receives what is sent to a path.

A Binding Request goes there; nobody else can know its random transaction id, and nobody but the client can key the
answer's integrity. When to ask is decided in `stun.lite`; here it is paced, and the answers are checked.

Source: RFC 8445 §7.2.
"""

from stun.attributes import Attribute, AttributeType
from stun.binding import binding_request, check_response, pack_username
from stun.events import DropReason
from stun.message import Message, MessageClass
from stun.paths import TrackedPath
from wire.core import Entropy, Path

__all__ = ["ProofRequests"]

# RFC 8445 §5.1.2.1: 2^24 * type preference + 2^8 * local preference + (256 - component ID);
# §7.1.1: with the type preference of a peer-reflexive candidate, 110.
_PRIORITY = ((110 << 24) | (0xFFFF << 8) | 255).to_bytes(4, "big")

# Requests that wait for an answer, of all paths: those beyond will not be answered any more.
_MAX_WAITING = 64


class ProofRequests:
    """The Binding Requests of a lite agent.

    Args:
        local_ufrag: our username fragment.
        entropy: for transaction ids and the tiebreaker.
        interval: seconds from the first request to a path to the second; doubles with each.
        interval_limit: seconds beyond which that does not grow.
    """

    __slots__ = (
        "_entropy",
        "_interval",
        "_interval_limit",
        "_key",
        "_local_ufrag",
        "_tiebreaker",
        "_username",
        "_waiting",
    )

    def __init__(self, *, local_ufrag: str, entropy: Entropy, interval: float, interval_limit: float) -> None:
        self._local_ufrag = local_ufrag
        self._entropy = entropy
        self._interval = interval
        self._interval_limit = interval_limit
        self._tiebreaker = entropy(8)
        self._username = b""
        self._key: bytes | None = None
        self._waiting: dict[bytes, tuple[Path, float]] = {}  # by transaction id: where to, and when

    def set_remote_credentials(self, ufrag: str, pwd: str) -> None:
        """Learn whom to ask; before that nothing is asked."""
        self._username = pack_username(ufrag, self._local_ufrag)
        self._key = pwd.encode()
        self._waiting.clear()

    def ask(self, tracked: TrackedPath, now: float) -> bytes | None:
        """Write a request to a path; None if it is too soon for another, or the client is not known yet."""
        if self._key is None or now < tracked.next_request:
            return None
        interval = self._interval * 2**tracked.requests
        if interval < self._interval_limit:
            tracked.requests += 1
        tracked.next_request = now + min(interval, self._interval_limit)
        transaction_id = self._entropy(12)
        self._waiting[transaction_id] = (tracked.path, now)
        if len(self._waiting) > _MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]
        attributes = (
            Attribute(AttributeType.PRIORITY, _PRIORITY),
            # RFC 8445 §7.1.3: the controlled agent MUST include ICE-CONTROLLED.
            Attribute(AttributeType.ICE_CONTROLLED, self._tiebreaker),
        )
        return binding_request(transaction_id, self._username, self._key, attributes)

    def check_answer(self, message: Message, data: bytes, source: Path, now: float) -> float | DropReason:
        """Check a response.

        Returns:
            The round-trip time in seconds if it proves that the client receives at `source`; else why it does not.
        """
        waiting = self._waiting.get(message.transaction_id)
        if waiting is None or self._key is None:
            return DropReason.TRANSACTION
        path, sent = waiting
        # RFC 8445 §7.2.5.2.1: the source of the response MUST be equal to the destination of the request.
        if source != path:
            return DropReason.RESPONSE_ELSEWHERE
        # RFC 8489 §9.1.4: otherwise MUST be discarded, as if it had never been received.
        if not check_response(message, data, self._key):
            return DropReason.RESPONSE_INTEGRITY
        del self._waiting[message.transaction_id]
        if message.message_class is not MessageClass.SUCCESS or message.unknown_required():
            return DropReason.REFUSED
        return now - sent
