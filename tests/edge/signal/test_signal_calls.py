"""Making, looking at and ending calls."""

import hashlib
from ipaddress import ip_network

import pytest

from edge.config.model import SignalIngress
from stun.credentials import Route
from transceiver.call_ids import CallIdKey, CallIdKeys
from transceiver.calls import OfferRefused

KEYS = ("alpha-key", "beta-key")
ALPHA = "Bearer alpha-key"
BETA = "Bearer beta-key"


async def test_an_offer_becomes_an_answer(edge, headers_of):
    response = await edge.call()
    headers = headers_of(response)
    assert response.status == 201
    assert headers["content-type"] == "application/sdp"
    assert headers["cache-control"] == "no-store"
    assert response.body.startswith(b"v=0\r\n")
    ((call_id, (offer, owner, ingresses)),) = edge.transceivers["one"].calls.items()
    assert headers["location"] == f"/v1/realtime/calls/{call_id}"
    assert offer.startswith("v=0")
    assert owner == ""
    assert [(each.id, each.host, each.port) for each in ingresses] == [(1, "192.0.2.1", 3478)]


@pytest.mark.parametrize("media_type", ["application/sdp", "Application/SDP; charset=utf-8", "text/plain", ""])
async def test_types_that_hold_sdp_are_accepted(edge, media_type):
    assert (await edge.call(content_type=media_type)).status == 201


async def test_a_body_without_a_type_is_accepted_when_it_looks_like_sdp(edge):
    assert (await edge.ask("POST", "/v1/realtime/calls", b"v=0\r\n")).status == 201


@pytest.mark.parametrize("media_type", ["text/html", "multipart/mixed; boundary=x", "x"])
async def test_other_types_are_refused(edge, read_failure, media_type):
    failure = read_failure(await edge.call(content_type=media_type))
    assert (failure.status, failure.code) == (415, "unsupported_content_type")
    assert media_type.partition(";")[0] in failure.message
    assert failure.headers["accept-post"] == "application/sdp, multipart/form-data, application/json"


@pytest.mark.parametrize("media_type", ["text/plain", ""])
async def test_text_that_is_no_sdp_is_of_the_wrong_type(edge, read_failure, media_type):
    assert read_failure(await edge.call(b"hello", content_type=media_type)).status == 415


@pytest.mark.parametrize(
    ("body", "reason"), [(b"", "empty"), (b"hello", "v=0"), (b"\xff" * 100, "UTF-8"), (b"v=0\r\n\xff", "UTF-8")]
)
async def test_a_body_that_is_no_sdp_is_refused_here(edge, read_failure, body, reason):
    failure = read_failure(await edge.call(body))
    assert (failure.status, failure.code) == (400, "invalid_offer")
    assert reason in failure.message
    assert not edge.transceivers["one"].calls


async def test_an_offer_that_the_transceiver_refuses_keeps_its_reason(empty_edge, read_failure):
    for number in (1, 2):
        empty_edge.add_transceiver(f"t{number}", number).failure = OfferRefused("there is no ICE in it.")
    edge = await empty_edge.start()
    failure = read_failure(await edge.call())
    assert (failure.status, failure.code) == (400, "invalid_offer")
    assert "there is no ICE in it." in failure.message
    assert edge.reports == []


async def test_a_call_is_ended_with_delete(edge):
    location = dict((await edge.call()).headers)["Location"]
    response = await edge.ask("DELETE", location)
    assert response.status == 200
    assert not edge.transceivers["one"].calls


async def test_a_call_is_ended_with_hangup(edge):
    location = dict((await edge.call()).headers)["Location"]
    response = await edge.ask("POST", f"{location}/hangup")
    assert (response.status, response.body) == (200, b"")
    assert not edge.transceivers["one"].calls


async def test_a_call_that_has_ended_is_not_found(edge, read_failure):
    location = dict((await edge.call()).headers)["Location"]
    await edge.ask("DELETE", location)
    for method, path in (("DELETE", location), ("POST", f"{location}/hangup"), ("GET", location)):
        failure = read_failure(await edge.ask(method, path))
        assert (failure.status, failure.code) == (404, "call_id_not_found")


@pytest.mark.parametrize("call_id", ["rtc_", "rtc_u1_0123456789abcdef", "x" * 5000, "rtc_" + "A" * 49, "%"])
async def test_an_id_that_is_not_ours_is_not_found(edge, read_failure, call_id):
    failure = read_failure(await edge.ask("DELETE", f"/v1/realtime/calls/{call_id}"))
    assert (failure.status, failure.code) == (404, "call_id_not_found")


async def test_an_id_under_another_key_is_not_found(edge, read_failure):
    foreign = CallIdKeys([CallIdKey(key_id=1, token=bytes(64))], 1)
    call_id = foreign.mint(Route(cluster=3, incarnation=1, worker=0, session=1, minted=0))
    assert read_failure(await edge.ask("DELETE", f"/v1/realtime/calls/{call_id}")).status == 404


async def test_the_state_of_a_call_does_not_tell_its_owner(edge, json_of):
    location = dict((await edge.call()).headers)["Location"]
    state = json_of(await edge.ask("GET", location))
    assert state == {"call": location.rpartition("/")[2], "state": "connecting", "model": None}


async def test_a_key_owns_what_it_made(empty_edge, read_failure):
    calls = empty_edge.add_transceiver("one", 1)
    edge = await empty_edge.start(api_keys=KEYS)
    location = dict((await edge.call(authorization=ALPHA)).headers)["Location"]
    ((_, owner, _),) = calls.calls.values()
    assert owner == hashlib.sha256(b"alpha-key").hexdigest()
    for method, path in (("GET", location), ("DELETE", location), ("POST", f"{location}/hangup")):
        failure = read_failure(await edge.ask(method, path, authorization=BETA))
        assert (failure.status, failure.code) == (403, "not_owner")
    assert calls.calls
    assert (await edge.ask("GET", location, authorization=ALPHA)).status == 200
    assert (await edge.ask("DELETE", location, authorization=ALPHA)).status == 200


async def test_an_unknown_path_and_a_wrong_method_are_json_errors(edge, read_failure):
    failure = read_failure(await edge.ask("GET", "/v1/realtime/nothing"))
    assert (failure.status, failure.code) == (404, "not_found")
    failure = read_failure(await edge.ask("PUT", "/v1/realtime/calls"))
    assert (failure.status, failure.code) == (405, "method_not_allowed")
    assert failure.headers["allow"] == "POST, OPTIONS"
    assert read_failure(await edge.ask("GET", "/v1/realtime/calls")).status == 405


async def test_priorities_descend_in_the_order_of_preference(empty_edge):
    calls = empty_edge.add_transceiver("one", 1)
    ingresses = tuple(
        SignalIngress(id=number, advertise=(f"192.0.2.{number}", 3478), region="us" if number == 1 else "eu")
        for number in (1, 2, 3)
    )
    edge = await empty_edge.start(ingresses=ingresses, ingress_count=3, location=empty_edge.config.regions[0].location)
    await edge.call()
    ((_, _, chosen),) = calls.calls.values()
    assert [each.id for each in chosen] == [2, 3, 1]  # those of the caller's region first
    # RFC 8445 §5.1.2.1 with type preference 126, local preferences from 65535 down, component 1
    assert [each.priority for each in chosen] == [2130706431, 2130706431 - 256, 2130706431 - 512]


async def test_the_place_of_a_caller_comes_from_a_trusted_proxy_only(empty_edge):
    europe, america = (empty_edge.add_transceiver(name, number, name) for number, name in enumerate(("eu", "us"), 1))
    edge = await empty_edge.start(
        api_keys=KEYS,
        location=empty_edge.config.regions[0].location,
        location_headers=("x-lat", "x-lon"),
        trusted_proxies=(ip_network("192.0.2.0/24"),),
    )
    in_america = {"x_lat": "40", "x_lon": "-80", "authorization": ALPHA}
    await edge.call(peer="192.0.2.9", **in_america)
    assert (len(europe.calls), len(america.calls)) == (0, 1)
    await edge.call(peer="198.51.100.9", **in_america)
    assert (len(europe.calls), len(america.calls)) == (1, 1)


async def test_a_placed_call_is_reported_with_the_reasons(edge):
    await edge.call()
    ((name, facts),) = edge.reports
    assert name == "call-placed"
    assert (facts["request"], facts["transceiver"]) == ("req_1", "http://one")
    assert facts["call"] in edge.transceivers["one"].calls
    assert len(facts["why"]) == 2


async def test_tcp_comes_behind_udp_and_is_counted_apart(empty_edge):
    calls = empty_edge.add_transceiver("one", 1)
    ingresses = (
        SignalIngress(id=3, advertise=("192.0.2.3", 443), protocol="tcp"),
        SignalIngress(id=4, advertise=("192.0.2.4", 443), protocol="tcp"),
        SignalIngress(id=1, advertise=("192.0.2.1", 3478)),
    )
    edge = await empty_edge.start(ingresses=ingresses, ingress_count=1, tcp_ingress_count=2)
    await edge.call()
    ((_, _, chosen),) = calls.calls.values()
    assert [(each.id, each.protocol) for each in chosen] == [(1, "udp"), (3, "tcp"), (4, "tcp")]
    # RFC 6544 §4.2: type preference 90, then 2^13 * 4 (passive) + 8191 and descending, component 1
    first = (90 << 24) + (((4 << 13) + 8191) << 8) + 255
    assert [each.priority for each in chosen] == [2130706431, first, first - 256]


async def test_no_tcp_is_offered_where_none_is_wanted(empty_edge):
    calls = empty_edge.add_transceiver("one", 1)
    ingresses = (
        SignalIngress(id=1, advertise=("192.0.2.1", 3478)),
        SignalIngress(id=3, advertise=("192.0.2.3", 443), protocol="tcp"),
    )
    edge = await empty_edge.start(ingresses=ingresses, tcp_ingress_count=0)
    await edge.call()
    ((_, _, chosen),) = calls.calls.values()
    assert [each.id for each in chosen] == [1]
