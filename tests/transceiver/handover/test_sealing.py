"""Only a transceiver of the same fleet opens a snapshot, and only as what it was sealed for."""

import os
import random

import attrs
import pytest

from edge.config.model import Role
from edge.keys import Purpose, derive_bundle, new_root, rotate
from transceiver.handover.ownership import Owner
from transceiver.handover.sealing import SLOT_SECONDS, SnapshotKeys, open_snapshot, seal_snapshot
from wire.errors import LocalProtocolError

UNIX = 1.7e9 + 1800
OWNER = Owner(cluster=7, incarnation=0xDEAD_BEEF, worker=3)
SESSION = 2**64 - 5
ROOT = new_root(random.Random(4).randbytes, UNIX)
SECRET = b"keys of a call " * 40


def keys_of(root) -> SnapshotKeys:
    bundle = derive_bundle(root, Role.TRANSCEIVER)
    return SnapshotKeys(bundle.secrets(Purpose.SNAPSHOT), bundle.minting)


def seal(keys=None, unix_time=UNIX, generation=4) -> bytes:
    return seal_snapshot(
        keys or keys_of(ROOT),
        SECRET,
        session=SESSION,
        generation=generation,
        owner=OWNER,
        unix_time=unix_time,
        entropy=os.urandom,
    )


def open_(sealed, keys=None, *, session=SESSION, before=5, unix_time=UNIX):
    return open_snapshot(keys or keys_of(ROOT), sealed, session=session, before=before, unix_time=unix_time)


def test_another_transceiver_opens_it():
    opened = open_(seal())
    assert (opened.owner, opened.generation, opened.data) == (OWNER, 4, SECRET)
    assert "keys of a call" not in repr(opened)


@pytest.mark.parametrize("role", [Role.RELAY, Role.SIGNAL])
def test_the_keys_of_another_tier_do_not_open_it(role):
    """Whatever it has, used in whatever way that fits."""
    bundle = derive_bundle(ROOT, role)
    with pytest.raises(KeyError):
        bundle.secrets(Purpose.SNAPSHOT)
    sealed = seal()
    secrets = [secret for key_set in bundle.keys for secret in key_set.secrets.values()]
    assert len(secrets) >= 3
    for secret in secrets:
        for key in {secret[:32], secret[-32:]}:
            assert open_(sealed, SnapshotKeys({bundle.minting: key}, bundle.minting)) is None
            # Nor does what it seals open.
            assert open_(seal(SnapshotKeys({bundle.minting: key}, bundle.minting))) is None


def test_another_fleet_does_not_open_it():
    assert open_(seal(), keys_of(new_root(random.Random(5).randbytes, UNIX))) is None


@pytest.mark.parametrize(
    "changes", [{"session": SESSION - 1}, {"before": 4}, {"before": 0}, {"unix_time": UNIX + 2 * SLOT_SECONDS}]
)
def test_only_as_what_it_was_sealed_for(changes):
    assert open_(seal(), **changes) is None


@pytest.mark.parametrize("skew", [-3599, -1800, -60, 0, 60, 1800, 3599])
@pytest.mark.parametrize("at", [UNIX, UNIX + 1799, UNIX - 1800])
def test_clocks_may_differ_by_less_than_an_hour(at, skew):
    assert open_(seal(unix_time=at), unix_time=at + skew) is not None


def test_every_byte_is_authenticated():
    sealed = seal()
    for at in range(len(sealed)):
        for flip in (0x01, 0x80):
            assert open_(sealed[:at] + bytes([sealed[at] ^ flip]) + sealed[at + 1 :]) is None
    for size in range(len(sealed)):
        assert open_(sealed[:size]) is None
    assert open_(sealed + b"\0") is None


def test_two_snapshots_share_nothing():
    first, second = seal(), seal()
    assert first[25:] != second[25:]
    assert SECRET[:16] not in first
    chance = random.Random(3)
    for _ in range(200):
        assert open_(chance.randbytes(chance.randrange(200))) is None


def test_two_generations_of_keys_at_a_time():
    first_step = rotate(ROOT, UNIX)  # everybody reads the new key, nobody seals with it
    second_step = rotate(first_step, UNIX)
    third_step = rotate(second_step, UNIX)  # the first one is gone
    old, both, newer, last = (keys_of(root) for root in (ROOT, first_step, second_step, third_step))
    assert open_(seal(old), both) is not None
    assert open_(seal(both), old) is not None
    assert open_(seal(newer), both) is not None
    assert open_(seal(newer), old) is None
    assert open_(seal(newer), last) is not None
    assert open_(seal(old), last) is None


def test_slots_that_somebody_invents_cost_nothing():
    keys = keys_of(ROOT)
    for hour in range(1000):
        open_(seal(unix_time=UNIX + SLOT_SECONDS * hour), keys)
    assert len(keys._ciphers) <= 8
    for hour in range(20):
        assert open_(seal(keys, UNIX + SLOT_SECONDS * hour), keys, unix_time=UNIX + SLOT_SECONDS * hour) is not None
    assert len(keys._ciphers) <= 8


def test_keys_of_the_wrong_shape_are_our_own_mistake():
    with pytest.raises(LocalProtocolError):
        SnapshotKeys({1: b"k" * 32}, 2)
    with pytest.raises(LocalProtocolError):
        SnapshotKeys({1: b"k" * 31}, 1)
    with pytest.raises(LocalProtocolError):
        SnapshotKeys({64: b"k" * 32}, 64)
    with pytest.raises(LocalProtocolError):
        seal(generation=2**32)
    with pytest.raises(LocalProtocolError):
        seal_snapshot(
            keys_of(ROOT),
            b"",
            session=1,
            generation=0,
            owner=attrs.evolve(OWNER, worker=256),
            unix_time=UNIX,
            entropy=os.urandom,
        )
