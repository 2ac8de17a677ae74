"""Making, looking at and ending calls."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeVar

from edge.control.client import TransceiverUnreachable
from edge.http.messages import Request, Response, json_response
from edge.signal import errors
from edge.signal.fleet import FleetView, Member
from edge.signal.placement import Placement
from stun.credentials import Route
from transceiver.calls import CallNotFound, CreatedCall, NotOwner, OfferRefused, Overloaded

__all__ = ["CallIdOpener", "CallRoutes", "Report"]

Report = Callable[[str, Mapping[str, object]], None]
"""Takes the name of what happened and its facts in JSON types: a line for the log."""

Value = TypeVar("Value")

_MAX_TRIES = 3
_RETRY_SECONDS = 2.0
_LENIENT_TYPES = frozenset({"", "text/plain"})


class CallIdOpener(Protocol):
    """Reads call ids; `transceiver.call_ids.CallIdKeys` is one."""

    def open(self, call_id: str) -> Route | None:
        """Return where a call lives; None when the id is not ours."""


class CallRoutes:
    """The endpoints under `/v1/realtime/calls`; each is given the owner that the request's key stands for.

    Args:
        placement: chooses relay addresses and transceivers.
        fleet: the transceivers.
        call_ids: reads call ids.
        report: takes a line for the log for each call that was placed or ended, or could not be.
    """

    def __init__(self, *, placement: Placement, fleet: FleetView, call_ids: CallIdOpener, report: Report) -> None:
        self._placement = placement
        self._fleet = fleet
        self._call_ids = call_ids
        self._report = report

    async def create(self, request: Request, owner: str) -> Response:
        """`POST /v1/realtime/calls`: an offer becomes an answer."""
        offer = read_offer(request)
        proposal = self._placement.propose(request)
        if not proposal.ingresses or not proposal.members:
            raise errors.try_later("no_transceiver_available", self._placement.not_ready_reason(), _RETRY_SECONDS)
        retry_after: float | None = None
        for member in proposal.members[:_MAX_TRIES]:
            facts = {"request": request.id, "transceiver": member.client.url}
            try:
                created = await member.client.create_call(offer, proposal.ingresses, owner)
            except OfferRefused as refusal:
                raise errors.invalid_offer(str(refusal)) from refusal  # another one would refuse it as well
            except Overloaded as refusal:
                retry_after = min(refusal.retry_after, retry_after or refusal.retry_after)
                self._report("transceiver-overloaded", facts)
            except TransceiverUnreachable as failure:
                member.problem = str(failure)  # until it answers its next question
                self._report("transceiver-unreachable", {**facts, "reason": str(failure)})
            else:
                member.placed += 1
                self._report("call-placed", {**facts, "call": created.call_id, "why": list(proposal.reasons)})
                return _created(created)
        if retry_after is not None:
            raise errors.try_later("server_overloaded", "No further call is taken now.", retry_after)
        message = "No transceiver could be reached. Try again in a moment."
        raise errors.try_later("no_transceiver_available", message, _RETRY_SECONDS)

    async def describe(self, request: Request, owner: str) -> Response:
        """`GET /v1/realtime/calls/{call_id}`: the state of a call, for who made it."""
        call_id = request.parameters["call_id"]
        state = await _translating(self._member_of(call_id).client.describe_call(call_id, owner))
        return json_response(200, {name: value for name, value in state.items() if name != "owner"})

    async def end(self, request: Request, owner: str) -> Response:
        """`DELETE /v1/realtime/calls/{call_id}` and `POST …/hangup`: end a call."""
        call_id = request.parameters["call_id"]
        await _translating(self._member_of(call_id).client.end_call(call_id, owner))
        self._report("call-hung-up", {"request": request.id, "call": call_id})
        return Response(status=200, headers=(("Cache-Control", "no-store"),))

    def _member_of(self, call_id: str) -> Member:
        route = self._call_ids.open(call_id)
        if route is None:
            raise errors.call_id_not_found()
        member = self._fleet.find(route.cluster, route.incarnation)
        if member is not None:
            return member
        if self._fleet.is_complete:
            raise errors.call_id_not_found()  # the process that had it is gone, and the call with it
        # The id is genuine, and a transceiver that may have the call is silent: only time can tell.
        raise _transceiver_silent()


def read_offer(request: Request) -> str:
    """Return the SDP of a request's body.

    Raises:
        RequestRefused: the type is another one, or the body cannot be SDP.
    """
    media_type, body = request.media_type, request.body
    looks_like_sdp = body.startswith(b"v=0")  # RFC 8866 §5.1: every description begins so
    if media_type != "application/sdp" and not (media_type in _LENIENT_TYPES and looks_like_sdp):
        raise errors.unsupported_content_type(media_type)
    if not looks_like_sdp:
        raise errors.invalid_offer("the body is not SDP, which begins with v=0." if body else "the body is empty.")
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise errors.invalid_offer(f"the body is not UTF-8 at byte {error.start}.") from error


def _created(created: CreatedCall) -> Response:
    # Clients take the call id from the end of Location, so nothing may follow it.
    headers = (
        ("Content-Type", "application/sdp"),
        ("Location", f"/v1/realtime/calls/{created.call_id}"),
        ("Cache-Control", "no-store"),
    )
    return Response(status=201, headers=headers, body=created.answer.encode())


async def _translating(command: Awaitable[Value]) -> Value:
    """Await a command about one call, and word its refusals for the client."""
    try:
        return await command
    except CallNotFound as refusal:
        raise errors.call_id_not_found() from refusal
    except NotOwner as refusal:
        raise errors.not_owner() from refusal
    except TransceiverUnreachable as failure:
        raise _transceiver_silent() from failure


def _transceiver_silent() -> errors.RequestRefused:
    message = "The transceiver of this call cannot be reached. Try again in a moment."
    return errors.try_later("transceiver_unreachable", message, _RETRY_SECONDS)
