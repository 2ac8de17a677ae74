"""Answers to the transceivers' own Binding Requests, known by their transaction.

A Binding Response carries no USERNAME: it cannot say whose it is. Yet it is what proves a path, so it must reach its
transceiver also where other sessions hold the claims on the client's address. A Binding Request that passes on its way
to an unproven path leaves its 96-bit transaction id here for a moment; a response from that address with that id
goes where the request came from.

A success response that passes is remembered too, for as long: the relay has then *witnessed* what its transceiver takes
for a proof of the path (`relay.flows` says what that is worth). The relay cannot verify its integrity, which is keyed
with the client's password; the transceiver does, before it speaks of a proof. Each counts once.

Attacker: wants his response taken for the victim's; he would have to guess the id, or to receive at the victim's
address. Bounded, oldest out first: only live transceivers add to it.
"""

from relay.claims import TransceiverPlace
from relay.recent import Recent
from wire.core import Address

__all__ = ["Transactions", "binding_request_id", "is_binding_response"]

LIFE = 5.0
MAX_OPEN = 1 << 14

_BINDING_REQUEST = b"\x00\x01"
# RFC 8489 §5: method 0x001 with the class bits 0x010 (success) or 0x011 (error).
_SUCCESS = b"\x01\x01"
_BINDING_RESPONSES = (_SUCCESS, b"\x01\x11")
_MAGIC_COOKIE = b"\x21\x12\xa4\x42"
_HEADER_SIZE = 20


def binding_request_id(data: bytes) -> bytes | None:
    """The transaction id of a Binding Request; None for anything else."""
    if len(data) >= _HEADER_SIZE and data.startswith(_BINDING_REQUEST) and data[4:8] == _MAGIC_COOKIE:
        return data[8:_HEADER_SIZE]
    return None


def is_binding_response(data: bytes) -> bool:
    """Whether this is a success or error response to a Binding Request."""
    return len(data) >= _HEADER_SIZE and data.startswith(_BINDING_RESPONSES) and data[4:8] == _MAGIC_COOKIE


class Transactions:
    """Open Binding Requests of transceivers, by ingress, client address and transaction id."""

    def __init__(self) -> None:
        self._open: Recent[tuple[int, Address, bytes], tuple[bytes, TransceiverPlace]] = Recent(
            life=LIFE, limit=MAX_OPEN
        )
        self._answered: Recent[bytes, bool] = Recent(life=LIFE, limit=MAX_OPEN)

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._open)

    def remember(
        self, transaction: bytes, ingress: int, client: Address, up_header: bytes, place: TransceiverPlace, now: float
    ) -> None:
        """Remember that a transceiver has asked something of a client.

        Args:
            transaction: the request's 12-byte id.
            ingress: the ingress that it leaves by.
            client: whom it goes to.
            up_header: what to put in front of the answer.
            place: where the answer goes.
            now: the present.
        """
        self._open.keep((ingress, client, transaction), (up_header, place), now)

    def find(self, data: bytes, ingress: int, client: Address, now: float) -> tuple[bytes, TransceiverPlace] | None:
        """Whom a Binding Response answers: what to put in front of it, and where it goes; None if nobody asked."""
        asked = self._open.get((ingress, client, data[8:_HEADER_SIZE]), now)
        if asked is not None and data.startswith(_SUCCESS):
            self._answered.keep(asked[0], True, now)
        return asked

    def take_witnessed(self, up_header: bytes, now: float) -> bool:
        """Whether the client of this path has answered its transceiver's check a moment ago; true once."""
        return self._answered.take(up_header, now) is not None
