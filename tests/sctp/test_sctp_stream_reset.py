"""Re-configuration, parameter by parameter: right and wrong numbers, refusals, requests that have to wait."""

import itertools

import pytest

from sctp.chunks.cookie_ack import CookieAck
from sctp.chunks.data import Data
from sctp.chunks.init_ack import InitAck
from sctp.chunks.reconfig import ReConfig
from sctp.drops import DropReason
from sctp.events import StreamsReset, StreamsResetDone
from sctp.options import SctpOptions
from sctp.parameters.add_outgoing_streams_request import AddOutgoingStreamsRequest
from sctp.parameters.incoming_ssn_reset_request import IncomingSsnResetRequest
from sctp.parameters.outgoing_ssn_reset_request import OutgoingSsnResetRequest
from sctp.parameters.reconfiguration_response import ReconfigurationResponse, ReconfigurationResult
from sctp.parameters.ssn_tsn_reset_request import SsnTsnResetRequest
from sctp.parameters.state_cookie import StateCookie

R = ReconfigurationResult
MASK = 0xFFFF_FFFF


class Peer:
    """Speaks to end 1 by hand, with the numbers that end 0 would use."""

    def __init__(self, network):
        self.network = network
        block = network.ends[1]._block
        self.tsn = block.receiver.tracker.cumulative_tsn
        self.number = block.terms.peer_initial_tsn

    def ask(self, *parameters):
        self.network.inject(1, ReConfig(parameters=parameters))
        return self.answers()

    def answers(self):
        return [
            (item.response_sequence_number, item.result)
            for chunk in self.network.replies(1)
            if isinstance(chunk, ReConfig)
            for item in chunk.parameters
            if isinstance(item, ReconfigurationResponse)
        ]

    def outgoing(self, *streams, number=None, last=None):
        return OutgoingSsnResetRequest(
            request_sequence_number=self.number if number is None else number,
            response_sequence_number=0,
            sender_last_tsn=(self.tsn if last is None else last) & MASK,
            stream_ids=streams,
        )

    def data(self, tsn, **fields):
        self.network.inject(1, Data(tsn=tsn & MASK, stream_id=1, user_data=b"x", **fields))


@pytest.fixture
def network(sctp_network):
    network = sctp_network.make(options=SctpOptions(streams=10)).connect(0)
    network.run(0.1)
    network.events[1].clear()
    return network


@pytest.fixture
def peer(network):
    return Peer(network)


def test_a_request_is_performed_and_its_repetition_gets_the_same_answer(network, peer):
    request = peer.outgoing(1)
    assert peer.ask(request) == [(peer.number, R.PERFORMED)]
    assert peer.ask(request) == [(peer.number, R.PERFORMED)]
    assert network.events[1] == [StreamsReset(stream_ids=(1,))]


def test_all_streams(network, peer):
    assert peer.ask(peer.outgoing()) == [(peer.number, R.PERFORMED)]
    assert network.events[1] == [StreamsReset(stream_ids=())]


@pytest.mark.parametrize("ahead", [1, 2, -2, 1 << 31])
def test_wrong_numbers(network, peer, ahead):
    number = (peer.number + ahead) & MASK
    assert peer.ask(peer.outgoing(1, number=number)) == [(number, R.BAD_SEQUENCE_NUMBER)]
    assert network.ends[1].drops == {DropReason.RECONFIGURATION: 1}
    assert network.events[1] == []


def test_streams_that_do_not_exist(peer):
    assert peer.ask(peer.outgoing(10)) == [(peer.number, R.WRONG_SSN)]


def test_a_last_tsn_that_cannot_be(peer):
    assert peer.ask(peer.outgoing(1, last=peer.tsn + 100_000)) == [(peer.number, R.DENIED)]


def test_what_is_missing_makes_it_wait_and_the_answer_comes_by_itself(network, peer):
    request = peer.outgoing(1, last=peer.tsn + 2)
    assert peer.ask(request) == [(peer.number, R.IN_PROGRESS)]
    assert peer.ask(request) == [(peer.number, R.IN_PROGRESS)]
    peer.data(peer.tsn + 1)
    assert network.events[1][-1:] != [StreamsReset(stream_ids=(1,))]
    peer.data(peer.tsn + 2, stream_sequence_number=1)
    assert network.events[1][-1] == StreamsReset(stream_ids=(1,))
    assert peer.answers() == [(peer.number, R.PERFORMED)]
    assert peer.ask(request) == [(peer.number, R.PERFORMED)]


def test_a_peer_that_asks_again_with_a_new_number(network, peer):
    """Chromium does so after "in progress"."""
    peer.ask(peer.outgoing(1, last=peer.tsn + 1))
    again = peer.outgoing(1, number=(peer.number + 1) & MASK, last=peer.tsn + 1)
    assert peer.ask(again) == [(again.request_sequence_number, R.IN_PROGRESS)]
    peer.data(peer.tsn + 1)
    assert peer.answers() == [(again.request_sequence_number, R.PERFORMED)]
    assert network.events[1].count(StreamsReset(stream_ids=(1,))) == 1


@pytest.mark.parametrize("kind", [SsnTsnResetRequest, AddOutgoingStreamsRequest])
def test_what_nobody_needs_is_denied(peer, kind):
    extra = {"new_streams": 5} if kind is AddOutgoingStreamsRequest else {}
    assert peer.ask(kind(request_sequence_number=peer.number, **extra)) == [(peer.number, R.DENIED)]


def test_a_wish_of_the_peer_makes_us_reset_ours(network, peer):
    network.ends[1].send(1, 51, b"x", network.now)
    network.replies(1)
    wish = IncomingSsnResetRequest(request_sequence_number=peer.number, stream_ids=(1,))
    network.inject(1, ReConfig(parameters=(wish,)))
    requests = [chunk.parameters for chunk in network.replies(1) if isinstance(chunk, ReConfig)]
    ours = next(item for parameters in requests for item in parameters if isinstance(item, OutgoingSsnResetRequest))
    # RFC 6525 §5.1.2 A4.
    assert ours.response_sequence_number == peer.number
    assert ours.stream_ids == (1,)
    network.inject(
        1,
        ReConfig(
            parameters=(
                ReconfigurationResponse(response_sequence_number=ours.request_sequence_number, result=R.PERFORMED),
            )
        ),
    )
    assert network.events[1][-1] == StreamsResetDone(stream_ids=(1,), is_performed=True)


def test_a_wish_for_what_is_being_done_already(network, peer):
    network.ends[1].reset_streams([1, 2], network.now)
    network.replies(1)
    wish = IncomingSsnResetRequest(request_sequence_number=peer.number, stream_ids=(2,))
    assert peer.ask(wish) == [(peer.number, R.NOTHING_TO_DO)]


def test_a_repeated_wish_is_looked_at_again(peer):
    wish = IncomingSsnResetRequest(request_sequence_number=peer.number, stream_ids=(1,))
    assert peer.ask(wish) == [(peer.number, R.IN_PROGRESS)]
    assert peer.ask(wish) == [(peer.number, R.NOTHING_TO_DO)]


def test_a_wish_for_streams_that_do_not_exist(peer):
    wish = IncomingSsnResetRequest(request_sequence_number=peer.number, stream_ids=(10,))
    assert peer.ask(wish) == [(peer.number, R.WRONG_SSN)]


# Answers to ours -----------------------------------------------------------------------------------------------------


def our_request(network):
    (chunk,) = [chunk for chunk in network.replies(1) if isinstance(chunk, ReConfig)]
    return chunk.parameters[0]


def answer(network, request, result):
    response = ReconfigurationResponse(response_sequence_number=request.request_sequence_number, result=result)
    network.inject(1, ReConfig(parameters=(response,)))


@pytest.mark.parametrize("result", [R.DENIED, R.WRONG_SSN, R.BAD_SEQUENCE_NUMBER, 77])
def test_a_refusal_leaves_the_stream_as_it_was(network, result):
    network.ends[1].send(1, 51, b"zero", network.now)
    network.ends[1].reset_streams([1], network.now)
    network.ends[1].send(1, 51, b"one", network.now)
    list(network.ends[1].datagrams_to_send(network.now))
    network.ends[1].handle_timeout(network.now)
    answer(network, network.ends[1]._resets.request, result)
    assert network.events[1] == [StreamsResetDone(stream_ids=(1,), is_performed=False)]
    (data,) = [chunk for chunk in network.replies(1) if isinstance(chunk, Data)]
    assert (data.user_data, data.stream_sequence_number) == (b"one", 1)


def test_the_wait_for_an_answer_doubles_for_one_request_and_for_nothing_else(network):
    end = network.ends[1]
    rto = end._block.sender.rto.seconds
    end.reset_streams([1], network.now)
    request = our_request(network)
    for times in (1, 2, 4):
        assert end._resets.timer.deadline == pytest.approx(network.now + times * rto)
        network.now = end._resets.timer.deadline
        end.handle_timeout(network.now)
        assert our_request(network) == request
    assert end._block.sender.rto.seconds == rto
    answer(network, request, R.PERFORMED)
    end.reset_streams([2], network.now)
    assert end._resets.timer.deadline == pytest.approx(network.now + rto)


def test_the_wait_for_an_answer_has_an_end(sctp_network):
    network = sctp_network.make(options=SctpOptions(rto_maximum=3.0)).connect(0)
    network.filter = lambda _sender, _data: False
    network.ends[1].reset_streams([1], network.now)
    start = network.now
    network.run(1000, until=lambda: network.closed(1) is not None)
    assert network.closed(1).reason == "peer-unreachable"
    asked = [when for when, sender, data in network.sent if sender == 1 and when >= start and data[12] == ReConfig.TYPE]
    waits = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(3.0)


def test_in_progress_is_asked_again_without_counting_an_error(network):
    network.ends[1].reset_streams([1], network.now)
    request = our_request(network)
    for _ in range(30):
        answer(network, request, R.IN_PROGRESS)
        network.now += 1
        network.ends[1].handle_timeout(network.now)
        assert our_request(network) == request
    answer(network, request, R.PERFORMED)
    assert network.events[1] == [StreamsResetDone(stream_ids=(1,), is_performed=True)]
    answer(network, request, R.PERFORMED)
    assert network.ends[1].drops == {DropReason.RECONFIGURATION: 1}


def test_a_peer_that_knows_no_resets_is_not_asked(sctp_network):
    network = sctp_network.make()
    network.ends[0].connect(network.now)
    network.collect()
    fields = {"initiate_tag": 9, "a_rwnd": 9000, "outbound_streams": 9, "inbound_streams": 9, "initial_tsn": 1}
    network.inject(0, InitAck(**fields, parameters=(StateCookie(cookie=b"x"),)))
    network.replies(0)
    network.inject(0, CookieAck())
    network.events[0].clear()
    network.ends[0].reset_streams([1], network.now)
    assert network.ends[0].next_timeout() <= network.now
    assert list(network.ends[0].handle_timeout(network.now)) == [StreamsResetDone(stream_ids=(1,), is_performed=False)]
    assert network.replies(0) == []
