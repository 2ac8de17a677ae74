"""Two ends in networks that lose a tenth, repeat and reorder, both ways at once."""

import random
from types import ModuleType
from typing import Any

import pytest

from sctp.channel_events import ChannelClosed, ChannelOpened, MessageReceived

BAD = {"loss": 0.1, "duplication": 0.05, "jitter": 0.06}


def received(network: Any, index: int, channel_id: int) -> list[str | bytes]:
    return [
        event.message
        for event in network.events[index]
        if isinstance(event, MessageReceived) and event.channel_id == channel_id
    ]


def count(network: Any, index: int, kind: type) -> int:
    return sum(isinstance(event, kind) for event in network.events[index])


@pytest.mark.parametrize("seed", [1, 2])
def test_large_messages_both_ways(channel_network: ModuleType, seed: int) -> None:
    """256 KB each, as much as a browser takes."""
    source = random.Random(seed)
    network = channel_network.Network(channel_network.client(), channel_network.server(), seed=seed, **BAD)
    client, server = network.ends
    channel_id = client.open("bulk", now=0)
    network.run_until(lambda: bool(server.channels))
    sent = [[source.randbytes(262144) for _ in range(2)] for _ in range(2)]
    for index in (0, 1):
        for message in sent[index]:
            network.ends[index].send(channel_id, message, now=network.now)
    network.run_until(lambda: all(len(received(network, index, channel_id)) == 2 for index in (0, 1)))
    assert received(network, 1, channel_id) == sent[0]
    assert received(network, 0, channel_id) == sent[1]
    assert network.largest <= 1191


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_order_and_completeness(channel_network: ModuleType, seed: int) -> None:
    source = random.Random(seed)
    network = channel_network.Network(channel_network.client(), channel_network.server(), seed=seed, **BAD)
    client, server = network.ends
    ordered, unordered = client.open("ordered", now=0), client.open("unordered", ordered=False, now=0)
    network.run_until(lambda: len(server.channels) == 2)
    sent: dict[tuple[int, int], list[bytes]] = {(index, one): [] for index in (0, 1) for one in (ordered, unordered)}
    for number in range(80):
        for (index, channel_id), messages in sent.items():
            message = number.to_bytes(2, "big") + source.randbytes(source.choice([0, 10, 3000]))
            messages.append(message)
            network.ends[index].send(channel_id, message, now=network.now)
        network.run(0.02)
    network.run_until(lambda: all(len(received(network, 1 - at, one)) == 80 for at, one in sent))
    for (index, channel_id), messages in sent.items():
        arrived = received(network, 1 - index, channel_id)
        assert sorted(arrived) == sorted(messages)
        assert (arrived == messages) == (channel_id == ordered)


def test_messages_that_may_be_given_up(channel_network: ModuleType) -> None:
    """What is given up leaves a gap, never a wrong order or half a message; the reliable channel beside it has none."""
    network = channel_network.Network(channel_network.client(), channel_network.server(), seed=6, **BAD)
    client, server = network.ends
    limited, timed = client.open("", max_retransmits=0, now=0), client.open("", lifetime=0.05, now=0)
    reliable = client.open("", now=0)
    network.run_until(lambda: len(server.channels) == 3)
    messages = [f"{number:04}" + "x" * 2000 for number in range(100)]
    for message in messages:
        for channel_id in (limited, timed, reliable):
            client.send(channel_id, message, now=network.now)
        network.run(0.05)
    network.run(20)
    assert received(network, 1, reliable) == messages
    for channel_id in (limited, timed):
        arrived = received(network, 1, channel_id)
        assert 20 < len(arrived) < 100
        assert arrived == sorted(set(arrived) & set(messages))
    assert client.buffered_amount(limited) == client.buffered_amount(timed) == 0


@pytest.mark.parametrize("weather", [{}, BAD], ids=["fair", "bad"])
def test_a_thousand_channels_opened_and_closed(channel_network: ModuleType, weather: dict[str, float]) -> None:
    """In waves of 50 from both sides, so that identifiers are used many times; each closed by either side."""
    source = random.Random(7)
    network = channel_network.Network(channel_network.client(), channel_network.server(), seed=7, **weather)
    counts = {"opened": [0, 0], "closed": [0, 0], "messages": [0, 0]}
    highest = 0
    for wave in range(20):
        ours = [
            (index, network.ends[index].open(f"wave {wave}", now=network.now)) for index in (0, 1) for _ in range(25)
        ]
        highest = max(highest, *(channel_id for _, channel_id in ours))
        for index, channel_id in ours:
            network.ends[index].send(channel_id, "hello", now=network.now)
        network.run_until(lambda: all(count(network, at, ChannelOpened) == 50 for at in (0, 1)))
        network.run_until(lambda: all(count(network, at, MessageReceived) == 25 for at in (0, 1)))
        for _, channel_id in ours:
            network.ends[source.randrange(2)].close_channel(channel_id, now=network.now)
        network.run_until(lambda: all(count(network, at, ChannelClosed) == 50 for at in (0, 1)))
        for index in (0, 1):
            for event in network.take(index):
                counts["opened"][index] += isinstance(event, ChannelOpened)
                counts["closed"][index] += isinstance(event, ChannelClosed)
                counts["messages"][index] += isinstance(event, MessageReceived)
    assert counts == {"opened": [1000, 1000], "closed": [1000, 1000], "messages": [500, 500]}
    assert highest < 150
    network.run(60)
    for end in network.ends:
        assert not end.channels
        assert end.open("after all", now=network.now) in (0, 1)


def test_a_thousand_at_once(channel_network: ModuleType) -> None:
    network = channel_network.Network(channel_network.client(), channel_network.server(), seed=8, **BAD)
    client, server = network.ends
    for _ in range(1000):
        client.send(client.open("", now=0), "hi", now=0)
    network.run_until(lambda: len(server.channels) == 1000)
    network.run_until(lambda: count(network, 1, MessageReceived) == 1000)
    for channel_id in client.channels:
        client.close_channel(channel_id, now=network.now)
    network.run_until(lambda: count(network, 0, ChannelClosed) == 1000)
    assert not server.channels


@pytest.mark.parametrize("seed", range(8))
def test_anything_in_any_order(channel_network: ModuleType, seed: int) -> None:
    """Both sides open, talk and close at random; in the end they agree, and nothing was lost before its channel."""
    source = random.Random(seed)
    weather = {"loss": source.choice([0, 0.1, 0.3]), "duplication": 0.1, "jitter": source.choice([0, 0.1, 0.5])}
    network = channel_network.Network(channel_network.client(), channel_network.server(), seed=seed, **weather)
    number = 0
    sent: list[dict[str, list[str]]] = [{}, {}]  # by label, of each side
    for _ in range(source.randint(20, 120)):
        index = source.randrange(2)
        end = network.ends[index]
        channels = list(end.channels.values())
        match source.randrange(5) if channels else 0:
            case 0:
                number += 1
                end.open(f"{index} {number}", ordered=source.random() < 0.5, now=network.now)
            case 1 | 2 | 3:
                channel = source.choice(channels)
                number += 1
                message = f"{channel.label}: {number} " + "x" * source.choice([0, 100, 5000])
                sent[index].setdefault(channel.label, []).append(message)
                end.send(channel.id, message, now=network.now)
            case 4:
                end.close_channel(source.choice(channels).id, now=network.now)
        network.run(source.choice([0, 0, 0.01, 0.1, 1]))
    # Resets are asked for one after the other, and each one that is lost doubles the wait.
    network.run(2000)
    client, server = network.ends
    assert client.channels == server.channels
    for index in (0, 1):
        labels: dict[int, str] = {}
        heard: dict[str, list[str]] = {}
        for event in network.events[index]:
            match event:
                case ChannelOpened(channel=channel):
                    assert channel.id not in labels
                    labels[channel.id] = channel.label
                case MessageReceived(channel_id=channel_id, message=message):
                    heard.setdefault(labels[channel_id], []).append(str(message))
                case ChannelClosed(channel_id=channel_id):
                    # Also for one that was closed before it had opened.
                    labels.pop(channel_id, None)
        still_open = {channel.label: channel.ordered for channel in client.channels.values()}
        assert set(labels.values()) == set(still_open)
        for label, messages in heard.items():
            said = sent[1 - index][label]
            # Each went to the channel that it was meant for, once; what the receiver closed it did not want.
            assert len(messages) == len(set(messages))
            assert set(messages) <= set(said)
            if label in still_open:
                assert sorted(messages) == sorted(said)
                assert messages == said or not still_open[label]
