"""When an owner writes, what answers mean, and when it may do without the store."""

import pytest

from transceiver.handover.custody import (
    CHANGED_INTERVAL,
    CHECKPOINT_INTERVAL,
    FREE_AFTER,
    LONGEST_GAP,
    TAKE_WITHIN,
    Custody,
    Verdict,
)
from transceiver.handover.ownership import Confirmation

CONFIRMED, CREATED, MISSING, FENCED, UNKEPT, NO_ROOM = Confirmation


@pytest.fixture
def custody():
    """One whose first checkpoint, at 0, was kept."""
    made = Custody(0, 0.0)
    assert made.is_due(0.0)
    assert made.begin(0.0) is Verdict.RAISE  # before it is sent
    assert made.answered(CREATED, 0.0) is Verdict.RAISE
    return made


def hear(custody, since, until, step=1.0):
    """Look while the client is heard; return what was said."""
    verdicts, now = [], since
    while now <= until:
        verdicts.append(custody.look(now, now))
        now += step
    return verdicts


def test_a_session_is_written_at_once_and_then_rarely(custody):
    assert not custody.is_due(CHECKPOINT_INTERVAL - 0.1)
    assert custody.is_due(CHECKPOINT_INTERVAL)


def test_what_changes_is_written_soon_but_not_at_once(custody):
    custody.touch(0.2)
    assert not custody.is_due(CHANGED_INTERVAL - 0.1)
    assert custody.is_due(CHANGED_INTERVAL)


def test_what_changes_during_a_checkpoint_is_written_again(custody):
    custody.begin(10.0)
    custody.touch(10.01)
    custody.answered(CONFIRMED, 10.02)
    assert custody.is_due(10.0 + CHANGED_INTERVAL)


def test_who_was_paused_asks_the_store_at_once(custody):
    custody.look(1.0, 1.0)
    assert not custody.is_due(4.0)
    custody.look(4.0, 4.0)
    assert custody.is_due(4.0)


def test_ceilings_are_raised_only_by_a_confirmation(custody):
    assert custody.begin(10.0) is Verdict.NOTHING
    custody.unanswered(11.0)
    assert custody.is_due(11.0)
    assert custody.begin(12.0) is Verdict.NOTHING
    assert custody.answered(CONFIRMED, 12.0) is Verdict.RAISE


def test_an_owner_that_was_overtaken_ends(custody):
    custody.begin(10.0)
    assert custody.answered(FENCED, 10.0) is Verdict.FENCE


def test_without_the_store_an_owner_is_free_when_nobody_can_take_over_any_more(custody):
    assert FREE_AFTER > TAKE_WITHIN + LONGEST_GAP
    verdicts = hear(custody, 1.0, FREE_AFTER)
    assert verdicts.count(Verdict.RELEASE) == 0
    assert custody.look(FREE_AFTER + 0.1, FREE_AFTER + 0.1) is Verdict.RELEASE
    assert custody.look(FREE_AFTER + 1, FREE_AFTER + 1) is Verdict.NOTHING  # it is free already
    assert custody.begin(100.0) is Verdict.RAISE  # bound again, before the store can have kept anything


def test_an_owner_whose_client_is_not_heard_is_not_free(custody):
    hear(custody, 1.0, 25.0)
    for now in range(26, 100):
        assert custody.look(25.0, float(now)) is Verdict.NOTHING


def test_an_owner_that_was_paused_is_not_free_until_it_has_heard_its_client_for_a_while(custody):
    hear(custody, 1.0, 20.0)
    woken = 200.0
    assert custody.look(woken, woken) is Verdict.NOTHING
    assert custody.look(woken + 1, woken + 1) is Verdict.NOTHING
    assert Verdict.RELEASE in hear(custody, woken + 2, woken + LONGEST_GAP + 1)


def test_only_a_new_session_may_have_its_record_made():
    custody = Custody(0, 0.0)
    assert custody.may_create(0.0)
    custody.begin(0.0)
    custody.answered(CREATED, 0.0)
    assert not custody.may_create(0.1)
    assert not Custody(1, 0.0, is_known=True).may_create(0.0)


def test_a_lost_record_is_made_again_by_who_hears_its_client_from_then_on(custody):
    hear(custody, 1.0, 30.0)
    custody.begin(30.0)
    assert custody.answered(MISSING, 30.0) is Verdict.NOTHING
    assert not custody.may_create(31.0)  # somebody may have taken it a moment before it was lost
    assert not custody.is_due(30.5)
    assert custody.is_due(31.0)
    hear(custody, 31.0, 31.0 + LONGEST_GAP)
    assert custody.may_create(31.0 + LONGEST_GAP)
    custody.begin(42.0)
    assert custody.answered(CREATED, 42.0) is Verdict.RAISE
    assert not custody.may_create(60.0)


def test_a_lost_record_is_not_made_again_by_who_does_not_hear_its_client(custody):
    hear(custody, 1.0, 29.0)
    custody.begin(30.0)
    custody.answered(MISSING, 30.0)
    for now in range(31, 100):
        custody.look(29.0, float(now))
        assert not custody.may_create(float(now))


def test_a_successor_is_known_to_the_store():
    custody = Custody(3, 50.0, is_known=True)
    assert custody.begin(50.0) is Verdict.NOTHING
    assert custody.answered(CONFIRMED, 50.0) is Verdict.RAISE


def test_trying_again_in_vain_does_not_put_off_the_time_when_an_owner_is_free(custody):
    for now in range(10, int(FREE_AFTER) + 1):
        assert custody.look(float(now), float(now)) is Verdict.NOTHING
        custody.begin(float(now))
        custody.refused(UNKEPT, float(now), now + 0.1)
        assert not custody.is_due(now + 1.0)
        assert custody.is_due(now + 1.2)
    assert custody.look(FREE_AFTER + 0.5, FREE_AFTER + 0.5) is Verdict.RELEASE
    assert custody.begin(FREE_AFTER + 1) is Verdict.RAISE  # it may be kept this time
    custody.refused(UNKEPT, FREE_AFTER + 1, FREE_AFTER + 1.1)
    assert custody.look(FREE_AFTER + 1.5, FREE_AFTER + 1.5) is Verdict.RELEASE


def test_a_checkpoint_that_may_have_been_kept_counts_though_another_was_refused(custody):
    hear(custody, 1.0, 30.0)
    custody.begin(30.0)
    custody.begin(32.0)
    custody.refused(UNKEPT, 30.0, 32.1)  # the other is under way
    custody.unanswered(33.0)
    assert Verdict.RELEASE not in hear(custody, 31.0, 32.0 + FREE_AFTER)
    assert custody.look(32.1 + FREE_AFTER, 32.1 + FREE_AFTER) is Verdict.RELEASE


def test_what_changes_while_there_is_no_room_is_not_written_more_often(custody):
    custody.begin(10.0)
    custody.refused(UNKEPT, 10.0, 10.1)
    custody.touch(10.2)
    assert not custody.is_due(10.0 + CHANGED_INTERVAL - 0.1)


def test_a_session_for_which_there_was_no_room_is_as_new_as_before():
    custody = Custody(0, 0.0)
    custody.begin(0.0)
    custody.refused(NO_ROOM, 0.0, 0.1)
    assert custody.may_create(1.2)
    custody.begin(1.2)
    custody.refused(UNKEPT, 1.2, 1.3)  # so one that was unanswered in between has been kept
    assert not custody.may_create(2.4)
