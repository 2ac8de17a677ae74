"""What a PATCH of a call does: candidates are taken, ICE is restarted, and the conversation goes on."""

import pytest

from edge.caller.results import MediaStatistics
from stun.events import DropReason as IceDropReason
from stun.lite import IceCredentials
from transceiver.calls import AnswerIngress, FragmentRefused, IceSessionChanged, IceUpdate, Overloaded
from transceiver.ice_updates import ice_tag, update_ice
from transceiver.intake import Intake
from transceiver.session import State
from wire.core import Path

ELSEWHERE = Path(("198.51.100.200", 60000), 1)
INGRESSES = (
    AnswerIngress(id=1, host="192.0.2.1", port=3478, priority=200),
    AnswerIngress(id=2, host="192.0.2.2", port=443, priority=100, protocol="tcp"),
)
CANDIDATES = "a=candidate:1 1 udp 2122260223 192.0.2.77 50000 typ host\r\na=end-of-candidates\r\n"


class Resource:
    """The call resource of a network's session."""

    def __init__(self, call_network, network) -> None:
        self.network, self.session = network, network.server
        self.unix_time = call_network.UNIX + 1000
        self.intake = Intake(
            cluster=1,
            incarnation=2,
            worker=0,
            credential_keys=call_network.CREDENTIAL_KEYS,
            call_id_keys=call_network.CALL_ID_KEYS,
            entropy=bytes,
            unix_time=lambda: self.unix_time,
        )
        self.open = call_network.CREDENTIAL_KEYS.open

    def mint(self) -> IceCredentials:
        return self.intake.mint_again(self.open(self.session.ice.local.ufrag).session, self.session.ice.local)

    def patch(self, fragment: str, tag: str | None = None):
        return update_ice(self.session, IceUpdate(fragment=fragment, tag=tag, ingresses=INGRESSES), self.mint)

    def theirs(self) -> str:
        remote = self.session.ice.remote
        return (
            f"a=ice-ufrag:{remote.ufrag}\r\na=ice-pwd:{remote.password}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
        )

    def restart(self):
        updated = self.patch(self.network.caller.offer_restart(), "*")
        self.network.caller.accept_restart(updated.fragment, self.network.now)
        return updated


@pytest.fixture
def resource(call_network, talk) -> Resource:
    return Resource(call_network, talk())


# -- candidates


@pytest.mark.parametrize("tag", ["present", None])
def test_candidates_of_the_present_credentials_are_counted(resource, tag) -> None:
    tag = tag and ice_tag(resource.session)
    updated = resource.patch(resource.theirs() + CANDIDATES, tag)
    assert (updated.fragment, updated.tag) == ("", ice_tag(resource.session))
    assert (updated.candidates, updated.unreadable, updated.is_end) == (1, 0, True)


def test_candidates_without_credentials_are_those_of_the_present(resource) -> None:
    assert resource.patch("m=audio 9 RTP/AVP 0\r\n" + CANDIDATES).candidates == 1


@pytest.mark.parametrize("tag", ["another", 'W/"weak"', ""])
def test_another_tag_is_refused(resource, tag) -> None:
    with pytest.raises(IceSessionChanged):
        resource.patch(resource.theirs() + CANDIDATES, tag)


def test_other_credentials_are_refused_where_no_restart_was_asked_for(resource) -> None:
    before = resource.session.ice.remote
    other = resource.theirs().replace(before.ufrag, "other")
    for tag in (None, ice_tag(resource.session)):
        with pytest.raises(IceSessionChanged, match=r"If-Match: \*"):
            resource.patch(other, tag)
    assert resource.session.ice.remote == before


def test_candidates_of_before_a_restart_are_refused(resource) -> None:
    late, tag = resource.theirs() + CANDIDATES, ice_tag(resource.session)
    resource.restart()
    for each in (None, tag, ice_tag(resource.session)):
        with pytest.raises(IceSessionChanged):
            resource.patch(late, each)


# -- restarts


def test_a_restart_gives_both_ends_new_credentials_and_leads_to_the_same_session(resource) -> None:
    before, tag = resource.session.ice.local, ice_tag(resource.session)
    updated = resource.patch(resource.network.caller.offer_restart(), "*")
    own = resource.session.ice.local
    assert own.ufrag != before.ufrag
    assert own.password != before.password
    assert updated.tag == ice_tag(resource.session) != tag
    old, new = resource.open(before.ufrag), resource.open(own.ufrag)
    assert (new.session, new.incarnation, new.cluster, new.worker) == (old.session, 2, 1, 0)
    assert updated.fragment.splitlines() == [
        "a=ice-lite",
        "a=ice-options:trickle",
        f"a=ice-ufrag:{own.ufrag}",
        f"a=ice-pwd:{own.password}",
        "m=audio 9 UDP/TLS/RTP/SAVPF 0",
        "a=mid:0",
        "a=candidate:1 1 udp 200 192.0.2.1 3478 typ host",
        "a=candidate:2 1 tcp 100 192.0.2.2 443 typ host tcptype passive",
        "a=end-of-candidates",
    ]
    assert updated.fragment.endswith("\r\n")


def test_the_conversation_goes_on_through_a_restart(resource) -> None:
    network = resource.network
    before = MediaStatistics.of(network.caller)
    resource.restart()
    network.run(1)
    after = MediaStatistics.of(network.caller)
    assert resource.session.state is State.ESTABLISHED
    assert not resource.session.ice.is_restarting
    assert after.received - before.received == pytest.approx(50, abs=1)
    assert after.lost == 0
    assert network.caller.media is not None
    # What the caller said arrived as well: nothing of the session's was dropped.
    assert not resource.session.drops


def test_a_client_that_restarts_somewhere_else_is_followed(resource) -> None:
    network = resource.network
    network.is_talking = False  # it has lost its network, and says nothing until it has another
    network.run(0.2)
    network.client = ELSEWHERE
    resource.restart()
    network.run(0.3)
    network.is_talking = True
    network.run(1)
    assert resource.session.path == ELSEWHERE
    assert MediaStatistics.of(network.caller).lost == 0


def test_a_client_that_moves_without_a_restart_keeps_its_call(resource) -> None:
    network = resource.network
    network.client = ELSEWHERE
    network.run(3)
    assert resource.session.path == ELSEWHERE
    assert resource.session.state is State.ESTABLISHED


def test_a_restart_whose_answer_was_lost_is_repeated_without_harm(resource) -> None:
    fragment = resource.network.caller.offer_restart()
    first, again = resource.patch(fragment, "*"), resource.patch(fragment, "*")
    assert first == again
    resource.network.caller.accept_restart(again.fragment, resource.network.now)
    resource.network.run(1)
    assert not resource.session.ice.is_restarting


def test_a_restart_that_is_never_followed_leaves_the_call_as_it_is(resource) -> None:
    network = resource.network
    theirs = IceCredentials(ufrag="lost", password="nobody-will-ever-use-this")
    resource.patch(f"a=ice-ufrag:{theirs.ufrag}\na=ice-pwd:{theirs.password}\n", "*")
    network.run(35)
    assert resource.session.state is State.ESTABLISHED
    assert MediaStatistics.of(network.caller).lost == 0
    resource.restart()
    network.run(1)
    assert not resource.session.ice.is_restarting
    assert IceDropReason.UNAUTHENTICATED not in resource.session.ice.drops


def test_restarts_within_one_second_differ_and_are_bounded(resource) -> None:
    seen = {resource.session.ice.local.ufrag}

    def restart_often() -> None:
        for number in range(100):
            resource.patch(f"a=ice-ufrag:u{number:04}\na=ice-pwd:{number:022}\n", "*")
            assert resource.session.ice.local.ufrag not in seen
            seen.add(resource.session.ice.local.ufrag)

    with pytest.raises(Overloaded) as caught:
        restart_often()
    assert 20 < len(seen) < 60
    resource.unix_time += caught.value.retry_after
    resource.patch(resource.network.caller.offer_restart(), "*")


@pytest.mark.parametrize("fragment", ["", CANDIDATES, "a=ice-ufrag:abcd\n"])
def test_a_restart_without_credentials_is_refused_and_changes_nothing(resource, fragment) -> None:
    before = resource.session.ice.local
    with pytest.raises(FragmentRefused):
        resource.patch(fragment, "*")
    assert resource.session.ice.local == before


def test_a_call_may_restart_before_it_is_connected(call_network, connect) -> None:
    network = connect()
    resource = Resource(call_network, network)
    resource.restart()
    network.run(2)
    assert network.server.state is State.ESTABLISHED
    assert MediaStatistics.of(network.caller).received > 50
