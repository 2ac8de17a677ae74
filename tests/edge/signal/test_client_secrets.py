"""Client secrets: what was put in comes out under the same key, and under no other."""

import base64
import itertools
import random
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.signal.client_secrets import MAX_LENGTH, ClientSecret, ClientSecretKeys, SecretTooLong
from wire.errors import LocalProtocolError

KEY, OTHER_KEY = bytes(range(64)), bytes(range(64, 128))
SECRET = ClientSecret(
    owner="ab" * 32,
    expires_at=1_800_000_600,
    session={"type": "realtime", "model": "m", "instructions": "Sprich über „Grüße“.", "tools": [{"a": [1, None]}]},
    max_call=60.0,
    is_locked=True,
)


@pytest.fixture
def keys() -> ClientSecretKeys:
    counter = itertools.count()
    return ClientSecretKeys({1: KEY}, 1, entropy=lambda size: next(counter).to_bytes(size, "big"))


@pytest.mark.parametrize("secret", [SECRET, ClientSecret(owner="", expires_at=0)])
def test_what_was_put_in_comes_out(keys, secret):
    assert keys.open(keys.mint(secret)) == secret


def test_it_looks_like_a_client_secret_and_fits_a_header(keys):
    text = keys.mint(SECRET)
    assert text.startswith("ek_1B")
    assert text.removeprefix("ek_").replace("-", "").replace("_", "").isalnum()
    assert text.isascii()


def test_another_node_with_the_same_keys_opens_it(keys):
    assert ClientSecretKeys({1: KEY}, 1).open(keys.mint(SECRET)) == SECRET


def test_two_of_the_same_record_are_different(keys):
    assert keys.mint(SECRET) != keys.mint(SECRET)


def test_nothing_inside_can_be_read(keys):
    text = keys.mint(SECRET)
    sealed = base64.urlsafe_b64decode(text[5:] + "=" * (-len(text[5:]) % 4))
    assert b"realtime" not in sealed
    assert SECRET.owner not in text
    assert "instructions" not in repr(SECRET)


@pytest.mark.parametrize(
    "keys_of_today",
    [ClientSecretKeys({1: OTHER_KEY}, 1), ClientSecretKeys({2: KEY}, 2), ClientSecretKeys({1: KEY[::-1]}, 1)],
)
def test_another_key_opens_nothing(keys, keys_of_today):
    assert keys_of_today.open(keys.mint(SECRET)) is None


def test_keys_rotate_without_a_gap(keys):
    """Step by step: the old alone; both are known and the old mints; the new mints; the old is gone."""
    steps = [
        keys,
        ClientSecretKeys({1: KEY, 2: OTHER_KEY}, 1),
        ClientSecretKeys({1: KEY, 2: OTHER_KEY}, 2),
        ClientSecretKeys({2: OTHER_KEY}, 2),
    ]
    for before, after in itertools.pairwise(steps[:3]):
        assert before.open(after.mint(SECRET)) == after.open(before.mint(SECRET)) == SECRET
    assert steps[3].open(steps[2].mint(SECRET)) == SECRET
    assert steps[3].open(steps[1].mint(SECRET)) is None


def test_no_prefix_and_no_longer_text_opens(keys):
    text = keys.mint(ClientSecret(owner="", expires_at=1))
    assert not any(keys.open(text[:length]) for length in range(len(text)))
    for more in ("A", "AA", "AAAA", "=", "\n", " ", "!"):
        assert keys.open(text + more) is None


def test_no_changed_character_opens(keys):
    text = keys.mint(ClientSecret(owner="", expires_at=1))
    for index, character in enumerate(text):
        for other in "AB-_\xff\u20ac":
            if other != character:
                assert keys.open(text[:index] + other + text[index + 1 :]) is None, index


@given(
    st.one_of(st.text(), st.text().map(lambda text: "ek_1B" + text), st.binary().map(lambda data: "ek_1B" + data.hex()))
)
@settings(max_examples=200, deadline=None)
def test_nothing_that_a_stranger_makes_up_opens_or_raises(text):
    assert ClientSecretKeys({1: KEY}, 1).open(text) is None


def test_long_instructions_fit_compressed_and_too_long_ones_are_refused(keys):
    words = " ".join(f"Answer question {number} politely." for number in range(700))
    text = keys.mint(ClientSecret(owner="", expires_at=1, session={"instructions": words}))
    assert len(words) > 20_000
    assert len(text) < MAX_LENGTH
    noise = "".join(random.Random(1).choices(string.printable, k=9000))
    with pytest.raises(SecretTooLong) as caught:
        keys.mint(ClientSecret(owner="", expires_at=1, session={"instructions": noise}))
    assert caught.value.length > MAX_LENGTH


@pytest.mark.parametrize(
    ("secrets", "minting", "words"),
    [({1: KEY}, 2, "to mint with"), ({64: KEY}, 64, "id of 0 to 63"), ({1: KEY[:32]}, 1, "64 bytes")],
)
def test_keys_that_cannot_be_used_are_our_own_mistake(secrets, minting, words):
    with pytest.raises(LocalProtocolError, match=words):
        ClientSecretKeys(secrets, minting)
