"""PATCH of a call, as clients send it and read its answers; what it does is in test_ice_updates.py."""

import pytest

from edge.config.model import ResidencyConfig, SignalIngress
from transceiver.calls import FragmentRefused, IceSessionChanged, IceUpdated, Overloaded

TYPE = "application/trickle-ice-sdpfrag"
FRAGMENT = b"a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n"


@pytest.fixture
async def path(edge, headers_of) -> str:
    return headers_of(await edge.call())["location"]


async def test_an_answer_has_a_strong_entity_tag(edge, headers_of):
    assert headers_of(await edge.call())["etag"] == '"t0"'


async def test_candidates_are_taken_without_a_word(edge, path, headers_of):
    response = await edge.ask("PATCH", path, FRAGMENT, content_type=TYPE, if_match='"t0"')
    assert (response.status, response.body) == (204, b"")
    assert "etag" not in headers_of(response)  # RFC 9725 §4.3.2
    (update,) = edge.transceivers["one"].updates
    assert (update.fragment, update.tag, update.ingresses) == (FRAGMENT.decode(), "t0", ())


async def test_a_restart_is_answered_with_a_fragment_and_another_tag(edge, path, headers_of):
    edge.transceivers["one"].updated = IceUpdated(tag="t1", fragment="a=ice-lite\r\n")
    response = await edge.ask("PATCH", path, FRAGMENT, content_type=TYPE + "; charset=utf-8", if_match="*")
    headers = headers_of(response)
    assert (response.status, response.body) == (200, b"a=ice-lite\r\n")
    assert (headers["content-type"], headers["etag"]) == (TYPE, '"t1"')
    (update,) = edge.transceivers["one"].updates
    assert update.tag == "*"
    assert [ingress.host for ingress in update.ingresses] == ["192.0.2.1"]


@pytest.mark.parametrize(("model", "hosts"), [("bank-1", ["192.0.2.2"]), ("other", ["192.0.2.1"]), ("nowhere", None)])
async def test_a_restart_stays_in_the_regions_that_the_call_may_be_in(
    empty_edge, headers_of, read_failure, model, hosts
):
    """The client does not say again which model it talks with."""
    calls = empty_edge.add_transceiver("one", 1, "eu")
    ingresses = (
        SignalIngress(id=1, advertise=("192.0.2.1", 1), region="eu"),
        SignalIngress(id=2, advertise=("192.0.2.2", 1), region="us"),
    )
    rules = (
        ResidencyConfig(models=("bank-*",), regions=("us",)),
        ResidencyConfig(models=("nowhere",), regions=("mars",)),
    )
    edge = await empty_edge.start(ingresses=ingresses, ingress_count=1)
    path = headers_of(await edge.call())["location"]
    calls.model, calls.updated = model, IceUpdated(tag="t1", fragment="a=ice-lite\r\n")
    await edge.start(residency=rules)
    response = await edge.ask("PATCH", path, FRAGMENT, content_type=TYPE, if_match="*")
    if hosts is None:
        assert (read_failure(response).status, read_failure(response).code) == (503, "no_permitted_region")
        assert not calls.updates
    else:
        assert [ingress.host for ingress in calls.updates[0].ingresses] == hosts


@pytest.mark.parametrize(
    ("headers", "tag"),
    [
        ({}, None),  # whip-whep, where the page cannot read ETag
        ({"etag": '"t0"'}, "t0"),  # @eyevinn/whip-web-client
        ({"if_match": '"*"'}, "*"),
        ({"if_match": "t0"}, "t0"),
        ({"if_match": 'W/"t0"'}, 'W/"t0"'),
        ({"if_match": " "}, None),
        ({"if_match": '"t1"', "etag": '"t0"'}, "t1"),
    ],
)
async def test_tags_as_clients_send_them(edge, path, headers, tag):
    await edge.ask("PATCH", path, FRAGMENT, content_type=TYPE, **headers)
    assert edge.transceivers["one"].updates[0].tag == tag


@pytest.mark.parametrize("media_type", ["application/sdp", "application/json", ""])
async def test_another_type_is_refused_with_the_right_one(edge, path, media_type, read_failure):
    failure = read_failure(await edge.ask("PATCH", path, FRAGMENT, content_type=media_type))
    assert (failure.status, failure.code) == (415, "unsupported_content_type")
    assert failure.headers["accept-patch"] == TYPE


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (FragmentRefused("line 3 is none"), 400, "invalid_fragment"),
        (IceSessionChanged("another one"), 412, "ice_session_changed"),
        (Overloaded(1.5), 429, "rate_limit_exceeded"),
    ],
)
async def test_refusals(edge, path, refusal, status, code, read_failure):
    edge.transceivers["one"].updated = refusal
    failure = read_failure(await edge.ask("PATCH", path, FRAGMENT, content_type=TYPE))
    assert (failure.status, failure.code) == (status, code)
    if status == 429:
        assert failure.headers["retry-after-ms"] == "1500"
    elif not isinstance(refusal, Overloaded):
        assert str(refusal) in failure.message


async def test_bytes_that_are_no_text_are_refused(edge, path, read_failure):
    failure = read_failure(await edge.ask("PATCH", path, b"a=\xff", content_type=TYPE))
    assert (failure.status, failure.code) == (400, "invalid_fragment")


async def test_only_the_owner_may_change_a_call(empty_edge, headers_of, read_failure):
    empty_edge.add_transceiver("one", 1)
    edge = await empty_edge.start(api_keys=("mine", "yours"))
    path = headers_of(await edge.call(authorization="Bearer mine"))["location"]
    for key, status in (("", 401), ("yours", 403), ("mine", 204)):
        headers = {"authorization": f"Bearer {key}"} if key else {}
        assert (await edge.ask("PATCH", path, FRAGMENT, content_type=TYPE, **headers)).status == status


async def test_a_call_that_is_not_there(edge, read_failure):
    failure = read_failure(await edge.ask("PATCH", "/v1/realtime/calls/rtc_x", FRAGMENT, content_type=TYPE))
    assert (failure.status, failure.code) == (404, "call_id_not_found")


async def test_pages_are_told_that_they_may(edge, headers_of):
    headers = headers_of(await edge.ask("OPTIONS", "/v1/realtime/calls", origin="http://127.0.0.1:8080"))
    assert headers["accept-patch"] == TYPE
    assert "PATCH" in headers["access-control-allow-methods"]
    assert {"ETag", "Accept-Patch"} <= set(headers["access-control-expose-headers"].split(", "))
