"""Which addresses are sent to: a test for each attacker of `stun.paths`, and the client's honest moves."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stun.events import DropReason, PathAppeared, PathExpired, PathSelected, PathValidated
from stun.lite import IceLiteOptions
from stun.paths import PATH_TRANSITIONS, PathInput, PathState, TrackedPath
from stun.repetition import SeenTransactions
from wire.core import Closed, Path


def place(number: int, via: int = 1) -> Path:
    return Path((f"203.0.113.{number}", 40000 + number), via)


A, B, C, D = (place(number) for number in range(4))


# The table.


def test_only_the_tables_steps_are_taken():
    for state in PathState:
        for happened in PathInput:
            tracked = TrackedPath(path=A, appeared=0.0, heard=0.0, state=state)
            expected = PATH_TRANSITIONS[state].get(happened)
            assert tracked.apply(happened) is (expected is not None)
            assert tracked.state is (expected or state)
    assert PathInput.CHOSEN not in PATH_TRANSITIONS[PathState.UNVALIDATED]


# The client, spoofing source addresses.


def test_three_unvalidated_addresses_in_ten_seconds(scene):
    for number, path in enumerate((A, B, C)):
        assert scene.check(path, number * 1.0) == [PathAppeared(path=path)]
    assert scene.check(D, 3.0) == []
    assert not scene.sent
    assert scene.lite.drops == {DropReason.UNVALIDATED_ADDRESSES: 1}
    # The first of them stops counting after ten seconds.
    assert scene.check(D, 9.99) == []
    assert scene.check(D, 10.01) == [PathAppeared(path=D)]


def test_validated_addresses_do_not_count(scene):
    for number in range(6):
        assert PathValidated(path=place(number)) in scene.validate(place(number), 0.01 * number)
    assert not scene.lite.drops


def test_another_ingress_is_another_path_of_the_same_address(scene):
    for via in (1, 2):
        for number in range(3):
            assert scene.check(place(number, via), 0.0) == [PathAppeared(path=place(number, via))]
    assert not scene.lite.is_validated(place(0, 2))


def test_a_validated_address_is_no_stranger_at_another_ingress(scene):
    scene.validate(A, 0.0)
    for path in (B, C, D):
        scene.check(path, 0.1)
    assert scene.check(Path(A.address, 2), 0.2) == [PathAppeared(path=Path(A.address, 2))]


def test_a_refused_check_may_be_repeated_later(scene):
    """By the client; whoever else repeats it is not believed."""
    for path in (A, B, C):
        scene.check(path, 0.0)
    check = scene.client.check()
    assert scene.receive(check, D, 0.1) == []
    assert scene.receive(check, place(5), 11.0) == []
    assert scene.receive(check, D, 11.0) == [PathAppeared(path=D)]


def test_an_unvalidated_path_gets_one_request_for_a_check_and_soon_few(scene):
    sent_at = []
    for step in range(1000):  # a check every 20 ms for 20 s, none answered
        scene.check(A, step / 50)
        assert len(scene.responses()) == 1
        sent_at += [step / 50] * len(scene.requests())
    assert 10 <= len(sent_at) <= 16
    gaps = [after - before for before, after in itertools.pairwise(sent_at)]
    assert gaps == sorted(gaps)
    assert gaps[-1] == pytest.approx(2.0)


def test_lost_requests_do_not_bar_a_path_for_good(scene):
    for step in range(100):
        scene.check(A, step * 1.0)
    ((request, _),) = scene.requests() or [(None, None)]
    if request is None:
        scene.check(A, 102.0)
        ((request, _),) = scene.requests()
    assert PathValidated(path=A) in scene.receive(scene.client.answer(request, A), A, 102.1)


def test_at_most_eight_paths(scene):
    for number in range(8):
        scene.validate(place(number), 0.1 * number)
    assert scene.check(place(9), 1.0) == []
    assert not scene.sent
    assert scene.lite.drops == {DropReason.PATHS: 1}


def test_an_unvalidated_path_gives_way_to_a_new_one_after_a_while(scene):
    for number in range(6):
        scene.validate(place(number), 0.0)
    scene.check(place(10), 0.1)
    scene.check(place(11), 0.2)
    assert scene.check(place(12), 10.0) == []
    assert scene.lite.drops == {DropReason.PATHS: 1}
    assert scene.check(place(12), 10.15) == [PathExpired(path=place(10)), PathAppeared(path=place(12))]
    assert all(scene.lite.is_validated(place(number)) for number in range(6))


def test_paths_do_not_take_turns_in_appearing(scene):
    """Each appearance is worth a DTLS flight: three addresses and many ingresses must not have one after another."""
    appeared = 0
    for step in range(1000):  # for ten seconds
        events = scene.check(place(step % 3, via=step % 7), step / 100)
        appeared += sum(isinstance(event, PathAppeared) for event in events)
    assert appeared == 8


# A listener, repeating what it overheard.


def test_a_repeated_check_from_elsewhere_makes_no_path(scene):
    check = scene.client.check(nominate=True)
    scene.receive(check, A, 0.0)
    assert scene.receive(check, B, 0.1) == []
    assert not scene.sent
    assert scene.receive(check, Path(A.address, 2), 0.1) == []
    assert scene.lite.drops == {DropReason.REPEATED: 2}


def test_a_retransmission_is_answered_alike_and_renews_nothing(scene):
    check = scene.client.check()
    scene.receive(check, A, 0.0)
    ((first, _), (request, _)) = scene.sent
    scene.receive(scene.client.answer(request, A), A, 0.0)
    for now in (10.0, 20.0, 29.0):
        assert scene.receive(check, A, now) == []
        assert [data for data, _ in scene.sent] == [first]
    assert [type(event) for event in scene.lite.handle_timeout(30.0)] == [PathExpired, Closed]


def test_a_repeated_nomination_does_not_move_media_back(scene):
    scene.validate(A, 0.0)
    overheard = scene.client.check(nominate=True)
    scene.receive(overheard, A, 0.1)
    scene.validate(B, 1.0, nominate=True)
    assert scene.lite.selected == B
    assert scene.receive(overheard, A, 2.0) == []
    assert scene.lite.selected == B


def test_an_old_check_is_refused_from_anywhere(make_scene):
    scene = make_scene(options=IceLiteOptions(recent_transactions=4))
    scene.validate(A, 0.0)
    overheard = scene.client.check(nominate=True)
    scene.receive(overheard, A, 0.1)
    for step in range(100):
        scene.check(A, 1.0 + step)
    for path in (A, B):
        assert scene.receive(overheard, path, 102.0) == []
        assert not scene.sent
    assert scene.lite.drops == {DropReason.REPEATED: 2}


def test_a_forgotten_nomination_needs_a_fresh_proof(make_scene):
    scene = make_scene(options=IceLiteOptions(recent_transactions=4, older_transactions=0))
    scene.validate(A, 0.0)
    overheard = scene.client.check(nominate=True)
    scene.receive(overheard, A, 0.1)
    scene.validate(B, 1.0, nominate=True)
    for step in range(12):
        scene.check(B, 2.0 + step)
    # The id is forgotten, so it looks new; but the client is not at A any more and does not answer.
    assert scene.receive(overheard, A, 15.0) == []
    assert scene.lite.selected == B
    assert [to for _, to in scene.requests()] == [A]


def test_a_forgotten_check_makes_an_unvalidated_path_at_most(make_scene):
    scene = make_scene(options=IceLiteOptions(recent_transactions=4, older_transactions=0))
    first = scene.client.check()
    scene.receive(first, A, 0.0)
    for _ in range(3):
        scene.check(A, 0.1)
    assert scene.receive(first, B, 0.2) == []
    scene.check(A, 0.3)
    assert scene.receive(first, B, 0.4) == [PathAppeared(path=B)]
    assert not scene.lite.is_validated(B)


def test_a_listener_faster_than_the_client_does_not_cut_off_a_validated_path(scene):
    scene.validate(A, 0.0)
    scene.validate(B, 0.0)
    for step in range(1, 13):
        check = scene.client.check(nominate=step == 12)
        scene.receive(check, C, step * 10.0)
        assert scene.receive(check, A, step * 10.0 + 0.01) == []
        assert [to for _, to in scene.sent] == [A]
        # Used once, it is used up; also where it first appeared.
        assert scene.receive(check, C, step * 10.0 + 0.02) == []
        assert scene.receive(check, B, step * 10.0 + 0.02) == []
        assert not scene.sent
        assert not any(isinstance(event, Closed) for event in scene.lite.handle_timeout(step * 10.0))
    assert scene.lite.selected == A


def test_a_nomination_counts_once_wherever_it_is_repeated(scene):
    scene.validate(A, 0.0)
    scene.validate(B, 0.0)
    nomination = scene.client.check(nominate=True)
    scene.receive(nomination, C, 1.0)
    scene.receive(nomination, B, 1.1)
    assert scene.lite.selected == A


@given(st.lists(st.binary(min_size=12, max_size=12), unique=True, max_size=60), st.integers(0, 8), st.integers(0, 8))
def test_transactions_are_remembered_in_order_and_within_bounds(ids, recent, older):
    seen = SeenTransactions(recent=recent, older=older)
    for count, transaction_id in enumerate(ids):
        seen.remember(transaction_id, place(count))
        for age, known in enumerate(reversed(ids[: count + 1])):
            path = place(count - age) if age < recent else None
            assert seen.source_of(known) == path
            if recent <= age < recent + older:
                assert seen.is_old(known)
    forgotten = ids[: max(0, len(ids) - recent - older)]
    tails = {known[-8:] for known in ids[len(forgotten) :]}
    assert not any(seen.is_old(known) for known in forgotten if known[-8:] not in tails)


def test_ids_are_not_recognized_across_neighbours():
    seen = SeenTransactions(recent=0, older=8)
    seen.remember(b"....abcdefgh", A)
    seen.remember(b"....ijklmnop", A)
    assert seen.is_old(b"????abcdefgh")
    assert not seen.is_old(b"....efghijkl")


# The client's honest moves.


def test_the_latest_nomination_wins(scene):
    scene.validate(A, 0.0)
    scene.validate(B, 0.0)
    assert scene.check(B, 1.0, nominate=True) == [PathSelected(path=B)]
    assert scene.check(A, 1.1, nominate=True) == [PathSelected(path=A)]
    assert scene.check(A, 1.2, nominate=True) == []
    assert scene.lite.selected == A


def test_a_nominated_path_waits_for_its_validation(scene):
    scene.validate(A, 0.0)
    assert scene.check(B, 1.0, nominate=True) == [PathAppeared(path=B)]
    assert scene.lite.selected == A
    ((request, _),) = scene.requests()
    events = scene.receive(scene.client.answer(request, B), B, 1.1)
    assert events == [PathValidated(path=B), PathSelected(path=B)]


def test_a_nomination_that_was_overtaken_selects_nothing(scene):
    scene.validate(A, 0.0)
    scene.check(B, 1.0, nominate=True)
    ((request, _),) = scene.requests()
    scene.check(A, 1.05, nominate=True)
    assert scene.receive(scene.client.answer(request, B), B, 1.1) == [PathValidated(path=B)]
    assert scene.lite.selected == A


def test_an_old_path_is_selected_again_after_it_has_answered(scene):
    scene.validate(A, 0.0)
    scene.validate(B, 0.0, nominate=True)
    assert scene.check(A, 20.0, nominate=True) == []
    ((request, destination),) = scene.requests()
    assert destination == A
    assert scene.receive(scene.client.answer(request, A), A, 20.1) == [PathSelected(path=A)]


def test_media_moves_where_the_clients_media_comes_from(scene):
    scene.validate(A, 0.0)
    scene.validate(B, 1.0)
    assert scene.lite.selected == A
    assert list(scene.lite.authentic_traffic(B, 1.1)) == [PathSelected(path=B)]
    assert scene.lite.selected == B


def test_packets_that_were_overtaken_do_not_move_media_back(scene):
    scene.validate(A, 0.0)
    scene.validate(B, 1.0)
    scene.lite.authentic_traffic(B, 1.1)
    assert list(scene.lite.authentic_traffic(A, 1.15)) == []
    assert scene.lite.selected == B
    assert list(scene.lite.authentic_traffic(A, 1.4)) == [PathSelected(path=A)]


def test_traffic_over_a_stale_path_asks_first(scene):
    scene.validate(A, 0.0)
    scene.validate(B, 0.0)
    assert list(scene.lite.authentic_traffic(B, 20.0)) == []
    scene.collect(20.0)
    ((request, destination),) = scene.requests()
    assert destination == B
    assert scene.receive(scene.client.answer(request, B), B, 20.1) == [PathSelected(path=B)]


def test_traffic_does_not_move_media_to_an_unvalidated_path(scene):
    scene.validate(A, 0.0)
    scene.check(B, 1.0)
    assert list(scene.lite.authentic_traffic(B, 1.2)) == []
    assert scene.lite.selected == A
    assert list(scene.lite.authentic_traffic(C, 1.4)) == []
    assert not scene.lite.is_validated(C)


def test_a_changed_address_keeps_the_call(scene):
    """What a phone does that goes from Wi-Fi to the mobile network."""
    scene.validate(A, 0.0, nominate=True)
    scene.lite.authentic_traffic(A, 1.0)
    events = scene.validate(B, 3.0, nominate=True)
    assert events == [PathAppeared(path=B), PathValidated(path=B), PathSelected(path=B)]
    scene.lite.authentic_traffic(B, 20.0)
    assert list(scene.lite.handle_timeout(31.0)) == [PathExpired(path=A)]
    assert scene.lite.selected == B


def test_a_path_is_known_from_its_first_check_until_it_expires(scene):
    assert not scene.lite.knows(A)
    scene.check(A, 0.0, password="wrong")
    assert not scene.lite.knows(A)
    scene.check(A, 1.0)
    assert scene.lite.knows(A)
    scene.lite.handle_timeout(31.0)
    assert not scene.lite.knows(A)


def test_a_dtls_handshake_proves_a_path(scene):
    scene.check(A, 0.0)
    assert list(scene.lite.path_proven(A, 0.5)) == [PathValidated(path=A), PathSelected(path=A)]
    assert list(scene.lite.path_proven(A, 0.6)) == []
    assert list(scene.lite.path_proven(B, 0.7)) == []
    assert not scene.lite.is_validated(B)


# Consent.


def test_consent_expires_after_thirty_silent_seconds(scene):
    assert scene.lite.next_timeout() is None
    scene.validate(A, 1.0)
    assert scene.lite.next_timeout() == 31.0
    assert list(scene.lite.handle_timeout(30.99)) == []
    path_expired, closed = scene.lite.handle_timeout(31.0)
    assert path_expired == PathExpired(path=A)
    assert isinstance(closed, Closed)
    assert closed.reason == "consent-expired"
    assert scene.lite.next_timeout() is None
    assert scene.lite.selected is None
    assert scene.check(A, 32.0) == []
    assert scene.lite.drops == {DropReason.CLOSED: 1}
    assert not scene.sent
    assert list(scene.lite.handle_timeout(99.0)) == []
    assert list(scene.lite.authentic_traffic(A, 99.0)) == []
    assert list(scene.lite.path_proven(A, 99.0)) == []


@pytest.mark.parametrize("by_traffic", [True, False])
def test_checks_and_traffic_renew_consent(scene, by_traffic):
    scene.validate(A, 0.0)
    for now in (10.0, 25.0, 50.0, 75.0):
        if by_traffic:
            scene.lite.authentic_traffic(A, now)
        else:
            scene.check(A, now)
        assert list(scene.lite.handle_timeout(now)) == []
    assert list(scene.lite.handle_timeout(104.9)) == []
    assert scene.lite.next_timeout() == 105.0
    assert [type(event) for event in scene.lite.handle_timeout(105.0)] == [PathExpired, Closed]


def test_traffic_keeps_other_paths_alive_too(scene):
    scene.validate(A, 0.0)
    scene.validate(B, 0.0)
    scene.lite.authentic_traffic(B, 20.0)
    assert scene.lite.selected == A
    assert list(scene.lite.handle_timeout(30.0)) == [PathExpired(path=A)]
    assert scene.lite.is_validated(B)


def test_another_path_takes_over_when_the_selected_one_falls_silent(scene):
    scene.validate(A, 0.0)
    scene.validate(B, 0.0)
    scene.check(B, 25.0)
    assert list(scene.lite.handle_timeout(30.0)) == [PathExpired(path=A)]
    # The proof of B is thirty seconds old: it has to answer first.
    assert scene.lite.selected is None
    scene.collect(30.0)
    ((request, destination),) = scene.requests()
    assert destination == B
    assert scene.receive(scene.client.answer(request, B), B, 30.1) == [PathSelected(path=B)]


def test_a_freshly_proven_path_takes_over_at_once(scene):
    scene.validate(A, 0.0)
    scene.validate(B, 25.0)
    assert list(scene.lite.handle_timeout(30.0)) == [PathExpired(path=A), PathSelected(path=B)]


def test_strangers_come_and_go_without_ending_anything(scene):
    scene.check(A, 0.0)
    assert list(scene.lite.handle_timeout(30.0)) == [PathExpired(path=A)]
    assert scene.lite.next_timeout() is None
    assert PathSelected(path=A) in scene.validate(A, 40.0)
    assert scene.lite.next_timeout() == 70.0


def test_strangers_do_not_keep_a_session_for_ever(scene):
    scene.validate(A, 0.0)
    scene.check(B, 10.0)
    assert list(scene.lite.handle_timeout(30.0)) == [PathExpired(path=A)]
    assert scene.lite.selected is None
    assert [type(event) for event in scene.lite.handle_timeout(40.0)] == [PathExpired, Closed]
