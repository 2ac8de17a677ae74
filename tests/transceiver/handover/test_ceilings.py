"""Nothing of ours is sent beyond what a confirmed checkpoint has reserved; what waits for that goes on then."""

import pytest

from dtls.drops import DropReason as DtlsDropReason
from edge.caller.events import EventReceived
from transceiver.handover import ceilings
from transceiver.handover.ceilings import Indices
from transceiver.media import DropReason as MediaDropReason


@pytest.fixture
def small_margins(monkeypatch):
    """A few packets instead of minutes."""
    monkeypatch.setattr(ceilings, "RTP_MARGIN", 25)
    monkeypatch.setattr(ceilings, "RTCP_MARGIN", 4)
    monkeypatch.setattr(ceilings, "DTLS_MARGIN", 6)


def test_media_is_dropped_and_counted(call_with_events, small_margins):
    network, _ = call_with_events()
    checkpoint = network.server.snapshot(network.now)
    network.server.raise_ceilings(checkpoint)
    network.run(3)
    reserved = checkpoint.indices.reserved()
    after = network.server.snapshot(network.now)
    media = network.server.media
    assert media._srtp.next_rtcp_index == reserved.rtcp
    assert max(sent.highest for sent in media._srtp._sent.values()) == reserved.rtp[media._outbound.ssrc] - 1
    assert media.drops[MediaDropReason.CEILING] > 100
    # Only when the store has it.
    network.server.raise_ceilings(after)
    heard = network.caller.media.inbound.statistics.highest
    network.run(0.3)
    assert network.caller.media.inbound.statistics.highest > heard
    network.server.release_ceilings()
    before = media.drops[MediaDropReason.CEILING]
    network.run(2)
    assert media.drops[MediaDropReason.CEILING] == before
    assert not network.caller.dropped()


def test_events_are_held_back_and_flushed(call_with_events, small_margins):
    network, channel_id = call_with_events()
    network.run(1)
    network.server.raise_ceilings(network.server.snapshot(network.now))
    said = [f"event {number} " * 400 for number in range(30)]
    for text in said[:20]:
        network.server.send_message(channel_id, text, network.now)
    network.run(5)
    for text in said[20:]:
        network.server.send_message(channel_id, text, network.now)
    network.run(40)  # longer than SCTP waits for an answer
    heard = [event.text for event in network.events if isinstance(event, EventReceived)]
    assert len(heard) < 10
    for _ in range(60):
        network.server.raise_ceilings(network.server.snapshot(network.now))
        network.run(0.3)
    assert [event.text for event in network.events if isinstance(event, EventReceived)] == said


def test_an_alert_at_the_ceiling_is_not_sent(call_with_events, small_margins):
    network, _ = call_with_events()
    network.server.raise_ceilings(network.server.snapshot(network.now))
    association = network.server.dtls.association
    association.limit(association.next_sequences())
    before = len(network.downstream)
    network.server.close("done", network.now)
    network.collect()
    assert not [data for _, _, data in network.downstream[before:] if 20 <= data[0] <= 63]
    assert association.drops[DtlsDropReason.CEILING] >= 1


def test_a_checkpoint_is_needed_when_half_of_a_margin_is_used(call_with_events):
    network, channel_id = call_with_events()
    server = network.server
    assert not server.is_near_ceiling
    server.raise_ceilings(server.snapshot(network.now))
    network.run(10)
    assert not server.is_near_ceiling
    # As much as a channel can carry: half of the records are used long before the next checkpoint is due.
    for _ in range(400):
        server.send_message(channel_id, "x" * 20_000, network.now)
        network.run(0.02)
        if server.is_near_ceiling:
            break
    assert 0 < server.dtls.association.room < ceilings.DTLS_MARGIN // 2
    server.raise_ceilings(server.snapshot(network.now))
    assert not server.is_near_ceiling
    server.media._outbound.sequence_number += ceilings.RTP_MARGIN // 2 + 1
    assert server.is_near_ceiling
    server.release_ceilings()
    assert not server.is_near_ceiling


def test_ceilings_do_not_come_down():
    low = Indices(rtp={1: 10}, rtcp=5, dtls={2: 7, 3: 100})
    high = Indices(rtp={1: 20}, rtcp=4, dtls={3: 200})
    assert low.raised_to(high) == high.raised_to(low) == Indices(rtp={1: 20}, rtcp=5, dtls={2: 7, 3: 200})
    assert low.reserved().rtp == {1: 10 + 4096}
