"""What the backend hears is what the browser's microphone heard, and the other way round: shape, level, delay."""

import pytest

from .conftest import Talk
from .lossy_path import lossy_path
from .sound import Envelope, Match, match_pieces, speech

pytestmark = pytest.mark.e2e

RATE = 24000
LISTEN = 9.0  # seconds that are compared, each by itself
SAME = 0.9  # correlation; other words of the same voice have 0.7 at best
LATE = 0.5  # seconds; there are jitter buffers of 20 to 200 ms on the way
STALL = 3.0  # seconds that the browser's audio may stand still, on a machine that is busy with something else


@pytest.mark.parametrize("model", ["recorder-agent", "recorder-socket"])
@pytest.mark.parametrize("loss", [0.0, 0.05])
def test_both_ways(talk: Talk, model: str, loss: float) -> None:
    model = f"{model}-{loss}"  # names the recording
    with lossy_path(talk.voice.edge.media_port) as path:
        talk.call_plainly(model, ports={talk.voice.edge.media_port: path.port})
        talk.wait("session.created")
        path.loss = loss
        talk.say({"type": "session.update", "session": {"type": "realtime"}})
        up, down = compare(talk, model)
        print(f"{path}\nup: {up}\ndown: {down}")
        path.loss = 0
        talk.hang_up()
        talk.voice.end_of(talk.call_id)  # the goodbye, too, goes this way
    for way in (up, down):
        assert way.correlation > SAME
        assert abs(way.gain) < 2
        assert way.least < LATE  # of the best second, as all after a stall of the browser's is late
    assert (path.lost > 0) == (loss > 0)


def compare(talk: Talk, model: str) -> tuple[Match, Match]:
    """Let both sides speak for some seconds, and tell how each was heard."""
    talk.wait("session.updated")
    last = talk.events[-1]
    talk.write(f"speak {LISTEN + 2}")
    talk.say({"type": "response.create"})
    started = talk.wait("output_audio_buffer.started", after=last)
    talk.page.wait_for_timeout((LISTEN + STALL) * 1000)
    microphone, loudspeaker = talk.heard("microphone"), talk.heard()
    recording = Envelope.of_pieces(talk.voice.recording_of(model), RATE)
    said = microphone.since(started.at).until(started.at + LISTEN)
    # Where packets are lost, `started` may be one of them, and come after what it announces.
    recited = Envelope.of_pcm(speech(RATE), RATE, started.at).until(started.at + LISTEN)
    return (
        match_pieces(said, recording, earliest=-STALL, latest=STALL),
        match_pieces(recited, loudspeaker, earliest=-STALL, latest=STALL),
    )
