"""The official Python client, as an application's server uses it beside its users' browsers."""

import base64
import threading
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.resources.realtime.realtime import RealtimeConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from edge.signal.client_secrets import ClientSecret

from .conftest import Talk, VoiceEdge
from .sound import Envelope
from .voice_edge import API_KEY

pytestmark = pytest.mark.e2e

INSTRUCTIONS = "Speak like a pirate."
SECONDS = 10.0


@pytest.fixture
def client(voice: VoiceEdge) -> Iterator[OpenAI]:
    with client_of(voice, API_KEY) as client:
        yield client


def client_of(voice: VoiceEdge, key: str) -> OpenAI:
    return OpenAI(api_key=key, base_url=voice.base_url, max_retries=0, timeout=SECONDS)


def receive(sideband: RealtimeConnection, name: str) -> Any:
    """Read until an event of this type comes, but not for ever."""
    return receive_all(sideband, name)[name]


def receive_all(sideband: RealtimeConnection, *names: str) -> dict[str, Any]:
    """Read until an event of each of these types has come, in any order, and return the first of each."""
    found: dict[str, Any] = {}
    deadline = threading.Timer(SECONDS, sideband.close)
    deadline.start()
    try:
        while len(found) < len(names):
            event = sideband.recv()
            if event.type in names:
                found.setdefault(event.type, event)
    finally:
        deadline.cancel()
    return found


def test_a_client_secret_binds_instructions_and_backend(client: OpenAI, talk: Talk) -> None:
    minted = client.realtime.client_secrets.create(
        expires_after={"anchor": "created_at", "seconds": 60},
        session={"type": "realtime", "model": "obedient", "instructions": INSTRUCTIONS},
    )
    assert minted.value.startswith("ek_")
    assert abs(minted.expires_at - time.time() - 60) < 10
    assert minted.session.instructions == INSTRUCTIONS

    talk.call_plainly(key=minted.value)
    created = talk.wait("session.created")
    assert created.event["session"]["instructions"] == INSTRUCTIONS
    # The backend was told before the browser said anything.
    heard = talk.voice.heard_by("obedient")
    talk.voice.edge.wait_until("the backend is configured", lambda: heard.of_type("session.update"))
    assert heard.of_type("session.update")[0]["session"]["instructions"] == INSTRUCTIONS


@pytest.mark.parametrize("place", ["agent", "remote"])
def test_an_offer_and_its_session_by_way_of_the_application(client: OpenAI, talk: Talk, place: str) -> None:
    talk.page.goto(f"{talk.voice.origin}/plain.html")
    offer = talk.page.evaluate("makeOffer({talking: false})")
    answered = client.realtime.calls.create(
        sdp=offer, session={"type": "realtime", "model": f"parrot-{place}", "instructions": INSTRUCTIONS}
    )
    call_id = answered.response.headers["Location"].rpartition("/")[2]
    talk.page.evaluate("takeAnswer", answered.text)
    created = talk.wait("session.created")
    assert created.event["session"]["instructions"] == INSTRUCTIONS
    client.realtime.calls.hangup(call_id)
    assert talk.voice.end_of(call_id) == "hang-up"


@pytest.mark.parametrize("place", ["agent", "remote"])
def test_a_sideband_takes_part_and_ends_with_the_call(client: OpenAI, talk: Talk, place: str) -> None:
    """The agent is in the transceiver's process, or behind a WebSocket in one of its own."""
    voice = talk.voice
    voice.edge.wait_until("the agent's own process has no calls", lambda: voice.conversations_apart() == 0, 30)
    minted = client.realtime.client_secrets.create(session={"type": "realtime", "model": f"parrot-{place}"})
    call_id = talk.call_plainly(key=minted.value, talking=False)
    talk.wait("session.created")
    with client.realtime.connect(call_id=call_id) as sideband:
        created = sideband.recv()
        assert created.type == "session.created"
        assert created.session.model == f"parrot-{place}"
        sideband.session.update(session={"type": "realtime", "instructions": INSTRUCTIONS})
        assert receive(sideband, "session.updated").session.instructions == INSTRUCTIONS
        assert talk.wait("session.updated").event["session"]["instructions"] == INSTRUCTIONS

        talk.write("hello there")
        said = receive(sideband, "conversation.item.added").item
        assert said.content[0].text == "hello there"
        sideband.response.create()
        # An agent in another process may be heard before it has said all.
        spoken, started = "response.output_audio_transcript.done", "output_audio_buffer.started"
        assert receive_all(sideband, spoken, started)[spoken].transcript == "hello there"
        assert voice.conversations_apart() == (place == "remote")
        talk.wait("response.output_audio_transcript.done", transcript="hello there")
        talk.wait_for_sound(since=talk.wait("output_audio_buffer.started"))
        receive(sideband, "output_audio_buffer.stopped")

        # Audio is the caller's alone, and an error is told to whoever made it.
        before = talk.events[-1]
        sideband.input_audio_buffer.append(audio="AAAA", event_id="mine")
        refused = receive(sideband, "error").error
        assert (refused.code, refused.event_id) == ("audio_not_accepted", "mine")
        assert "error" not in talk.names()[before.index :]

        client.realtime.calls.hangup(call_id)
        with pytest.raises(ConnectionClosed) as closed:
            receive(sideband, "the end")
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1000
    talk.wait("channel.close")
    assert talk.voice.end_of(call_id) == "hang-up"
    with pytest.raises(openai.NotFoundError) as gone:
        client.realtime.calls.hangup(call_id)
    assert gone.value.code == "call_id_not_found"


@pytest.mark.parametrize("place", ["agent", "remote", "without an edge"])
def test_the_plain_protocol_without_a_call(voice: VoiceEdge, place: str) -> None:
    url, model = (voice.base_url, f"parrot-{place}") if "edge" not in place else (voice.agent_url, "parrot")
    with OpenAI(api_key=API_KEY, base_url=url) as client, client.realtime.connect(model=model) as connection:
        assert receive(connection, "session.created").session.type == "realtime"
        connection.session.update(session={"type": "realtime", "instructions": INSTRUCTIONS})
        assert receive(connection, "session.updated").session.instructions == INSTRUCTIONS
        connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello there"}]}
        )
        connection.response.create()
        spoken = base64.b64decode(receive(connection, "response.output_audio.delta").delta)
        assert Envelope.of_pcm(spoken, 24000).level() > -40
        assert receive(connection, "response.output_audio_transcript.done").transcript == "hello there"
        assert receive(connection, "response.done").response.status == "completed"


def test_who_has_no_key_gets_nothing(voice: VoiceEdge, client: OpenAI, talk: Talk) -> None:
    call_id = talk.call_plainly("parrot", talking=False)
    talk.wait("session.created")
    with client_of(voice, "sk-wrong") as stranger:
        for attempt in (
            stranger.realtime.client_secrets.create,
            lambda: stranger.realtime.calls.create(sdp="v=0\r\n"),
            lambda: stranger.realtime.calls.hangup(call_id),
        ):
            with pytest.raises(openai.AuthenticationError) as refused:
                attempt()
            assert refused.value.code == "invalid_api_key"
        with pytest.raises(InvalidStatus) as closed, stranger.realtime.connect(call_id=call_id):
            pass
        assert closed.value.response.status_code == 401
    # A client secret is for calls: it mints no other.
    with client_of(voice, voice.mint()) as user, pytest.raises(openai.PermissionDeniedError) as denied:
        user.realtime.client_secrets.create()
    assert denied.value.code == "api_key_needed"


def test_a_call_that_is_not_there(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        client.realtime.calls.hangup("rtc_unknown")
    assert unknown.value.code == "call_id_not_found"
    with pytest.raises(InvalidStatus) as refused, client.realtime.connect(call_id="rtc_unknown"):
        pass
    assert refused.value.response.status_code == 404
    assert b"call_id_not_found" in (refused.value.response.body or b"")


def test_a_client_secret_that_has_expired(voice: VoiceEdge) -> None:
    keys = voice.client_secret_keys()
    owner = keys.open(voice.mint())
    assert owner is not None
    expired = keys.mint(ClientSecret(owner=owner.owner, expires_at=int(time.time()) - 1))
    with client_of(voice, expired) as user, pytest.raises(openai.AuthenticationError) as refused:
        user.realtime.calls.create(sdp="v=0\r\n")
    assert refused.value.code == "token_expired"


def test_a_locked_client_secret(voice: VoiceEdge) -> None:
    secret = voice.mint(session={"type": "realtime", "model": "parrot", "instructions": INSTRUCTIONS}, locked=True)
    with client_of(voice, secret) as user:
        for session, code in (
            ({"model": "obedient"}, "model_not_allowed"),
            ({"instructions": "Ha!"}, "session_locked"),
        ):
            with pytest.raises(openai.PermissionDeniedError) as refused:
                user.realtime.calls.create(sdp="v=0\r\n", session={"type": "realtime", **session})
            assert refused.value.code == code
