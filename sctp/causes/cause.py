"""All causes of an ERROR or ABORT chunk: finding the record for each.

Source: RFC 9260 §3.3.10.
"""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from sctp import tlv
from sctp.causes.cookie_received_while_shutting_down import CookieReceivedWhileShuttingDown
from sctp.causes.invalid_mandatory_parameter import InvalidMandatoryParameter
from sctp.causes.invalid_stream_identifier import InvalidStreamIdentifier
from sctp.causes.missing_mandatory_parameter import MissingMandatoryParameter
from sctp.causes.no_user_data import NoUserData
from sctp.causes.out_of_resource import OutOfResource
from sctp.causes.protocol_violation import ProtocolViolation
from sctp.causes.restart_with_new_addresses import RestartWithNewAddresses
from sctp.causes.stale_cookie import StaleCookie
from sctp.causes.unknown import UnknownCause
from sctp.causes.unrecognized_chunk_type import UnrecognizedChunkType
from sctp.causes.unrecognized_parameters import UnrecognizedParameters
from sctp.causes.unresolvable_address import UnresolvableAddress
from sctp.causes.user_initiated_abort import UserInitiatedAbort
from wire.buffer import Reader, Writer

__all__ = ["Cause", "parse_causes", "write_causes"]

Cause: TypeAlias = (
    InvalidStreamIdentifier
    | MissingMandatoryParameter
    | StaleCookie
    | OutOfResource
    | UnresolvableAddress
    | UnrecognizedChunkType
    | InvalidMandatoryParameter
    | UnrecognizedParameters
    | NoUserData
    | CookieReceivedWhileShuttingDown
    | RestartWithNewAddresses
    | UserInitiatedAbort
    | ProtocolViolation
    | UnknownCause
)

_BY_CODE: dict[int, Callable[[Reader], Cause]] = {
    InvalidStreamIdentifier.CODE: InvalidStreamIdentifier.parse,
    MissingMandatoryParameter.CODE: MissingMandatoryParameter.parse,
    StaleCookie.CODE: StaleCookie.parse,
    OutOfResource.CODE: OutOfResource.parse,
    UnresolvableAddress.CODE: UnresolvableAddress.parse,
    UnrecognizedChunkType.CODE: UnrecognizedChunkType.parse,
    InvalidMandatoryParameter.CODE: InvalidMandatoryParameter.parse,
    UnrecognizedParameters.CODE: UnrecognizedParameters.parse,
    NoUserData.CODE: NoUserData.parse,
    CookieReceivedWhileShuttingDown.CODE: CookieReceivedWhileShuttingDown.parse,
    RestartWithNewAddresses.CODE: RestartWithNewAddresses.parse,
    UserInitiatedAbort.CODE: UserInitiatedAbort.parse,
    ProtocolViolation.CODE: ProtocolViolation.parse,
}


def parse_causes(reader: Reader) -> tuple[Cause, ...]:
    """Read all causes up to the end of a chunk.

    Raises:
        MalformedError: a length is wrong, or the value of a known cause does not parse.
    """
    return tuple(_parse(code, value) for code, value in tlv.read_all(reader, "cause"))


def _parse(code: int, value: Reader) -> Cause:
    if parse := _BY_CODE.get(code):
        return parse(value)
    return UnknownCause(code=code, value=value.rest())


def write_causes(writer: Writer, causes: Iterable[Cause]) -> None:
    """Write causes behind one another, without the padding of the last one.

    Raises:
        LocalProtocolError: a field is out of range.
    """
    for cause in causes:
        value = Writer()
        cause.serialize(value)
        tlv.write(writer, cause.code if isinstance(cause, UnknownCause) else cause.CODE, value)
