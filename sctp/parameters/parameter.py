"""All parameters of a chunk: finding the record for each.

Source: RFC 9260 §3.2.1.
"""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from sctp import tlv
from sctp.parameters.add_incoming_streams_request import AddIncomingStreamsRequest
from sctp.parameters.add_outgoing_streams_request import AddOutgoingStreamsRequest
from sctp.parameters.cookie_preservative import CookiePreservative
from sctp.parameters.forward_tsn_supported import ForwardTsnSupported
from sctp.parameters.heartbeat_info import HeartbeatInfo
from sctp.parameters.host_name_address import HostNameAddress
from sctp.parameters.incoming_ssn_reset_request import IncomingSsnResetRequest
from sctp.parameters.ipv4_address import Ipv4Address
from sctp.parameters.ipv6_address import Ipv6Address
from sctp.parameters.outgoing_ssn_reset_request import OutgoingSsnResetRequest
from sctp.parameters.reconfiguration_response import ReconfigurationResponse
from sctp.parameters.ssn_tsn_reset_request import SsnTsnResetRequest
from sctp.parameters.state_cookie import StateCookie
from sctp.parameters.supported_address_types import SupportedAddressTypes
from sctp.parameters.supported_extensions import SupportedExtensions
from sctp.parameters.unknown import UnknownParameter
from sctp.parameters.unrecognized_parameter import UnrecognizedParameter
from wire.buffer import Reader, Writer

__all__ = ["Parameter", "parse_parameters", "serialize_parameter", "write_parameters"]

Parameter: TypeAlias = (
    HeartbeatInfo
    | Ipv4Address
    | Ipv6Address
    | StateCookie
    | UnrecognizedParameter
    | CookiePreservative
    | HostNameAddress
    | SupportedAddressTypes
    | OutgoingSsnResetRequest
    | IncomingSsnResetRequest
    | SsnTsnResetRequest
    | ReconfigurationResponse
    | AddOutgoingStreamsRequest
    | AddIncomingStreamsRequest
    | SupportedExtensions
    | ForwardTsnSupported
    | UnknownParameter
)

_BY_TYPE: dict[int, Callable[[Reader], Parameter]] = {
    HeartbeatInfo.TYPE: HeartbeatInfo.parse,
    Ipv4Address.TYPE: Ipv4Address.parse,
    Ipv6Address.TYPE: Ipv6Address.parse,
    StateCookie.TYPE: StateCookie.parse,
    UnrecognizedParameter.TYPE: UnrecognizedParameter.parse,
    CookiePreservative.TYPE: CookiePreservative.parse,
    HostNameAddress.TYPE: HostNameAddress.parse,
    SupportedAddressTypes.TYPE: SupportedAddressTypes.parse,
    OutgoingSsnResetRequest.TYPE: OutgoingSsnResetRequest.parse,
    IncomingSsnResetRequest.TYPE: IncomingSsnResetRequest.parse,
    SsnTsnResetRequest.TYPE: SsnTsnResetRequest.parse,
    ReconfigurationResponse.TYPE: ReconfigurationResponse.parse,
    AddOutgoingStreamsRequest.TYPE: AddOutgoingStreamsRequest.parse,
    AddIncomingStreamsRequest.TYPE: AddIncomingStreamsRequest.parse,
    SupportedExtensions.TYPE: SupportedExtensions.parse,
    ForwardTsnSupported.TYPE: ForwardTsnSupported.parse,
}


def parse_parameters(reader: Reader) -> tuple[Parameter, ...]:
    """Read all parameters up to the end of a chunk.

    Which of them may stand in the chunk is for whoever acts on them, and so is what becomes of unknown ones
    (`sctp.unrecognized.sift`).

    Raises:
        MalformedError: a length is wrong, or the value of a known type does not parse.
    """
    return tuple(_parse(parameter_type, value) for parameter_type, value in tlv.read_all(reader, "parameter"))


def _parse(parameter_type: int, value: Reader) -> Parameter:
    if parse := _BY_TYPE.get(parameter_type):
        return parse(value)
    return UnknownParameter(type=parameter_type, value=value.rest())


def write_parameters(writer: Writer, parameters: Iterable[Parameter]) -> None:
    """Write parameters behind one another, without the padding of the last one.

    Raises:
        LocalProtocolError: a field is out of range.
    """
    for parameter in parameters:
        value = Writer()
        parameter.serialize(value)
        parameter_type = parameter.type if isinstance(parameter, UnknownParameter) else parameter.TYPE
        tlv.write(writer, parameter_type, value)


def serialize_parameter(parameter: Parameter) -> bytes:
    """Write one parameter with its type and length, without padding, as it is handed back to report it.

    Raises:
        LocalProtocolError: a field is out of range.
    """
    writer = Writer()
    write_parameters(writer, [parameter])
    return writer.finish()
