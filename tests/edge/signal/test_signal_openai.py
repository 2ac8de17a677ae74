"""The official Python client against our HTTP server: it mints, calls and hangs up, and understands refusals."""

from functools import partial

import openai
import pytest
import trio

from edge.http.messages import Request, Response
from edge.http.server import HttpServer, open_listener
from transceiver.calls import CallWishes, ModelNotAllowed

SDP = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
SESSION = {
    "type": "realtime",
    "model": "gpt-realtime",
    "instructions": "Sprich über Grüße.",
    "audio": {"output": {"voice": "marin"}, "input": {"turn_detection": {"type": "semantic_vad"}}},
    "tools": [{"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}],
}


@pytest.fixture
async def serve(edge, nursery):
    """Serve the edge on a socket; returns how to call the client's functions, each in a thread."""

    class Present:
        """The handler of the edge, also after it was started anew."""

        async def handle(self, request: Request) -> Response:
            return await edge.handler.handle(request)

        def refuse(self, request: Request, response: Response) -> Response:
            return edge.handler.refuse(request, response)

    server = HttpServer(Present())
    (address,) = await nursery.start(server.serve, [await open_listener(("127.0.0.1", 0))])

    def client(key: str, path: str = "/v1") -> openai.OpenAI:
        url = f"http://127.0.0.1:{address[1]}{path}"
        return openai.OpenAI(api_key=key, base_url=url, max_retries=0, timeout=5)

    yield client
    await server.stop(0)


async def run(function, **arguments: object):
    with trio.fail_after(10):
        return await trio.to_thread.run_sync(partial(function, **arguments))


@pytest.mark.parametrize("path", ["/v1", "/openai/v1"])
async def test_a_server_mints_and_a_browser_calls(edge, serve, path):
    await edge.start(api_keys=("sk-server",))
    server = serve("sk-server", path)
    expires_after = {"anchor": "created_at", "seconds": 60}
    minted = await run(server.realtime.client_secrets.create, session=SESSION, expires_after=expires_after)
    assert minted.value.startswith("ek_")
    assert minted.expires_at == 1_800_000_060
    assert (minted.session.type, minted.session.object, minted.session.model) == (
        "realtime",
        "realtime.session",
        "gpt-realtime",
    )
    assert minted.session.audio.output.voice == "marin"
    assert minted.session.tools[0].name == "weather"

    browser = serve(minted.value, path)
    answer = await run(browser.realtime.calls.with_raw_response.create, sdp=SDP)  # without a session it sends raw SDP
    assert (answer.http_response.status_code, answer.headers["content-type"]) == (201, "application/sdp")
    assert answer.http_response.text.startswith("v=0\r\n")
    assert edge.wishes == CallWishes(
        model="gpt-realtime", session={name: value for name, value in SESSION.items() if name != "model"}
    )
    call_id = answer.headers["location"].split("/")[-1]
    assert call_id in edge.transceivers["one"].calls
    assert answer.headers["x-request-id"].startswith("req_")
    await run(server.realtime.calls.hangup, call_id=call_id)
    assert not edge.transceivers["one"].calls


async def test_a_server_calls_with_a_session(edge, serve):
    client = serve("anything")
    answer = await run(client.realtime.calls.create, sdp=SDP, session=SESSION)
    assert answer.text.startswith("v=0\r\n")
    assert next(iter(edge.transceivers["one"].calls.values()))[0] == SDP
    assert edge.wishes == CallWishes(
        model="gpt-realtime", session={name: value for name, value in SESSION.items() if name != "model"}
    )


async def test_a_transcription_session_is_understood(serve):
    client = serve("anything")
    session = {"type": "transcription", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    minted = await run(client.realtime.client_secrets.create, session=session)
    assert minted.session.object == "realtime.transcription_session"
    assert minted.session.audio.input.transcription.model == "whisper-1"


async def test_terms_of_our_own_pass_as_extras(edge, serve):
    client = serve("anything")
    minted = await run(client.realtime.client_secrets.create, extra_body={"max_call": 60, "locked": True})
    await run(serve(minted.value).realtime.calls.create, sdp=SDP)
    assert edge.wishes == CallWishes(session={"type": "realtime"}, max_call=60.0, is_locked=True)


async def test_refusals_become_the_exceptions_that_they_should(edge, serve):
    await edge.start(api_keys=("sk-server",), max_calls_per_key=1)
    good, wrong = serve("sk-server"), serve("sk-wrong")
    with pytest.raises(openai.AuthenticationError) as unknown:
        await run(wrong.realtime.calls.create, sdp=SDP)
    assert unknown.value.code == "invalid_api_key"
    with pytest.raises(openai.BadRequestError) as broken:
        await run(good.realtime.calls.create, sdp="hello")
    assert (broken.value.code, broken.value.param) == ("invalid_offer", "sdp")
    assert "v=0" in broken.value.message
    minted = await run(good.realtime.client_secrets.create)
    with pytest.raises(openai.PermissionDeniedError) as forbidden:
        await run(serve(minted.value).realtime.client_secrets.create)
    assert forbidden.value.code == "api_key_needed"
    edge.transceivers["one"].failure = ModelNotAllowed("gpt-realtime")
    with pytest.raises(openai.PermissionDeniedError) as unknown_model:
        await run(good.realtime.calls.create, sdp=SDP, session=SESSION)
    assert (unknown_model.value.code, unknown_model.value.param) == ("model_not_allowed", "model")
    edge.transceivers["one"].failure = None
    await run(good.realtime.calls.create, sdp=SDP)
    with pytest.raises(openai.RateLimitError) as too_many:
        await run(good.realtime.calls.create, sdp=SDP)
    assert too_many.value.response.headers["retry-after"] == "2"
    edge.unix_time += 600
    with pytest.raises(openai.AuthenticationError) as expired:
        await run(serve(minted.value).realtime.calls.create, sdp=SDP)
    assert expired.value.code == "token_expired"
    for command, more in (("accept", {"type": "realtime"}), ("reject", {}), ("refer", {"target_uri": "tel:1"})):
        with pytest.raises(openai.NotFoundError):
            await run(getattr(good.realtime.calls, command), call_id="rtc_x", **more)
    with pytest.raises(openai.NotFoundError) as nowhere:
        await run(good.realtime.calls.hangup, call_id="rtc_x")
    assert nowhere.value.code == "call_id_not_found"
