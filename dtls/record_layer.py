"""Records in and out: which protection a record belongs to, and which datagrams wait to be sent.

Records whose epoch has no keys yet are kept, a few of them, until it has: reordering puts the peer's first protected
records in front of the message that their keys come from. So does a ServerHello in two datagrams, the second of
which also holds the rest of the flight.
"""

from collections.abc import Iterator, Mapping

from dtls.drops import DropReason
from dtls.protection import NO_CEILING, InboundPlaintext, InboundProtection, OutboundPlaintext, OutboundProtection
from dtls.records import RawRecord, Record, split_datagram
from wire.core import Drops
from wire.errors import AuthenticationError, CeilingReached, MalformedError, ReplayError

__all__ = ["MAX_EARLY_RECORDS", "RecordLayer"]

MAX_EARLY_RECORDS = 8
"""How many records without keys are kept; each is at most a datagram long."""

_MAX_EARLY_RECORD_SIZE = 2048


class RecordLayer:
    """All epochs of one association, both directions.

    Args:
        drops: where dropped records are counted.

    Attributes:
        has_authenticated: whether any protected record was authentic yet. From then on plaintext is not believed.
        keeps_early_records: whether records of unknown epochs are kept; off once no further keys are to come.
    """

    __slots__ = (
        "_drops",
        "_early",
        "_inbound",
        "_inbound_by_bits",
        "_outbound",
        "_outbox",
        "has_authenticated",
        "keeps_early_records",
    )

    def __init__(self, drops: Drops) -> None:
        self._drops = drops
        self._inbound: dict[int, InboundProtection] = {0: InboundPlaintext()}
        self._inbound_by_bits: dict[int, InboundProtection] = {}
        self._outbound: dict[int, OutboundProtection] = {0: OutboundPlaintext()}
        self._outbox: list[bytes] = []
        self._early: list[RawRecord] = []
        self.has_authenticated = False
        self.keeps_early_records = True

    # Inbound ---------------------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> Iterator[Record]:
        """Open the records of a datagram, one at a time.

        It goes on lazily: a handshake message in one record may install the keys of the next one. Records that were
        kept come last, as soon as their keys are there.
        """
        if not data:
            self._drops[DropReason.NOT_DTLS] += 1
        for item in split_datagram(data):
            if isinstance(item, DropReason):
                self._drops[item] += 1
            elif (record := self._open(item)) is not None:
                yield record
        while (raw := self._next_early()) is not None:
            if (record := self._open(raw)) is not None:
                yield record
        if self._early and not self.keeps_early_records:
            self._drops[DropReason.UNKNOWN_EPOCH] += len(self._early)
            self._early = []

    def install_inbound(self, protection: InboundProtection) -> None:
        """Open records of another epoch from now on."""
        self._inbound[protection.epoch] = protection
        if protection.is_unified:
            # RFC 9147 §4.2.2: matching low bits mean the most recent epoch that has them.
            self._inbound_by_bits[protection.epoch & 3] = protection

    def remove_inbound(self, epoch: int) -> None:
        """Forget the keys of an epoch; its records are dropped from now on."""
        protection = self._inbound.pop(epoch, None)
        if protection is not None and self._inbound_by_bits.get(epoch & 3) is protection:
            del self._inbound_by_bits[epoch & 3]

    def inbound(self, epoch: int) -> InboundProtection | None:
        """Return what opens records of an epoch."""
        return self._inbound.get(epoch)

    def forget_keys(self) -> None:
        """The association is over: nothing is opened or sealed any more. What waits to be sent stays."""
        self._inbound, self._inbound_by_bits, self._outbound, self._early = {}, {}, {}, []

    def _protection_of(self, raw: RawRecord) -> InboundProtection | None:
        if raw.is_unified:
            return self._inbound_by_bits.get(raw.epoch)
        protection = self._inbound.get(raw.epoch)
        return None if protection is None or protection.is_unified else protection

    def _open(self, raw: RawRecord) -> Record | None:
        protection = self._protection_of(raw)
        if protection is None:
            self._keep_early(raw)
            return None
        try:
            record = protection.open(raw)
        except AuthenticationError:
            # RFC 9147 §4.5.2: invalid records are silently discarded.
            self._drops[DropReason.UNDECRYPTABLE] += 1
        except ReplayError:
            self._drops[DropReason.REPLAYED] += 1
        except MalformedError:
            self._drops[DropReason.EMPTY_RECORD] += 1
        else:
            if record.epoch:
                self.has_authenticated = True
            return record
        return None

    def _keep_early(self, raw: RawRecord) -> None:
        if not self.keeps_early_records or raw.epoch == 0 or len(raw.payload) > _MAX_EARLY_RECORD_SIZE:
            self._drops[DropReason.UNKNOWN_EPOCH] += 1
        elif len(self._early) >= MAX_EARLY_RECORDS:
            self._drops[DropReason.EARLY_RECORD_OVERFLOW] += 1
        else:
            self._early.append(raw)

    def _next_early(self) -> RawRecord | None:
        for index, raw in enumerate(self._early):
            if self._protection_of(raw) is not None:
                return self._early.pop(index)
        return None

    # Outbound --------------------------------------------------------------------------------------------------------

    @property
    def sending_epoch(self) -> int:
        """The highest epoch that we can send in."""
        return max(self._outbound)

    def install_outbound(self, protection: OutboundProtection) -> None:
        """Be able to send in another epoch."""
        self._outbound[protection.epoch] = protection

    def remove_outbound(self, epoch: int) -> None:
        """Forget the keys of an epoch."""
        self._outbound.pop(epoch, None)

    def outbound(self, epoch: int) -> OutboundProtection:
        """Return what protects records of an epoch."""
        return self._outbound[epoch]

    def outbound_or_none(self, epoch: int) -> OutboundProtection | None:
        """Return what protects records of an epoch, if there are keys for it."""
        return self._outbound.get(epoch)

    def send(self, content_type: int, content: bytes, epoch: int | None = None) -> None:
        """Put one record into a datagram of its own; in the highest epoch when none is given.

        It is dropped and counted when the epoch has come to its ceiling.
        """
        record = self.seal(content_type, content, max(self._outbound) if epoch is None else epoch)
        if record is not None:
            self._outbox.append(record)

    def seal(self, content_type: int, content: bytes, epoch: int) -> bytes | None:
        """Make one record; None when the epoch has come to its ceiling, which is counted."""
        try:
            return self._outbound[epoch].seal(content_type, content)
        except CeilingReached:
            self._drops[DropReason.CEILING] += 1
            return None

    def limit(self, ceilings: Mapping[int, int] | None) -> None:
        """Set the ceilings: the first record number that may not be used, of each protected epoch.

        Args:
            ceilings: by epoch; one that is not among them may send nothing. None for no ceilings.
        """
        for epoch, protection in self._outbound.items():
            if epoch:
                protection.ceiling = NO_CEILING if ceilings is None else ceilings.get(epoch, 0)

    def next_sequences(self) -> dict[int, int]:
        """Return the next record number of each protected epoch that we can send in."""
        return {epoch: protection.next_sequence for epoch, protection in self._outbound.items() if epoch}

    def send_datagram(self, datagram: bytes) -> None:
        """Queue a datagram whose records were sealed elsewhere."""
        self._outbox.append(datagram)

    def take_datagrams(self) -> list[bytes]:
        """Return what waits to be sent, once."""
        datagrams, self._outbox = self._outbox, []
        return datagrams
