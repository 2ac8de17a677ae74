"""The reliable way that handshake messages take over unreliable records; the same for both versions.

Inbound it is fragments, reassembly and the list of received records; outbound message numbers, flights and the
retransmission timer. It knows nothing of what the messages mean.
"""

from collections.abc import Sequence

from dtls.acknowledgement import ReceivedRecords
from dtls.alerts import AbortError
from dtls.drops import DropReason
from dtls.flight import Flight
from dtls.fragmentation import ChangeCipherSpec
from dtls.handshake.body import HandshakeBody, serialize_body
from dtls.handshake.message import HandshakeMessage, parse_fragments
from dtls.options import DtlsOptions
from dtls.reassembly import FragmentOutcome, Reassembler
from dtls.record_layer import RecordLayer
from dtls.records import Record, RecordNumber
from dtls.timers import RetransmissionTimer
from wire.core import Drops
from wire.errors import MalformedError

__all__ = ["HandshakeChannel"]


class HandshakeChannel:
    """Carries handshake messages of one association.

    Args:
        records: what carries them.
        options: MTU, message size, timers.
        drops: where dropped fragments are counted.

    Attributes:
        records: as given.
        reassembly: whose `epoch` and `look_ahead` an engine moves with the keys.
        received: records of the peer's present flight.
        timer: the retransmission timer.
        flight: what we sent last; None when there is nothing to send again.
    """

    __slots__ = (
        "_drops",
        "_flight_begins",
        "_mtu",
        "_next_message_seq",
        "_received_at",
        "flight",
        "reassembly",
        "received",
        "records",
        "timer",
    )

    def __init__(self, records: RecordLayer, options: DtlsOptions, drops: Drops) -> None:
        self.records = records
        self.reassembly = Reassembler(drops, options.max_message_size)
        self.received = ReceivedRecords()
        self.timer = RetransmissionTimer(options.timers)
        self.flight: Flight | None = None
        self._drops = drops
        self._mtu = options.mtu
        self._next_message_seq = 0
        self._received_at = 0.0
        self._flight_begins = 0  # message_seq of the first message of the peer's present flight

    # Inbound ---------------------------------------------------------------------------------------------------------

    def receive(self, record: Record, now: float) -> bool:
        """Take a handshake record; `next_message` may have something afterwards.

        Returns:
            Whether it held fragments of a flight that we have answered: the peer has not seen our answer.
        """
        try:
            fragments = parse_fragments(record.content)
        except MalformedError:
            self._drops[DropReason.MALFORMED_FRAGMENT] += 1
            return False
        is_current = is_previous = refused = False
        for fragment in fragments:
            outcome = self.reassembly.add(fragment, record.epoch)
            if outcome is FragmentOutcome.REFUSED:
                refused = True
            elif fragment.message_seq >= self._flight_begins:
                is_current = True
            else:
                is_previous = True
        self._received_at = now
        if is_current:
            # In the clear a mere fragment proves nothing: one forged datagram must not stop our retransmissions.
            if record.epoch:
                self._peer_answers()
            # RFC 9147 §7: records with fragments that were not kept MUST NOT be acknowledged.
            if not refused:
                self.received.add(record.number)
        return is_previous

    def next_message(self) -> HandshakeMessage | None:
        """Hand out the peer's next message when it is complete."""
        message = self.reassembly.next_message()
        if message is not None:
            self._peer_answers()
        return message

    def _peer_answers(self) -> None:
        # RFC 9147 §7: receiving a message of a flight implicitly acknowledges the flight before it.
        if self.flight is not None and not self.flight.is_acknowledged:
            self.flight.acknowledge_all()
            self.timer.answered(self._received_at)

    # Outbound --------------------------------------------------------------------------------------------------------

    def message(self, body: HandshakeBody, epoch: int) -> HandshakeMessage:
        """Give a message of ours its number."""
        message_seq = self._next_message_seq
        self._next_message_seq += 1
        return HandshakeMessage(type=body.TYPE, message_seq=message_seq, epoch=epoch, body=serialize_body(body))

    def send_flight(
        self, contents: Sequence[HandshakeMessage | ChangeCipherSpec], now: float, *, expects_answer: bool = True
    ) -> None:
        """Send a flight, which answers all that the peer has sent.

        Args:
            contents: in the order of sending; the keys of their epochs are installed.
            now: the present.
            expects_answer: whether to send it again until the peer answers. (The last flight of a 1.2 handshake is
                sent again only when the peer repeats its own.)
        """
        self.received.clear()
        self._flight_begins = self.reassembly.next_seq
        self.flight = Flight(contents)
        self.flight.transmit(self.records, self._mtu)
        if expects_answer:
            self.timer.start(now)
        else:
            self.timer.stop()

    def retransmit(self) -> None:
        """Send all of the flight that is not acknowledged once more."""
        if self.flight is not None:
            self.flight.transmit(self.records, self._mtu)

    def unacknowledge(self) -> None:
        """Take back that the peer has any of the flight: the next time all of it is sent again (1.2)."""
        if self.flight is not None:
            self.flight = Flight(self.flight.contents)

    def acknowledge(self, numbers: Sequence[RecordNumber], now: float) -> None:
        """The peer says that it has these records of ours (1.3)."""
        if self.flight is None or not self.flight.acknowledge(numbers):
            return
        if self.flight.is_acknowledged:
            self.timer.answered(now)
        else:
            # RFC 9147 §7.2: retransmit what is left. News is needed each time, so this ends.
            self.retransmit()
            self.timer.start(now)

    def forget_flight(self) -> None:
        """Nothing is to be sent again."""
        self.flight = None
        self.timer.stop()

    def handle_timeout(self, now: float) -> bool:
        """Send the flight again if it is time.

        Returns:
            Whether it was time; then an engine of 1.3 repeats its ACK too.

        Raises:
            AbortError: the peer has been silent for too long.
        """
        if not self.timer.is_due(now):
            return False
        if not self.timer.back_off(now):
            raise AbortError(None, "handshake-timeout", "the peer does not answer")
        self.retransmit()
        return True
