"""Stock Chromium restarts ICE in the middle of a conversation: nobody hears it."""

from pathlib import Path
from typing import Any

import pytest

from .conftest import Talk
from .voice_edge import API_KEY

pytestmark = pytest.mark.e2e

RESTART = (Path(__file__).parent / "restart.js").read_text()
ITEMS = "count => conversation.events.filter(({ event }) => event.type === 'conversation.item.added').length"
TYPE = "application/trickle-ice-sdpfrag"


def restart(talk: Talk, **options: Any) -> dict[str, Any]:
    url = f"{talk.voice.calls_url}/{talk.call_id}"
    found: dict[str, Any] = talk.page.evaluate(RESTART, {"url": url, "key": API_KEY, **options})
    return found


def inbound(talk: Talk) -> dict[str, Any]:
    found: dict[str, Any] = talk.page.evaluate("statistics('inbound-rtp')")
    return found


def hear_more(talk: Talk, packets: int = 50) -> None:
    """Wait until so many packets have come."""
    wanted = inbound(talk)["packetsReceived"] + packets
    talk.voice.edge.wait_until("audio goes on", lambda: inbound(talk)["packetsReceived"] >= wanted)


def test_a_conversation_goes_on_through_ice_restarts(talk: Talk) -> None:
    talk.call_plainly("obedient", talking=True)
    talk.wait("session.created")
    talk.write("speak 60")
    talk.wait("output_audio_buffer.started")
    hear_more(talk)
    first, tags, ports = inbound(talk), set(), set()
    for _ in range(3):
        done = restart(talk)
        assert (done["status"], done["type"]) == (200, TYPE)
        assert done["ufrags"][0] != done["ufrags"][1]
        assert done["port"], done
        assert done["state"] in ("connected", "completed")
        assert not {"disconnected", "failed"} & set(done["states"])
        tags.add(done["etag"])
        ports.add(done["port"])
        hear_more(talk)
        talk.voice.edge.wait_until(
            "the transceiver follows to the new port",
            lambda port=f":{done['port']}": talk.voice.call_state(talk.call_id)["client"].endswith(port),
        )
    assert len(tags) == len(ports) == 3
    last, state = inbound(talk), talk.voice.call_state(talk.call_id)
    assert last["packetsReceived"] - first["packetsReceived"] > 130
    assert last["packetsLost"] == first["packetsLost"] == 0
    (source,) = state["media"]["sources"]
    assert source["received"] > 150
    assert source["lost"] == state["media"]["lost_out"] == 0
    # The channel is the same, and both ways of it go on.
    count = talk.names().count("conversation.item.added")
    talk.write("hello")
    talk.page.wait_for_function(ITEMS + " > count", arg=count)
    assert "channel.close" not in talk.names()
    assert not talk.errors()


def test_trickled_candidates_are_taken_and_stale_tags_are_not(talk: Talk) -> None:
    talk.call_plainly("obedient", talking=False)
    talk.wait("session.created")
    assert restart(talk, trickle=True, tag=None) == {"status": 204, "etag": None}
    assert restart(talk, trickle=True, tag='"0123456789abcdef"')["status"] == 412
    tag = restart(talk)["etag"]
    assert restart(talk, trickle=True, tag=tag)["status"] == 204


def test_a_restart_that_the_client_does_not_follow_harms_nobody(talk: Talk) -> None:
    """Its answer is lost on the way; the next one works."""
    talk.call_plainly("obedient", talking=True)
    talk.wait("session.created")
    talk.write("speak 60")
    talk.wait("output_audio_buffer.started")
    assert restart(talk, alone=True)["status"] == 200
    hear_more(talk)
    talk.page.evaluate("call.pc.setLocalDescription({type: 'rollback'})")
    assert restart(talk)["port"]
    hear_more(talk, 25)
    assert inbound(talk)["packetsLost"] == 0
