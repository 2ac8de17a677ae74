"""The flow table against a model that is too simple to be wrong: a list, looked through from end to end each time."""

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from relay.flows import CLAIMS_PER_FLOW, CLAIMS_PER_SESSION, ClaimState, FlowTable, Route, TransceiverPlace
from relay.hop.header import UP, answering, pack_header
from relay.sockaddr import serialize_sockaddr

MAX_CLAIMS = 12
CLIENTS = [("192.0.2.1", port) for port in range(10)]
PLACE = TransceiverPlace(address=("10.0.1.1", 5000))

clients = st.integers(0, len(CLIENTS) - 1)
sessions = st.integers(1, 4)


@attrs.define(eq=False)
class ModelClaim:
    client: int
    session: int
    authentic: float
    proven: float | None = None
    is_quiet: bool = False


def route_of(client: int, session: int) -> Route:
    tag = bytes((client, session)) * 4
    up_header = pack_header(UP, ingress=1, client=CLIENTS[client], session=session, tag=tag)
    return Route(session=session, place=PLACE, tag=tag, up_header=up_header)


class Machine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now = 100.0
        self.table = FlowTable(ingresses=(1,), max_claims=MAX_CLAIMS)
        self.model: list[ModelClaim] = []

    # The model.

    def let_time_pass(self, seconds):
        self.now += seconds
        for claim in list(self.model):
            age = self.now - claim.authentic
            if claim.proven is None:
                if age >= 5:
                    self.model.remove(claim)
            elif age >= 30:
                self.model.remove(claim)
            elif age >= 10:
                claim.is_quiet = True

    def at(self, client):
        return [claim for claim in self.model if claim.client == client]

    def of(self, session):
        return [claim for claim in self.model if claim.session == session]

    def find(self, client, session):
        return next((claim for claim in self.at(client) if claim.session == session), None)

    def yield_one(self, claims):
        unproven = [claim for claim in claims if claim.proven is None]
        quiet = [claim for claim in claims if claim.is_quiet]
        candidates = unproven or quiet
        if candidates:
            self.model.remove(min(candidates, key=lambda claim: claim.authentic))
        return bool(candidates)

    # What happens, to both.

    @rule(client=clients, session=sessions)
    def request(self, client, session):
        self.step(0.001)
        if self.find(client, session) or len(self.of(session)) >= CLAIMS_PER_SESSION:
            return  # the forwarder asks the table only otherwise
        assert self.table.session_is_full(session) is False
        made = self.table.claim(1, CLIENTS[client], route_of(client, session), self.now)
        if len(self.at(client)) >= CLAIMS_PER_FLOW:
            quiet = [claim for claim in self.at(client) if claim.is_quiet]
            if not quiet:
                assert made is None
                return
            self.model.remove(min(quiet, key=lambda claim: claim.authentic))
        if len(self.model) >= MAX_CLAIMS:
            assert made is None
            return
        assert made is not None
        self.model.append(ModelClaim(client, session, self.now))

    @rule(client=clients, session=sessions)
    def proof(self, client, session):
        self.step(0.001)
        claim = self.find(client, session)
        proven = self.table.prove(1, CLIENTS[client], route_of(client, session), self.now)
        if claim is None:
            if len(self.of(session)) >= CLAIMS_PER_SESSION and not self.yield_one(self.of(session)):
                assert proven is None
                return
            if len(self.at(client)) >= CLAIMS_PER_FLOW and not self.yield_one(self.at(client)):
                assert proven is None
                return
            if len(self.model) >= MAX_CLAIMS:
                unproven = [claim for claim in self.model if claim.proven is None]
                if not unproven:
                    assert proven is None
                    return
                self.model.remove(max(unproven, key=lambda claim: claim.authentic))
            claim = ModelClaim(client, session, self.now)
            self.model.append(claim)
        assert proven is not None
        if claim.proven is None or claim.is_quiet:
            claim.proven = self.now
        claim.authentic, claim.is_quiet = self.now, False

    @rule(client=clients, session=sessions)
    def media_comes_down(self, client, session):
        """The forwarder's hot path: a proven claim's header is known, and the claim hears that it lives."""
        self.step(0.001)
        header = answering(route_of(client, session).up_header, validated=True)
        claim = self.find(client, session)
        found = self.table.by_down_header.get(header)
        assert (found is not None) == (claim is not None and claim.proven is not None and not claim.is_quiet)
        if found is not None:
            found.authentic = claim.authentic = self.now

    @rule(client=clients, session=sessions)
    def gone(self, client, session):
        for claim in self.table.claims_of(session):
            if claim.flow.client == CLIENTS[client]:
                self.table.remove(claim)
        claim = self.find(client, session)
        if claim is not None:
            self.model.remove(claim)

    @rule(seconds=st.sampled_from([0.3, 1.0, 2.5, 4.9, 9.9]))
    def step(self, seconds):
        self.let_time_pass(seconds)
        self.table.handle_timeout(self.now)

    # What must hold after each.

    @invariant()
    def same_claims(self):
        assert len(self.table) == len(self.model) <= MAX_CLAIMS
        states = {}
        for session in range(1, 5):
            for claim in self.table.claims_of(session):
                states[CLIENTS.index(claim.flow.client), session] = claim.state
        expected = {
            (claim.client, claim.session): ClaimState.UNPROVEN
            if claim.proven is None
            else ClaimState.QUIET
            if claim.is_quiet
            else ClaimState.PROVEN
            for claim in self.model
        }
        assert states == expected

    @invariant()
    def same_targets(self):
        for number, client in enumerate(CLIENTS):
            flow = self.table.flows[1].get(client)
            targets = [claim.session for claim in flow.targets] if flow else []
            claims = self.at(number)
            assert len(claims) <= CLAIMS_PER_FLOW
            winners = [claim for claim in claims if claim.proven is not None and not claim.is_quiet]
            if winners:
                assert targets == [min(winners, key=lambda claim: claim.proven).session]
            else:
                assert sorted(targets) == sorted(claim.session for claim in claims)

    @invariant()
    def shortcuts_lead_to_the_only_target(self):
        """What is found by the bytes of a source is what the flow says, or nothing where that takes a closer look."""
        flows = self.table.flows[1].values()
        assert self.table.by_source[1] == {
            serialize_sockaddr(flow.client): flow.targets[0] for flow in flows if len(flow.targets) == 1
        }

    @invariant()
    def nothing_is_left_behind(self):
        """No index knows more than the claims, and every claim has a deadline that is looked at in time."""
        table = self.table
        assert len(table.by_down_header) == sum(claim.proven is not None and not claim.is_quiet for claim in self.model)
        assert table.flow_count == len({claim.client for claim in self.model})
        assert set(table._sessions) == {claim.session for claim in self.model}
        assert len(table._unproven) == sum(claim.proven is None for claim in self.model)
        watched = [claim for _, _, claim in table._deadlines if claim.state is not ClaimState.REMOVED]
        assert len(watched) == len(set(map(id, watched))) == len(self.model)
        assert all(when <= claim.deadline for when, _, claim in table._deadlines if claim in watched)


Machine.TestCase.settings = settings(stateful_step_count=60, max_examples=60)
TestFlowTable = Machine.TestCase
