"""The caller's agent, against servers made of bytes: what it sends when, and what it makes of the answers."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stun.attributes import Attribute, AttributeType
from stun.binding import Refusal, binding_request, error_response, pack_username, success_response
from stun.checklist import PAIR_TRANSITIONS, CandidatePair, PairInput, PairState
from stun.controlling import IceControlling, IceControllingOptions
from stun.events import DropReason, PathSelected, PathValidated
from stun.integrity import add_fingerprint, add_message_integrity, verify_fingerprint, verify_message_integrity
from stun.message import Message, MessageClass
from wire.core import Closed, Path
from wire.errors import LocalProtocolError

A, B, C = (Path((f"192.0.2.{number}", 3478), number) for number in (1, 2, 3))
REMOTE_KEY = b"server-password-of-24-ch"
LOCAL_KEY = b"caller-password-of-24-ch"
OUR_ADDRESS = ("203.0.113.7", 40000)


def agent(*candidates, **options) -> IceControlling:
    count = iter(range(1, 10**6))
    return IceControlling(
        local_ufrag="call",
        local_pwd=LOCAL_KEY.decode(),
        remote_ufrag="server",
        remote_pwd=REMOTE_KEY.decode(),
        candidates=candidates or [(A, 100)],
        entropy=lambda size: next(count).to_bytes(size, "big"),
        now=0.0,
        options=IceControllingOptions(**options),
    )


def sent(ice: IceControlling, now: float) -> list[tuple[bytes, Path]]:
    return list(ice.datagrams_to_send(now))


def destinations(ice: IceControlling, now: float) -> list[Path]:
    return [path for _, path in sent(ice, now)]


def good(request: bytes) -> bytes:
    return success_response(Message.parse(request), OUR_ADDRESS, REMOTE_KEY)


def answer(ice: IceControlling, request: bytes, path: Path, now: float) -> list:
    return list(ice.receive_datagram(good(request), path, now))


def nominates(request: bytes) -> bool:
    return Message.parse(request).get(AttributeType.USE_CANDIDATE) is not None


def run_until(ice: IceControlling, until: float) -> tuple[list, list[tuple[float, bytes, Path]]]:
    """Let time pass, from timeout to timeout; return the events, and what was sent when."""
    events, out = [], []
    while (now := ice.next_timeout()) is not None and now <= until:
        events += ice.handle_timeout(now)
        out += [(now, data, path) for data, path in sent(ice, now)]
        assert ice.next_timeout() is None or ice.next_timeout() > now
    return events, out


def test_only_the_tables_steps_are_taken():
    for state in PairState:
        for happened in PairInput:
            pair = CandidatePair(path=A, priority=1, state=state)
            expected = PAIR_TRANSITIONS[state].get(happened)
            assert pair.apply(happened) is (expected is not None)
            assert pair.state is (expected or state)


def test_the_first_check_is_ready_at_once_and_complete():
    ((request, path),) = sent(agent(), 0.0)
    assert path == A
    assert verify_fingerprint(request)
    assert verify_message_integrity(request, REMOTE_KEY)
    message = Message.parse(request)
    assert message.get(AttributeType.USERNAME) == b"server:call"
    assert message.get(AttributeType.PRIORITY) == bytes.fromhex("6effffff")
    assert len(message.get(AttributeType.ICE_CONTROLLING)) == 8
    assert not nominates(request)


def test_candidates_are_tried_in_order_of_priority_and_paced():
    ice = agent((A, 1), (B, 3), (C, 2))
    assert destinations(ice, 0.0) == [B]
    assert list(ice.handle_timeout(0.049)) == []
    assert destinations(ice, 0.049) == []
    _, out = run_until(ice, 0.4)
    assert [(round(now, 3), path) for now, _, path in out] == [(0.05, C), (0.1, A)]


def test_no_candidates_is_our_own_mistake():
    with pytest.raises(LocalProtocolError):
        IceControlling(
            local_ufrag="a", local_pwd="b", remote_ufrag="c", remote_pwd="d", candidates=[], entropy=bytes, now=0.0
        )


def test_a_check_is_repeated_unchanged_and_given_up():
    ice = agent()
    ((first, _),) = sent(ice, 0.0)
    events, out = run_until(ice, 100.0)
    # RFC 8489 §6.2.1 gives this very example.
    assert [now for now, _, _ in out] == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert {data for _, data, _ in out} == {first}
    (closed,) = events
    assert isinstance(closed, Closed)
    assert closed.reason == "ice-failed"
    assert ice.next_timeout() is None
    assert answer(ice, first, A, 101.0) == []
    assert ice.drops == {DropReason.CLOSED: 1}


def test_an_answer_selects_at_once_and_is_followed_by_the_nomination():
    ice = agent()
    ((check, _),) = sent(ice, 0.0)
    assert answer(ice, check, A, 0.03) == [PathValidated(path=A), PathSelected(path=A)]
    assert ice.selected == A
    assert ice.round_trip_time == pytest.approx(0.03)
    ((nomination, path),) = sent(ice, 0.03)
    assert path == A
    assert nominates(nomination)
    assert answer(ice, nomination, A, 0.06) == []
    _, out = run_until(ice, 3.9)
    assert out == []


def test_a_lost_nomination_is_repeated():
    ice = agent()
    ((check, _),) = sent(ice, 0.0)
    answer(ice, check, A, 0.0)
    ((nomination, _),) = sent(ice, 0.0)
    _, out = run_until(ice, 2.0)
    assert [(now, data) for now, data, _ in out] == [(0.5, nomination), (1.5, nomination)]
    answer(ice, nomination, A, 2.0)
    _, out = run_until(ice, 3.9)
    assert out == []
    # Karn: nobody knows which of the three was answered.
    assert ice.round_trip_time == 0.0


def test_a_better_candidate_is_waited_for_a_little_while():
    ice = agent((A, 2), (B, 1))
    ((check_a, _),) = sent(ice, 0.0)
    _, ((_, check_b, _),) = run_until(ice, 0.05)
    assert answer(ice, check_b, B, 0.1) == [PathValidated(path=B), PathSelected(path=B)]
    assert sent(ice, 0.1) == []
    assert answer(ice, check_a, A, 0.2) == [PathValidated(path=A), PathSelected(path=A)]
    ((nomination, path),) = sent(ice, 0.2)
    assert nominates(nomination)
    assert path == A


def test_patience_ends():
    ice = agent((A, 2), (B, 1))
    sent(ice, 0.0)
    _, ((_, check_b, _),) = run_until(ice, 0.05)
    answer(ice, check_b, B, 0.1)
    _, out = run_until(ice, 0.6)
    ((when, nomination),) = [(now, data) for now, data, path in out if path == B]
    assert when == pytest.approx(0.6)
    assert nominates(nomination)
    answer(ice, nomination, B, 0.7)
    # The other candidate is tried no more.
    _, out = run_until(ice, 60.0)
    assert {path for _, _, path in out} == {B}


def test_another_pair_takes_over_when_the_nomination_fails():
    ice = agent((A, 2), (B, 1))
    ((check_a, _),) = sent(ice, 0.0)
    _, ((_, check_b, _),) = run_until(ice, 0.05)
    answer(ice, check_a, A, 0.06)
    ((nomination, _),) = sent(ice, 0.06)
    answer(ice, check_b, B, 0.07)
    assert ice.selected == A
    refused = error_response(Message.parse(nomination), Refusal.ROLE_CONFLICT, REMOTE_KEY)
    assert list(ice.receive_datagram(refused, A, 0.1)) == [PathSelected(path=B)]
    assert ice.drops == {DropReason.REFUSED: 1}
    ((nomination, path),) = sent(ice, 0.1)
    assert path == B
    assert nominates(nomination)


def test_a_refused_check_fails_its_pair():
    ice = agent((A, 2), (B, 1))
    ((check, _),) = sent(ice, 0.0)
    refused = error_response(Message.parse(check), Refusal.ROLE_CONFLICT, REMOTE_KEY)
    assert list(ice.receive_datagram(refused, A, 0.01)) == []
    _, out = run_until(ice, 1.0)
    assert {path for _, _, path in out} == {B}


def test_answers_that_prove_nothing():
    ice = agent()
    ((check, _),) = sent(ice, 0.0)
    message = Message.parse(check)
    forged = success_response(message, OUR_ADDRESS, b"guess")
    bare_error = error_response(message, Refusal.UNAUTHENTICATED, REMOTE_KEY)
    unknown = success_response(Message(message_class=MessageClass.REQUEST, transaction_id=bytes(12)), OUR_ADDRESS, b"")
    for data, source, reason in [
        (forged, A, DropReason.RESPONSE_INTEGRITY),
        (bare_error, A, DropReason.RESPONSE_INTEGRITY),
        (good(check), B, DropReason.RESPONSE_ELSEWHERE),
        (unknown, A, DropReason.TRANSACTION),
        (b"", A, DropReason.MALFORMED),
        (good(check)[:-1] + b"?", A, DropReason.FINGERPRINT),
    ]:
        before = ice.drops[reason]
        assert list(ice.receive_datagram(data, source, 0.1)) == []
        assert ice.drops[reason] == before + 1
    assert ice.selected is None
    assert answer(ice, check, A, 0.2) == [PathValidated(path=A), PathSelected(path=A)]
    assert answer(ice, check, A, 0.2) == []
    assert ice.drops[DropReason.TRANSACTION] == 2


# Consent.


def connected() -> IceControlling:
    ice = agent()
    ((check, _),) = sent(ice, 0.0)
    answer(ice, check, A, 0.0)
    ((nomination, _),) = sent(ice, 0.0)
    answer(ice, nomination, A, 0.0)
    return ice


def test_consent_is_asked_for_once_in_four_to_six_seconds():
    ice = connected()
    asked, seen = [0.0], set()
    while asked[-1] < 100.0:
        now = ice.next_timeout()
        assert list(ice.handle_timeout(now)) == []
        for data, path in sent(ice, now):
            assert not nominates(data)
            transaction_id = Message.parse(data).transaction_id
            assert transaction_id not in seen
            seen.add(transaction_id)
            asked.append(now)
            if len(asked) % 2:  # the others are lost, and not repeated
                assert answer(ice, data, path, now + 0.02) == []
    pauses = [after - before for before, after in itertools.pairwise(asked)]
    assert all(3.99 <= pause <= 6.01 for pause in pauses)
    assert ice.selected == A


def test_consent_expires():
    ice = connected()
    events, out = run_until(ice, 100.0)
    assert 4 <= len(out) <= 7
    (closed,) = events
    assert closed.reason == "consent-expired"
    assert out[-1][0] < 30.0
    assert ice.selected is None


def test_a_single_answer_renews_consent():
    ice = connected()
    _, out = run_until(ice, 20.0)
    _, data, path = out[-1]
    assert answer(ice, data, path, 21.0) == []
    events, _ = run_until(ice, 50.9)
    assert events == []
    events, _ = run_until(ice, 51.1)
    assert [event.reason for event in events] == ["consent-expired"]


# The server's own requests.


def server_request(transaction_id: bytes = bytes(12), **wrong) -> bytes:
    role = wrong.get("role", AttributeType.ICE_CONTROLLED)
    attributes = [Attribute(AttributeType.PRIORITY, bytes.fromhex("00000007")), Attribute(role, bytes(8))]
    username = pack_username(wrong.get("ufrag", "call"), "server")
    return binding_request(transaction_id, username, wrong.get("key", LOCAL_KEY), attributes)


def test_a_path_that_is_doubted_is_checked_at_once():
    ice = agent((A, 100))
    sent(ice, 0.0)
    ice.check_now(0.01)
    assert sent(ice, 0.01) == []  # nothing is selected yet
    ice = connected()
    ice.check_now(1.0)
    ((check, path),) = sent(ice, 1.0)
    assert path == A
    assert not nominates(check)
    # It stands for the next consent check.
    assert 4.99 <= ice.next_timeout() <= 7.01
    answer(ice, check, path, 2.0)
    events, _ = run_until(ice, 100.0)
    assert [event.reason for event in events] == ["consent-expired"]
    assert ice.next_timeout() is None
    ice.check_now(101.0)
    assert sent(ice, 101.0) == []


def test_the_servers_request_is_answered():
    ice = agent()
    sent(ice, 0.0)
    assert list(ice.receive_datagram(server_request(), A, 0.01)) == []
    (response, path), *_ = sent(ice, 0.01)
    assert path == A
    assert verify_message_integrity(response, LOCAL_KEY)
    assert Message.parse(response).message_class is MessageClass.SUCCESS


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"key": b"guess"}, DropReason.UNAUTHENTICATED),
        ({"ufrag": "else"}, DropReason.UNAUTHENTICATED),
        ({"role": AttributeType.ICE_CONTROLLING}, DropReason.ROLE_CONFLICT),
    ],
)
def test_bad_requests_get_errors(wrong, reason):
    ice = agent()
    sent(ice, 0.0)
    assert list(ice.receive_datagram(server_request(**wrong), A, 0.01)) == []
    ((response, _),) = sent(ice, 0.01)
    assert Message.parse(response).message_class is MessageClass.ERROR
    assert ice.drops == {reason: 1}


def test_a_request_triggers_a_check_before_its_turn():
    ice = agent((A, 3), (B, 2), (C, 1))
    sent(ice, 0.0)
    ice.receive_datagram(server_request(), C, 0.01)
    sent(ice, 0.01)
    _, out = run_until(ice, 0.12)
    assert [path for _, _, path in out] == [C, B]


def test_a_request_replaces_the_check_in_progress_and_either_may_be_answered():
    ice = agent()
    ((first, _),) = sent(ice, 0.0)
    ice.receive_datagram(server_request(), A, 0.1)
    _, (second, _) = sent(ice, 0.1)
    assert first != second
    _, out = run_until(ice, 1.0)
    assert {data for _, data, _ in out} == {second}
    assert answer(ice, first, A, 1.0) == [PathValidated(path=A), PathSelected(path=A)]


def test_a_replaced_check_that_times_out_fails_nothing():
    ice = agent()
    sent(ice, 0.0)
    ice.receive_datagram(server_request(), A, 0.1)
    _, (second, _) = sent(ice, 0.1)
    events, _ = run_until(ice, 30.0)
    assert events == []
    assert answer(ice, second, A, 30.0) == [PathValidated(path=A), PathSelected(path=A)]


def test_an_unknown_address_of_the_server_is_learnt_within_bounds():
    ice = agent((A, 30), max_pairs=2)
    sent(ice, 0.0)
    for path in (B, C):
        ice.receive_datagram(server_request(), path, 0.01)
    sent(ice, 0.01)
    _, out = run_until(ice, 0.4)
    assert [path for _, _, path in out] == [B]
    assert answer(ice, out[0][1], B, 0.4) == [PathValidated(path=B), PathSelected(path=B)]
    # The answer's own candidate is preferred to one of lower priority.
    assert sent(ice, 0.4) == []


def test_a_failed_pair_lives_again_when_the_server_reaches_us_over_it():
    ice = agent((A, 2), (B, 1))
    ((check, _),) = sent(ice, 0.0)
    ice.receive_datagram(error_response(Message.parse(check), Refusal.ROLE_CONFLICT, REMOTE_KEY), A, 0.0)
    ice.receive_datagram(server_request(), A, 0.1)
    checks = [path for data, path in sent(ice, 0.1) if Message.parse(data).message_class is MessageClass.REQUEST]
    assert checks == [A]


anything = st.lists(
    st.builds(Attribute, st.one_of(st.sampled_from(AttributeType), st.integers(0, 0xFFFF)), st.binary(max_size=40)),
    max_size=6,
)


@given(st.lists(st.tuples(anything, st.sampled_from(MessageClass), st.sampled_from([A, B, C])), max_size=12))
def test_whoever_knows_the_passwords_may_write_anything(messages):
    """Authentic nonsense, some of it in answer to our own checks, is answered or dropped; nothing raises."""
    ice = agent((A, 2), (B, 1), max_pairs=2)
    asked = [bytes(12)]
    for number, (attributes, message_class, path) in enumerate(messages):
        now = number * 0.3
        ice.handle_timeout(now)
        asked += [Message.parse(data).transaction_id for data, _ in sent(ice, now)]
        for key in (LOCAL_KEY, REMOTE_KEY):
            bare = Message(message_class=message_class, transaction_id=asked[-1], attributes=tuple(attributes))
            ice.receive_datagram(add_fingerprint(add_message_integrity(bare.serialize(), key)), path, now)
    assert ice.selected in (None, A, B)
