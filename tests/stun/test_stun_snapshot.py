"""The paths of a session in another process: what was proven stays proven, what was seen stays seen."""

import random

import pytest

from stun.events import DropReason, PathAppeared, PathExpired, PathSelected, PathValidated
from stun.lite import IceCredentials, IceLite, IceLiteOptions
from wire.core import Closed, Path
from wire.errors import LocalProtocolError, MalformedError

A, B, C, D = (Path((f"203.0.113.{number}", 40000 + number), 7) for number in range(4))
ELSEWHERE = 4096.0
OURS = IceCredentials(ufrag="other", password="another-password-of-ours")
THEIRS = IceCredentials(ufrag="4uth", password="another-password-of-theirs")


def move(scene, now: float, age: float = 0.0) -> None:
    """Go on in another process, whose clock shows `ELSEWHERE` more."""
    data = scene.lite.snapshot(now)
    scene.lite = IceLite(
        local_ufrag="x",
        local_pwd="y",
        remote_ufrag="z",
        remote_pwd="z",
        entropy=random.Random(8).randbytes,
        now=now + ELSEWHERE,
        options=IceLiteOptions(),
    )
    scene.lite.resume(data, now + ELSEWHERE, age)
    assert list(scene.lite.datagrams_to_send(now + ELSEWHERE)) == []


def test_the_path_is_the_same_and_is_not_asked_again(scene):
    scene.validate(A, 0.0)
    scene.check(B, 0.5)
    move(scene, 1.0)
    lite = scene.lite
    assert (lite.selected, lite.is_validated(A), lite.is_validated(B), lite.knows(B)) == (A, True, False, True)
    assert scene.check(A, ELSEWHERE + 1.1) == []
    assert len(scene.responses()) == 1
    assert scene.requests() == []
    # One that was not validated yet is asked with its next check.
    assert scene.validate(B, ELSEWHERE + 1.2)[0] == PathValidated(path=B)


def test_a_nomination_still_moves_media(scene):
    scene.validate(A, 0.0)
    scene.validate(B, 0.5)
    move(scene, 1.0)
    assert scene.check(B, ELSEWHERE + 1.0, nominate=True) == [PathSelected(path=B)]


def test_what_was_overheard_before_is_still_a_repetition(scene):
    scene.validate(A, 0.0)
    scene.validate(B, 0.1)
    nomination = scene.client.check(nominate=True)
    assert scene.receive(nomination, B, 0.2) == [PathSelected(path=B)]
    assert scene.check(A, 0.3, nominate=True) == [PathSelected(path=A)]
    move(scene, 0.4)
    # From a stranger's address it makes no path; from where it was, it chooses none.
    assert scene.receive(nomination, C, ELSEWHERE + 0.5) == []
    assert scene.receive(nomination, B, ELSEWHERE + 0.5) == []
    assert scene.lite.selected == A
    assert scene.lite.drops == {DropReason.REPEATED: 1}


def test_a_proof_that_is_too_old_does_not_become_young(scene):
    scene.validate(A, 0.0)
    scene.validate(B, 0.0)
    move(scene, 5.0, age=6.0)
    # 11 s after its proof B is asked first.
    assert scene.check(B, ELSEWHERE + 5.0, nominate=True) == []
    ((request, to),) = scene.requests()
    assert to == B
    assert scene.receive(scene.client.answer(request, B), B, ELSEWHERE + 5.1) == [PathSelected(path=B)]


def test_consent_goes_on_from_when_each_path_was_heard(scene):
    scene.validate(A, 0.0)
    scene.validate(B, 10.0)
    move(scene, 20.0, age=19.0)
    assert scene.lite.next_timeout() == ELSEWHERE + 30.0
    assert scene.lite.handle_timeout(ELSEWHERE + 29.9) == ()
    events = list(scene.lite.handle_timeout(ELSEWHERE + 30.0))
    assert events[0] == PathExpired(path=A)
    *_, closed = scene.lite.handle_timeout(ELSEWHERE + 40.0)
    assert isinstance(closed, Closed)


def test_strangers_still_count(scene):
    for path in (A, B, C):
        scene.check(path, 0.0)
    move(scene, 5.0)
    assert scene.check(D, ELSEWHERE + 9.0) == []
    assert scene.lite.drops == {DropReason.UNVALIDATED_ADDRESSES: 1}
    assert scene.check(D, ELSEWHERE + 10.1) == [PathAppeared(path=D)]


def test_media_does_not_move_back_within_a_moment(scene):
    scene.validate(A, 0.0)
    scene.validate(B, 0.1)
    assert scene.lite.authentic_traffic(B, 1.0) == [PathSelected(path=B)]
    move(scene, 1.1)
    assert scene.lite.authentic_traffic(A, ELSEWHERE + 1.15) == []
    assert scene.lite.authentic_traffic(A, ELSEWHERE + 1.3) == [PathSelected(path=A)]


def test_a_restart_goes_on(scene):
    scene.validate(A, 0.0)
    scene.lite.restart(OURS, THEIRS)
    move(scene, 1.0)
    lite = scene.lite
    assert (lite.local, lite.remote, lite.is_restarting, lite.selected) == (OURS, THEIRS, True, A)
    # The former credentials count until the new ones have a path.
    scene.check(A, ELSEWHERE + 1.1)
    assert len(scene.responses()) == 1
    new = {"username": b"other:4uth", "password": OURS.password}
    assert scene.check(B, ELSEWHERE + 1.2, **new) == [PathAppeared(path=B)]
    ((request, _),) = scene.requests()
    move(scene, ELSEWHERE + 1.3)
    scene.check(B, 2 * ELSEWHERE + 1.4, **new)
    ((request, _),) = scene.requests()
    answer = scene.client.answer(request, B, password=THEIRS.password)
    assert scene.receive(answer, B, 2 * ELSEWHERE + 1.4) == [PathValidated(path=B)]
    assert not scene.lite.is_restarting
    move(scene, 2 * ELSEWHERE + 1.5)
    assert not scene.lite.is_restarting
    assert scene.check(C, 3 * ELSEWHERE + 1.6) == []  # with the former ones
    assert not scene.lite.knows(C)


def test_the_same_again(scene):
    scene.validate(A, 0.0)
    scene.validate(B, 0.125)
    scene.check(C, 0.25)
    for _ in range(200):
        scene.check(A, 0.5)
    scene.lite.restart(OURS, THEIRS)
    data = scene.lite.snapshot(4.0)
    move(scene, 4.0)
    assert scene.lite.snapshot(4.0 + ELSEWHERE) == data
    assert len(data) < 2500


def test_a_client_that_is_not_known_is_nothing_to_hand_over(make_scene):
    with pytest.raises(LocalProtocolError):
        make_scene(known=False).lite.snapshot(0.0)


def test_anything_else_is_malformed(scene):
    scene.validate(A, 0.0)
    scene.validate(B, 0.1)
    scene.check(C, 0.2)
    data = scene.lite.snapshot(1.0)
    chance = random.Random(2)
    wrong = [data[:size] for size in range(len(data))] + [data + b"\0", b"\2" + data[1:]]
    for changed in wrong:
        with pytest.raises(MalformedError):
            fresh(changed)
    for _ in range(2000):
        changed = bytearray(data)
        for _ in range(chance.choice((1, 2, 5))):
            changed[chance.randrange(len(changed))] = chance.choice((0, 1, 0x7F, 0xFF, chance.randrange(256)))
        try:
            lite = fresh(bytes(changed))
        except MalformedError:
            continue
        list(lite.handle_timeout(100.0))
        list(lite.datagrams_to_send(100.0))


def fresh(data: bytes) -> IceLite:
    lite = IceLite(local_ufrag="x", local_pwd="y", entropy=random.Random(8).randbytes, now=0.0)
    lite.resume(data, 50.0, 0.0)
    return lite
