"""Which transceiver gets a call, and what happens when one is away."""

import trio

from edge.signal.fleet import FleetView
from stun.credentials import Route
from transceiver.call_ids import CallIdKey, CallIdKeys
from transceiver.calls import Overloaded

OFFER_CALLS = "/v1/realtime/calls"


async def test_calls_go_to_the_nearest_transceiver(empty_edge):
    america, europe = (empty_edge.add_transceiver(name, number, name) for number, name in enumerate(("us", "eu"), 1))
    edge = await empty_edge.start(location=empty_edge.config.regions[0].location)
    await edge.call()
    assert (len(america.calls), len(europe.calls)) == (0, 1)


async def test_calls_spread_between_two_questions(empty_edge):
    first, second = (empty_edge.add_transceiver(name, number) for number, name in enumerate(("a", "b"), 1))
    edge = await empty_edge.start()
    for _ in range(6):
        await edge.call()
    assert (len(first.calls), len(second.calls)) == (3, 3)


async def test_calls_are_not_counted_twice_after_a_question(empty_edge):
    empty_edge.add_transceiver("a", 1)
    edge = await empty_edge.start()
    await edge.call()
    (candidate,) = edge.fleet.candidates()
    assert candidate.load == 0.1
    await edge.poll()
    (candidate,) = edge.fleet.candidates()
    assert candidate.load == 0.1


async def test_a_transceiver_that_is_gone_is_replaced_by_another(empty_edge):
    empty_edge.add_transceiver("a", 1)
    second = empty_edge.add_transceiver("b", 2, calls=5)
    edge = await empty_edge.start()
    edge.disconnect("a")
    assert (await edge.call()).status == 201
    assert len(second.calls) == 1
    assert [name for name, _ in edge.reports] == ["transceiver-unreachable", "call-placed"]
    edge.reports.clear()
    assert (await edge.call()).status == 201
    assert [name for name, _ in edge.reports] == ["call-placed"]  # it is not asked again before it answers a question


async def test_a_transceiver_that_is_full_is_replaced_by_another(empty_edge):
    empty_edge.add_transceiver("a", 1).failure = Overloaded(5)
    second = empty_edge.add_transceiver("b", 2)
    edge = await empty_edge.start()
    assert (await edge.call()).status == 201
    assert len(second.calls) == 1


async def test_when_all_are_full_the_shortest_wait_is_told(empty_edge, read_failure):
    for number, wait in enumerate((5, 2.5, 4), 1):
        empty_edge.add_transceiver(f"t{number}", number).failure = Overloaded(wait)
    edge = await empty_edge.start()
    failure = read_failure(await edge.call())
    assert (failure.status, failure.code) == (503, "session_limit_reached")
    assert 2500 <= int(failure.headers["retry-after-ms"]) <= 2500 * 1.25 + 1


async def test_when_none_can_be_reached_the_client_may_come_back(empty_edge, read_failure):
    empty_edge.add_transceiver("a", 1)
    edge = await empty_edge.start()
    edge.disconnect("a")
    for _ in range(2):  # found out by the first call, known at the second
        failure = read_failure(await edge.call())
        assert (failure.status, failure.code) == (503, "no_transceiver_available")
        assert 2000 <= int(failure.headers["retry-after-ms"]) <= 2501


async def test_readiness_says_what_is_missing(empty_edge, read_failure):
    edge = await empty_edge.start(ingresses=())
    failure = read_failure(await edge.ask("GET", "/readyz"))
    assert (failure.status, failure.code) == (503, "not_ready")
    assert "signal.ingresses is empty" in failure.message


async def test_readiness_names_the_transceivers_and_their_trouble(empty_edge, read_failure):
    edge = await empty_edge.start()
    assert "signal.transceivers is empty" in read_failure(await edge.ask("GET", "/readyz")).message
    draining = edge.add_transceiver("a", 1, ready=False, reason="draining")
    edge.add_member("b")
    await edge.start()
    message = read_failure(await edge.ask("GET", "/readyz")).message
    assert "http://a: draining" in message
    assert "http://b: nobody listens there" in message
    assert read_failure(await edge.call()).message == message
    draining.state |= {"ready": True, "reason": ""}
    await edge.poll()
    assert (await edge.ask("GET", "/readyz")).status == 200


async def test_a_call_of_a_restarted_transceiver_is_gone(edge, read_failure):
    location = dict((await edge.call()).headers)["Location"]
    edge.transceivers["one"].state["incarnation"] = 99
    await edge.poll()
    assert read_failure(await edge.ask("DELETE", location)).status == 404


async def test_a_call_of_a_silent_transceiver_may_still_be_there(edge, read_failure):
    location = dict((await edge.call()).headers)["Location"]
    edge.disconnect("one")
    failure = read_failure(await edge.ask("DELETE", location))
    assert (failure.status, failure.code) == (503, "transceiver_unreachable")
    assert failure.headers["retry-after"] == "2"


async def test_a_call_of_an_unknown_process_is_only_gone_when_all_have_spoken(empty_edge, read_failure):
    keys = CallIdKeys([CallIdKey(key_id=1, token=bytes(range(64)))], 1)
    location = f"{OFFER_CALLS}/{keys.mint(Route(cluster=3, incarnation=5, worker=0, session=1, minted=0))}"
    empty_edge.add_transceiver("a", 1)
    edge = await empty_edge.start()
    assert read_failure(await edge.ask("DELETE", location)).status == 404
    edge.add_member("b")
    await edge.start()
    assert read_failure(await edge.ask("DELETE", location)).status == 503


async def test_another_cluster_is_another_process(edge, read_failure):
    location = dict((await edge.call()).headers)["Location"]
    edge.transceivers["one"].state["cluster"] = 4
    await edge.poll()
    assert read_failure(await edge.ask("DELETE", location)).status == 404


async def test_the_view_asks_every_second(autojump_clock, empty_edge, nursery):
    calls = empty_edge.add_transceiver("a", 1)
    fleet = FleetView(empty_edge.members)
    assert "not been asked" in fleet.not_ready_reason()
    await nursery.start(fleet.run)
    assert fleet.not_ready_reason() == ""
    calls.state |= {"ready": False, "reason": "draining"}
    await trio.sleep(1.1)
    assert "draining" in fleet.not_ready_reason()
    calls.state |= {"ready": True}
    await trio.sleep(1.1)
    assert fleet.not_ready_reason() == ""
    nursery.cancel_scope.cancel()


async def test_one_silent_transceiver_does_not_hide_the_others(autojump_clock, empty_edge, nursery):
    class Silent:
        async def handle(self, _request):
            await trio.sleep_forever()

        def refuse(self, _request, response):
            return response

    empty_edge.add_transceiver("a", 1)
    empty_edge._network.add("b", Silent())
    empty_edge.add_member("b")
    fleet = FleetView(empty_edge.members)
    await nursery.start(fleet.run)
    assert trio.current_time() < 2.1
    ready = {candidate.name: candidate.is_ready for candidate in fleet.candidates()}
    assert ready == {"http://a": True, "http://b": False}
    nursery.cancel_scope.cancel()
