"""What pages of other origins may read."""

import pytest

from edge.http.errors import error_response
from edge.http.messages import Request

APP = "https://app.example.com"
OWN = "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/realtime/calls",
        "/v1/realtime",
        "/v1/realtime/client_secrets",
        "/openai/v1/realtime/calls/rtc_x/hangup",
    ],
)
@pytest.mark.parametrize("keys", [(), ("key",)])
async def test_a_preflight_needs_no_key_and_allows_what_was_asked_for(edge, headers_of, keys, path):
    await edge.start(api_keys=keys, allowed_origins=(APP,))
    response = await edge.ask(
        "OPTIONS",
        path,
        origin=APP,
        access_control_request_method="POST",
        access_control_request_headers="authorization,content-type,x-new-header",
    )
    headers = headers_of(response)
    assert (response.status, response.body) == (204, b"")
    assert headers["access-control-allow-origin"] == APP
    assert headers["access-control-allow-headers"] == "authorization,content-type,x-new-header"
    assert headers["access-control-allow-methods"] == "GET, POST, PATCH, DELETE, OPTIONS"
    assert headers["access-control-max-age"] == "7200"
    assert headers["accept-post"] == "application/sdp, multipart/form-data, application/json"
    assert headers["vary"] == "Origin"


async def test_a_preflight_that_names_no_header_gets_the_usual_ones(edge, headers_of):
    headers = headers_of(await edge.ask("OPTIONS", "/v1/realtime/calls/rtc_x", origin=OWN))
    assert "authorization" in headers["access-control-allow-headers"].split(", ")


async def test_options_of_the_whole_server(edge):
    assert (await edge.ask("OPTIONS", "*")).status == 204


@pytest.mark.parametrize("origin", [OWN, APP, "https://APP.example.com"])
async def test_an_allowed_page_reads_answers(edge, headers_of, origin):
    await edge.start(allowed_origins=(APP + "/",))
    response = await edge.call(origin=origin)
    headers = headers_of(response)
    assert response.status == 201
    assert headers["access-control-allow-origin"] == origin
    exposed = headers["access-control-expose-headers"].split(", ")
    assert {"Location", "Retry-After", "X-Request-Id", "Access-Control-Allow-Methods"} <= set(exposed)


async def test_any_origin_may_when_any_is_configured(edge, headers_of):
    await edge.start(api_keys=("key",), allowed_origins=("*",))
    for origin in ("https://anything.example", "null"):
        response = await edge.call(origin=origin, authorization="Bearer key")
        assert (response.status, headers_of(response)["access-control-allow-origin"]) == (201, "*")


async def test_a_page_behind_a_proxy_that_ends_tls_is_our_own(edge):
    await edge.start(api_keys=("key",))
    for host in ("voice.example.com", "voice.example.com:443"):
        response = await edge.call(authorization="Bearer key", host=host, origin="https://voice.example.com")
        assert response.status == 201


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/v1/realtime/calls", {"content_type": "text/html"}, 415),
        ("POST", "/v1/realtime/calls", {"content_type": "multipart/form-data"}, 400),
        ("POST", "/openai/v1/realtime/calls", {"content_type": "application/json"}, 400),
        ("POST", "/v1/realtime", {"content_type": "text/html"}, 415),
        ("POST", "/v1/realtime/client_secrets", {"authorization": "Bearer ek_x"}, 401),
        ("POST", "/v1/realtime/sessions", {}, 400),
        ("POST", "/v1/realtime/calls/rtc_x/accept", {}, 404),
        ("GET", "/openai/nothing", {}, 404),
        ("POST", "/v1/realtime/calls", {"authorization": "Bearer no"}, 401),
        ("GET", "/v1/realtime/calls", {}, 405),
        ("GET", "/v1/nothing", {}, 404),
        ("DELETE", "/v1/realtime/calls/rtc_x", {}, 404),
    ],
)
async def test_errors_can_be_read_too(edge, headers_of, read_failure, method, path, headers, status):
    await edge.start(api_keys=("key",), allowed_origins=(APP,))
    response = await edge.ask(method, path, b"x", origin=APP, **({"authorization": "Bearer key"} | headers))
    assert read_failure(response).status == status
    assert headers_of(response)["access-control-allow-origin"] == APP


async def test_refusals_of_the_server_itself_can_be_read_too(edge, headers_of):
    await edge.start(allowed_origins=(APP,))
    request = Request(method="POST", path="/v1/realtime/calls", headers={"origin": APP, "host": "127.0.0.1:8080"})
    response = edge.handler.refuse(request, error_response(413, "content_too_large", "too large"))
    assert headers_of(response)["access-control-allow-origin"] == APP


async def test_a_request_that_comes_from_no_page_is_told_that_the_answer_varies(edge, headers_of):
    headers = headers_of(await edge.call())
    assert headers["vary"] == "Origin"
    assert "access-control-allow-origin" not in headers
