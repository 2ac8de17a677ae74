"""What STUN messages carry: attribute types, and the values that have a structure of their own.

Every attribute is a type, a length and a value (RFC 8489 §14). Types below 0x8000 must be understood by whoever
processes a request; the others may be ignored.
"""

import enum
import functools
import ipaddress
from typing import NamedTuple, Self

import attrs

from wire.buffer import Reader, Writer
from wire.core import Address
from wire.errors import MalformedError

__all__ = [
    "Attribute",
    "AttributeType",
    "ErrorCode",
    "MappedAddress",
    "UnknownAttributes",
    "is_comprehension_required",
    "xor_address",
]

MAGIC_COOKIE = 0x2112A442
MAGIC_COOKIE_BYTES = MAGIC_COOKIE.to_bytes(4, "big")

_IPV4 = 0x01
_IPV6 = 0x02


class AttributeType(enum.IntEnum):
    """Attribute types that this package knows.

    Source: RFC 8489 §18.3, RFC 8445 §20.2; the last ones are what libwebrtc sends beyond the registry's RFCs.
    """

    MAPPED_ADDRESS = 0x0001
    USERNAME = 0x0006
    MESSAGE_INTEGRITY = 0x0008
    ERROR_CODE = 0x0009
    UNKNOWN_ATTRIBUTES = 0x000A
    REALM = 0x0014
    NONCE = 0x0015
    MESSAGE_INTEGRITY_SHA256 = 0x001C
    PASSWORD_ALGORITHM = 0x001D
    USERHASH = 0x001E
    XOR_MAPPED_ADDRESS = 0x0020
    PRIORITY = 0x0024
    USE_CANDIDATE = 0x0025
    PASSWORD_ALGORITHMS = 0x8002
    ALTERNATE_DOMAIN = 0x8003
    SOFTWARE = 0x8022
    ALTERNATE_SERVER = 0x8023
    FINGERPRINT = 0x8028
    ICE_CONTROLLED = 0x8029
    ICE_CONTROLLING = 0x802A
    GOOG_NETWORK_INFO = 0xC057


KNOWN_TYPES = frozenset(int(member) for member in AttributeType)


class Attribute(NamedTuple):
    """An attribute as it is on the wire, without its padding.

    A tuple rather than an attrs record: a check carries seven of them, and a tuple costs a third.

    Attributes:
        type: the attribute type; often, not always, a member of `AttributeType`.
        value: its bytes.
    """

    type: int
    value: bytes


def is_comprehension_required(attribute_type: int) -> bool:
    """Whether a request with this attribute may be processed only by who understands it."""
    # RFC 8489 §14: 0x0000 to 0x7FFF are comprehension-required, 0x8000 to 0xFFFF comprehension-optional.
    return attribute_type < 0x8000


@attrs.frozen(kw_only=True)
class MappedAddress:
    """The address that a request came from, as its receiver saw it (MAPPED-ADDRESS, and XOR-MAPPED-ADDRESS's inside).

    |0 0 0 0 0 0 0 0|    Family     |             Port              |
    |               Address: 32 bits (IPv4) or 128 bits (IPv6)      |

    Attributes:
        address: IP address in its shortest text form, and port.

    Source: RFC 8489 §14.1.
    """

    address: Address

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the value of a MAPPED-ADDRESS attribute."""
        # RFC 8489 §14.1: the first 8 bits MUST be ignored by receivers.
        reader.skip(1, "MAPPED-ADDRESS reserved")
        at = reader.offset
        family = reader.u8("MAPPED-ADDRESS family")
        if family not in (_IPV4, _IPV6):
            raise MalformedError("MAPPED-ADDRESS family", at, f"{family} is neither IPv4 (1) nor IPv6 (2)")
        port = reader.u16("MAPPED-ADDRESS port")
        packed = reader.octets(4 if family == _IPV4 else 16, "MAPPED-ADDRESS address")
        reader.finish("MAPPED-ADDRESS")
        return cls(address=(str(ipaddress.ip_address(packed)), port))

    def serialize(self, writer: Writer) -> None:
        """Write the value of a MAPPED-ADDRESS attribute."""
        host, port = self.address
        packed = _packed(host)
        writer.u8(0).u8(_IPV4 if len(packed) == 4 else _IPV6).u16(port, "MAPPED-ADDRESS port").octets(packed)


@functools.lru_cache(maxsize=1024)
def _packed(host: str) -> bytes:
    """Encode an IP address. A client asks again and again from the same one, and reading its text takes 2 us."""
    return ipaddress.ip_address(host).packed


def xor_address(value: bytes, transaction_id: bytes) -> bytes:
    """Turn the value of a MAPPED-ADDRESS into one of XOR-MAPPED-ADDRESS, and back: it undoes itself.

    Well-meaning NATs rewrite addresses that they find in payloads; they do not find them when disguised.

    Args:
        value: at least the 4 bytes before the address; shorter values are returned unchanged for the parser to refuse.
        transaction_id: of the message that carries it, 12 bytes; IPv6 addresses are disguised with it.

    Source: RFC 8489 §14.2.
    """
    if len(value) < 4:
        return value
    mask = MAGIC_COOKIE_BYTES + transaction_id
    covered = value[4:20]
    address = int.from_bytes(covered, "big") ^ int.from_bytes(mask[: len(covered)], "big")
    port = int.from_bytes(value[2:4], "big") ^ (MAGIC_COOKIE >> 16)
    return value[:2] + port.to_bytes(2, "big") + address.to_bytes(len(covered), "big") + value[20:]


@attrs.frozen(kw_only=True)
class ErrorCode:
    """Why a request was refused (ERROR-CODE).

    |           Reserved, should be 0         |Class|     Number    |
    |      Reason Phrase (variable)                                ..

    Attributes:
        code: 300 to 699.
        reason: a phrase for people, fewer than 128 characters.

    Source: RFC 8489 §14.8.
    """

    code: int
    reason: str

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the value of an ERROR-CODE attribute."""
        # RFC 8489 §14.8: the reserved bits SHOULD be 0 and MUST be ignored on receipt.
        reader.skip(2, "ERROR-CODE reserved")
        at = reader.offset
        hundreds = reader.u8("ERROR-CODE class") & 0x07
        number = reader.u8("ERROR-CODE number")
        # RFC 8489 §14.8: the class MUST be between 3 and 6, the number between 0 and 99.
        if not (3 <= hundreds <= 6 and number <= 99):
            raise MalformedError("ERROR-CODE", at, f"class {hundreds}, number {number} is out of range")
        at = reader.offset
        # RFC 8489 §14.8: the phrase can be as long as 763 bytes when decoding.
        phrase = reader.octets(min(len(reader), 763), "ERROR-CODE reason phrase")
        reader.finish("ERROR-CODE")
        try:
            reason = phrase.decode()
        except UnicodeDecodeError as error:
            raise MalformedError("ERROR-CODE reason phrase", at + error.start, "is not UTF-8") from error
        return cls(code=hundreds * 100 + number, reason=reason)

    def serialize(self, writer: Writer) -> None:
        """Write the value of an ERROR-CODE attribute."""
        hundreds, number = divmod(self.code, 100)
        writer.u16(0).u8(hundreds, "ERROR-CODE class").u8(number).octets(self.reason.encode())


@attrs.frozen(kw_only=True)
class UnknownAttributes:
    """The comprehension-required attributes that made a server answer 420 (UNKNOWN-ATTRIBUTES).

    Attributes:
        types: their attribute types.

    Source: RFC 8489 §14.13.
    """

    types: tuple[int, ...]

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the value of an UNKNOWN-ATTRIBUTES attribute."""
        types = []
        while len(reader):
            types.append(reader.u16("UNKNOWN-ATTRIBUTES type"))
        return cls(types=tuple(types))

    def serialize(self, writer: Writer) -> None:
        """Write the value of an UNKNOWN-ATTRIBUTES attribute."""
        for attribute_type in self.types:
            writer.u16(attribute_type, "UNKNOWN-ATTRIBUTES type")
