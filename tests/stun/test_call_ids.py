"""Call ids name the call's transceiver and give away nothing of its ICE credentials."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stun.credentials import CredentialKey, CredentialKeys, Route
from transceiver.call_ids import CallIdKey, CallIdKeys
from wire.errors import LocalProtocolError

ROUTE = Route(cluster=7, incarnation=0xDEADBEEF, worker=3, session=5, minted=1_700_000_000)
SECRET = bytes(range(64))
KEYS = CallIdKeys([CallIdKey(key_id=62, token=SECRET)], 62)


@given(st.integers(0, 2**64 - 1), st.integers(0, 63))
def test_round_trip_in_characters_that_urls_take(session, key_id):
    keys = CallIdKeys([CallIdKey(key_id=key_id, token=SECRET)], key_id)
    route = Route(cluster=1, incarnation=2, worker=3, session=session, minted=4)
    call_id = keys.mint(route)
    assert keys.open(call_id) == route
    assert call_id.startswith("rtc_1")
    assert len(call_id) == 53
    assert set(call_id) <= set(string.ascii_letters + string.digits + "-_")


def test_the_other_alphabet_is_no_second_spelling():
    for session in range(200):
        call_id = KEYS.mint(Route(cluster=1, incarnation=2, worker=3, session=session, minted=4))
        if set(call_id[4:]) & set("-_"):
            assert KEYS.open("rtc_" + call_id[4:].replace("-", "+").replace("_", "/")) is None
            return
    pytest.fail("no token had one of the two characters")


@pytest.mark.parametrize(
    "change", [lambda c: c[4:], lambda c: c[:-1], lambda c: c + "A", lambda c: "rtc_", lambda c: ""]
)
def test_what_is_not_minted_does_not_open(change):
    assert KEYS.open(change(KEYS.mint(ROUTE))) is None


def test_every_changed_character_is_refused():
    call_id = KEYS.mint(ROUTE)
    for position in range(len(call_id)):
        changed = "B" if call_id[position] != "B" else "C"
        assert KEYS.open(call_id[:position] + changed + call_id[position + 1 :]) is None


def test_a_call_id_is_no_fragment_even_under_the_same_key():
    credentials = CredentialKeys([CredentialKey(key_id=0, token=SECRET, ice_pwd=bytes(32))], 0)
    call_ids = CallIdKeys([CallIdKey(key_id=0, token=SECRET)], 0)
    assert credentials.open(call_ids.mint(ROUTE)[4:]) is None
    assert call_ids.open("rtc_" + credentials.mint(ROUTE)) is None


def test_two_keys_are_valid_at_a_time():
    one, two = CallIdKey(key_id=1, token=SECRET), CallIdKey(key_id=2, token=bytes(64))
    call_id = CallIdKeys([one], 1).mint(ROUTE)
    assert CallIdKeys([one, two], 2).open(call_id) == ROUTE
    assert CallIdKeys([two], 2).open(call_id) is None


@pytest.mark.parametrize(
    ("keys", "minting"),
    [([], 0), ([CallIdKey(key_id=1, token=SECRET)] * 2, 1), ([CallIdKey(key_id=1, token=b"short")], 1)],
)
def test_bad_keys_are_our_own_mistake(keys, minting):
    with pytest.raises(LocalProtocolError):
        CallIdKeys(keys, minting)


def test_secrets_are_not_printed():
    assert "token" not in repr(CallIdKey(key_id=1, token=SECRET))
