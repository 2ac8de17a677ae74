"""What the backend hears is what the browser's microphone heard, and the other way round: shape, level, delay."""

import pytest

from .conftest import Talk
from .lossy_path import lossy_path
from .sound import Envelope, match, speech

pytestmark = pytest.mark.e2e

RATE = 24000
LISTEN = 5.0  # seconds that are compared


@pytest.mark.parametrize("model", ["recorder-agent", "recorder-socket"])
@pytest.mark.parametrize("loss", [0.0, 0.05])
def test_both_ways(talk: Talk, model: str, loss: float) -> None:
    model = f"{model}-{loss}"  # names the recording
    with lossy_path(talk.voice.edge.media_port) as path:
        talk.call_plainly(model, ports={talk.voice.edge.media_port: path.port})
        talk.wait("session.created")
        path.loss = loss
        talk.say({"type": "session.update", "session": {"type": "realtime"}})
        talk.wait("session.updated")
        talk.write("speak 11")
        talk.say({"type": "response.create"})
        started = talk.wait("output_audio_buffer.started")
        talk.page.wait_for_timeout((LISTEN + 1) * 1000)
        microphone, loudspeaker = talk.heard("microphone"), talk.heard()
        recording = Envelope.of_pieces(talk.voice.recording_of(model), RATE)
        statistics = talk.page.evaluate("statistics('inbound-rtp')")
        path.loss = 0
        talk.hang_up()
        talk.voice.end_of(talk.call_id)  # the goodbye, too, goes this way
    said = microphone.since(recording.start + 0.2).until(recording.start + 0.2 + LISTEN)
    up = match(said, recording, latest=0.8)
    recited = Envelope.of_pcm(speech(RATE), RATE, started.at).until(started.at + LISTEN)
    # Where packets are lost, `started` may be one of them, and come after what it announces.
    down = match(recited, loudspeaker.since(started.at - 3.0), earliest=-2.5, latest=0.8)
    print(f"{path}, {statistics['concealedSamples'] / statistics['totalSamplesReceived']:.1%} concealed")
    print(f"up: {up}")
    print(f"down: {down}")
    for way in (up, down):
        assert way.correlation > 0.9
        assert abs(way.gain) < 2
    assert (path.lost > 0) == (loss > 0)
