"""A call that is moved on purpose goes on as if nothing had happened: nothing lost, doubled or refused."""

import struct
from itertools import pairwise

import pytest

from dtls.options import DtlsOptions, Role
from dtls.versions import Version
from edge.caller.events import EventReceived
from edge.caller.progress import Stage
from sctp.channel_events import MessageReceived
from srtp.profile import ProtectionProfile
from transceiver.describing import drops_of
from wire.demux import Kind, kind_of

SETUPS = {"active": Role.SERVER, "passive": Role.CLIENT}
"""The caller's `a=setup`, and the role that it leaves to us."""


def texts(events, kind):
    """What was said, in the order of its arrival."""
    return [event.text if kind is EventReceived else event.message for event in events if isinstance(event, kind)]


def rtp_sent(network):
    """When, sequence number and timestamp of each RTP packet of the server's."""
    return [
        (when, *struct.unpack_from(">2xHI", data)) for when, _, data in network.downstream if kind_of(data) is Kind.RTP
    ]


@pytest.mark.parametrize("profile", list(ProtectionProfile))
@pytest.mark.parametrize("setup", list(SETUPS))
@pytest.mark.parametrize("version", [Version.DTLS_1_2, Version.DTLS_1_3])
def test_audio_and_events_go_on(call_with_events, move, version, setup, profile):
    network, channel_id = call_with_events(
        setup=setup,
        dtls=DtlsOptions(versions=(version,), srtp_profiles=(profile,)),
        # Of whom says that it mixes header extensions we take no AES-CM, when it is the DTLS server.
        change_offer=lambda offer: offer.replace("a=extmap-allow-mixed\r\n", ""),
    )
    secured = network.server.dtls.secured
    assert (network.server.dtls.role, secured.version, secured.srtp_profile) == (SETUPS[setup], version.label, profile)
    up, down = [], []
    for number in range(12):
        up.append(f"up {number}" * (1 + number % 4 * 500))
        down.append(f"down {number}" * (1 + number % 4 * 500))
        network.caller.events.send(up[-1], network.now)
        network.server.send_message(channel_id, down[-1], network.now)
        network.run(0.013 + 0.01 * number)
        if number % 3 == 1:
            move(network, ahead=1000.0 * number)
            assert network.server.dtls.secured == secured
    network.run(2)
    assert texts(network.events, EventReceived) == down
    assert texts(network.server_events, MessageReceived) == up
    assert not network.caller.dropped()
    assert not drops_of(network.server.session)
    # An echo goes back as it came: in equal steps, and each packet of the caller's, moved or not.
    packets = rtp_sent(network)[1:]
    assert [(after[1] - before[1]) & 0xFFFF for before, after in pairwise(packets)] == [1] * (len(packets) - 1)
    assert {(after[2] - before[2]) & 0xFFFFFFFF for before, after in pairwise(packets)} == {960}
    assert network.caller.media.inbound.statistics.lost_count == 0
    network.server.close("done", network.now)
    network.run(0.1)
    assert network.caller.stage is Stage.CLOSED
    assert network.caller.media.reports.said_goodbye
