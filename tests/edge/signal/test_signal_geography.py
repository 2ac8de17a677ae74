"""What signal knows of places reaches every call: where it goes, and the reason that is kept with it."""

from ipaddress import ip_network

import attrs
import pytest
import trio

from edge.config.model import ResidencyConfig, SignalIngress
from geo.regions import Place, Region

GERMAN = {"cf_ipcountry": "DE", "x_forwarded_for": "203.0.113.7"}
PROXY = {"trusted_proxies": (ip_network("127.0.0.0/8"),), "country_header": "CF-IPCountry", "api_keys": ("one", "two")}
KEY = {"authorization": "Bearer one"}
INGRESSES = (
    SignalIngress(id=1, advertise=("192.0.2.1", 3478), region="eu"),
    SignalIngress(id=2, advertise=("192.0.2.2", 3478), region="us"),
)


@pytest.fixture
def pair(empty_edge):
    """A transceiver in each region."""
    america, europe = (empty_edge.add_transceiver(name, number, name) for number, name in enumerate(("us", "eu"), 1))
    return empty_edge, america, europe


async def test_the_reason_is_in_the_log_and_goes_with_the_call(pair):
    edge, america, europe = pair
    await edge.start(region="eu", ingresses=INGRESSES)
    await edge.call()
    assert (len(america.calls), len(europe.calls)) == (0, 1)
    wishes = europe.wishes[-1]
    assert wishes.caller_network == "127.0.0.0/24"
    assert "ingress 1 in eu: 0 km from the caller (the region eu, which took the request), about 10 ms." in (
        wishes.placed_because
    )
    ((name, facts),) = edge.reports
    assert (name, tuple(facts["why"])) == ("call-placed", wishes.placed_because)


async def test_a_configured_location_goes_before_that_of_the_region(pair):
    edge, america, _ = pair
    await edge.start(region="eu", location=Place(latitude=39, longitude=-77), ingresses=INGRESSES)
    await edge.call()
    assert len(america.calls) == 1


async def test_a_country_keeps_its_calls_and_their_relays_in_a_region(pair):
    edge, america, europe = pair
    rules = (ResidencyConfig(regions=("eu",), countries=("de",)),)
    await edge.start(region="us", residency=rules, ingresses=INGRESSES, **PROXY)
    await edge.call(**GERMAN, **KEY)
    assert (len(america.calls), len(europe.calls)) == (0, 1)
    ((_, _, ingresses),) = europe.calls.values()
    assert [each.id for each in ingresses] == [1]
    assert europe.wishes[-1].placed_because[0] == "Residency: callers from DE only in eu."
    await edge.call(**(GERMAN | {"cf_ipcountry": "FR"}), **KEY)
    assert len(america.calls) == 1


async def test_a_model_and_a_key_may_be_tied_too(pair):
    edge, america, europe = pair
    rules = (
        ResidencyConfig(regions=("eu",), models=("bank-*",)),
        ResidencyConfig(regions=("eu",), api_keys=("two",)),
    )
    await edge.start(region="us", residency=rules, ingresses=INGRESSES, **PROXY)
    await edge.call(query="?model=bank-1", **KEY)
    assert len(europe.calls) == 1
    await edge.call(authorization="Bearer two")
    assert len(europe.calls) == 2
    await edge.call(**KEY)
    assert len(america.calls) == 1


async def test_a_rule_is_not_bent_for_a_call_that_cannot_be_placed(pair, read_failure):
    edge, america, europe = pair
    europe.state |= {"ready": False, "reason": "draining"}
    rules = (ResidencyConfig(regions=("eu",), countries=("DE",)),)
    await edge.start(residency=rules, ingresses=INGRESSES, **PROXY)
    failure = read_failure(await edge.call(**GERMAN, **KEY))
    assert (failure.status, failure.code) == (503, "no_permitted_region")
    assert 2000 <= int(failure.headers["retry-after-ms"]) <= 2501
    assert (len(america.calls), len(europe.calls)) == (0, 0)
    ((name, facts),) = edge.reports
    assert name == "no-permitted-region"
    assert any("http://us in us: forbidden: callers from DE only in eu" in sentence for sentence in facts["why"])


async def test_a_region_that_drains_gets_no_calls(pair):
    edge, america, europe = pair
    here, there = edge.config.regions
    regions = (attrs.evolve(here, draining=True), there)
    for member in edge.members:
        member.region = Region(
            name=member.region.name, place=member.region.place, is_draining=member.region.name == "eu"
        )
    await edge.start(regions=regions, region="eu", ingresses=INGRESSES)
    await edge.call()
    assert (len(america.calls), len(europe.calls)) == (1, 0)
    ((_, _, ingresses),) = america.calls.values()
    assert [each.id for each in ingresses] == [2]


async def test_measured_round_trips_correct_the_prediction(pair):
    edge, america, europe = pair
    # By the ingress in Europe, and by that in America with the ocean twice.
    slow = [[number, "127.0.0.0/24", 1, 400.0] for number in range(1, 9)]
    europe.state["round_trips"] = slow
    america.state["round_trips"] = [[5, "127.0.0.0/24", 2, 60.0]]
    await edge.start(region="eu", ingresses=INGRESSES)
    await edge.call()
    assert (len(america.calls), len(europe.calls)) == (1, 0)
    networks = edge.handler._placement.geography.networks
    measured = networks.measured("127.0.0.0/24", trio.current_time())
    assert (measured["eu"].calls, measured["us"].calls) == (8, 1)
    await edge.poll()
    await edge.call()
    assert networks.measured("127.0.0.0/24", trio.current_time())["eu"].calls == 8, "each is taken once"
    europe.state["incarnation"] = 9
    await edge.poll()
    await edge.call()
    assert networks.measured("127.0.0.0/24", trio.current_time())["eu"].calls == 16, "a new process counts anew"


async def test_the_region_that_took_a_call_is_where_the_next_ones_go(pair):
    edge, _, _ = pair
    await edge.start(region="eu", ingresses=INGRESSES)
    networks = edge.handler._placement.geography.networks
    assert networks.usual_region("127.0.0.0/24", trio.current_time()) == ""
    await edge.call()
    assert networks.usual_region("127.0.0.0/24", trio.current_time()) == "eu"


async def test_what_lies_between_ingress_and_transceiver_is_not_the_callers_way(pair):
    edge, america, _ = pair
    america.state["round_trips"] = [[1, "127.0.0.0/24", 1, 150.0]]
    await edge.start(region="eu", ingresses=INGRESSES)
    await edge.call()
    measured = edge.handler._placement.geography.networks.measured("127.0.0.0/24", trio.current_time())
    assert list(measured) == ["eu"]
    assert measured["eu"].milliseconds == pytest.approx(150 - 107, abs=5)


async def test_a_region_whose_callers_lose_packets_is_left_and_told_so(pair, autojump_clock, json_of):
    edge, america, europe = pair
    await edge.start(region="eu", ingresses=INGRESSES)
    for look in range(24):
        first = 1 + look * 12
        # Eleven networks lose a tenth by the ingress in Europe, one loses everything in America: its own fault.
        europe.state["losses"] = [[first + each, f"10.0.{each}.0/24", 1, 0.1] for each in range(11)]
        america.state["losses"] = [[first, "10.9.9.0/24", 2, 1.0]]
        await edge.poll()
        edge.handler._placement.learn()
        await trio.sleep(5)
        state = json_of(await edge.ask("GET", "/fleet/state"))
    told = {each["name"]: (each["health_ms"], each["health"]) for each in state["regions"]}
    assert told["us"] == (0, None)
    assert told["eu"][0] > 150
    assert "callers of 11 networks lose" in told["eu"][1]
    await edge.call()
    assert (len(america.calls), len(europe.calls)) == (1, 0)
    assert any("callers of 11 networks lose 9" in sentence for sentence in america.wishes[-1].placed_because)
    explanation = json_of(await edge.ask("GET", "/fleet/where?ip=127.0.0.1"))
    assert explanation["transceivers"][1]["terms_ms"]["health"] == told["eu"][0]
    assert f"worse in health {told['eu'][0]} to 0.0 ms" in explanation["transceivers"][1]["why"]


async def test_a_transceiver_that_came_back_is_not_flooded(pair, autojump_clock):
    edge, america, europe = pair
    europe.state |= {"max_calls": 100, "ready": False, "reason": "no relay has said hello yet"}
    await edge.start(region="eu", ingresses=INGRESSES)
    await edge.call()
    assert len(america.calls) == 1
    europe.state |= {"ready": True}
    await edge.poll()
    for _ in range(20):
        await edge.call()
    assert 5 <= len(europe.calls) <= 12, "a tenth of its capacity is open to it at first"
    america.state["max_calls"] = 1000
    await trio.sleep(61)
    for _ in range(20):
        await edge.call()
    assert len(europe.calls) >= 25
