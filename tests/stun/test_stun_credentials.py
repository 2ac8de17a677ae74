"""Tokens that route: only what was minted opens, under its own key and for its own purpose."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stun.credentials import CredentialKey, CredentialKeys, Route, RouteSealer, token_age_problem
from wire.errors import LocalProtocolError

routes = st.builds(
    Route,
    cluster=st.integers(0, 2**16 - 1),
    incarnation=st.integers(0, 2**32 - 1),
    worker=st.integers(0, 2**8 - 1),
    session=st.integers(0, 2**64 - 1),
    minted=st.integers(0, 2**32 - 1),
)
ROUTE = Route(cluster=7, incarnation=0xDEADBEEF, worker=3, session=2**63 + 5, minted=1_700_000_000)
ICE_CHARACTERS = set(string.ascii_letters + string.digits + "+/")


def key(key_id: int, seed: int = 0) -> CredentialKey:
    return CredentialKey(
        key_id=key_id, token=bytes([seed, key_id % 64] * 16 + [1] * 32), ice_pwd=bytes([seed, key_id % 64] * 16)
    )


KEYS = CredentialKeys([key(0)], 0)


@given(routes, st.integers(0, 63))
def test_round_trip_in_the_ice_alphabet(route, key_id):
    keys = CredentialKeys([key(key_id)], key_id)
    ufrag = keys.mint(route)
    assert keys.open(ufrag) == route
    assert len(ufrag) == 49
    assert set(ufrag) <= ICE_CHARACTERS
    password = keys.password(ufrag)
    assert len(password) == 32
    assert set(password) <= ICE_CHARACTERS


def test_the_format_does_not_change_unnoticed():
    """Relays and transceivers of different releases have to understand each other."""
    assert KEYS.mint(ROUTE) == "1A1h/Epp5JENhEnjhqMg3CQpvxaiwiOxD3WK46hqv9veb5D4w"
    assert KEYS.password("1A1h/Epp5JENhEnjhqMg3CQpvxaiwiOxD3WK46hqv9veb5D4w") == "lgiqtwFSCfjXzjJ43ppLgUxF2oVyIQWP"


def test_every_changed_character_is_refused():
    ufrag = KEYS.mint(ROUTE)
    for position in range(len(ufrag)):
        for character in "A1+/Bz":
            if character != ufrag[position]:
                assert KEYS.open(ufrag[:position] + character + ufrag[position + 1 :]) is None, position


def test_one_token_has_one_spelling():
    """The last of the 47 characters has two bits to spare: base64 alone would take four spellings of each token."""
    ufrag = KEYS.mint(ROUTE)
    opened = [last for last in ICE_CHARACTERS if KEYS.open(ufrag[:-1] + last) is not None]
    assert opened == [ufrag[-1]]


@given(st.one_of(st.text(max_size=60), st.text("1A" + string.ascii_letters, min_size=49, max_size=49)))
def test_noise_opens_nothing_and_never_raises(text):
    assert KEYS.open(text) is None
    assert KEYS.open("1A" + text) is None


@pytest.mark.parametrize(
    "change", [lambda u: u[:-1], lambda u: u + "A", lambda u: u + "=", lambda u: "2" + u[1:], lambda u: ""]
)
def test_truncated_extended_and_other_versions(change):
    assert KEYS.open(change(KEYS.mint(ROUTE))) is None


def test_foreign_tokens_are_refused():
    foreign = CredentialKeys([key(0, seed=9)], 0)
    assert foreign.open(KEYS.mint(ROUTE)) is None
    assert KEYS.open(foreign.mint(ROUTE)) is None


def test_a_token_does_not_open_under_another_key_id():
    """The key id is authenticated, even where two ids stand for the same key."""
    one, two = key(1), key(2)
    same = CredentialKeys([one, CredentialKey(key_id=2, token=one.token, ice_pwd=two.ice_pwd)], 1)
    ufrag = same.mint(ROUTE)
    assert same.open(ufrag) == ROUTE
    assert same.open("1C" + ufrag[2:]) is None


def test_two_keys_are_valid_at_a_time():
    before = CredentialKeys([key(1)], 1)
    learning = CredentialKeys([key(1), key(2)], 1)
    minting = CredentialKeys([key(1), key(2)], 2)
    after = CredentialKeys([key(2)], 2)
    old, new = before.mint(ROUTE), minting.mint(ROUTE)
    assert learning.mint(ROUTE) == old != new
    assert [keys.open(old) for keys in (before, learning, minting, after)] == [ROUTE, ROUTE, ROUTE, None]
    assert [keys.open(new) for keys in (before, learning, minting, after)] == [None, ROUTE, ROUTE, ROUTE]
    assert before.password(old) == minting.password(old)
    with pytest.raises(LocalProtocolError):
        after.password(old)


def test_passwords_follow_from_the_fragment_and_the_key():
    other = KEYS.mint(Route(cluster=7, incarnation=0xDEADBEEF, worker=3, session=6, minted=1_700_000_000))
    assert KEYS.password(KEYS.mint(ROUTE)) != KEYS.password(other)
    same_token_key = CredentialKey(key_id=0, token=key(0).token, ice_pwd=bytes(range(32)))
    assert CredentialKeys([same_token_key], 0).password(KEYS.mint(ROUTE)) != KEYS.password(KEYS.mint(ROUTE))


def test_a_token_of_another_purpose_does_not_open():
    secrets = {0: key(0).token}
    token = RouteSealer(purpose="one", keys=secrets, minting_key_id=0).seal(ROUTE)
    assert RouteSealer(purpose="two", keys=secrets, minting_key_id=0).open(token) is None
    assert KEYS.open(token) is None


def test_a_token_says_nothing_in_clear():
    ufrag = KEYS.mint(ROUTE)
    next_session = KEYS.mint(
        Route(cluster=7, incarnation=0xDEADBEEF, worker=3, session=2**63 + 6, minted=1_700_000_000)
    )
    same = sum(a == b for a, b in zip(ufrag[2:], next_session[2:], strict=True))
    assert same < 8


def test_secrets_are_not_printed():
    assert "token" not in repr(key(0))
    assert "ice_pwd" not in repr(key(0))


@pytest.mark.parametrize(
    ("age", "problem"),
    [(0, None), (7200, None), (7200.5, "expired"), (10**6, "expired"), (-120, None), (-120.5, "from-the-future")],
)
def test_ages(age, problem):
    assert token_age_problem(ROUTE, ROUTE.minted + age, 7200.0) == problem


@pytest.mark.parametrize(
    ("keys", "minting"),
    [
        ([], 0),
        ([key(0)], 1),
        ([key(0), key(0)], 0),
        ([key(64)], 64),
        ([key(-1)], -1),
        ([CredentialKey(key_id=0, token=bytes(32), ice_pwd=bytes(32))], 0),
        ([CredentialKey(key_id=0, token=bytes(64), ice_pwd=bytes(31))], 0),
    ],
)
def test_bad_keys_are_our_own_mistake(keys, minting):
    with pytest.raises(LocalProtocolError):
        CredentialKeys(keys, minting)


def test_a_route_that_does_not_fit_is_our_own_mistake():
    with pytest.raises(LocalProtocolError):
        KEYS.mint(Route(cluster=2**16, incarnation=0, worker=0, session=0, minted=0))
