"""Resetting streams: their sequence numbers begin again at 0, which is how a data channel is closed.

A stream has one direction, and only its sender can reset it (RFC 6525 §5). *Our* reset: the stream is paused, what is
queued on it goes out, then one RE-CONFIG asks the peer, and is repeated until it is answered; only one is under way at
a time, the rest waits. *The peer's* reset: its last TSN says from where on it counts; if something before it is
missing, the answer is "in progress" until it has come.

Requests are numbered; a repeated number gets the same answer, any other number an error.

Source: RFC 6525 §5; RFC 8831 §6.7.
"""

from collections.abc import Iterable

from sctp.chunks.reconfig import ReConfig
from sctp.control_block import ControlBlock
from sctp.drops import DropReason
from sctp.events import StreamsResetDone
from sctp.parameters.add_incoming_streams_request import AddIncomingStreamsRequest
from sctp.parameters.add_outgoing_streams_request import AddOutgoingStreamsRequest
from sctp.parameters.incoming_ssn_reset_request import IncomingSsnResetRequest
from sctp.parameters.outgoing_ssn_reset_request import OutgoingSsnResetRequest
from sctp.parameters.parameter import Parameter
from sctp.parameters.reconfiguration_response import ReconfigurationResponse, ReconfigurationResult
from sctp.parameters.ssn_tsn_reset_request import SsnTsnResetRequest
from sctp.states import SENDS_DATA
from sctp.timers import Timer

__all__ = ["StreamResets"]

_NUMBERS = 0xFFFF_FFFF
_MAX_STREAMS_PER_REQUEST = 200
"""So that a request fits the smallest packet."""

_Request = (
    OutgoingSsnResetRequest
    | IncomingSsnResetRequest
    | SsnTsnResetRequest
    | AddOutgoingStreamsRequest
    | AddIncomingStreamsRequest
)
_REQUESTS = (
    OutgoingSsnResetRequest,
    IncomingSsnResetRequest,
    SsnTsnResetRequest,
    AddOutgoingStreamsRequest,
    AddIncomingStreamsRequest,
)
_SUCCESS = frozenset({ReconfigurationResult.NOTHING_TO_DO, ReconfigurationResult.PERFORMED})


class StreamResets:
    """Resets in both directions.

    Args:
        block: the association.

    Attributes:
        timer: the re-configuration timer: runs while a request of ours is not answered.
        wait: seconds that it runs.
        pending: streams whose reset we have not asked the peer for yet.
        request: what we have asked; None when nothing is under way.
        next_number: request sequence number of our next request, 32 bits.
        expected_number: request sequence number of the peer's next request, 32 bits.
        last_result: what we have answered to the peer's last request.
        answering: number of the peer's request that our next one answers; None when there is none.
        is_answer_deferred: whether the peer's last request waits for what is missing.
        has_progress_answer: whether the peer has answered ours with "in progress" since it was sent last.
    """

    __slots__ = (
        "_block",
        "answering",
        "expected_number",
        "has_progress_answer",
        "is_answer_deferred",
        "last_result",
        "next_number",
        "pending",
        "request",
        "timer",
        "wait",
    )

    def __init__(self, block: ControlBlock) -> None:
        self._block = block
        self.timer = Timer()
        self.wait = 0.0
        self.pending: dict[int, None] = {}  # in the order of the wishes
        self.request: OutgoingSsnResetRequest | None = None
        self.last_result = ReconfigurationResult.NOTHING_TO_DO
        self.answering: int | None = None
        self.is_answer_deferred = False
        self.has_progress_answer = False
        self.next_number = 0
        self.expected_number = 0

    def begin(self) -> None:
        """There are new terms: numbers begin at the initial TSNs (RFC 6525 §4.1), and all streams at 0."""
        terms = self._block.terms
        if terms is not None:
            self.next_number = terms.local_initial_tsn
            self.expected_number = terms.peer_initial_tsn
        self.timer.stop()
        self.answering = None
        self.is_answer_deferred = self.has_progress_answer = False
        self.last_result = ReconfigurationResult.NOTHING_TO_DO
        if self.request is not None:
            request, self.request = self.request, None
            self._finish(request.stream_ids, is_performed=True)
        for stream_id in self.pending:
            self._block.sender.queue.pause(stream_id)

    # Ours ------------------------------------------------------------------------------------------------------------

    def reset(self, stream_ids: Iterable[int], now: float) -> None:
        """Reset streams that we send on, once what is queued on them has been sent."""
        current = () if self.request is None else self.request.stream_ids
        for stream_id in stream_ids:
            if stream_id not in current:
                self.pending[stream_id] = None
                self._block.sender.queue.pause(stream_id)
        self.advance(now)

    def advance(self, now: float) -> None:
        """Ask for what is ready to be reset, unless a request is under way (RFC 6525 §5.1.1)."""
        block = self._block
        if self.request is not None or not self.pending or block.terms is None or block.state not in SENDS_DATA:
            return
        queue = block.sender.queue
        ready = [stream_id for stream_id in self.pending if queue.is_drained(stream_id)][:_MAX_STREAMS_PER_REQUEST]
        if not ready:
            return
        for stream_id in ready:
            del self.pending[stream_id]
        if not block.terms.has_reconfiguration:
            # §5.1.1: whoever did not announce RE-CONFIG MUST NOT get one.
            self._finish(tuple(ready), is_performed=False)
            self.advance(now)
            return
        # §5.1.2 A4: the number of the request that this answers, else the last one received.
        answered = (self.expected_number - 1) & _NUMBERS if self.answering is None else self.answering
        self.answering = None
        self.request = OutgoingSsnResetRequest(
            request_sequence_number=self.next_number,
            response_sequence_number=answered,
            # A3.
            sender_last_tsn=(block.sender.outstanding.next_tsn - 1) & _NUMBERS,
            stream_ids=tuple(ready),
        )
        # A2.
        self.next_number = (self.next_number + 1) & _NUMBERS
        # §5.1.1: the timer starts with the value of T3-rtx.
        self.wait = block.sender.rto.seconds
        self._send(now)

    def _send(self, now: float) -> None:
        if self.request is not None:
            self._block.outbox.add_control(ReConfig(parameters=(self.request,)))
            self.timer.start(now + self.wait)

    def _finish(self, stream_ids: tuple[int, ...], *, is_performed: bool) -> None:
        for stream_id in stream_ids:
            # §5.2.7 H4: numbers may be assigned again.
            self._block.sender.queue.resume(stream_id, is_reset=is_performed)
        self._block.events.append(StreamsResetDone(stream_ids=stream_ids, is_performed=is_performed))

    def handle_timeout(self, now: float) -> None:
        """Ask again (§5.1.1), with the same number."""
        if not self.timer.is_due(now):
            return
        self.timer.stop()
        block = self._block
        if self.has_progress_answer:
            # §5.2.7 H2: no error is counted for that.
            self.has_progress_answer = False
        else:
            # §5.1.1: its value doubles. That of T3-rtx stays: only a round trip of DATA would lower it again, and
            # channels that are closed one after the other would wait longer and longer.
            self.wait = min(self.wait * 2, block.options.rto_maximum)
            block.count_error()
        if block.state in SENDS_DATA:
            self._send(now)

    # Both ------------------------------------------------------------------------------------------------------------

    def receive(self, chunk: ReConfig, now: float) -> None:
        """Take a RE-CONFIG."""
        block = self._block
        if block.receiver is None or block.terms is None or len(chunk.parameters) not in (1, 2):
            # RFC 6525 §3: one or two parameters.
            block.drop(DropReason.RECONFIGURATION)
            return
        responses: list[Parameter] = []
        for parameter in chunk.parameters:
            if isinstance(parameter, ReconfigurationResponse):
                self._receive_response(parameter, now)
            elif isinstance(parameter, _REQUESTS):
                result = self._receive_request(parameter, now)
                if result is not None:
                    number = parameter.request_sequence_number
                    responses.append(ReconfigurationResponse(response_sequence_number=number, result=result))
            else:
                block.drop(DropReason.RECONFIGURATION)
        if responses:
            block.outbox.add_control(ReConfig(parameters=tuple(responses)))
        self.advance(now)

    # Answers to ours -------------------------------------------------------------------------------------------------

    def _receive_response(self, response: ReconfigurationResponse, now: float) -> None:
        request = self.request
        if request is None or response.response_sequence_number != request.request_sequence_number:
            # §5.2.7 H1: nothing of ours is waiting for it.
            self._block.drop(DropReason.RECONFIGURATION)
            return
        self._block.heard()
        if response.result in (ReconfigurationResult.IN_PROGRESS, ReconfigurationResult.ALREADY_IN_PROGRESS):
            # H2: the same request is sent again after a while.
            self.has_progress_answer = True
            self.timer.start(now + self._block.sender.rto.seconds)
            return
        self.request = None
        self.timer.stop()
        self._finish(request.stream_ids, is_performed=response.result in _SUCCESS)

    # The peer's ------------------------------------------------------------------------------------------------------

    def _receive_request(self, request: _Request, now: float) -> ReconfigurationResult | None:
        """Return the answer; None when our own request is the answer."""
        number = request.request_sequence_number
        if number == (self.expected_number - 1) & _NUMBERS:
            # §5.2.1: a repeated request gets the same answer, unless that was "not yet".
            if self.last_result is not ReconfigurationResult.IN_PROGRESS:
                return self.last_result
        elif number != self.expected_number:
            self._block.drop(DropReason.RECONFIGURATION)
            return ReconfigurationResult.BAD_SEQUENCE_NUMBER
        else:
            self.expected_number = (number + 1) & _NUMBERS
        if isinstance(request, OutgoingSsnResetRequest):
            result = self._reset_incoming(request)
        elif isinstance(request, IncomingSsnResetRequest):
            result = self._reset_outgoing(request, now)
        else:
            # RFC 8831 §6.1 needs neither more streams nor new TSNs in the middle of a call.
            result = ReconfigurationResult.DENIED
        self.last_result = result
        self.is_answer_deferred = result is ReconfigurationResult.IN_PROGRESS and isinstance(
            request, OutgoingSsnResetRequest
        )
        return result

    def _reset_incoming(self, request: OutgoingSsnResetRequest) -> ReconfigurationResult:
        """§5.2.2: the peer resets streams that it sends on."""
        receiver = self._block.receiver
        if receiver is None:
            return ReconfigurationResult.DENIED
        if any(stream_id >= receiver.inbound_streams for stream_id in request.stream_ids):
            return ReconfigurationResult.WRONG_SSN
        is_done = receiver.reset_streams(request.sender_last_tsn, request.stream_ids)
        if is_done is None:
            return ReconfigurationResult.DENIED
        return ReconfigurationResult.PERFORMED if is_done else ReconfigurationResult.IN_PROGRESS

    def _reset_outgoing(self, request: IncomingSsnResetRequest, now: float) -> ReconfigurationResult:
        """§5.2.3: the peer wants us to reset streams that we send on."""
        block = self._block
        streams = block.terms.outbound_streams if block.terms is not None else 0
        if any(stream_id >= streams for stream_id in request.stream_ids):
            return ReconfigurationResult.WRONG_SSN
        wanted = request.stream_ids or tuple(block.sender.queue.used_streams())
        current = () if self.request is None else self.request.stream_ids
        if all(stream_id in current for stream_id in wanted):
            return ReconfigurationResult.NOTHING_TO_DO
        if self.answering is None:
            self.answering = request.request_sequence_number
        self.reset(wanted, now)
        # F1: our own request carries the number as its response; until it is out, the peer may ask again.
        return ReconfigurationResult.IN_PROGRESS

    def answer_deferred(self) -> None:
        """What was missing before the peer's reset has come: say so now, and not when it asks again."""
        receiver = self._block.receiver
        if self.is_answer_deferred and receiver is not None and receiver.delivery.deferred is None:
            self.is_answer_deferred = False
            self.last_result = ReconfigurationResult.PERFORMED
            number = (self.expected_number - 1) & _NUMBERS
            response = ReconfigurationResponse(response_sequence_number=number, result=self.last_result)
            self._block.outbox.add_control(ReConfig(parameters=(response,)))
