"""Data channels against a peer that keeps the rules of SCTP and none of those above it."""

import contextlib
import random
from collections.abc import Callable
from types import ModuleType
from typing import Any

import attrs
import pytest

from sctp.association import SctpAssociation
from sctp.channel import Channel, ChannelLimits
from sctp.channel_events import ChannelClosed, ChannelDropReason, ChannelOpened, MessageReceived
from sctp.chunks.chunk import Chunk
from sctp.chunks.init import Init
from sctp.chunks.init_ack import InitAck
from sctp.chunks.reconfig import ReConfig
from sctp.dcep import ChannelType, DataChannelAck, DataChannelOpen, parse_message, serialize_message
from sctp.events import MessageReceived as StreamMessage
from sctp.events import Restarted, StreamsReset
from sctp.options import SctpOptions
from sctp.packet import parse_packet, serialize_packet
from sctp.parameters.incoming_ssn_reset_request import IncomingSsnResetRequest
from sctp.parameters.outgoing_ssn_reset_request import OutgoingSsnResetRequest
from sctp.parameters.parameter import Parameter
from sctp.parameters.reconfiguration_response import ReconfigurationResponse
from sctp.parameters.supported_extensions import SupportedExtensions
from sctp.stream_pair import Phase, StreamPair
from wire.core import Closed
from wire.errors import LocalProtocolError

DCEP = 50
STRING = 51
OPEN = serialize_message(DataChannelOpen(label="x"))
ACK = serialize_message(DataChannelAck())


@attrs.frozen
class Scene:
    """Our data channels as the DTLS client, and a bare association as its server: what it opens has odd identifiers."""

    network: Any
    ours: Any
    peer: SctpAssociation

    def say(self, stream_id: int, ppid: int, data: bytes) -> None:
        self.peer.send(stream_id, ppid, data, self.network.now)

    def hear(self) -> list[Any]:
        """What we report now."""
        self.network.run(2)
        return self.network.take(0)

    def resets(self) -> list[int]:
        """Which streams of ours the peer has seen to be reset."""
        return [
            stream_id
            for event in self.network.take(1)
            if isinstance(event, StreamsReset)
            for stream_id in event.stream_ids
        ]

    def answers(self) -> list[tuple[int, int, bytes]]:
        """What we have sent."""
        return [
            (event.stream_id, event.ppid, event.data)
            for event in self.network.take(1)
            if isinstance(event, StreamMessage)
        ]


def make_scene(
    channel_network: ModuleType, *, rewrite: Callable[[int, bytes], bytes | None] | None = None, **rest: Any
) -> Scene:
    ours = channel_network.client(**rest)
    peer = SctpAssociation(options=SctpOptions(), entropy=channel_network.entropy(9), now=0)
    peer.set_peer_max_message_size(0)
    peer.connect(0)
    scene = Scene(channel_network.Network(ours, peer), ours, peer)
    if rewrite is not None:
        scene.network.rewrite = rewrite
    scene.network.run(1)
    scene.network.take(0)
    scene.network.take(1)
    # When both sides begin at once, a part of one handshake is too much.
    ours.drops.clear()
    return scene


@pytest.fixture
def scene(channel_network: ModuleType) -> Scene:
    return make_scene(channel_network)


class TestIllegalOpen:
    """RFC 8832 §6: no ACK; the channel is closed, and nothing else."""

    @pytest.mark.parametrize(
        ("stream_id", "data", "reason"),
        [
            (1, b"\x03", ChannelDropReason.MALFORMED_DCEP),
            (1, b"\xff" + OPEN[1:], ChannelDropReason.MALFORMED_DCEP),
            (1, OPEN[:1] + b"\x7f" + OPEN[2:], ChannelDropReason.MALFORMED_DCEP),
            (1, OPEN[:-1], ChannelDropReason.MALFORMED_DCEP),
            (1, OPEN + b"\0", ChannelDropReason.MALFORMED_DCEP),
            (1, OPEN[:-1] + b"\xff", ChannelDropReason.MALFORMED_DCEP),
            (0, OPEN, ChannelDropReason.CHANNEL_PARITY),
            (1, serialize_message(DataChannelOpen(label="é" * 513)), ChannelDropReason.LABEL_TOO_LONG),
            (1, serialize_message(DataChannelOpen(protocol="p" * 65535)), ChannelDropReason.LABEL_TOO_LONG),
            (1, ACK, ChannelDropReason.UNOPENED_CHANNEL),
        ],
    )
    def test_on_an_unused_stream(self, scene: Scene, stream_id: int, data: bytes, reason: ChannelDropReason) -> None:
        scene.say(stream_id, DCEP, data)
        assert scene.hear() == []
        assert scene.ours.drops == {reason: 1}
        assert scene.network.events[1] == [StreamsReset(stream_ids=(stream_id,))] or scene.resets() == [stream_id]
        # The association lives, and once the peer has closed its side, so does the identifier.
        scene.peer.reset_streams((stream_id,), scene.network.now)
        scene.hear()
        scene.network.take(1)
        scene.say(1, DCEP, OPEN)
        assert scene.hear() == [ChannelOpened(channel=Channel(id=1, label="x"), is_ours=False)]
        assert scene.answers() == [(1, DCEP, ACK)]

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (OPEN, ChannelDropReason.CHANNEL_IN_USE),
            (b"\x03nonsense", ChannelDropReason.MALFORMED_DCEP),
        ],
    )
    def test_on_a_stream_in_use(self, scene: Scene, data: bytes, reason: ChannelDropReason) -> None:
        scene.say(1, DCEP, OPEN)
        assert len(scene.hear()) == 1
        assert scene.answers() == [(1, DCEP, ACK)]
        scene.say(1, DCEP, data)
        scene.say(1, STRING, b"never heard")
        assert scene.hear() == [ChannelClosed(channel_id=1)]
        assert scene.ours.drops == {reason: 1, ChannelDropReason.CLOSING_CHANNEL: 1}
        assert scene.resets() == [1]
        assert not scene.ours.channels

    def test_over_one_of_ours(self, scene: Scene) -> None:
        assert scene.ours.open("ours", now=scene.network.now) == 0
        scene.hear()
        scene.say(0, DCEP, OPEN)
        assert scene.hear() == [ChannelClosed(channel_id=0)]
        assert scene.ours.drops == {ChannelDropReason.CHANNEL_IN_USE: 1}

    def test_the_longest_label_that_is_taken(self, scene: Scene) -> None:
        scene.say(1, DCEP, serialize_message(DataChannelOpen(label="é" * 512, protocol="p" * 1024)))
        assert [type(event) for event in scene.hear()] == [ChannelOpened]


class TestIllegalMessages:
    @pytest.mark.parametrize("ppid", [0, 49, 52, 54, 55, 58, 0xFFFF_FFFF])
    def test_unknown_ppid(self, scene: Scene, ppid: int) -> None:
        scene.say(1, DCEP, OPEN)
        scene.say(1, ppid, b"x")
        assert [type(event) for event in scene.hear()] == [ChannelOpened, ChannelClosed]
        assert scene.ours.drops == {ChannelDropReason.UNREADABLE_MESSAGE: 1}
        assert scene.resets() == [1]

    def test_text_that_is_not_utf8(self, scene: Scene) -> None:
        scene.say(1, DCEP, OPEN)
        scene.say(1, STRING, b"\xc3")
        assert [type(event) for event in scene.hear()] == [ChannelOpened, ChannelClosed]
        assert scene.ours.drops == {ChannelDropReason.UNREADABLE_MESSAGE: 1}

    @pytest.mark.parametrize("stream_id", [0, 1, 65534])
    def test_on_a_stream_that_nobody_opened(self, scene: Scene, stream_id: int) -> None:
        """What a client with `negotiated: true` does that we were not told of."""
        for _ in range(3):
            scene.say(stream_id, STRING, b"hello?")
        assert scene.hear() == []
        assert scene.ours.drops == {ChannelDropReason.UNOPENED_CHANNEL: 1, ChannelDropReason.CLOSING_CHANNEL: 2}
        assert scene.resets() == [stream_id]

    @pytest.mark.parametrize(("ppid", "data"), [(STRING, b"hello?"), (DCEP, OPEN), (DCEP, b"\x03")])
    def test_on_a_stream_that_goes_one_way_only(self, channel_network: ModuleType, ppid: int, data: bytes) -> None:
        """The peer takes ten streams and sends on more: nothing of ours can answer there, or be reset."""

        def take_few(chunk: Chunk) -> Chunk:
            return attrs.evolve(chunk, inbound_streams=10) if isinstance(chunk, Init | InitAck) else chunk

        def rewrite(sender: int, packet: bytes) -> bytes:
            parsed = parse_packet(packet)
            if sender == 0:
                return packet
            return serialize_packet(attrs.evolve(parsed, chunks=tuple(map(take_few, parsed.chunks))))

        scene = make_scene(channel_network, rewrite=rewrite)
        scene.say(11, ppid, data)
        scene.say(9, DCEP, OPEN)
        assert [event.channel.id for event in scene.hear()] == [9]
        assert scene.ours.drops == {ChannelDropReason.ONE_WAY_STREAM: 1}
        assert list(scene.ours.channels) == [9]
        assert scene.resets() == []

    @pytest.mark.parametrize(("ppid", "message"), [(56, ""), (57, b"")])
    def test_empty_whatever_it_holds(self, scene: Scene, ppid: int, message: str | bytes) -> None:
        """RFC 8831 §6.6: the receiver MUST ignore what an empty message holds."""
        scene.say(1, DCEP, OPEN)
        scene.say(1, ppid, b"not empty at all")
        assert scene.hear()[1:] == [MessageReceived(channel_id=1, message=message)]

    def test_acks_that_nobody_waits_for(self, scene: Scene) -> None:
        scene.ours.open("ours", now=scene.network.now)
        scene.ours.open("negotiated", negotiated_id=4, now=scene.network.now)
        scene.say(1, DCEP, OPEN)
        scene.network.run(1)
        for stream_id in (0, 0, 1, 4):
            scene.say(stream_id, DCEP, ACK)
        scene.say(1, STRING, b"still here")
        assert MessageReceived(channel_id=1, message="still here") in scene.hear()
        assert scene.ours.drops == {ChannelDropReason.UNEXPECTED_ACK: 3}
        assert sorted(scene.ours.channels) == [0, 1, 4]

    def test_an_ack_for_what_is_being_closed(self, scene: Scene) -> None:
        scene.ours.open("ours", now=scene.network.now)
        scene.ours.close_channel(0, now=scene.network.now)
        scene.network.run(1)
        scene.say(0, DCEP, ACK)
        assert scene.hear() == []
        assert scene.ours.drops == {ChannelDropReason.CLOSING_CHANNEL: 1}


class TestBounds:
    def test_more_channels_than_allowed(self, channel_network: ModuleType) -> None:
        scene = make_scene(channel_network, limits=ChannelLimits(max_channels=3))
        for stream_id in (1, 3, 5, 7, 9):
            scene.say(stream_id, DCEP, OPEN)
        assert [event.channel.id for event in scene.hear()] == [1, 3, 5]
        assert scene.ours.drops == {ChannelDropReason.TOO_MANY_CHANNELS: 2}
        assert sorted(scene.resets()) == [7, 9]

    def test_a_peer_that_never_closes_what_is_refused(self, channel_network: ModuleType) -> None:
        scene = make_scene(channel_network, limits=ChannelLimits(max_channels=3))
        for stream_id in range(20):
            scene.say(stream_id, STRING, b"x")
        *before, last = scene.hear()
        assert before == []
        assert last.reason == "too-many-channels"
        assert scene.ours.next_timeout() is None
        assert isinstance(scene.network.take(1)[-1], Closed)

    def test_a_peer_that_opens_and_never_answers_a_reset(self, channel_network: ModuleType) -> None:
        """It runs out of channels."""
        scene = make_scene(channel_network, limits=ChannelLimits(max_channels=3))
        for stream_id in (1, 3, 5):
            scene.say(stream_id, DCEP, OPEN)
            scene.network.run(1)
            scene.ours.close_channel(stream_id, now=scene.network.now)
            scene.network.run(1)
        scene.say(7, DCEP, OPEN)
        scene.hear()
        assert scene.ours.drops == {ChannelDropReason.TOO_MANY_CHANNELS: 1}

    def test_no_room_for_the_answer(self, channel_network: ModuleType) -> None:
        """The peer takes nothing, our buffer is full, and then it opens a channel."""
        scene = make_scene(channel_network, options=SctpOptions(max_send_buffer=5000))
        scene.say(1, DCEP, OPEN)
        scene.hear()
        scene.network.rewrite = lambda sender, packet: packet if sender == 1 else None
        for _ in range(40):
            # What the path's window lets out makes room again, until that is full, too.
            scene.network.flush()
            with contextlib.suppress(LocalProtocolError):
                scene.ours.send(1, bytes(1000), now=scene.network.now)
        assert scene.ours.buffered_amount(1) == 5000
        scene.say(3, DCEP, OPEN)
        scene.network.run(0.1)
        assert scene.ours.drops == {ChannelDropReason.NO_ROOM_TO_ANSWER: 1}
        assert list(scene.ours.channels) == [1]


def changed_requests(change: Callable[[OutgoingSsnResetRequest], Parameter]) -> Callable[[int, bytes], bytes]:
    """Make of the peer's requests to reset its streams something else."""

    def rewrite(sender: int, data: bytes) -> bytes:
        packet = parse_packet(data)
        if sender == 0:
            return data
        chunks = tuple(
            ReConfig(
                parameters=tuple(
                    change(one) if isinstance(one, OutgoingSsnResetRequest) else one for one in chunk.parameters
                )
            )
            if isinstance(chunk, ReConfig)
            else chunk
            for chunk in packet.chunks
        )
        return serialize_packet(attrs.evolve(packet, chunks=chunks))

    return rewrite


class TestResets:
    def test_all_streams_at_once(self, scene: Scene) -> None:
        """RFC 6525 §4.1: a request that lists no streams means all."""
        for stream_id in (1, 3):
            scene.say(stream_id, DCEP, OPEN)
        scene.hear()
        scene.network.take(1)
        scene.network.rewrite = changed_requests(lambda request: attrs.evolve(request, stream_ids=()))
        scene.peer.reset_streams((1,), scene.network.now)
        assert scene.hear() == [ChannelClosed(channel_id=1), ChannelClosed(channel_id=3)]
        assert sorted(scene.resets()) == [1, 3]

    def test_channels_that_are_closed_at_once_take_one_answer(self, scene: Scene) -> None:
        """Only one request can be under way: a second one would wait for the answer to the first."""
        for stream_id in (1, 3, 5):
            scene.say(stream_id, DCEP, OPEN)
        scene.hear()
        scene.network.take(1)
        scene.peer.reset_streams((1, 3, 5), scene.network.now)
        assert scene.hear() == [ChannelClosed(channel_id=stream_id) for stream_id in (1, 3, 5)]
        resets = [event for event in scene.network.take(1) if isinstance(event, StreamsReset)]
        assert resets == [StreamsReset(stream_ids=(1, 3, 5))]

    def test_the_peer_asks_us_to_reset(self, scene: Scene) -> None:
        """RFC 6525 §4.2, which data channels have no use for: our half is closed, so the channel is."""
        scene.say(1, DCEP, OPEN)
        scene.hear()
        scene.network.take(1)
        scene.network.rewrite = changed_requests(
            lambda request: IncomingSsnResetRequest(
                request_sequence_number=request.request_sequence_number, stream_ids=request.stream_ids
            )
        )
        scene.peer.reset_streams((1,), scene.network.now)
        scene.network.run(0.2)
        scene.network.rewrite = lambda _sender, packet: packet
        assert scene.hear() == [ChannelClosed(channel_id=1)]
        assert scene.resets() == [1]
        assert not scene.ours.channels

    def test_an_open_before_the_reset(self, scene: Scene) -> None:
        """We have closed it; the peer has to close it, too, before it is free."""
        scene.say(1, DCEP, OPEN)
        scene.hear()
        scene.ours.close_channel(1, now=scene.network.now)
        scene.network.run(1)
        scene.say(1, DCEP, OPEN)
        # It is not worth waiting for a peer like that.
        assert scene.hear() == [ChannelClosed(channel_id=1)]
        assert scene.ours.drops == {ChannelDropReason.CHANNEL_IN_USE: 1}

    def test_a_stream_that_was_never_used(self, scene: Scene) -> None:
        scene.peer.reset_streams((17,), scene.network.now)
        assert scene.hear() == []
        assert not scene.ours.drops

    def test_a_peer_that_knows_no_resets(self, channel_network: ModuleType) -> None:
        def without_extensions(_sender: int, data: bytes) -> bytes:
            packet = parse_packet(data)
            chunks = tuple(
                attrs.evolve(
                    chunk,
                    parameters=tuple(one for one in chunk.parameters if not isinstance(one, SupportedExtensions)),
                )
                if isinstance(chunk, Init | InitAck)
                else chunk
                for chunk in packet.chunks
            )
            return serialize_packet(attrs.evolve(packet, chunks=chunks))

        client, server = channel_network.client(limits=ChannelLimits(max_channels=2)), channel_network.server()
        network = channel_network.Network(client, server)
        network.rewrite = without_extensions
        network.run(1)
        network.take(0)
        channel_id = client.open("", now=network.now)
        network.run(1)
        client.close_channel(channel_id, now=network.now)
        network.run(20)
        # We are told that it is over, but its identifier is never used again.
        assert network.take(0)[-1] == ChannelClosed(channel_id=channel_id)
        assert client.open("", now=network.now) == channel_id + 2

    @pytest.mark.parametrize("closes_again", [False, True])
    def test_the_next_channel_begins_before_the_answer_to_the_last_reset(
        self, channel_network: ModuleType, closes_again: bool
    ) -> None:
        """Both streams are reset, but we do not know it yet: the answer is lost."""
        scene = make_scene(channel_network, limits=ChannelLimits(max_channels=1))

        def without_answers(sender: int, data: bytes) -> bytes | None:
            packet = parse_packet(data)
            chunks = tuple(chunk for chunk in packet.chunks if not (sender == 1 and holds_answer(chunk)))
            return serialize_packet(attrs.evolve(packet, chunks=chunks)) if chunks else None

        def holds_answer(chunk: object) -> bool:
            return isinstance(chunk, ReConfig) and any(
                isinstance(one, ReconfigurationResponse) for one in chunk.parameters
            )

        scene.say(1, DCEP, OPEN)
        scene.hear()
        scene.peer.reset_streams((1,), scene.network.now)
        scene.network.rewrite = without_answers
        scene.network.run(0.15)
        assert scene.network.take(0) == [ChannelClosed(channel_id=1)]
        assert scene.resets() == [1]
        scene.say(1, DCEP, serialize_message(DataChannelOpen(label="next")))
        scene.say(1, STRING, b"hello")
        scene.network.run(0.1)
        assert scene.network.take(0) == [
            ChannelOpened(channel=Channel(id=1, label="next"), is_ours=False),
            MessageReceived(channel_id=1, message="hello"),
        ]
        if closes_again:
            scene.ours.close_channel(1, now=scene.network.now)
        scene.network.rewrite = lambda _sender, packet: packet
        scene.network.run(10)
        events = scene.network.take(1)
        assert [parse_message(event.data) for event in events if isinstance(event, StreamMessage)] == [DataChannelAck()]
        assert [event for event in events if isinstance(event, StreamsReset)] == (
            [StreamsReset(stream_ids=(1,))] if closes_again else []
        )
        assert not scene.ours.drops


def test_a_refused_reset_leaves_the_identifier_unusable() -> None:
    pair = StreamPair(phase=Phase.OPEN)
    assert pair.begin_reset()
    assert not pair.reset_answered(is_performed=False)
    pair.has_peer_reset = True
    assert not pair.is_free
    granted = StreamPair(phase=Phase.OPEN)
    granted.begin_reset()
    granted.has_peer_reset = True
    assert not granted.is_free
    assert not granted.reset_answered(is_performed=True)
    assert granted.is_free


def test_a_peer_that_starts_anew_and_remembers_nothing(channel_network: ModuleType) -> None:
    """Channels stay open on our side, since a peer inside of DTLS goes on from a snapshot; this one closes them."""
    client, server = channel_network.client(), channel_network.server()
    network = channel_network.Network(client, server)
    channel_id = client.open("", now=0)
    network.run(1)
    network.take(0)
    again = channel_network.server(entropy=channel_network.entropy(77), now=network.now)
    network.ends = (client, again)
    network.take(1)
    network.run(5)
    assert network.take(0) == [Restarted()]
    client.send(channel_id, "do you know me?", network.now)
    network.run(5)
    assert network.take(0) == [ChannelClosed(channel_id=channel_id)]
    assert again.drops[ChannelDropReason.UNOPENED_CHANNEL] == 1
    # The identifier is free again.
    assert client.open("", now=network.now) == channel_id
    network.run(5)
    assert [type(event) for event in network.take(0)] == [ChannelOpened]


class TestFuzz:
    """Whatever comes, nothing is raised, and what is held stays bounded."""

    @pytest.mark.parametrize("rate", [0.02, 0.3])
    @pytest.mark.parametrize("seed", range(8))
    def test_mutated_packets(self, channel_network: ModuleType, seed: int, rate: float) -> None:
        source = random.Random(seed)

        def mutated(_sender: int, data: bytes) -> bytes:
            if source.random() < rate:
                changed = bytearray(data)
                for _ in range(source.randint(1, 4)):
                    changed[source.randrange(len(changed))] = source.randrange(256)
                cut = source.randint(12, len(changed)) if source.random() < 0.2 else len(changed)
                data = channel_network.sealed(bytes(changed[:cut]))
            return data

        client = channel_network.client(options=SctpOptions(max_send_buffer=50_000))
        server = channel_network.server(options=SctpOptions(max_send_buffer=50_000))
        network = channel_network.Network(client, server, seed=seed, loss=0.05, jitter=0.05)
        network.rewrite = mutated
        for _ in range(60):
            channel_network.do_something(source, client, network.now)
            channel_network.do_something(source, server, network.now)
            network.run(0.3)
        for end in network.ends:
            assert len(end.channels) <= 1024

    @pytest.mark.parametrize("seed", range(4))
    def test_hostile_messages(self, channel_network: ModuleType, seed: int) -> None:
        source = random.Random(seed)
        scene = make_scene(channel_network, limits=ChannelLimits(max_channels=8))
        alive = True
        for _ in range(150):
            data = source.choice(
                [
                    OPEN,
                    ACK,
                    serialize_message(
                        DataChannelOpen(
                            channel_type=source.choice(list(ChannelType)), label="y", reliability=source.randrange(9)
                        )
                    ),
                    source.randbytes(source.randint(1, 40)),
                ]
            )
            stream_id = source.choice([0, 1, 2, 3, 4, 5, 9, 65533])
            try:
                scene.say(stream_id, source.choice([DCEP, STRING, 53, 56, 57, 0]), data)
                if source.random() < 0.5:
                    scene.peer.reset_streams((stream_id,), scene.network.now)
            except Exception:  # noqa: BLE001 -- the peer's own end may have been aborted, which is all there is to see
                alive = False
                break
            scene.network.run(0.2)
            if source.random() < 0.3 and len(scene.ours.channels) < 4:
                channel_network.do_something(source, scene.ours, scene.network.now)
        assert len(scene.ours.channels) <= 8
        assert alive or any(isinstance(event, Closed) for event in scene.network.take(0))

    def test_noise(self, channel_network: ModuleType) -> None:
        source = random.Random(5)
        client = channel_network.client()
        for _ in range(2000):
            noise = source.randbytes(source.randrange(80))
            if len(noise) > 12 and source.random() < 0.7:
                noise = channel_network.sealed(b"\x13\x88\x13\x88" + noise[4:])
            assert list(client.receive_datagram(noise, 0.0)) == []
        assert sum(client.drops.values()) >= 1900
