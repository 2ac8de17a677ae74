"""Minting client secrets, and what their holders may do."""

import pytest

from edge.signal.client_secrets import ClientSecretKeys
from transceiver.calls import CallWishes

KEYS = ("alpha-key", "beta-key")
ALPHA = "Bearer alpha-key"
BETA = "Bearer beta-key"
NOW = 1_800_000_000
SECRETS = "/v1/realtime/client_secrets"
SESSIONS = "/v1/realtime/sessions"
MINTS = [SECRETS, SESSIONS, "/v1/realtime/transcription_sessions", "/openai/v1/realtime/client_secrets"]


def fields_of(body: dict, name: str) -> dict:
    return {key: value for key, value in body.items() if key != name}


async def test_the_answer_has_the_shape_of_the_ga_api(edge, json_of, headers_of):
    session = {"type": "realtime", "model": "m", "instructions": "Hi"}
    response = await edge.post_json(SECRETS, {"session": session})
    body = json_of(response)
    assert (response.status, headers_of(response)["cache-control"]) == (200, "no-store")
    assert body["value"].startswith("ek_")
    assert body["expires_at"] == NOW + 600
    assert body["session"].pop("id").startswith("sess_")
    assert body["session"] == session | {"object": "realtime.session"}
    assert set(body) == {"value", "expires_at", "session"}


async def test_a_secret_needs_no_session(edge, json_of):
    for body in (b"", b"{}", b'{"session":null,"expires_after":null}'):
        answer = json_of(await edge.post_json(SECRETS, body))
        assert fields_of(answer["session"], "id") == {"object": "realtime.session", "type": "realtime"}
    assert json_of(await edge.ask("POST", SECRETS))["value"].startswith("ek_")


async def test_a_transcription_session(edge, json_of):
    session = {"type": "transcription", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    answer = json_of(await edge.post_json(SECRETS, {"session": session}))
    assert fields_of(answer["session"], "id") == session | {"object": "realtime.transcription_session"}


async def test_the_answer_has_the_shape_of_the_beta_api(edge, json_of):
    session = {"model": "m", "voice": "alloy", "modalities": ["text", "audio"], "tools": [{"name": "t"}]}
    response = await edge.post_json(SESSIONS, session | {"client_secret": {"expires_after": {"seconds": 60}}})
    answer = json_of(response)
    secret = answer.pop("client_secret")
    assert (response.status, secret["expires_at"]) == (200, NOW + 60)
    assert answer.pop("id").startswith("sess_")
    assert answer == session | {"object": "realtime.session"}, "as it was given, flat"
    await edge.call(authorization=f"Bearer {secret['value']}")
    assert edge.wishes == CallWishes(
        model="m",
        session={
            "type": "realtime",
            "output_modalities": ["audio"],
            "tools": [{"name": "t"}],
            "audio": {"output": {"voice": "alloy"}},
        },
    )


async def test_a_transcription_session_of_the_beta_api(edge, json_of):
    answer = json_of(
        await edge.post_json("/v1/realtime/transcription_sessions", {"input_audio_transcription": {"model": "w"}})
    )
    assert answer["object"] == "realtime.transcription_session"
    await edge.call(authorization=f"Bearer {answer['client_secret']['value']}")
    assert edge.wishes.session == {"type": "transcription", "audio": {"input": {"transcription": {"model": "w"}}}}


@pytest.mark.parametrize(
    ("expires_after", "seconds"),
    [({"anchor": "created_at", "seconds": 10}, 10), ({"seconds": 7200}, 7200), ({"anchor": "created_at"}, 600)],
)
async def test_the_minter_chooses_the_expiry(edge, json_of, expires_after, seconds):
    answer = json_of(await edge.post_json(SECRETS, {"expires_after": expires_after}))
    assert answer["expires_at"] == NOW + seconds


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"expires_after": 60}, "expires_after"),
        ({"expires_after": {"anchor": "now"}}, "expires_after.anchor"),
        ({"expires_after": {"seconds": 9}}, "expires_after.seconds"),
        ({"expires_after": {"seconds": 7201}}, "expires_after.seconds"),
        ({"expires_after": {"seconds": 60.5}}, "expires_after.seconds"),
        ({"expires_after": {"seconds": True}}, "expires_after.seconds"),
        ({"expires_after": {"seconds": "60"}}, "expires_after.seconds"),
        ({"expires_after": {"seconds": None}}, "expires_after.seconds"),
        ({"max_call": 0}, "max_call"),
        ({"max_call": "60"}, "max_call"),
        ({"max_call": True}, "max_call"),
        ({"max_call": 100_000}, "max_call"),
        ({"locked": 1}, "locked"),
        ({"session": []}, "session"),
        ({"session": {"type": "live"}}, "session.type"),
    ],
)
async def test_terms_that_make_no_sense_are_refused_by_name(edge, json_of, body, param):
    response = await edge.post_json(SECRETS, body)
    assert (response.status, json_of(response)["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"client_secret": 1}, "client_secret"),
        ({"client_secret": {"expires_after": {"seconds": 1}}}, "client_secret.expires_after.seconds"),
        ({"client_secret": {"locked": "yes"}}, "client_secret.locked"),
    ],
)
async def test_the_same_in_the_beta_shape(edge, json_of, body, param):
    response = await edge.post_json(SESSIONS, body)
    assert (response.status, json_of(response)["error"]["param"]) == (400, param)


@pytest.mark.parametrize("path", MINTS)
async def test_bodies_that_are_no_json_object(edge, read_failure, path):
    for body in (b"{", b"[]", b"\xff", b"[" * 60_000, b'{"a":1e999}'):
        assert read_failure(await edge.post_json(path, body)).status == 400
    failure = read_failure(await edge.ask("POST", path, b"a=1", content_type="application/x-www-form-urlencoded"))
    assert (failure.status, failure.headers["accept-post"]) == (415, "application/json")


async def test_a_session_that_does_not_fit_is_refused_with_the_bound(edge, read_failure):
    noise = "".join(chr(33 + (number**3 + number // 7) * 2654435761 % 4294967296 % 90) for number in range(12_000))
    failure = read_failure(await edge.post_json(SECRETS, {"session": {"instructions": noise}}))
    assert (failure.status, failure.code) == (400, "session_too_large")
    assert "8000" in failure.message


async def test_the_terms_that_are_ours_are_repeated_and_kept(edge, json_of):
    answer = json_of(await edge.post_json(SECRETS, {"max_call": 60, "locked": True}))
    assert (answer["max_call"], answer["locked"]) == (60, True)
    answer = json_of(await edge.post_json(SESSIONS, {"client_secret": {"max_call": 60, "locked": True}}))
    secret = answer["client_secret"]
    assert (secret["max_call"], secret["locked"]) == (60, True)
    await edge.call(authorization=f"Bearer {secret['value']}")
    assert (edge.wishes.max_call, edge.wishes.is_locked) == (60.0, True)


async def test_a_minted_secret_is_reported_without_its_value(edge):
    authorization = await edge.mint({"model": "m", "instructions": "hidden"})
    (name, facts) = edge.reports[-1]
    assert name == "client-secret-minted"
    assert facts == {"request": "req_1", "expires_at": NOW + 600, "model": "m"}
    assert authorization.removeprefix("Bearer ") not in str(edge.reports)


# With keys


async def test_minting_takes_an_api_key(edge, read_failure):
    await edge.start(api_keys=KEYS)
    secret = await edge.mint(key="alpha-key")
    for path in MINTS:
        assert read_failure(await edge.post_json(path, {})).code == "invalid_api_key"
        failure = read_failure(await edge.post_json(path, {}, authorization=secret))
        assert (failure.status, failure.code) == (403, "api_key_needed")
        assert (await edge.post_json(path, {}, api_key="alpha-key")).status == 200, "as Azure's clients show it"


async def test_a_secret_acts_for_its_owner(edge, read_failure):
    await edge.start(api_keys=KEYS)
    secret = await edge.mint(key="alpha-key")
    location = dict((await edge.call(authorization=secret)).headers)["Location"]
    other = dict((await edge.call(authorization=BETA)).headers)["Location"]
    assert (await edge.ask("GET", location, authorization=ALPHA)).status == 200, "the owner is the API key"
    assert (await edge.ask("GET", location, authorization=secret)).status == 200
    assert read_failure(await edge.ask("DELETE", other, authorization=secret)).code == "not_owner"
    assert read_failure(await edge.ask("DELETE", location, authorization=BETA)).code == "not_owner"
    assert (await edge.ask("POST", f"{location}/hangup", authorization=secret)).status == 200


async def test_a_secret_reads_no_metrics(edge, read_failure):
    await edge.start(api_keys=KEYS)
    secret = await edge.mint(key="alpha-key")
    assert read_failure(await edge.ask("GET", "/metrics", peer="203.0.113.5", authorization=secret)).status == 403


@pytest.mark.parametrize(
    ("lifetime", "apart", "status"),
    [(30, 60, 401), (70, 60, 201), (30, -60, 201), (30, 0, 201)],
    ids=["over too early", "long enough", "its clock is slow", "same time"],
)
async def test_another_node_takes_a_secret_by_its_own_clock(edge, lifetime, apart, status):
    """One who mints may be read a moment later by a signal node whose clock is a minute apart."""
    await edge.start(api_keys=KEYS)
    secret = await edge.mint(key="alpha-key", expires_after={"seconds": lifetime})
    edge.unix_time = NOW + apart
    assert (await edge.call(authorization=secret)).status == status


async def test_a_secret_is_used_many_times_until_it_expires(edge, read_failure):
    await edge.start(api_keys=KEYS)
    secret = await edge.mint(key="alpha-key", expires_after={"seconds": 60})
    edge.unix_time = NOW + 59.9
    locations = [dict((await edge.call(authorization=secret)).headers)["Location"] for _ in range(3)]
    edge.unix_time = NOW + 60.0
    for method, path in (("POST", "/v1/realtime/calls"), ("DELETE", locations[0])):
        failure = read_failure(await edge.ask(method, path, b"v=0\r\n", authorization=secret))
        assert (failure.status, failure.code) == (401, "token_expired")
        assert failure.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-1],
        lambda text: text[:10],
        lambda text: text + "A",
        lambda text: text[:40] + ("A" if text[40] != "A" else "B") + text[41:],
        lambda text: text.replace("ek_", "sk_"),
        lambda text: f"{text}, {text}",
        lambda text: "ek_",
        lambda text: "ek_" + "A" * 10_000,
        lambda text: "ek_1B" + "\xff" * 50,
    ],
)
async def test_a_secret_that_is_not_ours_is_no_key(edge, read_failure, change):
    await edge.start(api_keys=KEYS)
    secret = (await edge.mint(key="alpha-key")).removeprefix("Bearer ")
    failure = read_failure(await edge.call(authorization=f"Bearer {change(secret)}"))
    assert (failure.status, failure.code) == (401, "invalid_api_key")
    assert not edge.transceivers["one"].calls


async def test_a_secret_is_shown_as_a_bearer_and_before_azures_header(edge, read_failure):
    await edge.start(api_keys=KEYS)
    secret = await edge.mint(key="alpha-key")
    basic = secret.replace("Bearer", "Basic")
    assert read_failure(await edge.call(authorization=basic)).code == "invalid_api_key"
    assert (await edge.call(api_key=secret.removeprefix("Bearer "))).status == 201
    assert (await edge.call(authorization=secret, api_key="wrong")).status == 201
    assert read_failure(await edge.call(authorization="Bearer wrong", api_key="alpha-key")).code == "invalid_api_key"


async def test_a_secret_of_another_fleet_is_no_key(edge, read_failure):
    await edge.start(api_keys=KEYS)
    secret = await edge.mint(key="alpha-key")
    edge.client_secrets = ClientSecretKeys({1: bytes(64)}, 1)
    await edge.start()
    assert read_failure(await edge.call(authorization=secret)).code == "invalid_api_key"


async def test_a_secret_dies_with_the_key_that_minted_it(edge, read_failure):
    await edge.start(api_keys=KEYS)
    secret = await edge.mint(key="alpha-key")
    assert (await edge.call(authorization=secret)).status == 201
    await edge.start(api_keys=("beta-key",))
    assert read_failure(await edge.call(authorization=secret)).code == "invalid_api_key"
    edge.unix_time += 10_000
    assert read_failure(await edge.call(authorization=secret)).code == "invalid_api_key", "not even that it was one"


async def test_a_secret_minted_without_keys_is_worth_nothing_with_keys(edge, read_failure):
    secret = await edge.mint()
    await edge.start(api_keys=KEYS)
    assert read_failure(await edge.call(authorization=secret)).code == "invalid_api_key"


# Without keys


@pytest.mark.parametrize("authorization", ["", "Bearer anything", "Bearer ek_placeholder", "Basic x"])
async def test_without_keys_anything_may_be_shown(edge, authorization):
    assert (await edge.call(authorization=authorization)).status == 201
    assert (await edge.post_json(SECRETS, {}, authorization=authorization)).status == 200


async def test_without_keys_a_secret_keeps_its_meaning(edge, read_failure):
    secret = await edge.mint({"model": "m"}, max_call=60)
    location = dict((await edge.call(authorization=secret)).headers)["Location"]
    assert edge.wishes == CallWishes(model="m", session={"type": "realtime"}, max_call=60.0)
    assert (await edge.ask("POST", f"{location}/hangup")).status == 200, "everybody is the owner"
    assert read_failure(await edge.post_json(SECRETS, {}, authorization=secret)).code == "api_key_needed"
    edge.unix_time += 600
    assert read_failure(await edge.call(authorization=secret)).code == "token_expired"


async def test_calls_on_a_server_without_keys_are_nobodys_whatever_key_minted_the_secret(edge):
    await edge.start(api_keys=KEYS)
    secret = await edge.mint({"model": "m"}, key="alpha-key")
    await edge.start(api_keys=())
    location = dict((await edge.call(authorization=secret)).headers)["Location"]
    assert edge.wishes.model == "m"
    assert (await edge.ask("DELETE", location)).status == 200


async def test_a_node_without_the_key_says_what_to_do(edge, read_failure, headers_of):
    edge.client_secrets = None
    await edge.start(api_keys=KEYS)
    for path in MINTS:
        failure = read_failure(await edge.post_json(path, {}, authorization=ALPHA))
        assert (failure.status, failure.code) == (501, "no_client_secret_key")
        assert failure.headers["x-should-retry"] == "false"
        assert "trio-voice keys update" in failure.message
    assert (await edge.call(authorization=ALPHA)).status == 201, "all else works"
    assert read_failure(await edge.call(authorization="Bearer ek_1Bxxx")).code == "invalid_api_key"
