"""What a transceiver offers to whoever controls it: calls are made, looked at and ended here."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import attrs

__all__ = ["AnswerIngress", "CallNotFound", "Calls", "CreatedCall", "NotOwner", "OfferRefused", "Overloaded"]


@attrs.frozen(kw_only=True)
class AnswerIngress:
    """A relay address to put into an answer.

    Attributes:
        id: the ingress's number, unique in the fleet; relays write it into the hop header.
        host: IP address that the client can reach.
        port: UDP port.
        priority: ICE candidate priority; higher is preferred (RFC 8445 §5.1.2).
    """

    id: int
    host: str
    port: int
    priority: int


@attrs.frozen(kw_only=True)
class CreatedCall:
    """A call that waits for its client.

    Attributes:
        call_id: names the call to whoever may act on it; says nothing of its ICE credentials.
        answer: the SDP answer, with CRLF line ends.
    """

    call_id: str
    answer: str


class OfferRefused(Exception):  # noqa: N818 - named for what happened to the caller, like an HTTP reason
    """The offer cannot be answered; the text says why, in words for the developer of the client."""


@attrs.frozen
class Overloaded(Exception):  # noqa: N818 - as above
    """No further call is taken now.

    Attributes:
        retry_after: seconds after which a new try makes sense.
    """

    retry_after: float


class CallNotFound(Exception):  # noqa: N818 - as above
    """There is no such call here (any more)."""


class NotOwner(Exception):  # noqa: N818 - as above
    """The call was made with another key."""


class Calls(Protocol):
    """The calls of one transceiver process."""

    async def create_call(self, offer: str, ingresses: Sequence[AnswerIngress], owner: str) -> CreatedCall:
        """Answer an offer and wait for the client.

        Args:
            offer: the client's SDP.
            ingresses: relay addresses for the answer, the preferred one first; at least one.
            owner: digest of the key that the caller showed; empty without keys.

        Raises:
            OfferRefused: the offer cannot be answered.
            Overloaded: no further call is taken now.
        """

    async def end_call(self, call_id: str, owner: str | None) -> None:
        """End a call.

        Args:
            call_id: the call.
            owner: digest of the key shown; None skips the check (an operator).

        Raises:
            CallNotFound: no such call.
            NotOwner: the call was made with another key.
        """

    def describe_call(self, call_id: str) -> Mapping[str, object]:
        """Tell a call's state in JSON types.

        Raises:
            CallNotFound: no such call.
        """

    def status(self) -> Mapping[str, object]:
        """Tell the transceiver's state in JSON types: cluster, incarnation, workers, calls, ready, reason."""
