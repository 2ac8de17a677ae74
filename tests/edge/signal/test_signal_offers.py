"""Offers in every shape, and what a call is to be like."""

import json

import pytest

from transceiver.calls import CallWishes, ModelNotAllowed, Overloaded

SDP = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
SESSION = {"type": "realtime", "instructions": "Grüße", "audio": {"output": {"voice": "marin"}}}
ALPHA = "Bearer alpha-key"
FORM = "multipart/form-data; boundary=xyz"


def form(**fields: object) -> bytes:
    """Write a form as a browser does; what is no bytes, as JSON."""
    parts = [
        f'--xyz\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode()
        + (value if isinstance(value, bytes) else json.dumps(value).encode())
        + b"\r\n"
        for name, value in fields.items()
    ]
    return b"".join(parts) + b"--xyz--\r\n"


@pytest.fixture
def offered(edge):
    """What the transceiver was offered last."""
    return lambda: list(edge.transceivers["one"].calls.values())[-1][0]


@pytest.mark.parametrize("is_session_first", [False, True])
async def test_a_form_brings_its_session(edge, headers_of, offered, is_session_first):
    fields = {"sdp": SDP.encode(), "session": SESSION | {"model": "m"}}
    if is_session_first:
        fields = dict(reversed(fields.items()))
    response = await edge.call(form(**fields), content_type=FORM)
    assert (response.status, headers_of(response)["content-type"]) == (201, "application/sdp")
    assert offered() == SDP
    assert edge.wishes == CallWishes(model="m", session=SESSION)


async def test_a_form_may_have_no_session(edge, offered):
    assert (await edge.call(form(sdp=SDP.encode()), content_type=FORM)).status == 201
    assert offered() == SDP
    assert edge.wishes == CallWishes()


async def test_json_is_answered_with_json(edge, headers_of, json_of, offered):
    response = await edge.post_json("/v1/realtime/calls", {"sdp": SDP, "model": "m", "session": SESSION, "x": 1})
    call_id = next(iter(edge.transceivers["one"].calls))
    headers, answer = headers_of(response), json_of(response)
    assert (response.status, headers["location"]) == (201, f"/v1/realtime/calls/{call_id}")
    assert headers["content-type"] == "application/json"
    assert answer.pop("sdp").startswith("v=0\r\n")
    assert answer == {"id": call_id, "session_id": call_id, "ice_servers": []}
    assert offered() == SDP
    assert edge.wishes == CallWishes(model="m", session=SESSION)


@pytest.mark.parametrize("path", ["/v1/realtime", "/openai/v1/realtime", "/openai/v1/realtime/calls"])
async def test_the_other_names_of_the_endpoint(edge, headers_of, path):
    response = await edge.ask("POST", f"{path}?model=m", SDP.encode(), content_type="application/sdp")
    location = headers_of(response)["location"]
    assert response.status == 201
    assert location.startswith(path.removesuffix("/calls") + "/calls/rtc_")
    assert edge.wishes.model == "m"
    assert (await edge.ask("GET", location)).status == 200
    assert (await edge.ask("POST", location + "/hangup")).status == 200


@pytest.mark.parametrize(
    ("query", "fields", "secret_model", "model"),
    [
        ("?model=query", {"model": "body", "session": {"model": "session"}}, "secret", "query"),
        ("?model=", {"model": "body", "session": {"model": "session"}}, "secret", "body"),
        ("", {"session": {"model": "session"}}, "secret", "session"),
        ("", {"model": "", "session": {"model": None}}, "secret", "secret"),
        ("", {}, "secret", "secret"),
        ("", {}, None, None),
        ("?model=a%20b/c", {}, None, "a b/c"),
    ],
)
async def test_who_chooses_the_model(edge, query, fields, secret_model, model):
    authorization = await edge.mint({"model": secret_model} if secret_model else None)
    path = f"/v1/realtime/calls{query}"
    assert (await edge.post_json(path, {"sdp": SDP} | fields, authorization=authorization)).status == 201
    assert edge.wishes.model == model
    assert "model" not in edge.wishes.session, "one model only"


async def test_a_flat_session_of_the_beta_is_translated(edge):
    session = {"voice": "alloy", "modalities": ["text", "audio"], "input_audio_format": "g711_ulaw"}
    await edge.call(form(sdp=SDP.encode(), session=session), content_type=FORM)
    assert edge.wishes.session == {
        "type": "realtime",
        "output_modalities": ["audio"],
        "audio": {"input": {"format": {"type": "audio/pcmu"}}, "output": {"voice": "alloy"}},
    }


@pytest.mark.parametrize(
    ("body", "status", "code", "words"),
    [
        (form(session=SESSION), 400, "invalid_offer", "no part named sdp"),
        (form(sdp=b""), 400, "invalid_offer", "is empty"),
        (form(sdp=b"hello"), 400, "invalid_offer", "v=0"),
        (form(sdp=b"v=0\r\n\xff"), 400, "invalid_offer", "not UTF-8 at byte 5"),
        (form(sdp=SDP.encode(), session=b"{"), 400, "invalid_request", "session is not JSON"),
        (form(sdp=SDP.encode(), session=b'{"a":"\xff"}'), 400, "invalid_request", "session is not JSON"),
        (form(sdp=SDP.encode(), session=[1]), 400, "invalid_request", "session is not a JSON object"),
        (form(sdp=SDP.encode(), session="text"), 400, "invalid_request", "session is not a JSON object"),
        (form(sdp=SDP.encode(), session={"type": "live"}), 400, "invalid_request", "session.type is one of realtime"),
        (form(sdp=SDP.encode(), session={"type": []}), 400, "invalid_request", "session.type is one of realtime"),
        (form(sdp=SDP.encode(), session={"model": 1}), 400, "invalid_request", "session.model is no name"),
        (form(sdp=SDP.encode(), session={"model": "m" * 201}), 400, "invalid_request", "session.model is no name"),
        (form(sdp=SDP.encode(), session={"a": "x" * 50_000}), 400, "session_too_large", "may have 49152"),
        (b"hello", 400, "invalid_multipart", "nowhere in the body"),
    ],
)
async def test_a_form_that_says_nonsense_is_refused(edge, read_failure, body, status, code, words):
    failure = read_failure(await edge.call(body, content_type=FORM))
    assert (failure.status, failure.code) == (status, code)
    assert words in failure.message
    assert not edge.transceivers["one"].calls


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the body is not JSON"),
        (b"\xff\xfe", "the body is not JSON"),
        (b"[]", "not a JSON object"),
        (b"[" * 60_000, "nested too deeply"),
        (b'{"a":' * 500 + b"1" + b"}" * 500, "deeper than 64"),
        (b'{"sdp": "v=0", "session": {"a":' + b"[" * 70 + b"]" * 70 + b"}}", "deeper than 64"),
        (b'{"sdp": "v=0", "session": {"a": NaN}}', "what JSON cannot say"),
        (b'{"sdp": "v=0", "session": {"a": 1e999}}', "what JSON cannot say"),
        (b'{"sdp": "v=0", "session": {"a": ' + b"9" * 5000 + b"}}", "what JSON cannot say"),
        (b'{"sdp": "v=0\\ud800"}', "what JSON cannot say"),
        (b'{"sdp": "v=0", "session": {"\\udfff": 1}}', "what JSON cannot say"),
        (b"{}", "no field sdp"),
        (b'{"sdp": 1}', "no field sdp"),
        (b'{"sdp": ["v=0"]}', "no field sdp"),
        (b'{"sdp": ""}', "is empty"),
        (b'{"sdp": "v=0", "session": []}', "session is not a JSON object"),
        (b'{"sdp": "v=0", "model": {}}', "model is no name"),
        (b'{"sdp": "v=0", "model": "a\\nb"}', "model is no name"),
    ],
)
async def test_json_that_says_nonsense_is_refused(edge, read_failure, body, words):
    failure = read_failure(await edge.post_json("/v1/realtime/calls", body))
    assert failure.status == 400
    assert words in failure.message
    assert not edge.transceivers["one"].calls


async def test_a_model_in_the_query_is_checked_too(edge, read_failure):
    failure = read_failure(await edge.call(query="?model=%0d%0a"))
    assert (failure.status, failure.code) == (400, "invalid_request")


async def test_a_client_secret_brings_its_session_and_the_request_adds_to_it(edge):
    session = {
        "type": "realtime",
        "instructions": "secret",
        "tools": [{"name": "a"}],
        "audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 0.5}}, "output": {"voice": "marin"}},
    }
    authorization = await edge.mint(session, max_call=90)
    assert (await edge.call(authorization=authorization)).status == 201
    assert edge.wishes == CallWishes(session=session, max_call=90.0)
    over = {"tools": [], "audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}}
    await edge.call(form(sdp=SDP.encode(), session=over), content_type=FORM, authorization=authorization)
    assert edge.wishes.session == {
        "type": "realtime",
        "instructions": "secret",
        "tools": [],
        "audio": {"input": {"turn_detection": {"type": "semantic_vad"}}, "output": {"voice": "marin"}},
    }


async def test_a_locked_client_secret_stands_above_the_request(edge, read_failure):
    authorization = await edge.mint({"model": "m", "instructions": "secret"}, locked=True)

    async def call(query: str = "", session: object = None):
        body = form(sdp=SDP.encode(), **({} if session is None else {"session": session}))
        return await edge.call(body, query=query, content_type=FORM, authorization=authorization)

    for query, session in (("", None), ("?model=m", None), ("", {"instructions": "secret", "model": "m"})):
        assert (await call(query, session)).status == 201
        assert edge.wishes == CallWishes(
            model="m", session={"type": "realtime", "instructions": "secret"}, is_locked=True
        )
    failure = read_failure(await call("?model=other"))
    assert (failure.status, failure.code) == (403, "model_not_allowed")
    assert "'m' only" in failure.message
    assert read_failure(await call(session={"model": "other"})).code == "model_not_allowed"
    for session in ({"instructions": "Say all you know."}, {"type": "transcription"}, {"tools": []}):
        failure = read_failure(await call(session=session))
        assert (failure.status, failure.code) == (403, "session_locked")
    assert len(edge.transceivers["one"].calls) == 3


async def test_a_locked_client_secret_without_a_model_leaves_it_open(edge):
    authorization = await edge.mint({"instructions": "secret"}, locked=True)
    assert (await edge.call(query="?model=m", authorization=authorization)).status == 201
    assert (edge.wishes.model, edge.wishes.is_locked) == ("m", True)


async def test_a_model_that_no_backend_has(empty_edge, read_failure):
    for number in (1, 2):
        empty_edge.add_transceiver(f"t{number}", number).failure = ModelNotAllowed("m")
    edge = await empty_edge.start()
    failure = read_failure(await edge.call(query="?model=m"))
    assert (failure.status, failure.code) == (403, "model_not_allowed")
    assert "'m'" in failure.message


async def test_a_model_that_another_transceiver_has_already(empty_edge):
    first, second = (empty_edge.add_transceiver(f"t{number}", number) for number in (1, 2))
    edge = await empty_edge.start()
    first.failure = ModelNotAllowed("m")
    assert (await edge.call(query="?model=m")).status == 201
    assert len(second.calls) == 1


async def test_a_full_transceiver_may_have_the_model_that_another_has_not(empty_edge, read_failure):
    first, second = (empty_edge.add_transceiver(f"t{number}", number) for number in (1, 2))
    edge = await empty_edge.start()
    first.failure, second.failure = Overloaded(4.5), ModelNotAllowed("m")
    failure = read_failure(await edge.call(query="?model=m"))
    assert (failure.status, failure.code) == (503, "session_limit_reached")
    assert 4500 <= int(failure.headers["retry-after-ms"]) <= 4500 * 1.25 + 1


@pytest.mark.parametrize("command", ["accept", "refer", "reject"])
async def test_commands_for_telephone_trunks_find_no_call(edge, read_failure, command):
    location = dict((await edge.call()).headers)["Location"]
    failure = read_failure(await edge.post_json(f"{location}/{command}", {"type": "realtime"}))
    assert (failure.status, failure.code) == (404, "call_id_not_found")
    assert "SIP" in failure.message
    await edge.start(api_keys=("alpha-key",))
    assert (await edge.ask("POST", f"{location}/{command}")).status == 401
