"""The flow tag: what lets a relay answer a client that it has forgotten.

    tag = BLAKE2b(ingress u16 ‖ session u64 ‖ port u16 ‖ client address 4 or 16, key = flow-tag key), 8 bytes

Goal: the way back needs no relay state. A relay that has just started, or another of the group, forwards what a
transceiver sends to a client; and yet a transceiver cannot make a relay send to an address of its choosing.

Attacker: a transceiver that was taken over, or anybody who can forge its source address between the tiers.

Construction: a relay puts the tag on each datagram to a transceiver, which keeps it with the path and puts it on each
datagram back. Only relays hold the key. A tag is made for an address only after a STUN request from there has proven
knowledge of the session's password.

Properties: whoever holds a tag can send to the one address that it was made for, from the ingress that this address
talked to, and nowhere else. A guess hits with 2^-64; each costs a datagram to the relay, is counted, and has no
effect. A tag does not say that the client really is at its address (STUN sources can be forged): that is what the
VALIDATED flag, and the transceiver's rules for unproven paths, are for. Tags do not expire; a transceiver that stays
malicious can go on sending to its former clients, which its own network could do as well.
"""

import hashlib
import hmac
import struct
from collections.abc import Sequence

from relay.hop.header import TAG_SIZE, pack_host
from wire.core import Address
from wire.errors import LocalProtocolError

__all__ = ["FlowTags"]

_SUBJECT = struct.Struct(">HQH")
_KEY_SIZE = 32


class FlowTags:
    """Makes and verifies flow tags.

    Args:
        keys: flow-tag keys of 32 bytes; the first makes tags, all verify them, so that a key can be replaced.

    Raises:
        LocalProtocolError: there is no key, or one of another length.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != _KEY_SIZE for key in keys):
            raise LocalProtocolError("flow tags need at least one key, of 32 bytes each")
        self._keys = tuple(keys)

    def make(self, ingress: int, session: int, client: Address) -> bytes:
        """Return the tag of a client's address in a session.

        Raises:
            LocalProtocolError: not an address that can be forwarded.
        """
        return _tag(self._keys[0], ingress, session, client)

    def verify(self, tag: bytes, ingress: int, session: int, client: Address) -> bool:
        """Whether a relay has made this tag for this address in this session."""
        return any(hmac.compare_digest(_tag(key, ingress, session, client), tag) for key in self._keys)


def _tag(key: bytes, ingress: int, session: int, client: Address) -> bytes:
    subject = _SUBJECT.pack(ingress, session, client[1]) + pack_host(client[0])
    return hashlib.blake2b(subject, digest_size=TAG_SIZE, key=key, person=b"flow tag").digest()
