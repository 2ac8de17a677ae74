"""Both ends of the control API against each other: every command, and every way to be refused."""

import json

import pytest
import trio

from edge.control.client import ControlClient, TransceiverUnreachable
from edge.control.server import ControlHandler
from edge.http.messages import Request, Response
from transceiver.calls import (
    AnswerIngress,
    CallMoved,
    CallNotFound,
    CallWishes,
    IceUpdate,
    ModelNotAllowed,
    NotOwner,
    OfferRefused,
    Overloaded,
)

KEY = "5f" * 32
URL = "http://transceiver:7080"
INGRESSES = (
    AnswerIngress(id=1, host="192.0.2.1", port=3478, priority=200),
    AnswerIngress(id=2, host="2001:db8::1", port=3478, priority=100),
)
OFFER = 'v=0\r\ns="ü"\r\n'
CALL = b'{"offer": "", "owner": "", "ingresses": [{"id":1,"host":"h","port":1,"priority":1}], "wishes": %s}'


@pytest.fixture
async def calls(make_calls, network):
    calls = make_calls()
    network.add("transceiver", ControlHandler(calls, [KEY]))
    return calls


@pytest.fixture
async def client(calls, network):
    async with ControlClient(URL, KEY, connect=network.connect) as client:
        yield client


async def test_where_a_call_was_placed_and_why_goes_with_it(calls, client):
    wishes = CallWishes(caller_network="203.0.113.0/24", placed_because=("It is near.", "It is empty."))
    await client.create_call(OFFER, INGRESSES, "me", wishes)
    assert calls.wishes == [wishes]


async def test_round_trips_come_with_the_status(calls, client):
    assert (await client.status()).round_trips == ()  # of a transceiver that is older
    calls.state["round_trips"] = [[number, "203.0.113.0/24", 2, 31.5] for number in range(100)]
    round_trips = (await client.status()).round_trips
    assert [each.number for each in round_trips] == list(range(36, 100)), "the latest, and no more than it should tell"
    assert round_trips[-1].to_list() == [99, "203.0.113.0/24", 2, 31.5]


@pytest.mark.parametrize("sample", [5, [1], [1, "n", 1, "fast"], ["1", "n", 1, 2], [1, None, 1, 2.0]])
async def test_round_trips_of_another_form_are_nonsense(calls, client, sample):
    calls.state["round_trips"] = [sample]
    with pytest.raises(TransceiverUnreachable, match="round_trips"):
        await client.status()


async def test_losses_come_with_the_status(calls, client):
    assert (await client.status()).losses == ()  # of a transceiver that is older
    calls.state["losses"] = [[number, "203.0.113.0/24", 2, 0.05] for number in range(100)]
    losses = (await client.status()).losses
    assert [each.number for each in losses] == list(range(36, 100))
    assert losses[-1].to_list() == [99, "203.0.113.0/24", 2, 0.05]


@pytest.mark.parametrize("sample", [5, [1], [1, "n", 1, "much"], ["1", "n", 1, 0.1], [1, None, 1, 0.1]])
async def test_losses_of_another_form_are_nonsense(calls, client, sample):
    calls.state["losses"] = [sample]
    with pytest.raises(TransceiverUnreachable, match="losses"):
        await client.status()


async def test_a_call_is_made_as_it_was_asked_for(calls, client):
    created = await client.create_call(OFFER, INGRESSES, "me")
    assert calls.calls == {created.call_id: (OFFER, "me", INGRESSES)}
    assert created.answer.startswith("v=0\r\n")


@pytest.mark.parametrize(
    "wishes",
    [
        CallWishes(),
        CallWishes(model="m", session={"tools": [{"ü": [1, None, 0.5]}]}, max_call=60.5, is_locked=True),
        CallWishes(max_call=7200),
        CallWishes(model=""),
    ],
)
async def test_wishes_arrive_as_they_were(calls, client, wishes):
    await client.create_call(OFFER, INGRESSES, "me", wishes)
    assert calls.wishes == [wishes]


async def test_a_model_that_no_backend_has(calls, client):
    calls.failure = ModelNotAllowed("m")
    with pytest.raises(ModelNotAllowed) as caught:
        await client.create_call(OFFER, INGRESSES, "", CallWishes(model="m"))
    assert caught.value.model == "m"


async def test_a_signal_node_of_an_earlier_version_has_no_wishes(make_calls):
    calls = make_calls()
    body = b'{"offer": "v=0", "owner": "", "ingresses": [{"id":1,"host":"h","port":1,"priority":1}]}'
    request = Request(method="POST", path="/control/v1/calls", headers={"authorization": f"Bearer {KEY}"}, body=body)
    assert (await ControlHandler(calls, [KEY]).handle(request)).status == 201
    assert calls.wishes == [CallWishes()]


async def test_commands_share_a_connection(client, network):
    for _ in range(5):
        await client.create_call(OFFER, INGRESSES, "me")
        await client.status()
    assert network.connects == 1


async def test_a_refused_offer_comes_back_with_its_reason(calls, client):
    calls.failure = OfferRefused("no ICE credentials")
    with pytest.raises(OfferRefused, match="no ICE credentials"):
        await client.create_call(OFFER, INGRESSES, "")


async def test_an_overloaded_transceiver_says_when_to_come_back(calls, client):
    calls.failure = Overloaded(2.5)
    with pytest.raises(Overloaded) as caught:
        await client.create_call(OFFER, INGRESSES, "")
    assert caught.value.retry_after == 2.5


async def test_a_call_is_ended_by_its_owner_only(calls, client):
    created = await client.create_call(OFFER, INGRESSES, "me")
    with pytest.raises(NotOwner):
        await client.end_call(created.call_id, "you")
    with pytest.raises(NotOwner):
        await client.end_call(created.call_id, "")
    assert calls.calls
    await client.end_call(created.call_id, "me")
    assert not calls.calls
    with pytest.raises(CallNotFound):
        await client.end_call(created.call_id, "me")


async def test_an_operator_ends_any_call(calls, client):
    created = await client.create_call(OFFER, INGRESSES, "me")
    await client.end_call(created.call_id, None)
    assert not calls.calls


async def test_a_call_of_no_owner_belongs_to_whoever_shows_no_key(calls, client):
    created = await client.create_call(OFFER, INGRESSES, "")
    with pytest.raises(NotOwner):
        await client.end_call(created.call_id, "you")
    await client.end_call(created.call_id, "")
    assert not calls.calls


async def test_a_call_is_described_to_its_owner_only(client):
    created = await client.create_call(OFFER, INGRESSES, "me")
    assert (await client.describe_call(created.call_id, "me"))["state"] == "connecting"
    assert (await client.describe_call(created.call_id, None))["call"] == created.call_id
    with pytest.raises(NotOwner):
        await client.describe_call(created.call_id, "you")
    with pytest.raises(CallNotFound):
        await client.describe_call("rtc_x", "me")


async def test_the_status_tells_identity_readiness_and_load(calls, client):
    calls.state |= {"max_calls": 4, "ready": False, "reason": "draining", "something": "new"}
    await client.create_call(OFFER, INGRESSES, "")
    status = await client.status()
    assert (status.cluster, status.incarnation, status.is_ready, status.reason) == (3, 77, False, "draining")
    assert status.load == 0.25
    assert status.calls_by_owner == {"": 1}


async def test_a_transceiver_of_an_earlier_version_counts_no_owners(calls, client, monkeypatch):
    state = dict(calls.status())
    del state["calls_by_owner"]
    monkeypatch.setattr(calls, "status", lambda: state)
    assert (await client.status()).calls_by_owner == {}
    state["calls_by_owner"] = {"me": "1"}
    with pytest.raises(TransceiverUnreachable, match="me: missing, or not of type int"):
        await client.status()


async def test_a_transceiver_that_tells_no_capacity_has_no_load(client):
    await client.create_call(OFFER, INGRESSES, "")
    assert (await client.status()).load == 0


async def test_the_wrong_key_gets_nothing_done(calls, network):
    async with ControlClient(URL, "00" * 32, connect=network.connect) as stranger:
        with pytest.raises(TransceiverUnreachable, match="401 invalid_control_key"):
            await stranger.create_call(OFFER, INGRESSES, "")
        with pytest.raises(TransceiverUnreachable):
            await stranger.end_call("rtc_1", None)
        with pytest.raises(TransceiverUnreachable):
            await stranger.status()
    assert not calls.calls


async def test_keys_are_replaced_without_a_restart(make_calls, network):
    handler = ControlHandler(make_calls(), [KEY])
    network.add("transceiver", handler)
    async with ControlClient(URL, KEY, connect=network.connect) as client:
        await client.status()
        handler.replace_keys([KEY, "new"])
        await client.status()
        handler.replace_keys(["new"])
        with pytest.raises(TransceiverUnreachable, match="401"):
            await client.status()
    async with ControlClient(URL, "new", connect=network.connect) as client:
        await client.status()


async def test_a_transceiver_that_is_not_there_is_unreachable(network):
    async with ControlClient("http://elsewhere:1", KEY, connect=network.connect) as client:
        with pytest.raises(TransceiverUnreachable, match="nobody listens"):
            await client.status()


async def test_a_transceiver_that_does_not_answer_is_unreachable(autojump_clock, calls, client):
    calls.is_slow = True
    with pytest.raises(TransceiverUnreachable, match="within 5 seconds"):
        await client.create_call(OFFER, INGRESSES, "")
    assert trio.current_time() == pytest.approx(5, abs=0.01)
    calls.is_slow = False
    await client.create_call(OFFER, INGRESSES, "")  # the connections that are left still work


@pytest.mark.parametrize(
    ("status", "body"),
    [(201, b"<html>"), (201, b'{"call_id": 1, "answer": ""}'), (200, b"{}"), (502, b"<html>"), (503, b'{"error": 1}')],
)
async def test_a_server_that_is_no_transceiver_is_unreachable(network, status, body):
    class Stranger:
        async def handle(self, _request: Request) -> Response:
            return Response(status=status, body=body)

        def refuse(self, _request: Request, response: Response) -> Response:
            return response

    network.add("stranger", Stranger())
    async with ControlClient("http://stranger", KEY, connect=network.connect) as client:
        with pytest.raises(TransceiverUnreachable):
            await client.create_call(OFFER, INGRESSES, "")
        with pytest.raises(TransceiverUnreachable):
            await client.status()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"[" * 100_000, "not JSON"),
        (b'{"owner": "", "ingresses": [{"id":1,"host":"h","port":1,"priority":1}]}', "offer"),
        (b'{"offer": "", "owner": null, "ingresses": [{"id":1,"host":"h","port":1,"priority":1}]}', "owner"),
        (b'{"offer": "", "owner": "", "ingresses": []}', "ingresses"),
        (CALL % b"null", "wishes"),
        (CALL % b"[]", "wishes"),
        (CALL % b'{"model": 1}', "model"),
        (CALL % b'{"session": []}', "session"),
        (CALL % b'{"max_call": "60"}', "max_call"),
        (CALL % b'{"max_call": 0}', "max_call"),
        (CALL % b'{"max_call": true}', "max_call"),
        (CALL % b'{"locked": 1}', "locked"),
        (b'{"offer": "", "owner": "", "ingresses": {}}', "ingresses"),
        (b'{"offer": "", "owner": "", "ingresses": [1]}', "ingresses"),
        (b'{"offer": "", "owner": "", "ingresses": [{"id":"1","host":"h","port":1,"priority":1}]}', "id"),
        (b'{"offer": "", "owner": "", "ingresses": [{"id":1,"host":"h","port":true,"priority":1}]}', "port"),
    ],
)
async def test_nonsense_is_refused_with_the_field_that_is_wrong(make_calls, read_failure, body, field):
    calls = make_calls()
    headers = {"authorization": f"Bearer {KEY}"}
    request = Request(method="POST", path="/control/v1/calls", headers=headers, body=body)
    failure = read_failure(await ControlHandler(calls, [KEY]).handle(request))
    assert (failure.status, failure.code) == (400, "invalid_request")
    assert field in failure.message
    assert not calls.calls


@pytest.mark.parametrize(
    "header", ["", KEY, f"Basic {KEY}", f"Bearer {KEY[:-1]}", f"Bearer {KEY}0", "Bearer ", "Bearer \xff"]
)
async def test_only_the_whole_key_as_bearer_opens(make_calls, read_failure, header):
    handler = ControlHandler(make_calls(), [KEY])
    request = Request(method="GET", path="/control/v1/status", headers={"authorization": header})
    failure = read_failure(await handler.handle(request))
    assert (failure.status, failure.code) == (401, "invalid_control_key")
    assert failure.headers["www-authenticate"] == "Bearer"


async def test_the_scheme_may_be_written_in_any_case(make_calls):
    handler = ControlHandler(make_calls(), [KEY])
    request = Request(method="GET", path="/control/v1/status", headers={"authorization": f"bearer  {KEY}"})
    assert (await handler.handle(request)).status == 200


@pytest.mark.parametrize("keys", [[], [""], [KEY, " "]])
def test_a_control_api_without_a_key_cannot_be_made(make_calls, keys):
    with pytest.raises(ValueError, match="key"):
        ControlHandler(make_calls(), keys)


async def test_health_needs_no_key(make_calls):
    calls = make_calls()
    handler = ControlHandler(calls, [KEY], lambda: b"calls 1\n")

    async def get(path: str) -> Response:
        return await handler.handle(Request(method="GET", path=path))

    assert (await get("/healthz")).status == 200
    assert (await get("/readyz")).status == 200
    assert (await get("/metrics")).body == b"calls 1\n"
    calls.state |= {"ready": False, "reason": "no relay has said hello yet"}
    response = await get("/readyz")
    assert (response.status, json.loads(response.body)["error"]["message"]) == (503, "no relay has said hello yet")
    assert (await get("/healthz")).status == 200


async def test_it_is_ready_when_its_start_is_over_and_from_then_on_whatever_becomes_of_the_store(make_calls):
    calls = make_calls()
    reasons = ["the store has not been reached since the start"]
    handler = ControlHandler(calls, [KEY], starting=lambda: reasons[0])

    async def get_ready() -> Response:
        return await handler.handle(Request(method="GET", path="/readyz"))

    response = await get_ready()
    assert (response.status, json.loads(response.body)["error"]["message"]) == (503, reasons[0])
    reasons[0] = ""
    calls.state |= {"ready": False, "reason": "draining"}
    assert (await get_ready()).status == 503
    calls.state |= {"ready": True, "reason": ""}
    assert (await get_ready()).status == 200
    reasons[0] = "the store is away"
    assert (await get_ready()).status == 200


async def test_a_call_that_was_handed_over_is_told_with_its_new_owner(make_calls, network):
    """Whatever is asked, over whichever way."""

    class Conversations:
        async def serve_sideband(self, call_id, owner, socket) -> None:
            raise CallMoved(3, 99)

    calls = make_calls()
    calls.moved["rtc_gone"] = CallMoved(3, 99)
    network.add("transceiver", ControlHandler(calls, [KEY], conversations=Conversations()))
    async with ControlClient(URL, KEY, connect=network.connect) as client:
        for ask in (
            client.describe_call("rtc_gone", None),
            client.end_call("rtc_gone", None),
            client.update_call("rtc_gone", None, IceUpdate(fragment="")),
        ):
            with pytest.raises(CallMoved) as caught:
                await ask
            assert (caught.value.cluster, caught.value.incarnation) == (3, 99)
        with pytest.raises(CallMoved) as caught:
            async with client.open_sideband("rtc_gone", None):
                pass
        assert (caught.value.cluster, caught.value.incarnation) == (3, 99)
