"""Asking and answering Binding Requests: what both ICE agents share.

A connectivity check is a Binding Request whose integrity is keyed with the password of the one who answers. The answer
is keyed with the same password, tells the address that the request was seen to come from, and repeats its transaction
id.

Source: RFC 8489 §6.3, §9.1; RFC 8445 §7.2, §7.3.
"""

import enum
from collections.abc import Sequence

from stun.attributes import Attribute, AttributeType, ErrorCode, MappedAddress, UnknownAttributes, xor_address
from stun.events import DropReason
from stun.integrity import (
    Integrity,
    add_fingerprint,
    add_integrity,
    add_message_integrity,
    verify_fingerprint,
    verify_message_integrity,
)
from stun.message import BINDING, Message, MessageClass
from wire.buffer import Writer
from wire.core import Address
from wire.errors import MalformedError

__all__ = [
    "Refusal",
    "binding_request",
    "check_request",
    "check_response",
    "error_response",
    "pack_username",
    "receive_message",
    "success_response",
]


_SHA1_TYPE = int(AttributeType.MESSAGE_INTEGRITY)
_SHA256_TYPE = int(AttributeType.MESSAGE_INTEGRITY_SHA256)


class Refusal(enum.IntEnum):
    """The error code that a request is answered with (RFC 8489 §14.8, RFC 8445 §16.2)."""

    BAD_REQUEST = 400
    UNAUTHENTICATED = 401
    UNKNOWN_ATTRIBUTE = 420
    ROLE_CONFLICT = 487

    @property
    def is_authenticated(self) -> bool:
        """Whether the sender knew the password, so that the error response can prove ours."""
        return self in (Refusal.UNKNOWN_ATTRIBUTE, Refusal.ROLE_CONFLICT)

    @property
    def drop_reason(self) -> DropReason:
        """What to count."""
        return DropReason[self.name]


_PHRASES = {
    Refusal.BAD_REQUEST: "Bad Request",
    Refusal.UNAUTHENTICATED: "Unauthenticated",
    Refusal.UNKNOWN_ATTRIBUTE: "Unknown Attribute",
    Refusal.ROLE_CONFLICT: "Role Conflict",
}


def receive_message(data: bytes) -> Message | DropReason:
    """Do the checks that do not depend on what kind of message it is (RFC 8489 §6.3).

    Returns:
        The message, a Binding request or response; or why it is silently discarded.
    """
    try:
        message = Message.parse(data)
    except MalformedError:
        return DropReason.MALFORMED
    # RFC 8445 §7.3: MUST utilize the FINGERPRINT mechanism; RFC 8489 §6.3: otherwise silently discarded.
    if not verify_fingerprint(data):
        return DropReason.FINGERPRINT
    if message.method != BINDING:
        return DropReason.METHOD
    if message.message_class is MessageClass.INDICATION:
        return DropReason.INDICATION
    return message


def pack_username(receiver_ufrag: str, sender_ufrag: str) -> bytes:
    """Write the USERNAME of a check."""
    # RFC 8445 §7.2.2: the fragment of the peer, a colon, then the fragment of the agent that sends the request.
    return f"{receiver_ufrag}:{sender_ufrag}".encode()


def binding_request(transaction_id: bytes, username: bytes, key: bytes, attributes: Sequence[Attribute]) -> bytes:
    """Write a Binding Request.

    Args:
        transaction_id: 12 unpredictable bytes.
        username: from `pack_username`.
        key: the receiver's password.
        attributes: what else it says.
    """
    message = Message(
        message_class=MessageClass.REQUEST,
        transaction_id=transaction_id,
        attributes=(Attribute(AttributeType.USERNAME, username), *attributes),
    )
    # RFC 8489 §9.1.2: one integrity attribute is enough where it is known what both sides support. WebRTC clients
    # know SHA-1 only, and would have to refuse the other, which is comprehension-required.
    return add_fingerprint(add_message_integrity(message.serialize(), key))


def check_request(message: Message, data: bytes, *, ufrag: bytes, key: bytes, own_role: int) -> Refusal | None:
    """Go through the checks of a request in the order that RFC 8489 §9.1.3 gives them.

    Args:
        message: the request, parsed.
        data: the same, as received.
        ufrag: our username fragment.
        key: our password.
        own_role: the attribute type of the role that we have, which the peer must not claim.

    Returns:
        The error to answer with; None when the request is good.
    """
    username = message.get(AttributeType.USERNAME)
    # RFC 8489 §9.1.3: without an integrity or a USERNAME, 400 (Bad Request).
    if username is None or not message.has_integrity():
        return Refusal.BAD_REQUEST
    # RFC 8445 §7.3: the username is valid if it consists of two values separated by a colon, where the first is the
    # fragment that the agent generated. (The second is not looked at: whoever knows the password is the peer.)
    fragment, colon, _ = username.partition(b":")
    if not colon or fragment != ufrag or not verify_message_integrity(data, key):
        return Refusal.UNAUTHENTICATED
    # RFC 8489 §6.3.1: unknown comprehension-required attributes, 420 (Unknown Attribute).
    if message.unknown_required():
        return Refusal.UNKNOWN_ATTRIBUTE
    # RFC 8445 §7.3.1.1: a request that claims our own role, 487. The tiebreaker that would decide who yields is for
    # two full agents; of a lite and a full one, the full one controls (RFC 8445 §6.1.1).
    if message.get(own_role) is not None:
        return Refusal.ROLE_CONFLICT
    return None


def check_response(message: Message, data: bytes, key: bytes) -> bool:
    """Whether a response to a request of ours is authentic.

    Args:
        message: the response, parsed.
        data: the same, as received.
        key: the password that the request was made with.
    """
    # RFC 8489 §9.1.4: the algorithm has to match the one sent, and the value to verify; otherwise MUST be discarded.
    algorithms = [t for t, _ in message.attributes if t in (_SHA1_TYPE, _SHA256_TYPE)]
    return _SHA1_TYPE in algorithms and verify_message_integrity(data, key)


def _integrity_of(request: Message) -> Integrity:
    # RFC 8489 §9.1.3: a response to a request that contains MESSAGE-INTEGRITY-SHA256 MUST include that one, only.
    found = any(attribute_type == _SHA256_TYPE for attribute_type, _ in request.attributes)
    return Integrity.SHA256 if found else Integrity.SHA1


def success_response(request: Message, address: Address, key: bytes) -> bytes:
    """Write the answer to a good request.

    Args:
        request: what is answered.
        address: where it came from.
        key: the password that the request was made with.
    """
    # RFC 8489 §6.3.1.1 wants a SOFTWARE attribute too (SHOULD).
    # DEVIATES: an answer smaller than its request cannot be used to flood a third party; and nobody reads it.
    writer = Writer()
    MappedAddress(address=address).serialize(writer)
    mapped = xor_address(writer.finish(), request.transaction_id)
    message = Message(
        message_class=MessageClass.SUCCESS,
        transaction_id=request.transaction_id,
        attributes=(Attribute(AttributeType.XOR_MAPPED_ADDRESS, mapped),),
    )
    return add_fingerprint(add_integrity(message.serialize(), key, _integrity_of(request)))


def error_response(request: Message, refusal: Refusal, key: bytes) -> bytes:
    """Write the answer to a request that is refused.

    Args:
        request: what is answered.
        refusal: why.
        key: our password; used only where the request has shown that the sender knows it too.
    """
    writer = Writer()
    ErrorCode(code=refusal, reason=_PHRASES[refusal]).serialize(writer)
    attributes = [Attribute(AttributeType.ERROR_CODE, writer.finish())]
    if refusal is Refusal.UNKNOWN_ATTRIBUTE:
        # RFC 8489 §6.3.1: list the unknown comprehension-required attributes.
        writer = Writer()
        UnknownAttributes(types=request.unknown_required()).serialize(writer)
        attributes.append(Attribute(AttributeType.UNKNOWN_ATTRIBUTES, writer.finish()))
    message = Message(
        message_class=MessageClass.ERROR, transaction_id=request.transaction_id, attributes=tuple(attributes)
    )
    data = message.serialize()
    # RFC 8489 §9.1.3: if any of the authentication checks fail, there MUST NOT be an integrity in the response.
    if refusal.is_authenticated:
        data = add_integrity(data, key, _integrity_of(request))
    return add_fingerprint(data)
