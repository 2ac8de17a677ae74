"""Data channels between two of us: opening, talking, closing, and what our own caller may not do."""

import random
from types import ModuleType
from typing import Any

import pytest

from sctp.channel import Channel, ChannelLimits
from sctp.channel_events import ChannelClosed, ChannelDropReason, ChannelOpened, MessageReceived
from sctp.channels import DataChannels
from sctp.events import Connected
from sctp.options import SctpOptions
from wire.core import Closed
from wire.errors import LocalProtocolError, MalformedError


@pytest.fixture
def network(channel_network: ModuleType) -> Any:
    """A client (0) and a server (1) that are connected."""
    network = channel_network.Network(channel_network.client(), channel_network.server())
    network.run(1)
    assert [type(event) for event in network.take(0) + network.take(1)] == [Connected, Connected]
    # When both sides begin at once, a part of one handshake is too much.
    for end in network.ends:
        end.drops.clear()
    return network


def opened(network: Any, label: str = "oai-events", **properties: Any) -> int:
    """Let the client open a channel that the server knows of."""
    channel_id = network.ends[0].open(label, **properties, now=network.now)
    network.run(1)
    network.take(0)
    network.take(1)
    return channel_id


def messages(events: list[Any]) -> list[str | bytes]:
    return [event.message for event in events if isinstance(event, MessageReceived)]


class TestOpening:
    def test_open_and_ack(self, network: Any) -> None:
        client, server = network.ends
        channel_id = client.open("oai-events", protocol="json", now=network.now)
        assert channel_id == 0
        network.run(1)
        channel = Channel(id=0, label="oai-events", protocol="json")
        assert network.take(1) == [ChannelOpened(channel=channel, is_ours=False)]
        assert network.take(0) == [ChannelOpened(channel=channel, is_ours=True)]
        assert client.channels == server.channels == {0: channel}
        assert not client.drops
        assert not server.drops

    def test_identifiers_follow_the_dtls_role(self, network: Any) -> None:
        """RFC 8832 §6: even for the client, odd for the server."""
        client, server = network.ends
        assert [client.open("", now=network.now) for _ in range(3)] == [0, 2, 4]
        assert [server.open("", now=network.now) for _ in range(3)] == [1, 3, 5]
        network.run(1)
        assert sorted(client.channels) == sorted(server.channels) == list(range(6))

    @pytest.mark.parametrize(
        "properties",
        [
            {},
            {"ordered": False},
            {"max_retransmits": 0},
            {"max_retransmits": 7, "ordered": False},
            {"lifetime": 0.25},
            {"lifetime": 1.5, "ordered": False, "priority": 1024},
            {"protocol": "é"},
        ],
        ids=str,
    )
    def test_properties_arrive(self, network: Any, properties: dict[str, Any]) -> None:
        channel_id = opened(network, "ü", **properties)
        for end in network.ends:
            assert end.channels[channel_id] == Channel(id=channel_id, label="ü", **properties)

    def test_before_the_association_is_there(self, channel_network: ModuleType) -> None:
        client, server = channel_network.client(), channel_network.server()
        network = channel_network.Network(client, server)
        channel_id = client.open("early", now=0)
        client.send(channel_id, "first", now=0)
        network.run(1)
        channel = Channel(id=0, label="early")
        assert network.take(1)[1:] == [
            ChannelOpened(channel=channel, is_ours=False),
            MessageReceived(channel_id=0, message="first"),
        ]
        assert network.take(0)[1:] == [ChannelOpened(channel=channel, is_ours=True)]

    def test_messages_behind_open_are_ordered_on_an_unordered_channel(self, channel_network: ModuleType) -> None:
        """RFC 8832 §6: nothing may overtake DATA_CHANNEL_OPEN; behind the ACK the channel is what it is."""
        for seed in range(10):
            client, server = channel_network.client(), channel_network.server()
            network = channel_network.Network(client, server, seed=seed, jitter=0.2, loss=0.1)
            channel_id = client.open("", ordered=False, now=0)
            sent = [str(number) * 900 for number in range(20)]
            for message in sent:
                client.send(channel_id, message, now=0)
            network.run(20)
            assert messages(network.take(1)) == sent
            assert server.drops[ChannelDropReason.UNOPENED_CHANNEL] == 0
            for message in sent:
                client.send(channel_id, message, now=network.now)
            network.run(20)
            received = messages(network.take(1))
            assert sorted(received) == sorted(sent)
            if received != sent:
                return
        raise AssertionError("unordered messages always came in order")

    def test_a_message_says_that_the_channel_is_open(self, channel_network: ModuleType) -> None:
        """The peer's first message may overtake its ACK on an unordered channel."""
        client, server = channel_network.client(), channel_network.server()
        network = channel_network.Network(client, server)
        channel_id = client.open("", ordered=False, now=0)
        network.run_until(lambda: bool(server.channels))
        ack = list(server.datagrams_to_send(network.now))
        server.send(channel_id, "overtaking", now=network.now)
        network.flush()
        network.run(0.1)
        for packet in ack:
            network.events[0].extend(client.receive_datagram(packet, network.now))
        network.run(5)
        assert network.take(0)[1:] == [
            ChannelOpened(channel=Channel(id=0, label="", ordered=False), is_ours=True),
            MessageReceived(channel_id=0, message="overtaking"),
        ]
        assert not client.drops[ChannelDropReason.UNEXPECTED_ACK]

    def test_negotiated_elsewhere(self, network: Any) -> None:
        client, server = network.ends
        assert client.open("chat", negotiated_id=7, now=network.now) == 7
        assert server.open("chat", negotiated_id=7, ordered=False, now=network.now) == 7
        assert client.next_timeout() <= network.now
        network.run(1)
        ours = Channel(id=7, label="chat", is_negotiated=True)
        assert network.take(0) == [ChannelOpened(channel=ours, is_ours=True)]
        assert [type(event) for event in network.take(1)] == [ChannelOpened]
        client.send(7, "one", now=network.now)
        server.send(7, b"two", now=network.now)
        network.run(1)
        assert messages(network.take(1)) == ["one"]
        assert messages(network.take(0)) == [b"two"]
        assert not client.drops
        # Its identifier is not given to another.
        assert [server.open("", now=network.now) for _ in range(4)] == [1, 3, 5, 9]

    def test_negotiated_before_the_association_is_there(self, channel_network: ModuleType) -> None:
        client, server = channel_network.client(), channel_network.server()
        network = channel_network.Network(client, server)
        for end in network.ends:
            end.open("", negotiated_id=0, now=0)
        client.send(0, "early", now=0)
        network.run(1)
        assert [type(event) for event in network.take(0)] == [Connected, ChannelOpened]
        assert [type(event) for event in network.take(1)] == [Connected, ChannelOpened, MessageReceived]

    def test_fewer_streams_than_were_hoped_for(self, channel_network: ModuleType) -> None:
        client = channel_network.client()
        server = channel_network.server(options=SctpOptions(streams=4))
        network = channel_network.Network(client, server)
        kept, lost = client.open("kept", negotiated_id=3, now=0), client.open("lost", negotiated_id=4, now=0)
        network.run(1)
        assert ChannelClosed(channel_id=lost) in network.take(0)
        assert list(client.channels) == [kept]
        assert [client.open("", now=network.now) for _ in range(2)] == [0, 2]
        with pytest.raises(LocalProtocolError, match="no stream is free"):
            client.open("", now=network.now)
        with pytest.raises(LocalProtocolError, match="not free"):
            client.open("", negotiated_id=4, now=network.now)


class TestTalking:
    def test_texts_bytes_and_nothing(self, network: Any) -> None:
        channel_id = opened(network)
        sent = ["text", "", b"bytes", b"", "é\U0001f600", b"\0", "\0", bytes(range(256))]
        for index in (0, 1):
            for message in sent:
                network.ends[index].send(channel_id, message, now=network.now)
            network.run(1)
            received = messages(network.take(1 - index))
            assert received == sent
            assert [type(message) for message in received] == [type(message) for message in sent]

    def test_no_packet_is_larger_than_1191_bytes(self, network: Any) -> None:
        channel_id = opened(network)
        network.ends[0].send(channel_id, random.Random(1).randbytes(100_000), now=network.now)
        network.run(2)
        assert len(messages(network.take(1))[0]) == 100_000
        assert 1100 < network.largest <= 1191

    def test_what_waits_is_counted(self, network: Any) -> None:
        channel_id = opened(network)
        client = network.ends[0]
        assert client.buffered_amount(channel_id) == 0
        client.send(channel_id, bytes(200_000), now=network.now)
        assert client.buffered_amount(channel_id) == 200_000
        network.run(5)
        assert client.buffered_amount(channel_id) == 0
        assert client.buffered_amount(2) == 0


class TestClosing:
    @pytest.mark.parametrize("index", [0, 1])
    def test_either_side_may(self, network: Any, index: int) -> None:
        channel_id = opened(network)
        network.ends[index].send(channel_id, "last words", now=network.now)
        network.ends[index].close_channel(channel_id, now=network.now)
        assert not network.ends[index].channels
        network.run(3)
        assert network.take(1 - index) == [
            MessageReceived(channel_id=channel_id, message="last words"),
            ChannelClosed(channel_id=channel_id),
        ]
        assert network.take(index) == [ChannelClosed(channel_id=channel_id)]
        assert not network.ends[1 - index].channels
        assert not network.ends[0].drops
        assert not network.ends[1].drops

    def test_both_at_once(self, network: Any) -> None:
        channel_id = opened(network)
        for end in network.ends:
            end.close_channel(channel_id, now=network.now)
        network.run(3)
        assert network.take(0) == network.take(1) == [ChannelClosed(channel_id=channel_id)]
        assert opened(network, "again") == channel_id

    def test_the_identifier_is_used_again(self, network: Any) -> None:
        for round_number in range(5):
            channel_id = opened(network, f"channel {round_number}")
            assert channel_id == 0
            network.ends[0].send(0, f"message {round_number}", now=network.now)
            network.ends[1].send(0, "answer", now=network.now)
            network.run(1)
            assert messages(network.take(1)) == [f"message {round_number}"]
            assert messages(network.take(0)) == ["answer"]
            network.ends[round_number % 2].close_channel(0, now=network.now)
            network.run(3)
        assert not network.ends[0].drops
        assert not network.ends[1].drops

    def test_an_identifier_that_is_being_closed_is_not_used(self, network: Any) -> None:
        channel_id = opened(network)
        client = network.ends[0]
        client.close_channel(channel_id, now=network.now)
        assert client.open("next", now=network.now) == channel_id + 2
        with pytest.raises(LocalProtocolError, match="not free"):
            client.open("", negotiated_id=channel_id, now=network.now)

    def test_what_the_peer_sent_before_it_knew(self, network: Any) -> None:
        channel_id = opened(network)
        client, server = network.ends
        server.send(channel_id, "too late", now=network.now)
        client.close_channel(channel_id, now=network.now)
        network.run(3)
        assert network.take(0) == [ChannelClosed(channel_id=channel_id)]
        assert client.drops == {ChannelDropReason.CLOSING_CHANNEL: 1}

    def test_a_channel_that_is_not_acked_yet(self, network: Any) -> None:
        client = network.ends[0]
        channel_id = client.open("brief", now=network.now)
        client.send(channel_id, "hello", now=network.now)
        client.close_channel(channel_id, now=network.now)
        network.run(3)
        assert [type(event) for event in network.take(1)] == [ChannelOpened, MessageReceived, ChannelClosed]
        assert network.take(0) == [ChannelClosed(channel_id=channel_id)]
        assert opened(network) == channel_id

    def test_the_whole_association(self, network: Any) -> None:
        channel_id = opened(network)
        client = network.ends[0]
        client.send(channel_id, "last words", now=network.now)
        client.close(now=network.now)
        network.run(3)
        assert network.take(1)[:2] == [
            MessageReceived(channel_id=channel_id, message="last words"),
            ChannelClosed(channel_id=channel_id),
        ]
        assert network.take(0)[0] == ChannelClosed(channel_id=channel_id)
        for end in network.ends:
            assert not end.channels
            assert end.next_timeout() is None
            assert list(end.receive_datagram(b"anything", network.now)) == []
            assert list(end.handle_timeout(network.now)) == []
            with pytest.raises(LocalProtocolError, match="not open"):
                end.send(channel_id, "x", now=network.now)
            with pytest.raises(LocalProtocolError, match="closed"):
                end.open("x", now=network.now)
            end.close(now=network.now)

    def test_all_at_once(self, network: Any) -> None:
        channel_id = opened(network)
        client = network.ends[0]
        client.abort(network.now, "the page went away")
        network.run(1)
        channel_closed, closed = network.take(1)
        assert channel_closed == ChannelClosed(channel_id=channel_id)
        assert closed.reason == "peer-abort"
        assert network.take(0) == []
        assert not client.channels
        assert client.next_timeout() is None
        client.abort(network.now)
        assert list(client.datagrams_to_send(network.now)) == []

    def test_closed_is_the_last_event(self, network: Any) -> None:
        opened(network)
        network.ends[0].close(now=network.now)
        network.run(5)
        for index in (0, 1):
            *before, last = network.take(index)
            assert isinstance(last, Closed)
            assert not any(isinstance(event, Closed) for event in before)


class TestOurOwnMistakes:
    def test_a_channel_that_is_not_there(self, network: Any) -> None:
        client = network.ends[0]
        for channel_id in (0, 1, -1, 65536):
            with pytest.raises(LocalProtocolError, match="not open"):
                client.send(channel_id, "x", now=network.now)
            with pytest.raises(LocalProtocolError, match="not open"):
                client.close_channel(channel_id, now=network.now)

    def test_a_message_larger_than_the_peer_takes(self, channel_network: ModuleType) -> None:
        client = channel_network.client(max_message_size=1000)
        network = channel_network.Network(client, channel_network.server())
        channel_id = client.open("", now=0)
        client.send(channel_id, bytes(1000), now=0)
        client.send(channel_id, "é" * 500, now=0)
        with pytest.raises(LocalProtocolError):
            client.send(channel_id, bytes(1001), now=0)
        # Bytes count, not characters.
        with pytest.raises(LocalProtocolError):
            client.send(channel_id, "é" * 501, now=0)
        network.run(2)
        assert [len(message) for message in messages(network.take(1))] == [1000, 500]

    def test_any_size(self, channel_network: ModuleType) -> None:
        """RFC 8841 §6: 0 says that any size is taken."""
        client = channel_network.client(max_message_size=0)
        network = channel_network.Network(client, channel_network.server())
        channel_id = client.open("", now=0)
        client.send(channel_id, bytes(200_000), now=0)
        network.run(5)
        assert len(messages(network.take(1))[0]) == 200_000

    def test_more_than_may_wait(self, channel_network: ModuleType) -> None:
        client = channel_network.client(options=SctpOptions(max_send_buffer=10_000))
        channel_id = client.open("", now=0)
        for _ in range(9):
            client.send(channel_id, bytes(1000), now=0)
        with pytest.raises(LocalProtocolError):
            client.send(channel_id, bytes(1000), now=0)
        assert client.buffered_amount(channel_id) <= 10_000

    @pytest.mark.parametrize(
        "wrong",
        [
            {"max_retransmits": 1, "lifetime": 1.0},
            {"max_retransmits": -1},
            {"lifetime": -0.1},
            {"max_retransmits": 1 << 32},
            {"priority": 1 << 16},
            {"protocol": "x" * 65536},
            {"protocol": "\ud800"},
            {"negotiated_id": 65535},
            {"negotiated_id": -1},
            {"negotiated_id": 0},
        ],
        ids=str,
    )
    def test_properties_out_of_range(self, network: Any, wrong: dict[str, Any]) -> None:
        opened(network)
        client = network.ends[0]
        with pytest.raises(LocalProtocolError):
            client.open("label", **wrong, now=network.now)
        assert list(client.channels) == [0]

    def test_texts_that_utf8_cannot_carry(self, network: Any) -> None:
        channel_id = opened(network)
        with pytest.raises(LocalProtocolError, match="surrogates"):
            network.ends[0].send(channel_id, "\udc80", now=network.now)

    def test_more_channels_than_we_allow(self, channel_network: ModuleType) -> None:
        client = channel_network.client(limits=ChannelLimits(max_channels=2))
        client.open("", now=0)
        client.open("", negotiated_id=9, now=0)
        with pytest.raises(LocalProtocolError, match="there are 2 channels"):
            client.open("", now=0)


class TestMovingHouse:
    """`snapshot` in one process, `restore` in another, in the middle of everything."""

    def moved(self, channel_network: ModuleType, network: Any, index: int) -> Any:
        """Let an end go on elsewhere."""
        data = network.ends[index].snapshot(network.now)
        end = DataChannels.restore(data, entropy=channel_network.entropy(55), now=network.now)
        network.ends = (end, network.ends[1]) if index == 0 else (network.ends[0], end)
        return end

    @pytest.mark.parametrize("index", [0, 1])
    def test_channels_go_on(self, channel_network: ModuleType, network: Any, index: int) -> None:
        plain = opened(network, "plain")
        network.ends[1].open("chat", negotiated_id=7, now=network.now)
        network.ends[0].open("chat", negotiated_id=7, now=network.now)
        limited = opened(network, "limited", ordered=False, lifetime=0.25, protocol="p", priority=128)
        for _ in range(5):
            network.ends[0].send(plain, random.Random(1).randbytes(20_000), now=network.now)
        network.ends[0].close_channel(limited, now=network.now)
        network.step()
        network.step()
        before = dict(network.ends[index].channels)
        assert {plain, 7} <= set(before)
        end = self.moved(channel_network, network, index)
        assert end.channels == before
        network.run(5)
        assert messages(network.take(1)) == [random.Random(1).randbytes(20_000)] * 5
        assert ChannelClosed(channel_id=limited) in network.take(0)
        network.ends[1].send(7, "still here", now=network.now)
        network.run(1)
        assert messages(network.take(0)) == ["still here"]
        assert opened(network) == limited
        assert network.ends[1].open("ours", now=network.now) == 1

    def test_before_anything_was_answered(self, channel_network: ModuleType) -> None:
        network = channel_network.Network(channel_network.client(), channel_network.server())
        network.ends[0].open("early", now=0)
        self.moved(channel_network, network, 0)
        network.run(2)
        channel = Channel(id=0, label="early")
        assert ChannelOpened(channel=channel, is_ours=True) in network.take(0)
        assert ChannelOpened(channel=channel, is_ours=False) in network.take(1)

    def test_not_with_events_waiting(self, network: Any) -> None:
        client = network.ends[0]
        client.open("", negotiated_id=7, now=network.now)
        with pytest.raises(LocalProtocolError, match="events"):
            client.snapshot(network.now)
        client.close(now=network.now)
        network.run(5)
        with pytest.raises(LocalProtocolError, match="closed"):
            client.snapshot(network.now)

    def test_no_strict_prefix_and_no_other_format(self, channel_network: ModuleType, network: Any) -> None:
        opened(network)
        data = network.ends[0].snapshot(network.now)
        for wrong in [data[:size] for size in range(0, len(data), 7)] + [b"\xff" + data[1:]]:
            with pytest.raises(MalformedError):
                DataChannels.restore(wrong, entropy=channel_network.entropy(1), now=0)
