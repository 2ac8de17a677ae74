"""The flow table against a model that is too simple to be wrong: a list, looked through from end to end each time."""

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from relay.flows import (
    CLAIMS_PER_FLOW,
    CLAIMS_PER_SESSION,
    FORGOTTEN_AFTER,
    PROVEN_LIFE,
    TICK,
    UNPROVEN_LIFE,
    ClaimState,
    FlowTable,
    Route,
    TransceiverPlace,
)
from relay.hop.header import KIND_SIZE, UP, pack_header
from relay.sockaddr import serialize_sockaddr

MAX_CLAIMS = 12
CLIENTS = [("192.0.2.1", port) for port in range(10)]
SOURCES = [serialize_sockaddr(client) for client in CLIENTS]
PLACE, ELSEWHERE = (TransceiverPlace(address=("10.0.1.1", port)) for port in (5000, 5001))

clients = st.integers(0, len(CLIENTS) - 1)
sessions = st.integers(1, 4)


@attrs.define(eq=False)
class ModelClaim:
    client: int
    session: int
    heard: float
    told: float
    generation: int = 0
    state: ClaimState = ClaimState.UNPROVEN


def route_of(client: int, session: int, generation: int = 0) -> Route:
    tag = bytes((client, session)) * 4
    up_header = pack_header(UP, ingress=1, client=CLIENTS[client], session=session, tag=tag, generation=generation)
    place = ELSEWHERE if generation else PLACE
    return Route(session=session, place=place, tag=tag, up_header=up_header, generation=generation)


def longest_unheard(claims):
    return min(claims, key=lambda claim: claim.heard)


class Machine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now = 100.0
        self.table = FlowTable(ingresses=(1,), max_claims=MAX_CLAIMS)
        self.model: list[ModelClaim] = []
        self.generation = dict.fromkeys(range(1, 5), 0)

    # The model; its times are those at which ticks begin.

    @property
    def moment(self):
        return self.now // TICK * TICK

    def let_time_pass(self, seconds):
        self.now += seconds
        for claim in list(self.model):
            unheard, forgotten = self.moment - claim.heard, self.moment - max(claim.heard, claim.told)
            if claim.state is ClaimState.UNPROVEN:
                if unheard >= UNPROVEN_LIFE:
                    self.model.remove(claim)
            elif unheard >= PROVEN_LIFE:
                claim.state = ClaimState.QUIET
                if forgotten >= FORGOTTEN_AFTER:
                    self.model.remove(claim)

    def at(self, client):
        return [claim for claim in self.model if claim.client == client]

    def of(self, session):
        return [claim for claim in self.model if claim.session == session]

    def find(self, client, session):
        return next((claim for claim in self.at(client) if claim.session == session), None)

    def yield_one(self, claims, proven_too=False):
        for state in (ClaimState.UNPROVEN, ClaimState.QUIET, ClaimState.PROVEN)[: 3 if proven_too else 2]:
            if yielding := [claim for claim in claims if claim.state is state]:
                self.model.remove(longest_unheard(yielding))
                return True
        return False

    # What happens, to both.

    @rule(client=clients, session=sessions)
    def request(self, client, session):
        self.step(0.001)
        if self.find(client, session) or len(self.of(session)) >= CLAIMS_PER_SESSION:
            return  # the forwarder asks the table only otherwise
        assert self.table.session_is_full(session) is False
        route = route_of(client, session, self.generation[session])
        made = self.table.claim(1, CLIENTS[client], route, self.now)
        if len(self.at(client)) >= CLAIMS_PER_FLOW:
            quiet = [claim for claim in self.at(client) if claim.state is ClaimState.QUIET]
            if not quiet:
                assert made is None
                return
            self.model.remove(longest_unheard(quiet))
        if len(self.model) >= MAX_CLAIMS:
            assert made is None
            return
        assert made is not None
        self.model.append(ModelClaim(client, session, self.moment, self.moment, route.generation))

    @rule(client=clients, session=sessions, is_witnessed=st.booleans())
    def proof(self, client, session, is_witnessed):
        self.step(0.001)
        claim = self.find(client, session)
        route = route_of(client, session, self.generation[session])
        proven = self.table.prove(1, CLIENTS[client], route, self.now, is_witnessed=is_witnessed)
        if claim is None:
            # The newest first, as `claims_of` tells them; of two that were heard in one tick it decides.
            if len(self.of(session)) >= CLAIMS_PER_SESSION and not self.yield_one(self.of(session)[::-1]):
                assert proven is None
                return
            if len(self.at(client)) >= CLAIMS_PER_FLOW and not self.yield_one(self.at(client), is_witnessed):
                assert proven is None
                return
            if len(self.model) >= MAX_CLAIMS:
                unproven = [claim for claim in self.model if claim.state is ClaimState.UNPROVEN]
                if not unproven:
                    assert proven is None
                    return
                self.model.remove(unproven[-1])
            claim = ModelClaim(client, session, self.moment, self.moment)
            self.model.append(claim)
        assert proven is not None
        if claim.state is ClaimState.UNPROVEN:
            claim.state, claim.heard = ClaimState.PROVEN, self.moment
        claim.told, claim.generation = self.moment, route.generation

    @rule(client=clients, session=sessions)
    def verified_request_of_a_claim(self, client, session):
        self.step(0.001)
        claim, known = self.find(client, session), self.table.claim_of(1, SOURCES[client], session)
        assert (known is None) == (claim is None)
        if known is not None and claim is not None:
            self.table.hear(known)
            if claim.state is not ClaimState.UNPROVEN:
                claim.state, claim.heard = ClaimState.PROVEN, self.moment

    @rule(client=clients, session=sessions)
    def media_comes_down(self, client, session):
        """The forwarder's hot path: a proven claim's path is known, and the claim notes that it is spoken of."""
        self.step(0.001)
        claim = self.find(client, session)
        found = self.table.by_path.get(route_of(client, session, self.generation[session]).up_header[KIND_SIZE:])
        known_so = claim is not None and claim.state is not ClaimState.UNPROVEN
        assert (found is not None) == (known_so and claim.generation == self.generation[session])
        if found is not None:
            found.told = self.table.tick
            claim.told = self.moment

    @rule(session=sessions)
    def moved(self, session):
        """The session has another owner, of whom the table hears with its next proof."""
        self.generation[session] = min(3, self.generation[session] + 1)

    @rule(client=clients, session=sessions)
    def gone(self, client, session):
        for claim in self.table.claims_of(session):
            if claim.client == CLIENTS[client]:
                self.table.remove(claim)
        claim = self.find(client, session)
        if claim is not None:
            self.model.remove(claim)

    @rule(seconds=st.sampled_from([0.3, 1.0, 2.5, 4.9, 9.9, 29.0]))
    def step(self, seconds):
        self.let_time_pass(seconds)
        self.table.handle_timeout(self.now)

    # What must hold after each.

    @invariant()
    def same_claims(self):
        assert len(self.table) == len(self.model) <= MAX_CLAIMS
        found = {
            (CLIENTS.index(claim.client), session): (claim.state, claim.generation)
            for session in range(1, 5)
            for claim in self.table.claims_of(session)
        }
        assert found == {(claim.client, claim.session): (claim.state, claim.generation) for claim in self.model}

    @invariant()
    def same_claims_by_source(self):
        for number, source in enumerate(SOURCES):
            sessions_there = [claim.session for claim in self.table.claims_on(1, source)]
            assert sessions_there == [claim.session for claim in self.at(number)]
            assert len(sessions_there) <= CLAIMS_PER_FLOW

    @invariant()
    def same_targets(self):
        for number, source in enumerate(SOURCES):
            claims = self.at(number)
            targets = [claim for claim in claims if claim.state is ClaimState.PROVEN] or claims
            assert [claim.session for claim in self.table.targets_of(1, source)] == [claim.session for claim in targets]
            # The hot path knows the only target, and nothing where that takes a closer look.
            shortcut = self.table.by_source[1].get(source)
            assert (shortcut.session if shortcut else None) == (targets[0].session if len(targets) == 1 else None)

    @invariant()
    def a_route_is_its_claims(self):
        for claim in self.model:
            known = self.table.claim_of(1, SOURCES[claim.client], claim.session)
            route = route_of(claim.client, claim.session, claim.generation)
            assert (known.up_header, known.tag, known.session) == (route.up_header, route.tag, claim.session)
            assert known.place is route.place

    @invariant()
    def nothing_is_left_behind(self):
        """No index knows more than the claims, and every claim has a deadline that is looked at in time."""
        table = self.table
        assert table.by_path.keys() == {
            route_of(claim.client, claim.session, claim.generation).up_header[KIND_SIZE:]
            for claim in self.model
            if claim.state is not ClaimState.UNPROVEN
        }
        assert table.flow_count == len({claim.client for claim in self.model})
        assert len(table._unproven) == sum(claim.state is ClaimState.UNPROVEN for claim in self.model)
        assert all(len(claims) > 1 for claims in table._by_source._contested[1].values())
        watched = [claim for claim in table._wheel if claim.state is not ClaimState.REMOVED]
        assert len(watched) == len(set(map(id, watched))) == len(self.model)
        # What the table does next is not later than the first thing that the model does.
        lives = {ClaimState.UNPROVEN: UNPROVEN_LIFE, ClaimState.PROVEN: PROVEN_LIFE}
        first = min(
            (
                max(claim.heard, claim.told) + FORGOTTEN_AFTER
                if claim.state is ClaimState.QUIET
                else claim.heard + lives[claim.state]
                for claim in self.model
            ),
            default=None,
        )
        if first is not None:
            assert table.next_timeout() <= first


Machine.TestCase.settings = settings(stateful_step_count=60, max_examples=60)
TestFlowTable = Machine.TestCase
