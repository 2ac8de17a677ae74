"""Client secrets under the keys of bundles: signal nodes understand each other through every step of a rotation."""

import itertools

import attrs

from edge.config.model import Role
from edge.keys import Bundle, Purpose, derive_bundle, new_root, rotate
from edge.signal.client_secrets import ClientSecret
from edge.tiers.keyring import client_secret_keys

NOW = 1_800_000_000.0
SECRET = ClientSecret(owner="ab", expires_at=1)


def signal_bundles(steps: int) -> list[Bundle]:
    roots = [new_root(lambda size: bytes(range(size)), NOW)]
    for _ in range(steps):
        roots.append(rotate(roots[-1], NOW))
    return [derive_bundle(root, Role.SIGNAL) for root in roots]


def test_nodes_that_are_a_step_apart_open_what_the_other_mints() -> None:
    for before, after in itertools.pairwise(map(client_secret_keys, signal_bundles(6))):
        assert before is not None
        assert after is not None
        assert after.open(before.mint(SECRET)) == before.open(after.mint(SECRET)) == SECRET


def test_a_key_that_was_rotated_away_opens_nothing() -> None:
    first, *_, last = (client_secret_keys(bundle) for bundle in signal_bundles(3))
    assert first is not None
    assert last is not None
    assert last.open(first.mint(SECRET)) is None


def test_a_bundle_of_an_earlier_version_has_none() -> None:
    bundle = signal_bundles(0)[0]
    secrets = {
        purpose: secret for purpose, secret in bundle.keys[0].secrets.items() if purpose != Purpose.CLIENT_SECRET
    }
    old = attrs.evolve(bundle, keys=(attrs.evolve(bundle.keys[0], secrets=secrets),))
    assert client_secret_keys(old) is None
