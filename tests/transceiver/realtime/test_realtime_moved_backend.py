"""A call moves and its backend stays the same: the other bridge goes on in the middle of everything."""

import json

import pytest

from transceiver.backends.tunnel_ticket import TunnelTicket
from transceiver.realtime.memory import MAX_EXACT_MEMORY

TICKET = TunnelTicket(
    cluster=1, incarnation=2, worker=0, session=3, generation=4, token=b"t" * 16, ends_in=15.0, input_rate=24000
)


@pytest.fixture
def move(make_call):
    """Make the bridge of another process, which has a tunnel to the same backend."""

    def move(call, **options):
        memory = call.bridge.memory(is_exact=True, ticket=TICKET, now=call.now)
        moved = make_call(**({"memory": memory, "takes_tunnels": True, "seed": 1000} | options))
        moved.now = call.now
        moved.collect()
        return moved

    return move


def test_nobody_notices(call, move):
    call.connect()
    call.respond(1000)
    call.play(200)
    moved = move(call)
    moved.open_backend()
    assert (moved.client, moved.backend) == ([], [])
    assert moved.bridge.ticket == TICKET
    assert moved.bridge.describe()["reconnections"] == 0
    moved.speak(500)
    moved.finish()
    moved.play(1400)
    assert moved.seen() == ["response.output_audio.done", "response.done", "output_audio_buffer.stopped"]


def test_an_answer_can_be_interrupted(call, move):
    call.connect()
    call.respond(2000)
    call.play(600)
    moved = move(call)
    moved.play(200)
    moved.say("input_audio_buffer.speech_started", item_id="i2", audio_start_ms=0)
    truncated = next(event for event in moved.backend if event["type"] == "conversation.item.truncate")
    assert truncated["item_id"] == "i1"
    assert 500 <= truncated["audio_end_ms"] <= 800, "of what was heard from both"


def test_an_error_is_told_to_who_has_sent_the_event(call, move):
    call.connect()
    call.open_sideband()
    call.send({"type": "response.create", "event_id": "mine"})
    call.send({"type": "response.create", "event_id": "its"}, sideband=1)
    sent = [event["event_id"] for event in call.backend if event["type"] == "response.create"]
    moved = move(call)
    for event_id in sent:
        moved.say("error", error={"type": "invalid_request_error", "code": "busy", "event_id": event_id})
    assert moved.errors() == [("busy", "mine")], "and what a sideband has sent concerns nobody here"


def test_an_update_is_answered_when_the_backend_answers(call, move, support):
    call.open_backend({"type": "realtime"})
    call.open_client()
    call.send(support.UPDATE)
    moved = move(call)
    assert moved.seen() == []
    moved.hear(100)
    assert "pcm" not in moved.told(), "it is not configured yet"
    moved.say("session.updated", session={"type": "realtime"})  # of what the bridge itself has told it
    assert moved.seen() == []
    moved.say("session.updated", session={"type": "realtime", "instructions": "Be brief."})
    assert moved.seen() == ["session.updated"]
    moved.hear(100)
    assert "pcm" in moved.told()


def test_an_update_that_the_backend_never_answers_is_answered_in_time(call, move, support):
    call.open_backend({"type": "realtime"})
    call.open_client()
    call.send(support.UPDATE)
    moved = move(call)
    moved.wait(30.0)
    assert moved.seen() == ["session.updated"]


def test_what_the_caller_says_is_cut_at_the_same_places(call, move):
    call.connect()
    call.hear(60)  # a piece has 40 ms
    moved = move(call)
    moved.hear(20)
    assert [len(entry) for entry in (*call.backend, *moved.backend) if isinstance(entry, bytes)] == [1920, 1920]
    assert moved.bridge.describe()["heard_ms"] == 80


def test_a_tunnel_that_is_not_there_ends_what_was_under_way(call, move):
    call.connect()
    call.respond(400)
    call.play(200)
    moved = move(call)
    moved.bridge.backend_replaced(moved.now)
    moved.collect()
    assert moved.seen() == ["response.done"]
    assert moved.client[0]["response"]["status"] == "failed"
    moved.open_backend()
    assert moved.told()[0] == "session.update"
    moved.play(400)
    assert moved.seen()[1:] == ["output_audio_buffer.stopped"], "what was received is heard"


def test_a_move_that_takes_no_tunnel_goes_on_as_without(call, move):
    call.connect()
    call.respond(400)
    moved = move(call, takes_tunnels=False)
    assert moved.bridge.ticket is None
    assert moved.seen() == ["response.done"]


@pytest.mark.parametrize(
    "change",
    [
        {"tunnel": {}},
        {"tunnel": TICKET.to_fields() | {"input_rate": 16000}},
        {"backend": {}},
        {"backend": {"uplink": {"sent": -1}}},
        {"backend": {"uplink": {"sent": 1, "pending": "*"}}},
        {"backend": {"uplink": {"sent": 1, "pending": ""}, "updates": [7]}},
        {"backend": {"uplink": {"sent": 1, "pending": ""}, "updates": [{"patch": {}, "left": "x"}]}},
        {"backend": {"uplink": {"sent": 1, "pending": ""}, "sent": [["a"]]}},
        {"playback": {}},
    ],
)
def test_what_is_half_of_it_is_none(call, move, change):
    call.connect()
    call.respond(400)
    memory = json.loads(call.bridge.memory(is_exact=True, ticket=TICKET, now=call.now)) | change
    moved = move(call, memory=json.dumps(memory).encode())
    assert moved.bridge.ticket is None
    assert moved.seen()[-1] == "response.done"


def test_it_has_an_end(make_call):
    call = make_call(max_items=10_000, max_item_length=20_000)
    call.connect()
    for number in range(600):
        call.send({"type": "response.cancel", "event_id": f"{number}".rjust(250, "x")})
        if not number % 6:
            item = {"id": f"u{number}", "type": "message", "role": "user"}
            words = [{"type": "input_text", "text": "y" * 10_000}]
            call.say("conversation.item.added", item={**item, "content": words})
    call.respond(8000)
    memory = call.bridge.memory(is_exact=True, ticket=TICKET, now=call.now)
    assert len(memory) <= MAX_EXACT_MEMORY
    assert "tunnel" in json.loads(memory), "with as much of everything as there may be"


def test_the_echo_of_what_was_told_again_is_nobodys(call, move):
    call.connect()
    item = {"id": "u1", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello."}]}
    for name in ("conversation.item.added", "conversation.item.done"):
        call.say(name, item=item)
    call.lose_backend(will_retry=True)
    call.open_backend({"type": "realtime"})
    moved = move(call)
    for name in ("conversation.item.added", "conversation.item.done"):
        moved.say(name, item=item)
    assert moved.client == []
