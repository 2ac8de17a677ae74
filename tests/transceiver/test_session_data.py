"""Data channels through the whole of a session: SCTP inside of DTLS, with a caller that has events."""

import re

import attrs
import pytest

from edge.caller.events import LABEL, EventReceived, EventsClosed, EventsOpened
from edge.caller.progress import Stage
from sctp.channel_events import ChannelClosed, ChannelOpened, MessageReceived
from transceiver.describing import describe_session, drops_of
from transceiver.session import State
from transceiver.session_events import DataClosed, DropReason
from wire.core import Closed
from wire.errors import LocalProtocolError

ROLES = [("actpass", True), ("passive", True), ("active", False)]


@pytest.fixture
def open_channel(connect):
    """A call whose channel is open, and the channel's number."""

    def make(**changes):
        network = connect(has_events=True, **changes)
        network.is_talking = False
        network.run(20, until=lambda: any(isinstance(event, EventsOpened) for event in network.events))
        (channel,) = channels_of(network)
        return network, channel.id

    return make


def channels_of(network):
    return [event.channel for event in network.server_events if isinstance(event, ChannelOpened)]


def of_kind(events, kind):
    return [event for event in events if isinstance(event, kind)]


def said_to_server(network) -> list[str]:
    return [event.message for event in of_kind(network.server_events, MessageReceived)]


def said_to_caller(network) -> list[str]:
    return [event.text for event in of_kind(network.events, EventReceived)]


@pytest.mark.parametrize(("setup", "is_client"), ROLES)
def test_messages_both_ways_in_every_dtls_role(open_channel, setup: str, is_client: bool) -> None:
    network, channel_id = open_channel(setup=setup)
    (channel,) = channels_of(network)
    assert channel.label == LABEL
    # RFC 8832 §6: the DTLS client's channels are even.
    assert channel_id % 2 == is_client
    assert describe_session(network.server)["channels"] == [LABEL]
    messages = ["", "a", "é" * 1000, "x" * 100_000, *map(str, range(50))]
    for message in messages:
        network.caller.events.send(message, network.now)
        network.server.send_message(channel_id, message, network.now)
    network.run(3)
    assert said_to_server(network) == messages
    assert said_to_caller(network) == messages
    assert drops_of(network.server) == {}
    assert network.caller.dropped() == {}


@pytest.mark.parametrize("setup", ["actpass", "active"])
@pytest.mark.parametrize("seed", range(3))
def test_messages_in_bad_weather(open_channel, setup: str, seed: int) -> None:
    network, channel_id = open_channel(setup=setup)
    network.chance.seed(seed)
    network.loss, network.duplication, network.jitter = 0.15, 0.1, 0.03
    messages = [str(number) * (1 + number * 37 % 3000) for number in range(60)]
    for message in messages:
        network.caller.events.send(message, network.now)
        network.server.send_message(channel_id, message, network.now)
        network.run(0.02)
    network.run(200, until=lambda: len(said_to_caller(network)) == len(said_to_server(network)) == len(messages))
    assert said_to_server(network) == messages
    assert said_to_caller(network) == messages


def test_the_clock_is_set_for_what_was_not_acknowledged(open_channel) -> None:
    network, channel_id = open_channel()
    network.run(2)
    network.is_cut = True
    before = len(network.downstream)
    network.server.send_message(channel_id, "hello?", network.now)
    network.collect()
    assert len(network.downstream) == before + 1  # at once
    assert network.server.next_timeout() <= network.now + 1
    network.run(1)
    assert len(network.downstream) > before + 1


def test_events_go_on_soon_after_the_path_is_back(open_channel) -> None:
    network, channel_id = open_channel()
    network.is_cut = True
    network.server.send_message(channel_id, "hello?", network.now)
    network.run(15)
    network.is_cut = False
    network.run(3.5)
    assert said_to_caller(network) == ["hello?"]
    # How often it was tried in vain does not end the channels: consent decides whether the client is there.
    network.is_cut = True
    network.server.send_message(channel_id, "still there?", network.now)
    network.run(40, until=lambda: network.server.closed is not None)
    assert network.server.closed.reason == "consent-expired"
    assert of_kind(network.server_events, DataClosed) == []


def test_nothing_longer_than_the_client_takes(open_channel) -> None:
    shorter = lambda offer: re.sub(r"a=max-message-size:\d+", "a=max-message-size:5000", offer)  # noqa: E731
    network, channel_id = open_channel(change_offer=shorter)
    network.server.send_message(channel_id, "x" * 5000, network.now)
    with pytest.raises(LocalProtocolError, match="5001"):
        network.server.send_message(channel_id, "x" * 5001, network.now)
    with pytest.raises(LocalProtocolError):
        network.server.send_message(channel_id, "é" * 2501, network.now)  # bytes, not characters
    network.run(1)
    assert said_to_caller(network) == ["x" * 5000]


def test_a_client_that_sends_more_than_we_take_loses_its_channels_and_not_the_call(open_channel) -> None:
    network, channel_id = open_channel()
    network.caller.events._channels._association.set_peer_max_message_size(0)
    network.caller.events.send("x" * 300_000, network.now)
    network.run(3)
    assert [event.reason for event in of_kind(network.server_events, DataClosed)] == ["message-too-large"]
    assert of_kind(network.server_events, ChannelClosed) == [ChannelClosed(channel_id=channel_id)]
    assert said_to_server(network) == []
    assert network.server.state is State.ESTABLISHED
    assert network.caller.stage is Stage.TALKING
    with pytest.raises(LocalProtocolError):
        network.server.send_message(channel_id, "still there?", network.now)


def test_a_client_that_does_not_read_fills_the_buffer_and_no_more(open_channel) -> None:
    network, channel_id = open_channel()
    network.is_cut = True
    sent = 20  # SctpOptions.max_send_buffer
    for _ in range(sent):
        network.server.send_message(channel_id, "x" * 100_000, network.now)
    with pytest.raises(LocalProtocolError, match="full"):
        network.server.send_message(channel_id, "x" * 100_000, network.now)
    # What was accepted arrives when it can, and then there is room again.
    network.is_cut = False
    network.run(20, until=lambda: len(said_to_caller(network)) == sent)
    assert said_to_caller(network) == ["x" * 100_000] * sent
    network.server.send_message(channel_id, "on we go", network.now)
    network.run(1)
    assert said_to_caller(network)[-1] == "on we go"


def test_before_and_after_there_are_channels_nothing_is_sent(connect) -> None:
    network = connect(has_events=True)
    with pytest.raises(LocalProtocolError, match="no data channels"):
        network.server.send_message(1, "x", network.now)
    network.run(2)
    (channel,) = channels_of(network)
    with pytest.raises(LocalProtocolError, match="not open"):
        network.server.send_message(channel.id + 2, "x", network.now)
    network.server.close("hang-up", network.now)
    with pytest.raises(LocalProtocolError, match="no data channels"):
        network.server.send_message(channel.id, "x", network.now)


# -- the end


def test_a_client_that_closes_its_channel(open_channel) -> None:
    network, channel_id = open_channel()
    network.caller.events.send("last words", network.now)
    network.caller.events.close_channel(network.now)
    network.run(1)
    assert said_to_server(network) == ["last words"]
    assert of_kind(network.server_events, ChannelClosed) == [ChannelClosed(channel_id=channel_id)]
    assert of_kind(network.server_events, DataClosed) == []
    assert describe_session(network.server)["channels"] == []
    assert network.server.state is State.ESTABLISHED


@pytest.mark.parametrize("is_graceful", [True, False])
def test_a_client_that_ends_sctp(open_channel, is_graceful: bool) -> None:
    network, _ = open_channel()
    if is_graceful:
        network.caller.events.close(network.now)
    else:
        network.caller.events.abort(network.now)
    network.run(2)
    kinds = [type(event) for event in network.server_events]
    assert kinds.count(ChannelClosed) == kinds.count(DataClosed) == 1
    assert kinds.index(ChannelClosed) < kinds.index(DataClosed)
    assert Closed not in kinds
    assert network.server.state is State.ESTABLISHED
    # Nothing of it keeps the clock busy.
    assert network.server.data.next_timeout() is None


def test_a_client_that_hangs_up_says_so_in_every_protocol(open_channel) -> None:
    network, _ = open_channel()
    network.caller.hang_up(network.now)
    network.run(1)
    (closed,) = of_kind(network.server_events, Closed)
    assert closed.reason == "close-notify"
    assert network.server_events[-1] is closed
    assert network.server.next_timeout() is None


def test_our_goodbye_ends_the_channel(open_channel) -> None:
    network, channel_id = open_channel()
    network.server.send_message(channel_id, "last words", network.now)
    network.run(1)
    network.server.close("hang-up", network.now)
    network.collect()
    network.run(1)
    assert said_to_caller(network) == ["last words"]
    assert of_kind(network.events, EventsClosed) or network.caller.stage is Stage.CLOSED
    assert network.server.next_timeout() is None


def test_data_where_none_was_negotiated(connect) -> None:
    network = connect()
    network.run(1)
    assert network.server.data is None
    assert describe_session(network.server)["channels"] == []
    for _ in range(3):
        network.caller._dtls.send(b"SCTP, perhaps")
    network.run(0.5)
    assert network.server.drops == {DropReason.NO_DATA_CHANNELS: 3}
    assert network.server.state is State.ESTABLISHED
    # It is authentic all the same: the client is alive.
    assert network.caller.stage is Stage.TALKING


def test_what_is_no_sctp_is_dropped_and_the_channels_go_on(open_channel) -> None:
    network, _ = open_channel()
    for junk in (b"", b"x", bytes(12), bytes(1000)):
        network.caller._dtls.send(junk)
    network.caller.events.send("still here", network.now)
    network.run(1)
    assert said_to_server(network) == ["still here"]
    assert sum(count for name, count in drops_of(network.server).items() if name.startswith("sctp.")) == 4


def test_events_are_told_in_their_order(open_channel) -> None:
    """A channel that opens, speaks and closes in one packet does it in that order."""
    network, channel_id = open_channel()
    other = network.caller.events._channels.open("more", now=network.now)
    network.caller.events._channels.send(other, b"\x00\xff", network.now)
    network.caller.events._channels.close_channel(other, network.now)
    network.caller.events._flush(network.now)
    network.run(1)
    about = [
        attrs.asdict(event)
        for event in network.server_events
        if isinstance(event, ChannelOpened | MessageReceived | ChannelClosed)
    ]
    assert [next(iter(record)) for record in about[1:]] == ["channel", "channel_id", "channel_id"]
    assert about[2]["message"] == b"\x00\xff"
    assert network.server.state is State.ESTABLISHED
    assert list(network.server.data.channels.channels) == [channel_id]
