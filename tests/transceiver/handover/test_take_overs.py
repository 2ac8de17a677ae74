"""A call whose transceiver has died goes on from a checkpoint of some seconds ago, above all that it may have sent."""

import struct

import pytest

from dtls.options import DtlsOptions, Role
from dtls.versions import Version
from edge.caller.events import EventReceived, EventsClosed
from edge.caller.progress import Stage
from sctp.channel_events import ChannelClosed, ChannelOpened, MessageReceived
from sctp.drops import DropReason as SctpDropReason
from srtp.profile import ProtectionProfile
from transceiver.describing import drops_of
from transceiver.media import DropReason as MediaDropReason
from wire.demux import Kind, kind_of
from wire.errors import LocalProtocolError

SETUPS = {"active": Role.SERVER, "passive": Role.CLIENT}


def texts(events):
    return [
        event.text if isinstance(event, EventReceived) else event.message
        for event in events
        if isinstance(event, EventReceived | MessageReceived)
    ]


def rtp_sent(network, since):
    """When, sequence number and timestamp of each RTP packet of the server's."""
    return [
        (when, *struct.unpack_from(">2xHI", data))
        for when, _, data in network.downstream
        if when >= since and kind_of(data) is Kind.RTP
    ]


@pytest.mark.parametrize("profile", list(ProtectionProfile))
@pytest.mark.parametrize("setup", list(SETUPS))
@pytest.mark.parametrize("version", [Version.DTLS_1_2, Version.DTLS_1_3])
def test_audio_and_events_are_back(call_with_events, packed, take_over, version, setup, profile):
    network, channel_id = call_with_events(
        setup=setup,
        dtls=DtlsOptions(versions=(version,), srtp_profiles=(profile,)),
        change_offer=lambda offer: offer.replace("a=extmap-allow-mixed\r\n", ""),
    )
    for number in range(3):
        network.server.send_message(channel_id, f"before {number}", network.now)
        network.caller.events.send(f"to before {number}", network.now)
        network.run(0.5)
    checkpoint = packed(network.server.snapshot(network.now))
    for number in range(4):
        network.server.send_message(channel_id, f"lost or not {number}", network.now)
        network.caller.events.send(f"to nobody or not {number}", network.now)
        network.run(1)
    last = rtp_sent(network, 0)[-1]
    network.is_cut = True
    network.run(0.4)
    network.is_cut = False
    network.server_events.clear()
    network.events.clear()
    heard = network.caller.media.inbound.statistics.highest
    since = network.now
    take_over(network, checkpoint)
    assert network.server.dtls.secured.srtp_profile == profile
    network.server.send_message(channel_id, "after", network.now)
    network.run(0.1)
    # At once, whatever waits for the restart of SCTP.
    assert network.caller.media.inbound.statistics.highest != heard
    network.run(0.1)
    network.caller.events.send("to after", network.now)
    network.run(3)
    assert texts(network.events) == ["after"]
    assert texts(network.server_events) == ["to after"]
    assert [event for event in network.events if isinstance(event, EventsClosed)] == []
    assert [event for event in network.server_events if isinstance(event, ChannelOpened | ChannelClosed)] == []
    # Sequence numbers leap, timestamps count the time that has passed.
    first = rtp_sent(network, since)[0]
    assert 3000 < (first[1] - last[1]) & 0xFFFF < 4200
    assert ((first[2] - last[2]) & 0xFFFFFFFF) / 48000 == pytest.approx(first[0] - last[0], abs=0.05)
    assert set(drops_of(network.server.session)) <= {f"sctp.{SctpDropReason.VERIFICATION_TAG}"}
    network.server.close("done", network.now)
    network.run(0.1)
    assert network.caller.stage is Stage.CLOSED
    assert network.caller.media.reports.said_goodbye


def test_nothing_is_sent_before_a_checkpoint_of_its_own(call_with_events, packed, take_over):
    network, channel_id = call_with_events()
    checkpoint = packed(network.server.snapshot(network.now))
    network.run(1)
    since = network.now
    own = take_over(network, checkpoint, is_confirmed=False)
    network.server.send_message(channel_id, "waits", network.now)
    network.run(20)
    assert network.kinds_sent_to(network.client, since) <= {Kind.STUN}
    assert network.server.media.drops[MediaDropReason.CEILING] > 100
    assert texts(network.events) == []
    # It has used nothing up: what it would send now is what it would have sent then.
    assert packed(network.server.snapshot(network.now)) != own
    network.server.raise_ceilings(network.server.snapshot(network.now))
    network.run(2)
    assert texts(network.events) == ["waits"]


def test_one_after_the_other(call_with_events, packed, take_over):
    """Each from the checkpoint that the one before has made when it took over."""
    network, channel_id = call_with_events()
    checkpoint = packed(network.server.snapshot(network.now))
    for number in range(12):
        network.run(0.7)
        checkpoint = take_over(network, checkpoint, ahead=100.0 * number)
        network.server.send_message(channel_id, f"{number}", network.now)
        network.run(0.2)
        network.caller.events.send(f"to {number}", network.now)
        network.run(1.3)
    assert texts(network.events) == [f"{number}" for number in range(12)]
    assert texts(network.server_events) == [f"to {number}" for number in range(12)]
    # 12 leaps of 4096 are more than 2^15 in all, but the client has followed each of them.
    assert network.server.media._outbound.sequence_number >= 12 * 4096
    assert not [reason for reason in network.caller.dropped() if "authentication" in reason]
    assert network.server.snapshot(network.now).indices.rtp == {
        network.server.media._outbound.ssrc: network.server.media._outbound.sequence_number
    }


def test_what_the_old_association_still_carries_is_dropped(call_with_events, packed, take_over):
    network, _ = call_with_events()
    checkpoint = packed(network.server.snapshot(network.now))
    network.run(1)
    network.delay = 0.2
    for number in range(5):
        network.caller.events.send(f"under way {number}", network.now)
    take_over(network, checkpoint)
    network.caller.events.send("queued", network.now)
    network.run(3)
    sent = [*(f"under way {number}" for number in range(5)), "queued"]
    assert texts(network.server_events) in [sent[at:] for at in range(7)]  # lost or not, but in order
    assert network.server.session.data.channels.drops[SctpDropReason.VERIFICATION_TAG] >= 1
    network.caller.events.send("afterwards", network.now)
    network.run(1)
    assert texts(network.server_events)[-1] == "afterwards"


def test_the_clocks_of_two_hosts_may_be_a_minute_apart(call_with_events, packed, take_over):
    for skew in (-60.0, 60.0):
        network, _ = call_with_events()
        checkpoint = packed(network.server.snapshot(network.now))
        network.run(5)
        last = rtp_sent(network, 0)[-1]
        since = network.now
        take_over(network, checkpoint, skew=skew)
        network.run(1)
        first = rtp_sent(network, since)[0]
        # Never back: what is older than what was played is not played.
        assert 0 < (first[2] - last[2]) & 0xFFFFFFFF < 0x7FFFFFFF
        # Told by the store's clock, it is exact.
        network, _ = call_with_events()
        checkpoint = packed(network.server.snapshot(network.now))
        network.run(5)
        last, since = rtp_sent(network, 0)[-1], network.now
        take_over(network, checkpoint, skew=skew, age=5.0)
        network.run(1)
        first = rtp_sent(network, since)[0]
        assert ((first[2] - last[2]) & 0xFFFFFFFF) / 48000 == pytest.approx(first[0] - last[0], abs=0.05)


def test_consent_is_not_used_up_by_the_age_of_the_snapshot(call_with_events, packed, take_over):
    network, _ = call_with_events()
    checkpoint = packed(network.server.snapshot(network.now))
    network.run(19)
    take_over(network, checkpoint)
    network.is_cut = True
    network.run(28)
    assert network.server.closed is None
    network.run(5)
    assert network.server.closed.reason == "consent-expired"


def test_the_longest_call_counts_in_all_processes(connect, call_network, packed, take_over):
    network = connect(options=call_network.SessionOptions(max_call=100.0))
    network.run(60)
    checkpoint = packed(network.server.snapshot(network.now))
    network.run(10)
    take_over(network, checkpoint)
    network.run(27)
    assert network.server.closed is None
    network.run(5)
    assert network.server.closed.reason == "max-call"


def test_a_call_that_is_not_established_stays(connect):
    network = connect()
    with pytest.raises(LocalProtocolError, match="waiting"):
        network.server.snapshot(network.now)
    network.run(1)
    network.server.close("done", network.now)
    with pytest.raises(LocalProtocolError, match="closed"):
        network.server.snapshot(network.now)


def test_whoever_is_fenced_says_nothing_more(call_with_events):
    network, channel_id = call_with_events()
    before = len(network.downstream)
    network.server.abandon("fenced", "another has it")
    network.is_talking = True
    network.run(1)
    assert network.downstream[before:] == []
    assert network.server.closed.reason == "fenced"
    assert network.caller.stage is Stage.TALKING
    with pytest.raises(LocalProtocolError):
        network.server.send_message(channel_id, "?", network.now)
    with pytest.raises(LocalProtocolError):
        network.server.media._srtp.protect_rtp(b"\x80" + bytes(30))
