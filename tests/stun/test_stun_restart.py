"""An ICE restart of the lite agent: other credentials beside paths that work."""

import pytest

from stun.binding import pack_username, success_response
from stun.credentials import CredentialKey, CredentialKeys, Route
from stun.events import DropReason, PathAppeared, PathExpired, PathSelected, PathValidated
from stun.integrity import verify_message_integrity
from stun.lite import IceCredentials
from stun.message import Message
from wire.core import Path

HERE = Path(("203.0.113.7", 40000), 1)
THERE = Path(("203.0.113.7", 40001), 1)
ELSEWHERE = Path(("203.0.113.7", 40002), 1)
OURS = IceCredentials(ufrag="again", password="another-password-of-ours")
THEIRS = IceCredentials(ufrag="Q5xz", password="another-password-of-theirs")
THIRD = IceCredentials(ufrag="third", password="a-third-password-of-ours")
THEIR_THIRD = IceCredentials(ufrag="T3rd", password="a-third-password-of-theirs")


class Restarting:
    """A scene with a path that works, and a client that has new credentials."""

    def __init__(self, scene) -> None:
        self.scene, self.lite = scene, scene.lite
        scene.validate(HERE, 0.0)
        self.restart()

    def restart(self, ours: IceCredentials = OURS, theirs: IceCredentials = THEIRS) -> None:
        self.ours, self.theirs = ours, theirs
        self.lite.restart(ours, theirs)

    def check(self, path: Path, now: float, **how) -> list:
        username = pack_username(self.ours.ufrag, self.theirs.ufrag)
        return self.scene.check(path, now, username=username, password=self.ours.password, **how)

    def answer(self, path: Path, now: float) -> list:
        ((request, destination),) = self.scene.requests()
        assert destination == path
        assert verify_message_integrity(request, self.theirs.password.encode())
        answer = success_response(Message.parse(request), path.address, self.theirs.password.encode())
        return self.scene.receive(answer, path, now)

    def validate(self, path: Path, now: float, **how) -> list:
        return self.check(path, now, **how) + self.answer(path, now)


@pytest.fixture
def restarting(scene) -> Restarting:
    return Restarting(scene)


def test_a_new_path_is_validated_with_the_new_credentials_and_chosen_by_the_client(restarting):
    lite = restarting.lite
    assert (lite.local, lite.remote) == (OURS, THEIRS)
    assert restarting.check(THERE, 1.0) == [PathAppeared(path=THERE)]
    assert verify_message_integrity(restarting.scene.sent[0][0], OURS.password.encode())
    assert restarting.answer(THERE, 1.05) == [PathValidated(path=THERE)]
    assert lite.selected == HERE  # it still works, and the client sends there
    assert restarting.check(THERE, 1.1, nominate=True) == [PathSelected(path=THERE)]


def test_media_over_the_new_path_moves_ours_there_as_well(restarting):
    restarting.validate(THERE, 1.0)
    assert restarting.lite.authentic_traffic(THERE, 1.1) == [PathSelected(path=THERE)]
    # A packet of before that was overtaken keeps its path alive, and moves nothing back, however late it is.
    assert restarting.lite.authentic_traffic(HERE, 2.0) == []
    assert restarting.lite.selected == THERE


def test_the_former_credentials_count_until_the_new_ones_have_a_validated_path(restarting):
    scene = restarting.scene
    assert scene.check(HERE, 1.0) == []
    assert not scene.lite.drops
    restarting.check(THERE, 1.0)
    assert scene.validate(ELSEWHERE, 1.1) == [PathAppeared(path=ELSEWHERE), PathValidated(path=ELSEWHERE)]
    assert scene.lite.is_restarting
    restarting.check(THERE, 1.2)
    restarting.answer(THERE, 1.25)
    assert not scene.lite.is_restarting
    scene.check(HERE, 1.3)
    scene.check(HERE, 1.4, nominate=True)
    assert scene.lite.drops == {DropReason.UNAUTHENTICATED: 2}


def test_the_former_password_does_not_go_with_the_new_fragment(restarting):
    scene = restarting.scene
    scene.check(THERE, 1.0, username=pack_username(OURS.ufrag, THEIRS.ufrag))
    scene.check(THERE, 1.1, password=OURS.password)
    assert scene.lite.drops == {DropReason.UNAUTHENTICATED: 2}
    assert not scene.lite.knows(THERE)


def test_a_client_that_stays_where_it_is_shows_its_new_password_there(restarting):
    lite = restarting.lite
    assert restarting.check(HERE, 1.0) == []
    assert lite.is_validated(HERE)
    assert lite.selected == HERE
    assert lite.is_restarting
    assert restarting.answer(HERE, 1.05) == []
    assert not lite.is_restarting


def test_an_answer_under_the_former_password_does_not_end_the_restart(restarting):
    scene = restarting.scene
    restarting.check(HERE, 1.0)
    ((request, _),) = scene.requests()
    assert scene.receive(scene.client.answer(request, HERE), HERE, 1.05) == []
    assert scene.lite.drops == {DropReason.RESPONSE_INTEGRITY: 1}
    assert scene.lite.is_restarting


def test_a_request_of_before_that_is_answered_after_still_validates(scene):
    scene.validate(HERE, 0.0)
    scene.check(THERE, 1.0)
    ((request, _),) = scene.requests()
    scene.lite.restart(OURS, THEIRS)
    assert scene.receive(scene.client.answer(request, THERE), THERE, 1.1) == [PathValidated(path=THERE)]
    assert scene.lite.is_restarting


def test_an_answer_of_before_says_nothing_of_the_new_credentials(scene):
    scene.validate(HERE, 0.0)
    scene.check(THERE, 1.0)
    ((request, _),) = scene.requests()
    restarting = Restarting.__new__(Restarting)
    restarting.scene, restarting.lite = scene, scene.lite
    restarting.restart()
    restarting.check(THERE, 1.05)
    assert scene.receive(scene.client.answer(request, THERE), THERE, 1.1) == []
    assert scene.lite.is_restarting
    assert not scene.lite.is_validated(THERE)


def test_a_restart_may_be_overtaken_by_another(restarting):
    restarting.check(THERE, 1.0)
    restarting.restart(THIRD, THEIR_THIRD)
    assert restarting.scene.check(HERE, 1.1) == []  # what works is never what the second restart takes the place of
    assert restarting.validate(ELSEWHERE, 1.2, nominate=True)[-1] == PathSelected(path=ELSEWHERE)
    username = pack_username(OURS.ufrag, THEIRS.ufrag)
    restarting.scene.check(THERE, 1.3, username=username, password=OURS.password)
    assert restarting.lite.drops == {DropReason.UNAUTHENTICATED: 1}


def test_a_nomination_over_a_former_path_is_of_no_use_when_the_new_ones_work(restarting):
    restarting.scene.validate(ELSEWHERE, 0.5)
    restarting.scene.check(ELSEWHERE, 13.0, nominate=True)  # its proof is old: it has to answer before media goes there
    restarting.validate(THERE, 13.1)
    assert restarting.lite.selected == HERE
    assert restarting.lite.authentic_traffic(ELSEWHERE, 13.2) == []
    assert restarting.lite.selected == HERE
    restarting.scene.collect(13.2)
    assert restarting.scene.requests() == []  # so it is not asked any more either


def test_paths_of_before_give_way_but_not_the_selected_one(restarting):
    lite = restarting.lite
    former = [Path(("203.0.113.7", 50000 + port), 1) for port in range(7)]
    for number, path in enumerate(former):
        restarting.scene.validate(path, 0.5 + number)
    assert all(map(lite.knows, former))
    restarting.check(THERE, 8.0)  # all places are taken, and the new credentials have yet to prove themselves
    assert lite.drops == {DropReason.PATHS: 1}
    restarting.validate(former[6], 8.1)
    events = restarting.validate(THERE, 8.2)
    assert events == [PathExpired(path=former[0]), PathAppeared(path=THERE), PathValidated(path=THERE)]
    assert lite.selected == HERE  # though it was heard longest ago


def test_when_the_selected_path_falls_silent_one_of_the_new_ones_takes_over(restarting):
    restarting.scene.validate(ELSEWHERE, 0.5)
    restarting.validate(THERE, 20.0)
    restarting.lite.authentic_traffic(ELSEWHERE, 25.0)  # heard last, but of before
    assert restarting.lite.selected == HERE
    assert PathExpired(path=HERE) in restarting.lite.handle_timeout(30.0)
    assert restarting.lite.selected == THERE


def test_restarts_again_and_again_leave_room(scene):
    """Each with new ports, as browsers do it, a second apart: no path of an earlier one stands in the way."""
    restarting = Restarting(scene)
    keys = CredentialKeys([CredentialKey(key_id=0, token=bytes(64), ice_pwd=bytes(32))], 0)
    for number in range(20):
        ufrag = keys.mint(Route(cluster=1, incarnation=2, worker=0, session=3, minted=number))
        ours = IceCredentials(ufrag=ufrag, password=keys.password(ufrag))
        theirs = IceCredentials(ufrag=f"u{number:03}", password=f"password-of-theirs-{number:06}")
        restarting.restart(ours, theirs)
        for via in (1, 2):
            path = Path(("203.0.113.7", 51000 + number), via)
            events = restarting.validate(path, 1.0 + number, nominate=via == 1)
            assert PathValidated(path=path) in events
        assert restarting.lite.selected == Path(("203.0.113.7", 51000 + number), 1)
    assert not restarting.lite.drops
