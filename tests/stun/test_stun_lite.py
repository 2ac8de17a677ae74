"""The lite agent's answers and refusals. The rules for paths are in test_stun_paths.py."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stun.attributes import Attribute, AttributeType, ErrorCode, MappedAddress, UnknownAttributes, xor_address
from stun.events import DropReason, PathAppeared, PathSelected, PathValidated
from stun.integrity import verify_fingerprint, verify_message_integrity
from stun.message import Message, MessageClass
from wire.buffer import Reader
from wire.core import Path

HERE = Path(("203.0.113.7", 40000), 1)
HERE_IPV6 = Path(("2001:db8::7", 40000), 1)
LOCAL_KEY = b"server-password-of-24-ch"
REMOTE_KEY = b"g9xxqUW+DWQhrdvj0WpGFdRI"


def mapped(message: Message) -> MappedAddress:
    value = message.get(AttributeType.XOR_MAPPED_ADDRESS)
    return MappedAddress.parse(Reader(xor_address(value, message.transaction_id)))


@pytest.mark.parametrize("path", [HERE, HERE_IPV6])
def test_a_check_is_answered_with_the_address_it_came_from(scene, path):
    events = scene.check(path, 0.0)
    assert events == [PathAppeared(path=path)]
    (response, destination), _ = scene.sent
    assert destination == path
    assert verify_fingerprint(response)
    assert verify_message_integrity(response, LOCAL_KEY)
    message = Message.parse(response)
    assert message.message_class is MessageClass.SUCCESS
    assert message.transaction_id == (1).to_bytes(12, "big")
    assert mapped(message).address == path.address


def test_our_own_request_follows_and_is_what_a_full_agent_answers(scene):
    scene.check(HERE, 0.0)
    _, (request, destination) = scene.sent
    assert destination == HERE
    assert verify_fingerprint(request)
    assert verify_message_integrity(request, REMOTE_KEY)
    message = Message.parse(request)
    assert message.message_class is MessageClass.REQUEST
    assert message.get(AttributeType.USERNAME) == b"9idp:server"
    assert len(message.get(AttributeType.ICE_CONTROLLED)) == 8
    assert message.get(AttributeType.PRIORITY) == bytes.fromhex("6effffff")
    assert message.get(AttributeType.USE_CANDIDATE) is None


def test_an_answer_validates_and_selects_without_nomination(scene):
    scene.check(HERE, 0.0)
    assert not scene.lite.is_validated(HERE)
    assert scene.lite.selected is None
    ((request, _),) = scene.requests()
    events = scene.receive(scene.client.answer(request, HERE), HERE, 0.04)
    assert events == [PathValidated(path=HERE), PathSelected(path=HERE)]
    assert scene.lite.is_validated(HERE)
    assert scene.lite.selected == HERE
    assert scene.lite.round_trip_time == pytest.approx(0.04)
    assert not scene.lite.drops


def test_a_validated_path_is_not_asked_again(scene):
    scene.validate(HERE, 0.0)
    for now in (1.0, 20.0, 40.0):
        scene.check(HERE, now)
        assert not scene.requests()


def test_checks_are_answered_before_the_client_is_known(make_scene):
    scene = make_scene(known=False)
    assert scene.check(HERE, 0.0) == [PathAppeared(path=HERE)]
    assert [message.message_class for message in scene.responses()] == [MessageClass.SUCCESS]
    assert not scene.requests()
    scene.lite.set_remote_credentials("9idp", REMOTE_KEY.decode())
    scene.collect(0.2)
    ((request, destination),) = scene.requests()
    assert destination == HERE
    events = scene.receive(scene.client.answer(request, HERE), HERE, 0.3)
    assert events == [PathValidated(path=HERE), PathSelected(path=HERE)]


def test_a_response_before_the_client_is_known_is_dropped(make_scene):
    scene = make_scene(known=False)
    scene.check(HERE, 0.0)
    other = make_scene()
    other.check(HERE, 0.0)
    ((request, _),) = other.requests()
    assert scene.receive(scene.client.answer(request, HERE), HERE, 0.1) == []
    assert scene.lite.drops == {DropReason.TRANSACTION: 1}


def test_answers_are_smaller_than_checks(scene):
    for path in (HERE, HERE_IPV6):
        for sha256 in (False, True):
            check = scene.client.check(sha256=sha256)
            scene.receive(check, path, 0.0)
            (response, _), *_ = scene.sent
            assert len(response) < len(check)


def test_sha256_is_answered_with_sha256_alone(scene):
    scene.check(HERE, 0.0, sha256=True)
    (message,) = scene.responses()
    types = [attribute.type for attribute in message.attributes]
    assert AttributeType.MESSAGE_INTEGRITY_SHA256 in types
    assert AttributeType.MESSAGE_INTEGRITY not in types
    assert verify_message_integrity(scene.sent[0][0], LOCAL_KEY)


@pytest.mark.parametrize(
    ("how", "code", "reason"),
    [
        ({"username": None}, 400, DropReason.BAD_REQUEST),
        ({"password": None}, 400, DropReason.BAD_REQUEST),
        ({"password": "another-password-of-24-c"}, 401, DropReason.UNAUTHENTICATED),
        ({"username": b"foreign:9idp"}, 401, DropReason.UNAUTHENTICATED),
        ({"username": b"server"}, 401, DropReason.UNAUTHENTICATED),
        (
            {"extra": [Attribute(0x7001, b""), Attribute(0x7001, b""), Attribute(0x0003, b"abcd")]},
            420,
            "unknown-attribute",
        ),
        ({"role": AttributeType.ICE_CONTROLLED}, 487, DropReason.ROLE_CONFLICT),
    ],
)
def test_a_bad_request_gets_its_error_and_makes_no_path(scene, how, code, reason):
    assert scene.check(HERE, 0.0, **how) == []
    assert scene.lite.drops == {reason: 1}
    ((data, destination),) = scene.sent
    assert destination == HERE
    message = Message.parse(data)
    assert message.message_class is MessageClass.ERROR
    assert message.transaction_id == (1).to_bytes(12, "big")
    assert ErrorCode.parse(Reader(message.get(AttributeType.ERROR_CODE))).code == code
    assert verify_fingerprint(data)
    # RFC 8489 §9.1.3: no integrity where the sender has not shown that it knows the password.
    assert message.has_integrity() is (code in (420, 487))
    assert verify_message_integrity(data, LOCAL_KEY) is (code in (420, 487))
    if code == 420:
        unknown = UnknownAttributes.parse(Reader(message.get(AttributeType.UNKNOWN_ATTRIBUTES)))
        assert unknown.types == (0x7001, 0x0003)
    # A good check afterwards is a new path.
    assert scene.check(HERE, 1.0) == [PathAppeared(path=HERE)]


def test_unknown_optional_attributes_are_ignored(scene):
    extra = [Attribute(0xC057, bytes(4)), Attribute(0x8777, b"?"), Attribute(0xC070, bytes(500))]
    assert scene.check(HERE, 0.0, extra=extra) == [PathAppeared(path=HERE)]


def test_errors_cannot_be_had_in_numbers(scene):
    sent = 0
    for step in range(1000):
        scene.check(HERE, step / 1000, password="wrong")
        sent += len(scene.sent)
    assert sent == 20
    assert scene.lite.drops == {DropReason.UNAUTHENTICATED: 1000}


def test_attributes_behind_the_integrity_are_ignored(scene):
    scene.validate(HERE, 0.0)
    other = Path(("198.51.100.1", 5000), 1)
    scene.validate(other, 0.1)
    # Neither an error for what is not understood, nor a nomination.
    forged = [Attribute(0x7001, b""), Attribute(AttributeType.USE_CANDIDATE, b"")]
    assert scene.check(other, 0.2, behind_integrity=forged) == []
    assert [message.message_class for message in scene.responses()] == [MessageClass.SUCCESS]
    assert scene.lite.selected == HERE
    # And no username can be taken from there.
    scene.check(HERE, 1.0, username=None, behind_integrity=[Attribute(AttributeType.USERNAME, b"server:9idp")])
    assert scene.lite.drops == {DropReason.BAD_REQUEST: 1}


def test_noise_is_counted_and_not_answered(scene):
    check = scene.client.check()
    wrong_fingerprint = check[:-1] + bytes([check[-1] ^ 1])
    for data, reason in [
        (b"", DropReason.MALFORMED),
        (b"\0", DropReason.MALFORMED),
        (bytes(65507), DropReason.MALFORMED),
        (check[:-4], DropReason.MALFORMED),
        (check + b"\0\0\0\0", DropReason.MALFORMED),
        (b"\0\x01\0\0" + b"\x21\x12\xa4\x43" + bytes(12), DropReason.MALFORMED),
        (wrong_fingerprint, DropReason.FINGERPRINT),
        (scene.client.check(fingerprint=False), DropReason.FINGERPRINT),
        (scene.client.check(method=0x80), DropReason.METHOD),
        (scene.client.check(message_class=MessageClass.INDICATION), DropReason.INDICATION),
        (scene.client.check(message_class=MessageClass.SUCCESS), DropReason.TRANSACTION),
        (scene.client.check(message_class=MessageClass.ERROR), DropReason.TRANSACTION),
    ]:
        before = scene.lite.drops[reason]
        assert scene.receive(data, HERE, 0.0) == []
        assert scene.lite.drops[reason] == before + 1, reason
        assert not scene.sent
    assert scene.lite.next_timeout() is None


def test_responses_that_prove_nothing(scene):
    scene.check(HERE, 0.0)
    ((request, _),) = scene.requests()
    good = scene.client.answer(request, HERE)
    elsewhere = Path(HERE.address, 2)
    forged = scene.client.answer(request, HERE, password="guess")
    # An integrity of another algorithm than the request's is none (RFC 8489 §9.1.4).
    message = Message.parse(request)
    sha256 = scene.client.check(
        transaction_id=message.transaction_id,
        message_class=MessageClass.SUCCESS,
        password=REMOTE_KEY.decode(),
        sha256=True,
    )
    for data, source, reason in [
        (good, elsewhere, DropReason.RESPONSE_ELSEWHERE),
        (forged, HERE, DropReason.RESPONSE_INTEGRITY),
        (sha256, HERE, DropReason.RESPONSE_INTEGRITY),
    ]:
        assert scene.receive(data, source, 0.1) == []
        assert scene.lite.drops[reason] >= 1
        assert not scene.lite.is_validated(HERE)
    # None of them has used up the transaction; the true answer does.
    assert PathValidated(path=HERE) in scene.receive(good, HERE, 0.2)
    assert scene.receive(good, HERE, 0.3) == []
    assert scene.lite.drops[DropReason.TRANSACTION] == 1


def test_an_error_response_validates_nothing(scene):
    scene.check(HERE, 0.0)
    ((request, _),) = scene.requests()
    error = scene.client.check(
        transaction_id=Message.parse(request).transaction_id,
        message_class=MessageClass.ERROR,
        password=REMOTE_KEY.decode(),
        username=None,
        role=None,
    )
    assert scene.receive(error, HERE, 0.1) == []
    assert scene.lite.drops == {DropReason.REFUSED: 1}
    assert not scene.lite.is_validated(HERE)


def test_requests_that_wait_for_an_answer_are_bounded(scene):
    scene.check(HERE, 0.0)
    ((first, _),) = scene.requests()
    for step in range(1, 80):
        scene.check(HERE, step * 3.0)
    assert scene.receive(scene.client.answer(first, HERE), HERE, 250.0) == []
    assert scene.lite.drops == {DropReason.TRANSACTION: 1}


def test_other_credentials_make_earlier_requests_void(scene):
    scene.check(HERE, 0.0)
    ((request, _),) = scene.requests()
    scene.lite.set_remote_credentials("new!", "another-password-of-24-c")
    for password in (REMOTE_KEY.decode(), "another-password-of-24-c"):
        assert scene.receive(scene.client.answer(request, HERE, password=password), HERE, 0.1) == []
    assert scene.lite.drops == {DropReason.TRANSACTION: 2}
    scene.check(HERE, 1.0)
    ((request, _),) = scene.requests()
    assert Message.parse(request).get(AttributeType.USERNAME) == b"new!:server"
    assert verify_message_integrity(request, b"another-password-of-24-c")


anything = st.lists(
    st.builds(Attribute, st.one_of(st.sampled_from(AttributeType), st.integers(0, 0xFFFF)), st.binary(max_size=40)),
    max_size=6,
)


@given(st.lists(st.tuples(anything, st.sampled_from(MessageClass), st.integers(0, 3)), max_size=12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whoever_knows_the_password_may_write_anything(make_scene, messages):
    """Authentic nonsense is answered or dropped; nothing raises, and nothing is validated by it."""
    scene = make_scene()
    for number, (attributes, message_class, sender) in enumerate(messages):
        path = Path((f"203.0.113.{sender}", 40000), 1)
        for password in (LOCAL_KEY, REMOTE_KEY):
            scene.check(path, number * 0.1, extra=attributes, message_class=message_class, password=password.decode())
            assert len(scene.sent) <= 2
    assert scene.lite.selected is None
