"""Data channels that go on from an older snapshot: SCTP is restarted inside of the same DTLS association.

The one side has a snapshot of some time ago, from which its old owner went on. The other knows nothing of it.
"""

import random
from types import ModuleType

import pytest

from sctp.association import SctpAssociation
from sctp.channel_events import ChannelClosed, ChannelDropReason, ChannelOpened, MessageReceived
from sctp.channels import DataChannels
from sctp.drops import DropReason
from sctp.events import Connected, Restarted
from sctp.states import State
from wire.core import Closed


def messages(events) -> list[str | bytes]:
    return [event.message for event in events if isinstance(event, MessageReceived)]


def kinds(events) -> list[type]:
    return [type(event) for event in events]


@pytest.fixture
def pair(channel_network: ModuleType):
    """Two ends with a channel of the client's, and one that both know of from elsewhere."""

    def make(**weather):
        client, server = channel_network.client(), channel_network.server()
        network = channel_network.Network(client, server, **weather)
        channel_id = client.open("events", now=0.0)
        for end in network.ends:
            end.open("negotiated", negotiated_id=100, now=0.0)
        network.run(5)
        assert channel_id in server.channels
        network.take(0)
        network.take(1)
        return network, channel_id

    return make


def restart(network, index: int, data: bytes, entropy) -> DataChannels:
    """Put another in the place of an end."""
    again = DataChannels.restore(data, entropy=entropy, now=network.now, is_restart=True)
    ends = list(network.ends)
    ends[index] = again
    network.ends = tuple(ends)
    return again


@pytest.mark.parametrize("index", [0, 1])
def test_channels_stay_open_on_both_sides(pair, channel_network, index: int) -> None:
    network, channel_id = pair()
    data = network.ends[index].snapshot(network.now)
    for end in network.ends:
        end.send(channel_id, "since then", now=network.now)
    network.run(3)
    network.take(0)
    network.take(1)
    again = restart(network, index, data, channel_network.entropy(77))
    # At once, before the peer has answered.
    again.send(channel_id, "first", now=network.now)
    again.send(100, "negotiated", now=network.now)
    network.run(3)
    assert network.take(index) == [Connected(outbound_streams=65535, inbound_streams=65535)]
    assert network.take(1 - index) == [
        Restarted(),
        MessageReceived(channel_id=channel_id, message="first"),
        MessageReceived(channel_id=100, message="negotiated"),
    ]
    for number in range(100):
        for end in network.ends:
            end.send(channel_id, f"{number} " * (1 + number * 20), now=network.now)
    network.run(5)
    for end in (0, 1):
        assert [int(message.split()[0]) for message in messages(network.take(end))] == list(range(100))
    # A new channel, and the end of the old one, in either direction.
    opened = network.ends[index].open("another", now=network.now)
    assert opened not in (channel_id, 100)
    network.ends[1 - index].close_channel(channel_id, now=network.now)
    network.run(3)
    assert kinds(network.take(index)) == [ChannelClosed, ChannelOpened]
    assert sorted(kind.__name__ for kind in kinds(network.take(1 - index))) == ["ChannelClosed", "ChannelOpened"]
    assert not [reason for end in network.ends for reason in end.drops if isinstance(reason, ChannelDropReason)]


@pytest.mark.parametrize("seed", range(30))
def test_messages_are_lost_or_doubled_and_never_reordered(pair, channel_network, seed: int) -> None:
    """In any weather, with a restart of either side at any moment, again and again; large messages stay whole.

    One side at a time; for both within a round trip see below.
    """
    chance = random.Random(seed)
    network, channel_id = pair(seed=seed, loss=0.08, duplication=0.05, jitter=0.05)
    sent = [0, 0]
    kept = [end.snapshot(network.now) for end in network.ends]

    def heard(index: int) -> list[int]:
        """What one process has heard at an end, in order."""
        events = network.take(index)
        assert not [event for event in events if isinstance(event, Closed | ChannelClosed)]
        words = [message.split() for message in messages(events)]
        assert all(len(set(each)) == 1 and len(each) in (1, 30, 3000) for each in words)
        numbers = [int(each[0]) for each in words]
        assert numbers == sorted(set(numbers))
        return numbers

    for step in range(40):
        for index in (0, 1):
            if chance.random() < 0.8:
                sent[index] += 1
                text = f"{sent[index]} " * chance.choice((1, 1, 30, 3000))
                network.ends[index].send(channel_id, text, now=network.now)
        network.run(chance.choice((0.0, 0.01, 0.1, 0.7)))
        index = chance.randrange(2)
        match chance.randrange(5):
            case 0:
                kept[index] = network.ends[index].snapshot(network.now)
            case 1 if step < 35 and network.ends[1 - index]._association.state is State.ESTABLISHED:
                heard(index)
                again = restart(network, index, kept[index], channel_network.entropy(1000 * seed + step))
                kept[index] = again.snapshot(network.now)
            case _:
                pass
    network.run(60)
    for index in (0, 1):
        network.ends[index].send(channel_id, f"{sent[index] + 1} ", now=network.now)
    network.run(60)
    for index in (0, 1):
        assert heard(index)[-1] == sent[1 - index] + 1


def test_what_waited_in_the_snapshot_is_not_sent_behind_what_came_later(pair, channel_network) -> None:
    network, channel_id = pair()
    network.ends[0].send(channel_id, "first", now=network.now)
    network.ends[0].send(channel_id, "long " * 5000, now=network.now)
    data = network.ends[0].snapshot(network.now)
    network.ends[0].send(channel_id, "later", now=network.now)
    network.run(3)
    assert [message[:5] for message in messages(network.take(1))] == ["first", "long ", "later"]
    again = restart(network, 0, data, channel_network.entropy(5))
    assert again.buffered_amount(channel_id) == 0
    again.send(channel_id, "now", now=network.now)
    network.run(3)
    assert messages(network.take(1)) == ["now"]


def test_what_the_peer_sends_meanwhile_has_the_old_tag_and_is_dropped(pair, channel_network) -> None:
    network, channel_id = pair()
    data = network.ends[0].snapshot(network.now)
    network.ends[1].send(channel_id, "under way", now=network.now)
    late = list(network.ends[1].datagrams_to_send(network.now))
    again = restart(network, 0, data, channel_network.entropy(5))
    for packet in late:
        assert list(again.receive_datagram(packet, network.now)) == []
    network.run(3)
    for packet in late:
        assert list(again.receive_datagram(packet, network.now)) == []
    assert again.drops == {DropReason.VERIFICATION_TAG: 2}


def test_both_sides_at_once(pair, channel_network) -> None:
    network, channel_id = pair()
    kept = [end.snapshot(network.now) for end in network.ends]
    network.run(1)
    for index in (0, 1):
        restart(network, index, kept[index], channel_network.entropy(60 + index))
    network.run(5)
    for end in network.ends:
        end.send(channel_id, "hello", now=network.now)
    network.run(2)
    assert [messages(network.take(index)) for index in (0, 1)] == [["hello"], ["hello"]]


# 688, 695, 1248: a COOKIE ECHO of a peer that has begun again, with whose predecessor we are established.
# 4436: the predecessor's comes late, and that of the peer never, since it has taken ours.
@pytest.mark.parametrize("seed", [688, 695, 1248, 4436, *range(20)])
def test_either_side_begins_again_and_again_within_a_round_trip(pair, channel_network, seed: int) -> None:
    chance = random.Random(seed)
    loss, duplication, jitter = chance.choice((0, 0, 0.08)), chance.choice((0, 0.05)), chance.choice((0, 0.05))
    network, channel_id = pair(seed=seed, loss=loss, duplication=duplication, jitter=jitter)
    sent = [0, 0]
    kept = [end.snapshot(network.now) for end in network.ends]

    def heard(index: int) -> list[int]:
        events = network.take(index)
        assert not [event for event in events if isinstance(event, Closed | ChannelClosed)]
        numbers = [int(message.split()[0]) for message in messages(events)]
        assert numbers == sorted(set(numbers))
        return numbers

    for step in range(chance.choice((3, 10, 40))):
        for index in (0, 1):
            if chance.random() < 0.8:
                sent[index] += 1
                text = f"{sent[index]} " * chance.choice((1, 1, 30, 3000))
                network.ends[index].send(channel_id, text, now=network.now)
        network.run(chance.choice((0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.7)))
        for index in ((0, 1), (1, 0))[chance.randrange(2)]:
            if chance.random() < 0.25:
                if chance.random() < 0.5:
                    kept[index] = network.ends[index].snapshot(network.now)
                heard(index)
                again = restart(network, index, kept[index], channel_network.entropy(1000 * seed + step * 2 + index))
                kept[index] = again.snapshot(network.now)
                network.run(chance.choice((0.0, 0.005, 0.01, 0.02, 0.03)))
    network.run(60)
    for index in (0, 1):
        assert network.ends[index]._association.state is State.ESTABLISHED
        network.ends[index].send(channel_id, f"{sent[index] + 1} ", now=network.now)
    network.run(60)
    for index in (0, 1):
        assert heard(index)[-1] == sent[1 - index] + 1


@pytest.mark.parametrize("closer", [0, 1])
@pytest.mark.parametrize("is_before", [True, False], ids=["before the snapshot", "after it"])
def test_a_channel_that_was_being_closed(pair, channel_network, closer: int, is_before: bool) -> None:
    """The identifier becomes free, whoever has closed it and whoever restarts."""
    network, channel_id = pair()
    data = network.ends[1].snapshot(network.now)
    network.ends[closer].close_channel(channel_id, now=network.now)
    list(network.ends[closer].datagrams_to_send(network.now))  # the request is lost
    if is_before:
        data = network.ends[1].snapshot(network.now)
    restart(network, 1, data, channel_network.entropy(5))
    network.run(20)
    if closer == 1 and not is_before:
        # The old owner has closed it; the new one does not know that it wanted to.
        assert set(network.ends[0].channels) == set(network.ends[1].channels) == {channel_id, 100}
        return
    if closer == 1:
        # Forgotten here, which the peer learns when it uses it.
        network.ends[0].send(channel_id, "?", now=network.now)
        network.run(5)
    assert set(network.ends[0].channels) == set(network.ends[1].channels) == {100}
    assert network.ends[0].open("again", now=network.now) == channel_id
    network.run(5)
    assert set(network.ends[0].channels) == set(network.ends[1].channels) == {channel_id, 100}


def test_the_tag_is_another_one(pair) -> None:
    """Entropy that repeats itself must not make a restart look like a repetition."""
    network, _ = pair()
    association = network.ends[0]._association
    old = association._block.local_tag.to_bytes(4, "big")
    draws = iter([old] * 40)
    entropy = lambda size: (next(draws, None) or random.Random(3).randbytes(4))[:size].ljust(size, b"\1")  # noqa: E731
    again = SctpAssociation.restart(association.snapshot(network.now), entropy=entropy, now=network.now)
    assert again._block.local_tag not in (association._block.local_tag, association._block.peer_tag)


def test_a_peer_that_never_answers_is_given_up(pair, channel_network) -> None:
    network, _ = pair()
    again = restart(network, 0, network.ends[0].snapshot(network.now), channel_network.entropy(5))
    network.rewrite = lambda _sender, _packet: None
    network.run(60)
    assert kinds(network.take(0))[-1] is Closed
    assert again.is_closed
