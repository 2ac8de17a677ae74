"""Making, looking at and ending calls."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeVar

import attrs
import trio

from edge.config.model import SignalConfig
from edge.control.client import TransceiverUnreachable
from edge.http.messages import Request, Response, json_response
from edge.signal import errors
from edge.signal.access import Caller
from edge.signal.fleet import FleetView, Member
from edge.signal.limits import OfferRate, source_of_request
from edge.signal.offers import read_offer
from edge.signal.placement import Placement
from edge.signal.wishes import choose_wishes
from stun.credentials import Route
from transceiver.calls import (
    CallNotFound,
    CallWishes,
    CreatedCall,
    ModelNotAllowed,
    NotOwner,
    OfferRefused,
    Overloaded,
)

__all__ = ["CallIdOpener", "CallRoutes", "Report"]

Report = Callable[[str, Mapping[str, object]], None]
"""Takes the name of what happened and its facts in JSON types: a line for the log."""

Value = TypeVar("Value")

_MAX_TRIES = 3
_RETRY_SECONDS = 2.0


class CallIdOpener(Protocol):
    """Reads call ids; `transceiver.call_ids.CallIdKeys` is one."""

    def open(self, call_id: str) -> Route | None:
        """Return where a call lives; None when the id is not ours."""


class CallRoutes:
    """The endpoints under `/v1/realtime/calls`; each is told who asks.

    Args:
        config: the bounds on calls and offers.
        placement: chooses relay addresses and transceivers.
        fleet: the transceivers.
        call_ids: reads call ids.
        report: takes a line for the log for each call that was placed or ended, or could not be.
    """

    def __init__(
        self, config: SignalConfig, *, placement: Placement, fleet: FleetView, call_ids: CallIdOpener, report: Report
    ) -> None:
        self._config = config
        self._offers = OfferRate(config.max_offers_per_minute)
        self._placement = placement
        self._fleet = fleet
        self._call_ids = call_ids
        self._report = report
        self._under_way: Counter[str] = Counter()  # calls being placed, by owner

    async def create(self, request: Request, caller: Caller) -> Response:
        """`POST /v1/realtime/calls`, and `POST /v1/realtime` of the beta API: an offer becomes an answer."""
        self.check_rate(request)
        offer = read_offer(request)
        wishes = choose_wishes(request, offer, caller)
        self._check_count(caller.owner)
        self._under_way[caller.owner] += 1
        try:
            created = await self._place(request, offer.sdp, caller.owner, wishes)
        finally:
            self._under_way[caller.owner] -= 1
            if not self._under_way[caller.owner]:
                del self._under_way[caller.owner]
        return _created(request, created, as_json=offer.wants_json)

    def check_rate(self, request: Request) -> None:
        """Bound how often an address may ask for something that costs.

        Raises:
            RequestRefused: it asks too often.
        """
        source = source_of_request(request, self._config.trusted_proxies)
        wait = self._offers.admit(source, trio.current_time())
        if wait:
            bound = self._config.max_offers_per_minute
            raise errors.too_many(f"Your address may send {bound} offers a minute.", wait)

    def _check_count(self, owner: str) -> None:
        bound = self._config.max_calls_per_key
        if bound and self._fleet.calls_of(owner) + self._under_way[owner] >= bound:
            # A call that has just ended is counted until its transceiver is asked again.
            raise errors.too_many(f"One API key may have {bound} calls at a time.", _RETRY_SECONDS)

    async def _place(self, request: Request, sdp: str, owner: str, wishes: CallWishes) -> CreatedCall:
        proposal = self._placement.propose(request, owner, wishes.model)
        if proposal.residency.why and not (proposal.ingresses and proposal.members):
            self._report("no-permitted-region", {"request": request.id, "why": list(proposal.reasons)})
            raise errors.no_permitted_region(_RETRY_SECONDS)
        if not proposal.ingresses or not proposal.members:
            raise errors.try_later("no_transceiver_available", self._placement.not_ready_reason(), _RETRY_SECONDS)
        retry_after: float | None = None
        unknown_model: ModelNotAllowed | None = None
        wishes = attrs.evolve(wishes, caller_network=proposal.network, placed_because=proposal.reasons)
        for member in proposal.members[:_MAX_TRIES]:
            facts = {"request": request.id, "transceiver": member.client.url}
            try:
                created = await member.client.create_call(sdp, proposal.ingresses, owner, wishes)
            except OfferRefused as refusal:
                raise errors.invalid_offer(str(refusal)) from refusal  # another one would refuse it as well
            except ModelNotAllowed as refusal:
                unknown_model = refusal  # another one may have been configured already
            except Overloaded as refusal:
                retry_after = min(refusal.retry_after, retry_after or refusal.retry_after)
                self._report("transceiver-overloaded", facts)
            except TransceiverUnreachable as failure:
                member.problem = str(failure)  # until it answers its next question
                self._report("transceiver-unreachable", {**facts, "reason": str(failure)})
            else:
                member.placed[owner] += 1
                self._placement.placed(proposal, member)
                self._report("call-placed", {**facts, "call": created.call_id, "why": list(proposal.reasons)})
                return created
        if retry_after is not None:
            raise errors.try_later("session_limit_reached", "No further call is taken now.", retry_after)
        if unknown_model is not None:
            raise errors.model_not_allowed(f"No backend answers for the model {unknown_model.model!r}.")
        message = "No transceiver could be reached. Try again in a moment."
        raise errors.try_later("no_transceiver_available", message, _RETRY_SECONDS)

    async def describe(self, request: Request, caller: Caller) -> Response:
        """`GET /v1/realtime/calls/{call_id}`: the state of a call, for who made it."""
        call_id = request.parameters["call_id"]
        state = await _translating(self.member_of(call_id).client.describe_call(call_id, caller.owner))
        return json_response(200, {name: value for name, value in state.items() if name != "owner"})

    async def end(self, request: Request, caller: Caller) -> Response:
        """`DELETE /v1/realtime/calls/{call_id}` and `POST …/hangup`: end a call."""
        call_id = request.parameters["call_id"]
        await _translating(self.member_of(call_id).client.end_call(call_id, caller.owner))
        self._report("call-hung-up", {"request": request.id, "call": call_id})
        return Response(status=200, headers=(("Cache-Control", "no-store"),))

    async def refuse_sip(self, request: Request, caller: Caller) -> Response:  # noqa: ARG002 - an endpoint's signature
        """`POST …/accept`, `…/refer`, `…/reject`: for calls of telephone trunks, of which there are none."""
        raise errors.no_sip_call()

    def member_of(self, call_id: str) -> Member:
        """Find the transceiver that has a call.

        Raises:
            RequestRefused: there is no such call, or only time can tell.
        """
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


def _created(request: Request, created: CreatedCall, *, as_json: bool) -> Response:
    # Clients take the call id from the end of Location, so nothing may follow it; and they post on below it, so it
    # stays among the paths that they asked.
    base = request.path.removesuffix("/calls")
    location = ("Location", f"{base}/calls/{created.call_id}")
    if as_json:
        # LocalAI's clients read session_id, Inworld's read id. There are no ICE servers to be told of: all addresses
        # are in the answer.
        call_id = created.call_id
        answer = {"id": call_id, "session_id": call_id, "sdp": created.answer, "ice_servers": []}
        return json_response(201, answer, (location,))
    headers = (("Content-Type", "application/sdp"), location, ("Cache-Control", "no-store"))
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
