"""What a transceiver offers to whoever controls it: calls are made, looked at and ended here."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import attrs

__all__ = [
    "NO_WISHES",
    "AnswerIngress",
    "CallMoved",
    "CallNotFound",
    "CallWishes",
    "Calls",
    "Conversations",
    "CreatedCall",
    "EventSocket",
    "FragmentRefused",
    "IceSessionChanged",
    "IceUpdate",
    "IceUpdated",
    "IngressProtocol",
    "ModelNotAllowed",
    "NotOwner",
    "OfferRefused",
    "Overloaded",
    "SocketClosed",
    "WorkerUnreachable",
]


IngressProtocol = Literal["udp", "tcp"]


@attrs.frozen(kw_only=True)
class AnswerIngress:
    """A relay address to put into an answer.

    Attributes:
        id: the ingress's number, unique in the fleet; relays write it into the hop header.
        host: IP address that the client can reach.
        port: UDP or TCP port.
        priority: ICE candidate priority; higher is preferred (RFC 8445 §5.1.2).
        protocol: what carries STUN, DTLS and SRTP: "udp" or "tcp".
    """

    id: int
    host: str
    port: int
    priority: int
    protocol: IngressProtocol = "udp"


@attrs.frozen(kw_only=True)
class CreatedCall:
    """A call that waits for its client.

    Attributes:
        call_id: names the call to whoever may act on it; says nothing of its ICE credentials.
        answer: the SDP answer, with CRLF line ends.
        ice_tag: names the call's ICE credentials until the next restart: its HTTP entity tag.
    """

    call_id: str
    answer: str
    ice_tag: str = ""


@attrs.frozen(kw_only=True)
class IceUpdate:
    """What a client says of its ICE in the middle of a call.

    Attributes:
        fragment: the SDP fragment (RFC 8840).
        tag: the entity tag that it believes the call to have, "*" for an ICE restart; None when it does not say.
        ingresses: relay addresses for our side of a restart, the preferred one first.
    """

    fragment: str = attrs.field(repr=False)
    tag: str | None = None
    ingresses: tuple[AnswerIngress, ...] = ()

    @property
    def is_restart(self) -> bool:
        """Whether it asks for an ICE restart."""
        return self.tag == "*"


@attrs.frozen(kw_only=True)
class IceUpdated:
    """What became of an `IceUpdate`.

    Attributes:
        tag: the call's entity tag now.
        fragment: our side of a restart; empty when there was none.
        candidates: how many candidates the client told.
        unreadable: how many of its lines were none.
        is_end: it says that there will be no more.
    """

    tag: str
    fragment: str = attrs.field(default="", repr=False)
    candidates: int = 0
    unreadable: int = 0
    is_end: bool = False


@attrs.frozen(kw_only=True)
class CallWishes:
    """What a request says about its call beyond the offer.

    Attributes:
        model: the model asked for, which chooses the backend; None for the default.
        session: session configuration in the GA shape, which the backend gets before the caller's own; empty for none.
        max_call: the longest the call may last, in seconds; None for what the transceiver allows.
        is_locked: whether the session configuration is kept from the caller and cannot be changed by it.
        caller_network: the network of the caller, by which signal remembers how long its ways take; empty when it does
            not want to know.
        placed_because: why signal has placed the call here, a sentence each.
    """

    model: str | None = None
    session: Mapping[str, object] = attrs.field(factory=dict, repr=False)
    max_call: float | None = None
    is_locked: bool = False
    caller_network: str = ""
    placed_because: tuple[str, ...] = ()


NO_WISHES = CallWishes()
"""Those of a request that says nothing beyond its offer."""


class OfferRefused(Exception):  # noqa: N818 - named for what happened to the caller, like an HTTP reason
    """The offer cannot be answered; the text says why, in words for the developer of the client."""


class FragmentRefused(Exception):  # noqa: N818 - as above
    """An SDP fragment cannot be used; the text says why, in words for the developer of the client."""


class IceSessionChanged(Exception):  # noqa: N818 - as above
    """A fragment is about other ICE credentials than the call has; the text says how."""


@attrs.frozen
class Overloaded(Exception):  # noqa: N818 - as above
    """No further call is taken now.

    Attributes:
        retry_after: seconds after which a new try makes sense.
    """

    retry_after: float


@attrs.frozen
class ModelNotAllowed(Exception):  # noqa: N818 - as above
    """No backend answers for this model.

    Attributes:
        model: the model asked for.
    """

    model: str


class CallNotFound(Exception):  # noqa: N818 - as above
    """There is no such call here (any more)."""


@attrs.frozen
class CallMoved(Exception):  # noqa: N818 - as above
    """The call was here, and has another owner now.

    Attributes:
        cluster: the new owner's.
        incarnation: the new owner's.
    """

    cluster: int
    incarnation: int


class NotOwner(Exception):  # noqa: N818 - as above
    """The call was made with another key."""


class WorkerUnreachable(Exception):  # noqa: N818 - as above
    """The process that has the call gives no answer; it may be about to end. The text says what happened, for logs."""


class SocketClosed(Exception):  # noqa: N818 - as above
    """The other end of an `EventSocket` has closed it."""


class EventSocket(Protocol):
    """A connection that carries Realtime events as JSON texts: a WebSocket, or one in a test."""

    async def receive(self) -> str:
        """Wait for the next event.

        Raises:
            SocketClosed: there will be none.
        """

    async def send(self, text: str) -> None:
        """Send an event; waits while the other end does not read.

        Raises:
            SocketClosed: nobody will read it.
        """


class Calls(Protocol):
    """The calls of one transceiver, be it one process or several.

    Every command about a call that was handed over may raise `CallMoved` instead of `CallNotFound`.
    """

    async def create_call(
        self, offer: str, ingresses: Sequence[AnswerIngress], owner: str, wishes: CallWishes = NO_WISHES
    ) -> CreatedCall:
        """Answer an offer and wait for the client.

        Args:
            offer: the client's SDP.
            ingresses: relay addresses for the answer, the preferred one first; at least one.
            owner: digest of the key that the caller showed; empty without keys.
            wishes: what else the request says.

        Raises:
            OfferRefused: the offer cannot be answered.
            Overloaded: no further call is taken now.
            ModelNotAllowed: no backend answers for the model asked for.
        """

    async def update_call(self, call_id: str, owner: str | None, update: IceUpdate) -> IceUpdated:
        """Take a client's candidates, or restart ICE; the conversation goes on in either case.

        Args:
            call_id: the call.
            owner: digest of the key shown; None skips the check.
            update: what the client says.

        Raises:
            CallNotFound: no such call.
            NotOwner: the call was made with another key.
            FragmentRefused: the fragment makes no sense.
            IceSessionChanged: it is about other ICE credentials than the call has.
            Overloaded: ICE was restarted too often lately.
            WorkerUnreachable: the process that has it gives no answer.
        """

    async def end_call(self, call_id: str, owner: str | None) -> None:
        """End a call.

        Args:
            call_id: the call.
            owner: digest of the key shown; None skips the check (an operator).

        Raises:
            CallNotFound: no such call.
            NotOwner: the call was made with another key.
            WorkerUnreachable: the process that has it gives no answer.
        """

    async def describe_call(self, call_id: str) -> Mapping[str, object]:
        """Tell a call's state in JSON types.

        Raises:
            CallNotFound: no such call.
            WorkerUnreachable: the process that has it gives no answer.
        """

    def status(self) -> Mapping[str, object]:
        """Tell the transceiver's state in JSON types: cluster, incarnation, workers, calls, ready, reason."""


class Conversations(Protocol):
    """The events of one transceiver, for who connects by a socket."""

    async def serve_sideband(self, call_id: str, owner: str | None, socket: EventSocket) -> None:
        """Let a second control connection take part in a call until either ends (specs: sideband).

        Args:
            call_id: the call.
            owner: digest of the key shown; None skips the check.
            socket: gets every server event of the call, and may send any client event but audio.

        Raises:
            CallNotFound: no such call; raised before anything is sent.
            NotOwner: the call was made with another key; raised before anything is sent.
            Overloaded: the call has as many sidebands as it may; raised before anything is sent.
            ClientTooSlow (`realtime.passthrough`): the connection does not read what the call says, and was cut off.
            WorkerUnreachable: the process that has the call gives no answer; raised before anything is sent.
        """

    async def serve_realtime(self, wishes: CallWishes, socket: EventSocket) -> None:
        """Serve the plain Realtime protocol, audio inside events, without a call: pass it through to the backend.

        Raises:
            ModelNotAllowed: no backend answers for the model; raised before anything is sent.
            Overloaded: no further connection is taken now; raised before anything is sent.
        """
