"""Keys of different purposes, generations and roles are apart, and a rotation never leaves a reader without a key."""

import itertools
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from edge.config.model import Role
from edge.keys import (
    PURPOSES,
    Bundle,
    Purpose,
    Root,
    control_bearer,
    derive_bundle,
    key_size,
    new_root,
    rotate,
    rotation_wait,
)

NOW = 1_800_000_000.0
MAX_CALL = 7200.0


def entropy(size: int) -> bytes:
    return bytes(range(size))


@pytest.fixture
def root() -> Root:
    return new_root(entropy, NOW)


def bundles(root: Root) -> dict[Role, Bundle]:
    return {role: derive_bundle(root, role) for role in Role}


def test_a_role_gets_the_purposes_of_the_design_and_no_others(root: Root) -> None:
    names = {role: {str(purpose) for purpose in bundle.keys[0].secrets} for role, bundle in bundles(root).items()}
    assert names == {
        Role.SIGNAL: {"call-id", "control", "client-secret"},
        Role.RELAY: {"token", "ice-pwd", "hop", "flow-tag"},
        Role.TRANSCEIVER: {"token", "ice-pwd", "call-id", "hop", "control", "snapshot"},
    }


def test_roles_agree_on_what_they_share(root: Root) -> None:
    for one, other in itertools.combinations(bundles(root).values(), 2):
        for purpose in set(PURPOSES[one.role]) & set(PURPOSES[other.role]):
            assert one.secrets(purpose) == other.secrets(purpose)


def test_keys_are_hkdf_children_of_their_size_and_all_different(root: Root) -> None:
    rotating = rotate(root, NOW)
    secrets = {
        (purpose, key_id): secret
        for bundle in bundles(rotating).values()
        for purpose in PURPOSES[bundle.role]
        for key_id, secret in bundle.secrets(purpose).items()
    }
    assert len(secrets) == len(Purpose) * 2
    assert len(set(secrets.values())) == len(secrets)
    assert all(len(secret) == key_size(purpose) for (purpose, _), secret in secrets.items())
    info = b"trio-voice key 1 hop " + (2).to_bytes(8, "big")
    expected = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(entropy(32))
    assert secrets[Purpose.HOP, 2] == expected, "what was derived once must be derived for ever: bundles are in use"


def test_the_stored_sizes_fit_aes_siv() -> None:
    assert [key_size(purpose) for purpose in (Purpose.TOKEN, Purpose.CALL_ID, Purpose.CLIENT_SECRET)] == [64] * 3
    assert key_size(Purpose.HOP) == 32


def test_readers_learn_a_key_before_writers_use_it(root: Root) -> None:
    """Whichever steps two processes are at, as long as they are at most one apart, each reads the other's tokens."""
    steps = [root]
    for _ in range(140):  # past the wrap of key ids
        steps.append(rotate(steps[-1], NOW))
    for before, after in itertools.pairwise(derive_bundle(step, Role.RELAY) for step in steps):
        for writer, reader in ((before, after), (after, before)):
            minted_with = writer.secrets(Purpose.TOKEN)[writer.minting]
            assert reader.secrets(Purpose.TOKEN).get(writer.minting) == minted_with
        assert len(after.keys) == 2
        assert all(0 <= key.id < 64 for key in after.keys)


def test_rotation_alternates_between_teaching_and_minting(root: Root) -> None:
    taught = rotate(root, NOW)
    minting = rotate(taught, NOW)
    taught_again = rotate(minting, NOW)
    assert [step.serials for step in (root, taught, minting, taught_again)] == [(1,), (1, 2), (1, 2), (2, 3)]
    assert [step.minting for step in (root, taught, minting, taught_again)] == [1, 1, 2, 2]


def test_a_key_is_dropped_only_when_no_call_can_need_it(root: Root) -> None:
    assert rotation_wait(root, NOW, MAX_CALL) == timedelta(), "nothing is dropped"
    taught = rotate(root, NOW)
    assert rotation_wait(taught, NOW, MAX_CALL) == timedelta(), "nothing is dropped"
    minting = rotate(taught, NOW + 60)
    assert rotation_wait(minting, NOW + 120, MAX_CALL) == timedelta(seconds=MAX_CALL - 60)
    assert rotation_wait(minting, NOW + 60 + MAX_CALL, MAX_CALL) == timedelta()
    assert rotation_wait(minting, NOW + 120, 60) == timedelta(seconds=7140), "client secrets live 2 hours"
    assert rotation_wait(minting, NOW + 120, 9000) == timedelta(seconds=8940)


def test_no_secret_has_a_repr(root: Root) -> None:
    shown = repr((root, bundles(root)))
    for bundle in bundles(root).values():
        for purpose in PURPOSES[bundle.role]:
            for secret in bundle.secrets(purpose).values():
                assert repr(secret) not in shown
    assert repr(root.secret) not in shown


def test_the_bearer_is_not_the_key_and_fits_a_header() -> None:
    bearer = control_bearer(entropy(32))
    assert len(bearer) == 43
    assert bearer.isascii()
    assert bearer != control_bearer(bytes(32))
