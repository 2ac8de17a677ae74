"""Making, changing, looking at and ending calls."""

from collections import Counter
from collections.abc import Callable, Mapping
from os import urandom

import attrs
import trio

from edge.config.model import SignalConfig
from edge.control.client import ControlClient, TransceiverUnreachable
from edge.http.messages import HeaderList, Request, Response, json_response
from edge.signal import errors
from edge.signal.access import Caller
from edge.signal.admission import CallPace
from edge.signal.attempts import Attempts
from edge.signal.finding import CallFinder
from edge.signal.fleet import FleetView
from edge.signal.limits import OfferRate, source_of_request
from edge.signal.offers import read_offer
from edge.signal.patches import read_patch
from edge.signal.placement import Placement
from edge.signal.wishes import choose_wishes
from transceiver.calls import (
    AnswerIngress,
    CallWishes,
    CreatedCall,
    FragmentRefused,
    IceSessionChanged,
    IceUpdated,
    ModelNotAllowed,
    OfferRefused,
    Overloaded,
)
from wire.core import Entropy

__all__ = ["CallRoutes", "Report"]

Report = Callable[[str, Mapping[str, object]], None]
"""Takes the name of what happened and its facts in JSON types: a line for the log."""

_RETRY_SECONDS = 2.0
_TELL_INTERVAL = 5.0


class CallRoutes:
    """The endpoints under `/v1/realtime/calls`; each is told who asks.

    Args:
        config: the bounds on calls and offers.
        placement: chooses relay addresses and transceivers.
        fleet: the transceivers.
        finder: finds calls.
        report: takes a line for the log for each call that was placed or ended, or could not be.
        entropy: for the jitter of times to come back.
    """

    def __init__(
        self,
        config: SignalConfig,
        *,
        placement: Placement,
        fleet: FleetView,
        finder: CallFinder,
        report: Report,
        entropy: Entropy = urandom,
    ) -> None:
        self._config = config
        self._offers = OfferRate(config.max_offers_per_minute)
        self._pace = CallPace(config.max_calls_per_second, config.max_call_wait, entropy)
        self._placement = placement
        self._fleet = fleet
        self._finder = finder
        self._report = report
        self._under_way: Counter[str] = Counter()  # calls being placed, by owner
        self._room = trio.lowlevel.ParkingLot()
        self._refused = 0  # by the pace, since that was told
        self._refusals_told = float("-inf")

    async def create(self, request: Request, caller: Caller) -> Response:
        """`POST /v1/realtime/calls`, and `POST /v1/realtime` of the beta API: an offer becomes an answer."""
        self.check_rate(request)
        offer = read_offer(request)
        wishes = choose_wishes(request, offer, caller)
        self._check_count(caller.owner)
        self._under_way[caller.owner] += 1
        waits_until = trio.current_time() + self._config.max_call_wait
        try:
            await self.wait_for_turn()
            created = await self._place(request, offer.sdp, caller.owner, wishes, waits_until)
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

    async def wait_for_turn(self) -> None:
        """Wait until another call may begin.

        Raises:
            RequestRefused: that would be too long.
        """
        now = trio.current_time()
        is_admitted, seconds = self._pace.admit(now)
        if not is_admitted:
            self._refused += 1
            if now >= self._refusals_told + _TELL_INTERVAL:  # a crowd is worth a line, not each of it
                self._report("calls-refused", {"since_last_line": self._refused, "retry_after": round(seconds, 1)})
                self._refused, self._refusals_told = 0, now
            raise errors.try_later("server_overloaded", "Too many calls are being made at once.", seconds)
        if seconds:
            await trio.sleep(seconds)

    async def _place(
        self, request: Request, sdp: str, owner: str, wishes: CallWishes, waits_until: float
    ) -> CreatedCall:
        proposal = self._placement.propose(request, owner, wishes.model)
        if proposal.residency.why and not (proposal.ingresses and proposal.members):
            self._report("no-permitted-region", {"request": request.id, "why": list(proposal.reasons)})
            raise errors.no_permitted_region(self._pace.retry_after(_RETRY_SECONDS))
        if not proposal.ingresses or not proposal.members:
            seconds = self._pace.retry_after(_RETRY_SECONDS)
            raise errors.try_later("no_transceiver_available", self._placement.not_ready_reason(), seconds)
        retry_after: float | None = None
        unknown_model: ModelNotAllowed | None = None
        wishes = attrs.evolve(wishes, caller_network=proposal.location.network, placed_because=proposal.reasons)
        members = Attempts(proposal.members, self._config.max_calls_under_way, self._room, waits_until)
        while (member := await members.next()) is not None:
            facts = {"request": request.id, "transceiver": member.client.url}
            try:
                with members.trying(member):
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
                members.avoid_region_of(member)
                self._report("transceiver-unreachable", {**facts, "reason": str(failure)})
            else:
                member.placed[owner] += 1
                self._placement.placed(proposal, member)
                self._report("call-placed", {**facts, "call": created.call_id, "why": list(proposal.reasons)})
                return created
        if retry_after is not None or members.is_held_back:
            seconds = self._pace.retry_after(retry_after or _RETRY_SECONDS)
            raise errors.try_later("session_limit_reached", "No further call is taken now.", seconds)
        if unknown_model is not None:
            raise errors.model_not_allowed(f"No backend answers for the model {unknown_model.model!r}.")
        message = "No transceiver could be reached. Try again in a moment."
        raise errors.try_later("no_transceiver_available", message, self._pace.retry_after(_RETRY_SECONDS))

    async def describe(self, request: Request, caller: Caller) -> Response:
        """`GET /v1/realtime/calls/{call_id}`: the state of a call, for who made it."""
        call_id = request.parameters["call_id"]
        state = await self._finder.ask(call_id, lambda client: client.describe_call(call_id, caller.owner))
        return json_response(200, {name: value for name, value in state.items() if name != "owner"})

    async def update(self, request: Request, caller: Caller) -> Response:
        """`PATCH /v1/realtime/calls/{call_id}`: candidates of the client's, or an ICE restart (RFC 9725 §4.3)."""
        call_id = request.parameters["call_id"]
        update = read_patch(request)

        async def command(client: ControlClient) -> IceUpdated:
            ingresses: tuple[AnswerIngress, ...] = ()
            if update.is_restart:
                state = await client.describe_call(call_id, caller.owner)
                ingresses = self._ingresses_anew(request, caller, state)
            return await client.update_call(call_id, caller.owner, attrs.evolve(update, ingresses=ingresses))

        try:
            updated = await self._finder.ask(call_id, command)
        except FragmentRefused as refusal:
            raise errors.invalid_fragment(str(refusal)) from refusal
        except IceSessionChanged as refusal:
            raise errors.ice_session_changed(str(refusal)) from refusal
        except Overloaded as refusal:
            raise errors.too_many("The call's ICE was restarted too often lately.", refusal.retry_after) from refusal
        if not updated.fragment:
            return Response(status=204, headers=(("Cache-Control", "no-store"),))
        self._report("ice-restarted", {"request": request.id, "call": call_id})
        headers = (("Content-Type", errors.FRAGMENT_TYPE), *_etag(updated.tag), ("Cache-Control", "no-store"))
        return Response(status=200, headers=headers, body=updated.fragment.encode())

    def _ingresses_anew(
        self, request: Request, caller: Caller, state: Mapping[str, object]
    ) -> tuple[AnswerIngress, ...]:
        """Choose relay addresses for a client that restarts, for it may be somewhere else by now.

        Raises:
            RequestRefused: none may serve the call; it goes on as it is.
        """
        model = state.get("model")  # where the call may be hangs on it
        proposal = self._placement.propose(request, caller.owner, model if isinstance(model, str) else None)
        if proposal.ingresses:
            return proposal.ingresses
        seconds = self._pace.retry_after(_RETRY_SECONDS)
        if proposal.residency.why:
            raise errors.no_permitted_region(seconds)
        raise errors.try_later("no_relay_available", self._placement.not_ready_reason(), seconds)

    async def end(self, request: Request, caller: Caller) -> Response:
        """`DELETE /v1/realtime/calls/{call_id}` and `POST …/hangup`: end a call."""
        call_id = request.parameters["call_id"]
        await self._finder.ask(call_id, lambda client: client.end_call(call_id, caller.owner))
        self._report("call-hung-up", {"request": request.id, "call": call_id})
        return Response(status=200, headers=(("Cache-Control", "no-store"),))

    async def refuse_sip(self, request: Request, caller: Caller) -> Response:  # noqa: ARG002 - an endpoint's signature
        """`POST …/accept`, `…/refer`, `…/reject`: for calls of telephone trunks, of which there are none."""
        raise errors.no_sip_call()


def _created(request: Request, created: CreatedCall, *, as_json: bool) -> Response:
    # Clients take the call id from the end of Location, so nothing may follow it; and they post on below it, so it
    # stays among the paths that they asked.
    base = request.path.removesuffix("/calls")
    location = (("Location", f"{base}/calls/{created.call_id}"), *_etag(created.ice_tag))
    if as_json:
        # LocalAI's clients read session_id, Inworld's read id. There are no ICE servers to be told of: all addresses
        # are in the answer.
        call_id = created.call_id
        answer = {"id": call_id, "session_id": call_id, "sdp": created.answer, "ice_servers": []}
        return json_response(201, answer, location)
    headers = (("Content-Type", "application/sdp"), *location, ("Cache-Control", "no-store"))
    return Response(status=201, headers=headers, body=created.answer.encode())


def _etag(tag: str) -> HeaderList:
    # RFC 9725 §4.3.1: a strong entity-tag that identifies the ICE session.
    return (("ETag", f'"{tag}"'),) if tag else ()
