"""A tunnel is left in a quiet moment of its second half, behind the last answers, or else shortly before its end."""

import attrs
import pytest

from transceiver.backends.tunnel_term import Step, TunnelTerm
from transceiver.backends.tunnel_ticket import TunnelTicket

SECONDS = 20.0


@pytest.fixture
def term(ticket_maker) -> TunnelTerm:
    return TunnelTerm(ticket_maker(ends_in=SECONDS, hops=2), bytes, 100.0)


@pytest.fixture
def ticket_maker():
    def make(**changes: object) -> TunnelTicket:
        fields = {each.name: changes.get(each.name) for each in attrs.fields(TunnelTicket)}
        return TunnelTicket(**fields)

    return make


def step(term: TunnelTerm, now: float, *, quiet: bool = False, between: bool = True, answered: float = 0.0):
    return term.step(now, is_quiet=quiet, is_between_turns=between, answered_at=answered)


def test_its_first_half_is_used_whatever_happens(term):
    assert step(term, 109.9, quiet=True) is None
    assert not term.is_leaving
    assert (term.hops, term.ends_at) == (2, 120.0)


def test_in_a_quiet_moment_clients_are_held_and_it_is_left_behind_the_answers(term):
    assert step(term, 110.0) is None
    assert step(term, 110.0, quiet=True) is Step.HOLD_CLIENTS
    assert term.is_leaving
    assert step(term, 110.39) is None
    assert step(term, 110.41, answered=110.3) is None, "an answer has come just now"
    assert not term.has_left
    assert step(term, 110.51, answered=110.3) is Step.LEAVE
    assert term.has_left
    assert step(term, 110.52) is None


def test_answers_that_do_not_end_are_waited_for_so_long(term):
    assert step(term, 110.0, quiet=True) is Step.HOLD_CLIENTS
    assert step(term, 110.85, answered=110.84) is None
    assert step(term, 110.9, answered=110.89) is Step.LEAVE


def test_clients_go_on_when_a_turn_begins_meanwhile(term):
    assert step(term, 110.0, quiet=True) is Step.HOLD_CLIENTS
    assert step(term, 110.1, between=False) is Step.RELEASE_CLIENTS
    assert not term.is_leaving
    assert step(term, 112.0, quiet=True) is Step.HOLD_CLIENTS, "another try"


def test_late_it_is_left_whatever_is_under_way(term):
    assert step(term, 119.9, between=False) is None
    assert step(term, 120.0, between=False) is Step.HOLD_CLIENTS
    assert step(term, 120.4, between=False) is Step.LEAVE


def test_calls_that_have_moved_together_do_not_connect_all_at_once(ticket_maker):
    ends = [
        TunnelTerm(ticket_maker(ends_in=SECONDS, hops=1), lambda _, drawn=drawn: bytes([drawn]), 100.0).ends_at
        for drawn in (0, 51, 255)
    ]
    assert ends == pytest.approx([120.0, 119.8, 119.0])
