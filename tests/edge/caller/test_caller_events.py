"""The caller's data channel, against the session of a transceiver: it opens, and its ends are noticed there."""

from collections.abc import Callable

import pytest

from edge.caller.events import LABEL, EventChannel, EventsOpened
from sctp.channel_events import ChannelClosed, ChannelOpened
from transceiver.session_events import DataClosed

Make = Callable[..., object]
End = Callable[[EventChannel, float], None]


def test_the_channel_opens_by_the_name_that_servers_look_for(connect: Make) -> None:
    network = connect(has_events=True)
    network.run(1)
    assert any(isinstance(event, EventsOpened) for event in network.events)
    (opened,) = [event for event in network.server_events if isinstance(event, ChannelOpened)]
    assert opened.channel.label == LABEL


@pytest.mark.parametrize(
    ("end", "reported"),
    [
        (EventChannel.close_channel, [ChannelClosed]),
        (EventChannel.abort, [ChannelClosed, DataClosed]),
        (EventChannel.close, [ChannelClosed, DataClosed]),
    ],
    ids=["channel", "abort", "shutdown"],
)
def test_each_end_is_noticed(connect: Make, end: End, reported: list[type]) -> None:
    network = connect(has_events=True)
    network.run(1)
    network.server_events.clear()
    end(network.caller.events, network.now)
    network.run(1)
    ends = [type(event) for event in network.server_events if isinstance(event, ChannelClosed | DataClosed)]
    assert ends == reported
    assert network.server.closed is None  # whether the call ends with its channel is not the session's question
