"""When the backend hears the caller, and in which pieces."""

import pytest

from transceiver.realtime.drops import DropReason
from transceiver.realtime.options import BackendProfile, BridgeOptions
from transceiver.realtime.outputs import AudioToBackend, ToBackend


def heard(call) -> int:
    """Bytes that the backend was given."""
    return sum(len(entry) for entry in call.backend if isinstance(entry, bytes))


def test_audio_goes_in_even_pieces_and_none_is_lost(call, support) -> None:
    call.connect()
    for size in (2, 958, 4000, 100, 6):
        call.bridge.receive_caller_audio(b"\1\2" * size, call.now)
    call.collect()
    assert {len(entry) for entry in call.backend} == {24000 * 2 * 40 // 1000}
    call.send({"type": "input_audio_buffer.commit"})
    assert b"".join(entry for entry in call.backend if isinstance(entry, bytes)) == b"\1\2" * 5066


@pytest.mark.parametrize(("append_ms", "rate", "size"), [(20, 24000, 960), (100, 16000, 3200), (40, 8000, 640)])
def test_pieces_are_as_long_as_they_should_be(make_call, append_ms, rate, size) -> None:
    call = make_call(append_ms=append_ms, profile=BackendProfile(input_rate=rate))
    call.connect()
    call.bridge.receive_caller_audio(bytes(size * 3 - 2), call.now)
    call.collect()
    assert [len(entry) for entry in call.backend] == [size, size]


@pytest.mark.parametrize("append_ms", [19, 101])
def test_other_lengths_are_refused(append_ms: int) -> None:
    with pytest.raises(ValueError, match="append_ms"):
        BridgeOptions(append_ms=append_ms)


def test_what_was_said_before_a_commit_belongs_to_it(call) -> None:
    call.connect()
    call.hear(20)
    assert call.backend == []
    call.send({"type": "input_audio_buffer.commit"})
    assert [type(output) for output in call.order] == [AudioToBackend, ToBackend]
    assert heard(call) == 960
    call.send({"type": "input_audio_buffer.commit"})
    assert call.told() == ["pcm", "input_audio_buffer.commit", "input_audio_buffer.commit"]


def test_what_was_said_before_a_clear_is_forgotten(call) -> None:
    call.connect()
    call.hear(20)
    call.send({"type": "input_audio_buffer.clear"})
    call.hear(20)
    assert call.told() == ["input_audio_buffer.clear"]
    call.hear(20)
    assert call.told() == ["input_audio_buffer.clear", "pcm"]


def test_no_audio_before_the_configuration_was_answered(call, support) -> None:
    call.open_backend({})
    call.open_client()
    call.send(support.UPDATE)
    call.hear(2000)
    assert heard(call) == 0
    assert call.dropped(DropReason.AUDIO_BEFORE_CONFIGURATION) == 100
    call.say("session.updated", session={})
    call.hear(40)
    assert heard(call) == 0, "that was the answer to the bridge's own"
    call.say("session.updated", session={})
    call.hear(40)
    assert heard(call) == 1920


def test_a_client_whose_configuration_is_refused_is_heard_all_the_same(call, support) -> None:
    call.open_backend({})
    call.open_client()
    call.say("session.updated", session={})
    call.send(support.UPDATE)
    call.say("error", error={"message": "no", "event_id": call.backend[-1]["event_id"]})
    call.hear(40)
    assert heard(call) == 1920


def test_a_client_that_does_not_configure_is_heard_after_a_while(call) -> None:
    call.open_backend({})
    call.hear(500)
    call.open_client()
    call.hear(980)
    assert heard(call) == 0
    call.hear(80)
    assert heard(call) > 0


def test_a_caller_without_a_channel_is_heard_after_a_while(call) -> None:
    call.open_backend({})
    call.hear(2960)
    assert heard(call) == 0
    call.hear(100)
    assert heard(call) > 0


def test_a_caller_who_negotiated_no_channel_is_heard_at_once(make_call) -> None:
    call = make_call(is_channel_expected=False)
    call.open_backend({})
    call.hear(40)
    assert heard(call) == 1920


def test_a_sidebands_configuration_is_not_the_clients(call) -> None:
    call.open_backend({})
    call.say("session.updated", session={})
    call.open_sideband()
    call.send({"type": "session.update", "session": {"instructions": "x"}}, sideband=1)
    call.say("session.updated", session={})
    call.hear(100)
    assert heard(call) == 0


def test_without_a_backend_audio_is_dropped(call) -> None:
    call.hear(100)
    assert call.dropped(DropReason.AUDIO_WITHOUT_BACKEND) == 5
    call.connect()
    call.hear(20)
    call.lose_backend(will_retry=True)
    call.hear(100)
    assert call.dropped(DropReason.AUDIO_WITHOUT_BACKEND) == 10
    call.forget()
    call.open_backend()
    call.hear(20)
    assert heard(call) == 0, "what was left from before is not put together with what is said now"
    call.hear(20)
    assert heard(call) == 1920


def test_digits(make_call) -> None:
    call = make_call()
    call.connect()
    call.open_sideband()
    call.forget()
    call.bridge.receive_dtmf("5", call.now, unix_time=1_700_000_000.7)
    call.collect()
    (event,) = call.client
    assert event["type"] == "input_audio_buffer.dtmf_event_received"
    assert (event["event"], event["received_at"]) == ("5", 1_700_000_000)
    assert call.sidebands[1] == [event]
    assert call.backend == []
    interested = make_call(profile=BackendProfile(hears_dtmf=True))
    interested.connect()
    interested.bridge.receive_dtmf("#", interested.now, unix_time=0)
    interested.collect()
    assert interested.backend[0]["event"] == "#"
