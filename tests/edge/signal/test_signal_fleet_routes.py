"""What operators see of the fleet, and that nobody else does."""

import pytest

from edge.config.model import SignalIngress

INGRESSES = (
    SignalIngress(id=1, advertise=("192.0.2.1", 3478), region="eu"),
    SignalIngress(id=2, advertise=("2001:db8::2", 443), region="us", protocol="tcp"),
)
PATHS = ("/fleet/state", "/fleet/where?ip=203.0.113.7")


@pytest.fixture
async def site(empty_edge):
    for number, name in enumerate(("us", "eu"), 1):
        empty_edge.add_transceiver(name, number, name)
    empty_edge.transceivers["us"].state |= {"ready": False, "reason": "draining"}
    return await empty_edge.start(region="eu", ingresses=INGRESSES)


async def test_the_state_of_the_fleet(site, json_of):
    await site.call()
    site.transceivers["eu"].state["round_trips"] = [[1, "127.0.0.0/24", 1, 23.5]]
    await site.poll()
    state = json_of(await site.ask("GET", "/fleet/state"))
    europe, america = state["regions"]
    assert europe == {
        "name": "eu",
        "latitude": 50,
        "longitude": 8,
        "calls": 1,
        "max_calls": 10,
        "transceivers": 1,
        "ready": 1,
        "draining": False,
        "health": None,
        "health_ms": 0,
    }
    assert (america["calls"], america["max_calls"], america["transceivers"], america["ready"]) == (0, 0, 1, 0)
    told = {
        each["name"]: (each["region"], each["calls"], each["ready"], each["reason"]) for each in state["transceivers"]
    }
    assert told == {"http://us": ("us", 0, False, "draining"), "http://eu": ("eu", 1, True, None)}
    assert [(each["id"], each["address"], each["protocol"]) for each in state["ingresses"]] == [
        (1, "192.0.2.1:3478", "udp"),
        (2, "[2001:db8::2]:443", "tcp"),
    ]
    assert state["callers"] == [
        {"latitude": 50, "longitude": 8, "region": "eu", "calls": 1, "round_trip_ms": 23.5, "seconds_ago": 0}
    ]


async def test_a_choice_is_explained(site, json_of):
    explanation = json_of(await site.ask("GET", "/fleet/where?ip=203.0.113.7"))
    assert explanation["location"]["why"] == "the region eu, which took the request"
    assert [each["name"] for each in explanation["transceivers"] if each["rank"]] == ["http://eu"]
    assert "takes no calls, draining" in explanation["transceivers"][1]["why"]


async def test_an_address_that_is_none(site, read_failure):
    failure = read_failure(await site.ask("GET", "/fleet/where?ip=home"))
    assert (failure.status, failure.code) == (400, "invalid_request")


@pytest.mark.parametrize("path", PATHS)
async def test_with_keys_one_is_needed_from_elsewhere(site, read_failure, path):
    await site.start(api_keys=("key",))
    away = {"peer": "203.0.113.5", "host": "voice.example.com"}
    assert read_failure(await site.ask("GET", path, **away)).status == 401
    assert (await site.ask("GET", path, authorization="Bearer key", **away)).status == 200
    secret = await site.mint(key="key")
    assert read_failure(await site.ask("GET", path, authorization=secret, **away)).status in {401, 403}


@pytest.mark.parametrize("path", PATHS)
async def test_a_page_that_was_led_to_this_machine_sees_nothing(site, read_failure, path):
    await site.start(api_keys=("key",))
    assert (await site.ask("GET", path)).status == 200
    assert read_failure(await site.ask("GET", path, host="evil.example:8080")).status == 401
    assert read_failure(await site.ask("GET", path, x_forwarded_for="203.0.113.9")).status == 401


async def test_the_networks_that_are_told_are_bounded(site, json_of):
    placement = site.handler._placement
    for number in range(1000):
        location = placement.geography.locate_address(f"10.{number // 250}.{number % 250}.1")
        placement.recent.placed(location, "eu", 0.0 if number < 800 else 1e9)
    assert len(placement.recent._networks) == 300
    assert len(list(placement.recent.since(1e9))) == 200
