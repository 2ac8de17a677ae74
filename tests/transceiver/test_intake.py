"""From an offer to a session: names, keys, certificates, profiles."""

import random
from collections.abc import Callable

import pytest

from dtls.options import Role
from edge.caller.description import parse_answer
from edge.caller.progress import CallerOptions
from transceiver.calls import AnswerIngress, OfferRefused
from transceiver.intake import Intake
from transceiver.options import SessionOptions

DAY = 86400.0
OPTIONS = SessionOptions()


class Clock:
    def __init__(self, unix_time: float) -> None:
        self.unix_time = unix_time

    def __call__(self) -> float:
        return self.unix_time


@pytest.fixture
def clock(call_network) -> Clock:
    return Clock(call_network.UNIX)


@pytest.fixture
def intake(call_network, clock: Clock) -> Intake:
    return Intake(
        cluster=7,
        incarnation=8,
        worker=9,
        credential_keys=call_network.CREDENTIAL_KEYS,
        call_id_keys=call_network.CALL_ID_KEYS,
        entropy=random.Random(1).randbytes,
        unix_time=clock,
    )


@pytest.fixture
def offer(call_network, certificate, clip) -> Callable[..., str]:
    return lambda setup="actpass": call_network.make_caller(certificate, CallerOptions(clip=clip, setup=setup)).offer


def test_token_and_call_id_lead_here_and_tell_nothing_of_each_other(call_network, intake: Intake, offer) -> None:
    accepted = intake.accept(offer(), [call_network.INGRESS], OPTIONS, 1.0)
    ufrag = parse_answer(accepted.answer).ice_ufrag
    route = call_network.CREDENTIAL_KEYS.open(ufrag)
    assert (route.cluster, route.incarnation, route.worker, route.session) == (7, 8, 9, accepted.session_id)
    assert route.minted == int(call_network.UNIX)
    assert call_network.CALL_ID_KEYS.open(accepted.call_id) == route
    assert parse_answer(accepted.answer).ice_pwd == call_network.CREDENTIAL_KEYS.password(ufrag)
    assert ufrag[2:] not in accepted.call_id
    again = intake.accept(offer(), [call_network.INGRESS], OPTIONS, 1.0)
    assert again.session_id != accepted.session_id
    assert again.call_id != accepted.call_id


def test_the_answer_names_the_ingresses(intake: Intake, offer) -> None:
    ingresses = [
        AnswerIngress(id=1, host="192.0.2.1", port=3478, priority=200),
        AnswerIngress(id=2, host="2001:db8::1", port=3479, priority=100),
    ]
    candidates = parse_answer(intake.accept(offer(), ingresses, OPTIONS, 1.0).answer).candidates
    assert [(item.host, item.port, item.priority) for item in candidates] == [
        ("192.0.2.1", 3478, 200),
        ("2001:db8::1", 3479, 100),
    ]


@pytest.mark.parametrize(
    ("setup", "role"), [("actpass", Role.CLIENT), ("passive", Role.CLIENT), ("active", Role.SERVER)]
)
def test_the_role_of_the_answer_is_the_role_of_the_session(call_network, intake: Intake, offer, setup, role) -> None:
    accepted = intake.accept(offer(setup), [call_network.INGRESS], OPTIONS, 1.0)
    assert parse_answer(accepted.answer).is_dtls_client is (role is Role.CLIENT)
    assert accepted.session._transport.role is role


def test_a_browser_is_offered_one_srtp_profile_and_others_all(call_network, intake: Intake, offer) -> None:
    text = offer()
    assert "extmap-allow-mixed" in text  # as browsers say
    browser = intake.accept(text, [call_network.INGRESS], OPTIONS, 1.0).session
    other = intake.accept(text.replace("a=extmap-allow-mixed\r\n", ""), [call_network.INGRESS], OPTIONS, 1.0).session
    assert browser._transport._options.srtp_profiles == (7,)
    assert other._transport._options.srtp_profiles == (7, 8, 1)
    server = intake.accept(offer("active"), [call_network.INGRESS], OPTIONS, 1.0).session
    assert server._transport._options.srtp_profiles == (7, 8, 1)


def test_new_calls_get_a_new_certificate_each_day(call_network, intake: Intake, offer, clock: Clock) -> None:
    def fingerprint() -> tuple[str, ...]:
        accepted = intake.accept(offer(), [call_network.INGRESS], OPTIONS, 1.0)
        announced = parse_answer(accepted.answer).fingerprints
        assert announced == (str(accepted.session._transport._certificate.fingerprint()),)
        return announced

    first = fingerprint()
    clock.unix_time += DAY - 1
    assert fingerprint() == first
    clock.unix_time += 1
    second = fingerprint()
    assert second != first
    clock.unix_time += DAY - 1
    assert fingerprint() == second


@pytest.mark.parametrize("text", ["", "v=0\r\n", "a=fingerprint", "{}"])
def test_what_is_no_offer_is_refused_with_a_reason(call_network, intake: Intake, text: str) -> None:
    with pytest.raises(OfferRefused, match=r"\w+"):
        intake.accept(text, [call_network.INGRESS], OPTIONS, 1.0)
