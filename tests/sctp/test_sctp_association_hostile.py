"""A peer that is authenticated and hostile: what it sends is dropped, refused or the end, and never more than that."""

import itertools
import random

import pytest

from sctp.causes.invalid_mandatory_parameter import InvalidMandatoryParameter
from sctp.causes.missing_mandatory_parameter import MissingMandatoryParameter
from sctp.causes.no_user_data import NoUserData
from sctp.causes.protocol_violation import ProtocolViolation
from sctp.causes.stale_cookie import StaleCookie
from sctp.causes.unrecognized_chunk_type import UnrecognizedChunkType
from sctp.causes.unrecognized_parameters import UnrecognizedParameters
from sctp.causes.unresolvable_address import UnresolvableAddress
from sctp.chunks.abort import Abort
from sctp.chunks.chunk import serialize_chunk
from sctp.chunks.cookie_ack import CookieAck
from sctp.chunks.cookie_echo import CookieEcho
from sctp.chunks.data import Data
from sctp.chunks.error import Error
from sctp.chunks.forward_tsn import ForwardTsn
from sctp.chunks.heartbeat import Heartbeat
from sctp.chunks.heartbeat_ack import HeartbeatAck
from sctp.chunks.init import Init
from sctp.chunks.init_ack import InitAck
from sctp.chunks.reconfig import ReConfig
from sctp.chunks.sack import Sack
from sctp.chunks.shutdown import Shutdown
from sctp.chunks.shutdown_ack import ShutdownAck
from sctp.chunks.shutdown_complete import ShutdownComplete
from sctp.chunks.unknown import UnknownChunk
from sctp.data_path import PacketHeader
from sctp.drops import DropReason
from sctp.options import SctpOptions
from sctp.parameters.host_name_address import HostNameAddress
from sctp.parameters.parameter import serialize_parameter
from sctp.parameters.reconfiguration_response import ReconfigurationResponse
from sctp.parameters.state_cookie import StateCookie
from sctp.parameters.unknown import UnknownParameter
from sctp.parameters.unrecognized_parameter import UnrecognizedParameter
from sctp.states import State

D = DropReason


@pytest.fixture
def network(sctp_network):
    network = sctp_network.make(options=SctpOptions(max_message_size=5000, receive_window=20_000)).connect(0)
    network.run(0.1)
    for end in network.ends:
        end.drops.clear()
    return network


@pytest.fixture
def fresh(sctp_network):
    return sctp_network.make()


def init(**changes):
    fields = {
        "initiate_tag": 7,
        "a_rwnd": 100_000,
        "outbound_streams": 10,
        "inbound_streams": 10,
        "initial_tsn": 1,
        **changes,
    }
    return Init(**fields)


def next_tsn(network, end):
    return (network.ends[end]._block.receiver.tracker.cumulative_tsn + 1) & 0xFFFF_FFFF


def is_alive(network):
    network.events[1].clear()
    network.ends[0].send(3, 51, b"still here", network.now)
    network.run(2)
    return [event.data for event in network.messages(1)] == [b"still here"]


# Packets -------------------------------------------------------------------------------------------------------------


def test_noise(network):
    for data in (b"", b"x" * 11, b"x" * 12, b"x" * 100):
        network.ends[1].receive_datagram(data, network.now)
    assert network.ends[1].drops == {D.MALFORMED: 2, D.CHECKSUM: 2}
    assert network.replies(1) == []
    assert is_alive(network)


def test_a_header_without_chunks(network):
    header = PacketHeader(network.ends[1]._block.local_tag)
    network.ends[1].receive_datagram(header.pack([]), network.now)
    assert network.ends[1].drops == {D.MALFORMED: 1}


@pytest.mark.parametrize("position", [0, 5, 9, 14, 30])
def test_a_flipped_bit(network, position):
    data = bytearray(network.forge(1, Data(tsn=next_tsn(network, 1), stream_id=1, user_data=b"x" * 20)))
    data[position] ^= 4
    network.ends[1].receive_datagram(bytes(data), network.now)
    assert network.ends[1].drops == {D.CHECKSUM: 1}


def test_other_ports(network):
    network.inject(1, Heartbeat(info=b"x"), ports=(5000, 5001))
    network.inject(1, Data(tsn=next_tsn(network, 1), stream_id=1, user_data=b"x"), ports=(5001, 5000))
    assert network.ends[1].drops == {D.PORT: 2}


@pytest.mark.parametrize(
    "chunk",
    [
        Data(tsn=1, stream_id=1, user_data=b"x"),
        Sack(cumulative_tsn_ack=1, a_rwnd=1),
        Heartbeat(info=b"x"),
        Shutdown(cumulative_tsn_ack=1),
        ShutdownAck(),
        Error(),
        CookieAck(),
        Abort(),
        Abort(is_tag_reflected=True),
        ShutdownComplete(),
        ForwardTsn(new_cumulative_tsn=1),
        InitAck(initiate_tag=1, a_rwnd=1500, outbound_streams=1, inbound_streams=1, initial_tsn=1),
    ],
    ids=lambda chunk: type(chunk).__name__,
)
@pytest.mark.parametrize("tag", [0, 12345])
def test_wrong_tags(network, chunk, tag):
    network.inject(1, chunk, tag=tag)
    assert network.ends[1].drops == {D.VERIFICATION_TAG: 1}
    assert network.replies(1) == []
    assert is_alive(network)


def test_tags_of_aborts(network):
    """RFC 9260 §8.5.1 B: ours without the T bit, the peer's with it."""
    ours, peers = network.ends[1]._block.local_tag, network.ends[1]._block.peer_tag
    network.inject(1, Abort(is_tag_reflected=True), tag=ours)
    network.inject(1, Abort(), tag=peers)
    assert network.ends[1].drops == {D.VERIFICATION_TAG: 2}
    network.inject(1, Abort(is_tag_reflected=True), tag=peers)
    assert network.closed(1).reason == "peer-abort"


def test_an_init_needs_the_tag_0(network):
    network.inject(1, init(), tag=5)
    assert network.ends[1].drops == {D.VERIFICATION_TAG: 1}


@pytest.mark.parametrize("alone", [init(), ShutdownComplete()])
def test_what_must_stand_alone(network, alone):
    network.inject(1, alone, Heartbeat(info=b"x"))
    network.inject(1, Heartbeat(info=b"x"), alone)
    assert network.ends[1].drops == {D.BUNDLED: 2}
    assert network.replies(1) == []


def test_a_cookie_echo_comes_first(network):
    network.inject(1, Heartbeat(info=b"x"), CookieEcho(cookie=b"x" * 80))
    assert network.ends[1].drops == {D.BUNDLED: 1}
    assert network.replies(1) == [HeartbeatAck(info=b"x")]


def test_a_chunk_that_is_cut_off_takes_only_itself_away(network):
    data = network.forge(1, Heartbeat(info=b"x"), Heartbeat(info=b"y" * 8))
    header = PacketHeader(network.ends[1]._block.local_tag)
    network.ends[1].receive_datagram(header.pack([data[12:-4]]), network.now)
    assert network.ends[1].drops == {D.MALFORMED: 1}
    assert network.replies(1) == [HeartbeatAck(info=b"x")]


def test_out_of_the_blue_before_there_is_anything(fresh):
    fresh.inject(1, Data(tsn=1, stream_id=1, user_data=b"x"), tag=9)
    assert fresh.ends[1].drops == {D.OUT_OF_THE_BLUE: 1}
    assert fresh.replies(1) == []
    # RFC 9260 §8.4 (5): whoever wants to end an association that nobody knows may.
    fresh.inject(1, ShutdownAck(), tag=9)
    assert fresh.replies(1) == [ShutdownComplete(is_tag_reflected=True)]
    fresh.inject(1, Abort(), tag=9)
    assert fresh.ends[1].drops == {D.OUT_OF_THE_BLUE: 2, D.VERIFICATION_TAG: 1}
    assert fresh.ends[1].state is State.CLOSED


# Chunks and parameters nobody knows ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "is_reported", "goes_on"),
    [(0x3F, False, False), (0x7F, True, False), (0xBF, False, True), (0xFF, True, True)],
)
def test_unknown_chunks_by_their_high_bits(network, kind, is_reported, goes_on):
    unknown = UnknownChunk(type=kind, value=b"what")
    network.inject(1, unknown, Heartbeat(info=b"x"))
    expected = []
    if is_reported:
        expected.append(Error(causes=(UnrecognizedChunkType(chunk=serialize_chunk(unknown)),)))
    if goes_on:
        expected.append(HeartbeatAck(info=b"x"))
    assert network.replies(1) == expected
    assert network.ends[1].drops == {D.UNKNOWN_CHUNK: 1}


@pytest.mark.parametrize(
    ("kind", "is_reported", "goes_on"),
    [(0x3FFF, False, False), (0x7FFF, True, False), (0xBFFF, False, True), (0xFFFF, True, True)],
)
def test_unknown_parameters_of_an_init(fresh, kind, is_reported, goes_on):
    unknown = UnknownParameter(type=kind, value=b"what")
    later = UnknownParameter(type=0xFFFE, value=b"late")
    fresh.inject(1, init(parameters=(unknown, later)), tag=0)
    (ack,) = fresh.replies(1)
    reported = [item.parameter for item in ack.parameters if isinstance(item, UnrecognizedParameter)]
    assert reported == [
        serialize_parameter(item) for item, is_told in ((unknown, is_reported), (later, goes_on)) if is_told
    ]
    assert fresh.ends[1].drops[D.UNKNOWN_PARAMETER] == 2


def test_an_init_ack_always_fits_a_packet(fresh):
    parameters = tuple(UnknownParameter(type=0xFFFF, value=bytes(100)) for _ in range(50))
    fresh.inject(1, init(parameters=parameters), tag=0)
    (data,) = fresh.ends[1].datagrams_to_send(fresh.now)
    assert len(data) <= 508


def test_unknown_parameters_of_an_init_ack_are_reported_with_the_cookie(fresh):
    fresh.ends[0].connect(fresh.now)
    fresh.collect()
    unknown = UnknownParameter(type=0xFFFF, value=b"what")
    fields = {"initiate_tag": 9, "a_rwnd": 9000, "outbound_streams": 1, "inbound_streams": 1, "initial_tsn": 1}
    fresh.inject(0, InitAck(**fields, parameters=(StateCookie(cookie=b"cookie"), unknown)))
    assert fresh.replies(0) == [CookieEcho(cookie=b"cookie")]
    fresh.inject(0, CookieAck())
    assert fresh.replies(0) == [Error(causes=(UnrecognizedParameters(parameters=serialize_parameter(unknown)),))]


# Handshakes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"a_rwnd": 1499}, InvalidMandatoryParameter()),
        ({"outbound_streams": 0}, InvalidMandatoryParameter()),
        ({"inbound_streams": 0}, InvalidMandatoryParameter()),
        ({"parameters": (HostNameAddress(host_name=b"example\0"),)}, UnresolvableAddress()),
    ],
)
def test_inits_that_no_association_can_come_of(fresh, changes, cause):
    fresh.inject(1, init(**changes), tag=0)
    assert fresh.replies(1) == [Abort(causes=(cause,))]
    assert fresh.ends[1].drops == {D.INVALID_INIT: 1}
    assert fresh.ends[1].state is State.CLOSED


def test_an_init_with_tag_0_is_not_answered(fresh):
    fresh.inject(1, init(initiate_tag=0), tag=0)
    assert fresh.replies(1) == []
    assert fresh.ends[1].drops == {D.INVALID_INIT: 1}


@pytest.mark.parametrize(
    ("changes", "reply"),
    [
        ({"a_rwnd": 0}, Abort(causes=(InvalidMandatoryParameter(),))),
        ({"parameters": ()}, Abort(causes=(MissingMandatoryParameter(types=(StateCookie.TYPE,)),))),
        ({"initiate_tag": 0}, Abort(is_tag_reflected=True)),
        ({"parameters": (StateCookie(cookie=bytes(1300)),)}, Abort()),
    ],
)
def test_init_acks_that_end_it(fresh, changes, reply):
    fresh.ends[0].connect(fresh.now)
    fresh.collect()
    fields = {"initiate_tag": 9, "a_rwnd": 9000, "outbound_streams": 1, "inbound_streams": 1, "initial_tsn": 1}
    fresh.inject(0, InitAck(**{**fields, "parameters": (StateCookie(cookie=b"x"),), **changes}))
    assert fresh.replies(0) == [reply]
    assert fresh.closed(0).reason == "incompatible"


@pytest.mark.parametrize(
    "chunk",
    [
        InitAck(initiate_tag=1, a_rwnd=1500, outbound_streams=1, inbound_streams=1, initial_tsn=1),
        CookieAck(),
        ShutdownAck(),
        ShutdownComplete(),
        Error(causes=(StaleCookie(staleness_us=5),)),
    ],
    ids=lambda chunk: type(chunk).__name__,
)
def test_chunks_that_have_no_place_here(network, chunk):
    network.inject(1, chunk)
    assert network.ends[1].drops == {D.UNEXPECTED_CHUNK: 1}
    assert is_alive(network)


@pytest.mark.parametrize(
    "chunk",
    [
        Data(tsn=1, stream_id=1, user_data=b"x"),
        Sack(cumulative_tsn_ack=1, a_rwnd=1),
        ForwardTsn(new_cumulative_tsn=1),
        ReConfig(),
        Shutdown(cumulative_tsn_ack=1),
        Heartbeat(info=b"x"),
    ],
    ids=lambda chunk: type(chunk).__name__,
)
def test_chunks_that_come_too_early(fresh, chunk):
    fresh.ends[0].connect(fresh.now)
    fresh.collect()
    fresh.inject(0, chunk)
    assert fresh.ends[0].drops == {D.UNEXPECTED_CHUNK: 1}
    assert fresh.ends[0].state is State.COOKIE_WAIT


# Transfer ------------------------------------------------------------------------------------------------------------


def test_data_without_data_is_the_end(network):
    tsn = next_tsn(network, 1)
    network.inject(1, Data(tsn=tsn, stream_id=1, user_data=b""))
    assert network.closed(1).reason == "misbehaved"
    assert network.replies(1) == [Abort(causes=(NoUserData(tsn=tsn),))]


def test_contradictions_are_the_end(network):
    tsn = next_tsn(network, 1)
    network.inject(1, Data(tsn=tsn, stream_id=1, is_end=False, user_data=b"x"))
    network.inject(1, Data(tsn=tsn + 1 & 0xFFFFFFFF, stream_id=1, user_data=b"x"))
    assert network.closed(1).reason == "misbehaved"
    assert network.replies(1)[-1] == Abort(causes=(ProtocolViolation(),))


def test_a_message_larger_than_announced_is_the_end(network):
    network.ends[0].send(1, 51, b"x" * 5001, network.now)
    network.run(5)
    assert network.closed(1).reason == "message-too-large"
    assert network.closed(0).reason == "peer-abort"


def test_a_whole_message_of_the_largest_size_passes(network):
    network.ends[0].send(1, 51, b"x" * 5000, network.now)
    network.run(5)
    assert len(network.messages(1)) == 1


@pytest.mark.parametrize("ahead", [32769, 1 << 20, (1 << 31) - 1])
def test_tsns_far_away(network, ahead):
    network.inject(1, Data(tsn=(next_tsn(network, 1) - 1 + ahead) & 0xFFFFFFFF, stream_id=1, user_data=b"x"))
    assert network.ends[1].drops == {D.TSN_TOO_FAR: 1}
    assert [type(chunk) for chunk in network.replies(1)] == [Sack]
    assert is_alive(network)


def test_sacks_of_what_was_never_sent(network):
    outstanding = network.ends[1]._block.sender.outstanding
    last = outstanding.next_tsn - 1 & 0xFFFFFFFF
    network.inject(1, Sack(cumulative_tsn_ack=last + 1 & 0xFFFFFFFF, a_rwnd=9000))
    network.inject(1, Sack(cumulative_tsn_ack=last, a_rwnd=9000, gap_ack_blocks=((2, 3),)))
    network.inject(1, Shutdown(cumulative_tsn_ack=last + 1 & 0xFFFFFFFF))
    assert network.ends[1].drops == {D.SACK_OF_UNSENT: 3}
    assert network.ends[1].state is State.ESTABLISHED
    network.inject(1, Sack(cumulative_tsn_ack=last - 1 & 0xFFFFFFFF, a_rwnd=0))
    assert network.ends[1].drops[D.OLD_SACK] == 1
    assert is_alive(network)


def test_a_thousand_gap_blocks_cost_no_more_than_the_flight(network):
    for _ in range(4):
        network.ends[1].send(1, 51, b"x" * 4000, network.now)
    list(network.ends[1].datagrams_to_send(network.now))
    outstanding = network.ends[1]._block.sender.outstanding
    count = len(outstanding.chunks)
    assert count > 3
    blocks = tuple((2, count) for _ in range(1000))
    network.inject(
        1, Sack(cumulative_tsn_ack=outstanding.cumulative_tsn_ack & 0xFFFFFFFF, a_rwnd=9000, gap_ack_blocks=blocks)
    )
    assert not network.ends[1].drops
    assert [chunk.state.value for chunk in outstanding.chunks] == ["in-flight"] + ["acked"] * (count - 1)


def test_streams_that_do_not_exist(sctp_network):
    network = sctp_network.make(options=SctpOptions(streams=4)).connect(0)
    network.inject(1, Data(tsn=next_tsn(network, 1), stream_id=4, user_data=b"x"))
    assert network.ends[1].drops[D.UNKNOWN_STREAM] == 1
    assert [type(chunk) for chunk in network.replies(1)] == [Sack, Error]


def test_an_answer_to_a_heartbeat_that_was_not_asked(network):
    network.inject(1, HeartbeatAck(info=b"guess"))
    assert network.ends[1].drops == {D.HEARTBEAT: 1}


def test_a_heartbeat_that_cannot_be_answered_in_a_packet(network):
    network.inject(1, Heartbeat(info=bytes(2000)))
    assert network.ends[1].drops == {D.REPLY_OVERFLOW: 1}
    assert network.replies(1) == []


def test_answers_are_bounded(network):
    for _ in range(20):
        network.inject(1, *[Heartbeat(info=bytes(8)) for _ in range(10)])
    assert network.ends[1].drops == {D.REPLY_OVERFLOW: 136}
    for number in range(100):
        network.inject(1, init(initiate_tag=number + 1), tag=0)
    assert network.ends[1].drops == {D.REPLY_OVERFLOW: 172}
    assert len(network.replies(1)) == 128


def test_reconfigurations_nobody_asked_for(network):
    network.inject(1, ReConfig(parameters=(ReconfigurationResponse(response_sequence_number=5, result=1),)))
    network.inject(1, ReConfig())
    network.inject(1, ReConfig(parameters=(StateCookie(cookie=b"x"),)))
    assert network.ends[1].drops == {D.RECONFIGURATION: 3}


def test_a_window_of_zero_for_ever_has_an_end(sctp_network):
    network = sctp_network.make(options=SctpOptions(zero_window_limit=30)).connect(0)
    network.ends[1].send(1, 51, b"x", network.now)
    network.run(1)
    cumulative = network.ends[1]._block.sender.outstanding.cumulative_tsn_ack & 0xFFFFFFFF
    network.ends[1].send(1, 51, b"y" * 5000, network.now)
    network.inject(1, Sack(cumulative_tsn_ack=cumulative, a_rwnd=0))
    network.sent.clear()
    start = network.now

    def refuse(sender, data):
        # The peer answers each probe, and never takes any.
        if sender == 1 and network.ends[1].state is State.ESTABLISHED:
            network.inject(1, Sack(cumulative_tsn_ack=cumulative, a_rwnd=0))
        return False

    network.filter = refuse
    network.run(100)
    assert network.closed(1).reason == "zero-window"
    probes = [
        when - start for when, who, data in network.sent if who == 1 and "Data" in str(sctp_network.chunks_of(data))
    ]
    # The first after an RTO, then at twice the distance each time; each is one chunk.
    distances = [after - before for before, after in itertools.pairwise(probes)]
    assert 3 <= len(probes) <= 8
    assert all(later == pytest.approx(2 * earlier, rel=0.3) for earlier, later in itertools.pairwise(distances))


def test_a_window_that_opens_again_goes_on(sctp_network):
    network = sctp_network.make().connect(0)
    network.ends[1].send(1, 51, b"x", network.now)
    network.run(1)
    cumulative = network.ends[1]._block.sender.outstanding.cumulative_tsn_ack & 0xFFFFFFFF
    network.inject(1, Sack(cumulative_tsn_ack=cumulative, a_rwnd=0))
    network.ends[1].send(1, 51, b"y" * 5000, network.now)
    assert network.replies(1) == []
    network.run(10)
    assert [len(event.data) for event in network.messages(0)] == [1, 5000]


@pytest.mark.parametrize("seed", range(15))
def test_mutated_packets_raise_nothing_and_leave_bounds_alone(sctp_network, seed):
    dice = random.Random(seed)
    network = sctp_network.make(seed=seed).connect(0, 1)
    network.ends[0].send(1, 51, dice.randbytes(30_000), network.now)
    network.ends[1].send(1, 51, dice.randbytes(30_000), network.now)
    network.ends[0].reset_streams([1], network.now)
    network.run(2)
    packets = [data for _, _, data in network.sent]
    header = PacketHeader(network.ends[1]._block.local_tag)
    for _ in range(150):
        body = bytearray(dice.choice(packets)[12:])
        for _ in range(dice.randrange(1, 4)):
            body[dice.randrange(len(body))] = dice.randrange(256)
        # With a good checksum and the right tag, so that it gets in.
        network.ends[1].receive_datagram(header.pack([bytes(body)]), network.now)
        network.now += dice.random()
        network.ends[1].handle_timeout(network.now)
        assert all(len(data) <= 1188 for data in network.ends[1].datagrams_to_send(network.now))
        network.ends[1].next_timeout()
