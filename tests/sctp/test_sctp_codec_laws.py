"""Laws that every chunk, parameter and cause keeps; records are found by looking, so none can be forgotten."""

import contextlib
import importlib
import pkgutil
from types import ModuleType
from typing import Any, get_args

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sctp.causes
import sctp.chunks
import sctp.parameters
from sctp.causes.cause import Cause, parse_causes, write_causes
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
from sctp.checksum import checksum_of
from sctp.chunks.abort import Abort
from sctp.chunks.chunk import Chunk
from sctp.chunks.cookie_ack import CookieAck
from sctp.chunks.cookie_echo import CookieEcho
from sctp.chunks.data import Data
from sctp.chunks.error import Error
from sctp.chunks.forward_tsn import ForwardTsn
from sctp.chunks.heartbeat import Heartbeat
from sctp.chunks.heartbeat_ack import HeartbeatAck
from sctp.chunks.init import Init
from sctp.chunks.init_ack import InitAck
from sctp.chunks.initiation import Initiation
from sctp.chunks.reconfig import ReConfig
from sctp.chunks.sack import Sack
from sctp.chunks.shutdown import Shutdown
from sctp.chunks.shutdown_ack import ShutdownAck
from sctp.chunks.shutdown_complete import ShutdownComplete
from sctp.chunks.unknown import UnknownChunk
from sctp.packet import Packet, parse_packet, serialize_packet
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
from sctp.parameters.parameter import Parameter, parse_parameters, write_parameters
from sctp.parameters.reconfiguration_response import ReconfigurationResponse
from sctp.parameters.ssn_tsn_reset_request import SsnTsnResetRequest
from sctp.parameters.state_cookie import StateCookie
from sctp.parameters.supported_address_types import SupportedAddressTypes
from sctp.parameters.supported_extensions import SupportedExtensions
from sctp.parameters.unknown import UnknownParameter
from sctp.parameters.unrecognized_parameter import UnrecognizedParameter
from wire.buffer import Reader, Writer
from wire.errors import LocalProtocolError, MalformedError

# There are many records, each with a few fields that do not depend on each other.
few = settings(max_examples=20)

U8 = st.integers(0, 0xFF)
U16 = st.integers(0, 0xFFFF)
U32 = st.integers(0, 0xFFFF_FFFF)
BYTES = st.binary(max_size=20)
U16S = st.lists(U16, max_size=5).map(tuple)
PAIRS = st.lists(st.tuples(U16, U16), max_size=4).map(tuple)

PARAMETERS: dict[type, st.SearchStrategy[Any]] = {
    HeartbeatInfo: st.builds(HeartbeatInfo, info=BYTES),
    Ipv4Address: st.builds(Ipv4Address, address=st.binary(min_size=4, max_size=4)),
    Ipv6Address: st.builds(Ipv6Address, address=st.binary(min_size=16, max_size=16)),
    StateCookie: st.builds(StateCookie, cookie=BYTES),
    UnrecognizedParameter: st.builds(UnrecognizedParameter, parameter=BYTES),
    CookiePreservative: st.builds(CookiePreservative, increment_ms=U32),
    HostNameAddress: st.builds(HostNameAddress, host_name=BYTES),
    SupportedAddressTypes: st.builds(SupportedAddressTypes, types=U16S),
    OutgoingSsnResetRequest: st.builds(
        OutgoingSsnResetRequest,
        request_sequence_number=U32,
        response_sequence_number=U32,
        sender_last_tsn=U32,
        stream_ids=U16S,
    ),
    IncomingSsnResetRequest: st.builds(IncomingSsnResetRequest, request_sequence_number=U32, stream_ids=U16S),
    SsnTsnResetRequest: st.builds(SsnTsnResetRequest, request_sequence_number=U32),
    ReconfigurationResponse: st.builds(
        ReconfigurationResponse,
        response_sequence_number=U32,
        result=U32,
        next_tsns=st.none() | st.tuples(U32, U32),
    ),
    AddOutgoingStreamsRequest: st.builds(AddOutgoingStreamsRequest, request_sequence_number=U32, new_streams=U16),
    AddIncomingStreamsRequest: st.builds(AddIncomingStreamsRequest, request_sequence_number=U32, new_streams=U16),
    SupportedExtensions: st.builds(SupportedExtensions, chunk_types=BYTES.map(tuple)),
    ForwardTsnSupported: st.builds(ForwardTsnSupported),
}
KNOWN_PARAMETERS = {record.TYPE for record in PARAMETERS}
PARAMETERS[UnknownParameter] = st.builds(
    UnknownParameter, type=U16.filter(lambda number: number not in KNOWN_PARAMETERS), value=BYTES
)
SOME_PARAMETERS = st.lists(st.one_of(*PARAMETERS.values()), max_size=4).map(tuple)

CAUSES: dict[type, st.SearchStrategy[Any]] = {
    InvalidStreamIdentifier: st.builds(InvalidStreamIdentifier, stream_id=U16),
    MissingMandatoryParameter: st.builds(MissingMandatoryParameter, types=U16S),
    StaleCookie: st.builds(StaleCookie, staleness_us=U32),
    OutOfResource: st.builds(OutOfResource),
    UnresolvableAddress: st.builds(UnresolvableAddress, address=BYTES),
    UnrecognizedChunkType: st.builds(UnrecognizedChunkType, chunk=BYTES),
    InvalidMandatoryParameter: st.builds(InvalidMandatoryParameter),
    UnrecognizedParameters: st.builds(UnrecognizedParameters, parameters=BYTES),
    NoUserData: st.builds(NoUserData, tsn=U32),
    CookieReceivedWhileShuttingDown: st.builds(CookieReceivedWhileShuttingDown),
    RestartWithNewAddresses: st.builds(RestartWithNewAddresses, addresses=BYTES),
    UserInitiatedAbort: st.builds(UserInitiatedAbort, reason=BYTES),
    ProtocolViolation: st.builds(ProtocolViolation, information=BYTES),
}
KNOWN_CAUSES = {record.CODE for record in CAUSES}
CAUSES[UnknownCause] = st.builds(UnknownCause, code=U16.filter(lambda number: number not in KNOWN_CAUSES), value=BYTES)
SOME_CAUSES = st.lists(st.one_of(*CAUSES.values()), max_size=4).map(tuple)

INITIATION = {
    "initiate_tag": U32,
    "a_rwnd": U32,
    "outbound_streams": U16,
    "inbound_streams": U16,
    "initial_tsn": U32,
    "parameters": SOME_PARAMETERS,
}
CHUNKS: dict[type, st.SearchStrategy[Any]] = {
    Data: st.builds(
        Data,
        is_immediate=st.booleans(),
        is_unordered=st.booleans(),
        is_beginning=st.booleans(),
        is_end=st.booleans(),
        tsn=U32,
        stream_id=U16,
        stream_sequence_number=U16,
        ppid=U32,
        user_data=BYTES,
    ),
    Init: st.builds(Init, **INITIATION),
    InitAck: st.builds(InitAck, **INITIATION),
    Sack: st.builds(
        Sack,
        cumulative_tsn_ack=U32,
        a_rwnd=U32,
        gap_ack_blocks=PAIRS,
        duplicate_tsns=st.lists(U32, max_size=4).map(tuple),
    ),
    Heartbeat: st.builds(Heartbeat, info=BYTES),
    HeartbeatAck: st.builds(HeartbeatAck, info=BYTES),
    Abort: st.builds(Abort, is_tag_reflected=st.booleans(), causes=SOME_CAUSES),
    Shutdown: st.builds(Shutdown, cumulative_tsn_ack=U32),
    ShutdownAck: st.builds(ShutdownAck),
    Error: st.builds(Error, causes=SOME_CAUSES),
    CookieEcho: st.builds(CookieEcho, cookie=BYTES),
    CookieAck: st.builds(CookieAck),
    ShutdownComplete: st.builds(ShutdownComplete, is_tag_reflected=st.booleans()),
    ReConfig: st.builds(ReConfig, parameters=SOME_PARAMETERS),
    ForwardTsn: st.builds(ForwardTsn, new_cumulative_tsn=U32, skipped=PAIRS),
}
KNOWN_CHUNKS = {record.TYPE for record in CHUNKS}
CHUNKS[UnknownChunk] = st.builds(
    UnknownChunk,
    type=U8.filter(lambda number: number not in KNOWN_CHUNKS),
    flags=U8,
    value=BYTES,
)


def records(package: ModuleType) -> set[type]:
    """Every record that a package defines."""
    found = set()
    for module_info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{module_info.name}")
        found |= {
            value
            for value in vars(module).values()
            if isinstance(value, type) and attrs.has(value) and value.__module__ == module.__name__
        }
    return found


def sealed(data: bytes) -> bytes:
    """Give a packet the checksum that belongs to it."""
    return data[:8] + checksum_of(data) + data[12:]


def packed(*chunks: Chunk) -> bytes:
    return serialize_packet(Packet(source_port=5000, destination_port=5001, verification_tag=0xFEEDF00D, chunks=chunks))


def unpacked(data: bytes) -> tuple[Chunk, ...]:
    return parse_packet(data).chunks


@pytest.mark.parametrize(
    ("package", "tested", "union"),
    [
        (sctp.chunks, {*CHUNKS, Initiation}, {*get_args(Chunk), Initiation}),
        (sctp.parameters, set(PARAMETERS), set(get_args(Parameter))),
        (sctp.causes, set(CAUSES), set(get_args(Cause))),
    ],
    ids=["chunks", "parameters", "causes"],
)
def test_every_record_is_tested_and_reachable(package: ModuleType, tested: set[type], union: set[type]) -> None:
    assert records(package) == tested == union


@pytest.mark.parametrize("package", [sctp.chunks, sctp.parameters, sctp.causes], ids=lambda package: package.__name__)
def test_records_are_frozen_and_by_keyword(package: ModuleType) -> None:
    for record in records(package):
        assert all(field.kw_only for field in attrs.fields(record))
        assert record.__setattr__ is not object.__setattr__


@pytest.mark.parametrize("record", CHUNKS, ids=lambda record: record.__name__)
class TestChunks:
    @few
    @given(data=st.data())
    def test_round_trip(self, record: type, data: st.DataObject) -> None:
        chunk = data.draw(CHUNKS[record])
        serialized = packed(chunk)
        assert len(serialized) % 4 == 0
        assert unpacked(serialized) == (chunk,)
        assert serialize_packet(parse_packet(serialized)) == serialized

    @few
    @given(data=st.data())
    def test_no_strict_prefix_parses(self, record: type, data: st.DataObject) -> None:
        serialized = packed(data.draw(CHUNKS[record]))
        for size in range(12):
            with pytest.raises(MalformedError):
                parse_packet(serialized[:size])
        for size in range(12, len(serialized)):
            with pytest.raises(MalformedError) as caught:
                parse_packet(sealed(serialized[:size]))
            assert caught.value.field.startswith("Chunk")

    @few
    @given(data=st.data(), trailing=st.binary(min_size=1, max_size=3))
    def test_trailing_bytes_are_refused_and_named(self, record: type, data: st.DataObject, trailing: bytes) -> None:
        chunk = data.draw(CHUNKS[record])
        serialized = packed(chunk)
        packet = parse_packet(sealed(serialized + trailing))
        assert packet.chunks == (chunk,)
        assert packet.partial is not None
        assert packet.partial.offset >= len(serialized)

    @few
    @given(data=st.data())
    def test_a_longer_value_is_refused_or_part_of_the_record(self, record: type, data: st.DataObject) -> None:
        chunk = data.draw(CHUNKS[record])
        serialized = bytearray(packed(chunk)) + b"\xff\xff\xff\xff"
        serialized[14:16] = (len(serialized) - 12).to_bytes(2, "big")
        try:
            (parsed,) = unpacked(sealed(bytes(serialized)))
        except MalformedError:
            return
        assert parsed != chunk

    @few
    @given(data=st.data())
    def test_mutated_bytes_raise_only_malformed(self, record: type, data: st.DataObject) -> None:
        serialized = bytearray(packed(data.draw(CHUNKS[record])))
        for _ in range(data.draw(st.integers(1, 4))):
            serialized[data.draw(st.integers(0, len(serialized) - 1))] = data.draw(U8)
        try:
            packet = parse_packet(sealed(bytes(serialized)))
        except MalformedError:
            return
        # What parses is canonical from then on.
        again = parse_packet(serialize_packet(packet))
        assert again == attrs.evolve(packet, partial=None)

    @few
    @given(data=st.data())
    def test_reserved_flags_are_ignored(self, record: type, data: st.DataObject) -> None:
        chunk = data.draw(CHUNKS[record])
        if isinstance(chunk, UnknownChunk):
            return
        serialized = bytearray(packed(chunk))
        serialized[13] |= 0xF0
        assert unpacked(sealed(bytes(serialized))) == (chunk,)


def written(record: Any) -> bytes:
    writer = Writer()
    if type(record) in CAUSES:
        write_causes(writer, [record])
    else:
        write_parameters(writer, [record])
    return writer.finish()


def read(record: type, data: bytes) -> tuple[object, ...]:
    reader = Reader(data)
    return parse_causes(reader) if record in CAUSES else parse_parameters(reader)


@pytest.mark.parametrize("record", PARAMETERS | CAUSES, ids=lambda record: record.__name__)
class TestParametersAndCauses:
    @few
    @given(data=st.data())
    def test_round_trip(self, record: type, data: st.DataObject) -> None:
        item = data.draw((PARAMETERS | CAUSES)[record])
        serialized = written(item)
        assert read(record, serialized) == (item,)
        # RFC 9260 §3.2: with or without the padding of the last one.
        padded = serialized + bytes(-len(serialized) % 4)
        assert read(record, padded) == (item,)
        assert read(record, padded + serialized) == (item, item)

    @few
    @given(data=st.data())
    def test_no_strict_prefix_and_no_trailing_byte(self, record: type, data: st.DataObject) -> None:
        serialized = written(data.draw((PARAMETERS | CAUSES)[record]))
        for size in range(1, len(serialized)):
            with pytest.raises(MalformedError):
                read(record, serialized[:size])
        padded = serialized + bytes(-len(serialized) % 4)
        for trailing in (b"\0", b"\0\0\0\0"):
            with pytest.raises(MalformedError):
                read(record, padded + trailing)

    @few
    @given(data=st.data())
    def test_mutated_bytes_raise_only_malformed(self, record: type, data: st.DataObject) -> None:
        serialized = bytearray(written(data.draw((PARAMETERS | CAUSES)[record])))
        for _ in range(data.draw(st.integers(1, 3))):
            serialized[data.draw(st.integers(0, len(serialized) - 1))] = data.draw(U8)
        with contextlib.suppress(MalformedError):
            for item in read(record, bytes(serialized)):
                assert read(record, written(item)) == (item,)


@given(st.lists(st.one_of(*CHUNKS.values()), min_size=1, max_size=6))
def test_bundles(chunks: list[Chunk]) -> None:
    assert unpacked(packed(*chunks)) == tuple(chunks)


@given(st.binary(max_size=80))
def test_noise_raises_only_malformed(noise: bytes) -> None:
    with contextlib.suppress(MalformedError):
        parse_packet(noise)
    with contextlib.suppress(MalformedError):
        parse_packet(sealed(bytes(12) + noise))


@pytest.mark.parametrize(
    "wrong",
    [
        Data(tsn=1 << 32, stream_id=0, user_data=b"x"),
        Data(tsn=0, stream_id=1 << 16, user_data=b"x"),
        Data(tsn=0, stream_id=0, user_data=bytes(65536)),
        Sack(cumulative_tsn_ack=-1, a_rwnd=0),
        Sack(cumulative_tsn_ack=0, a_rwnd=0, gap_ack_blocks=((1, 65536),)),
        Init(initiate_tag=1, a_rwnd=1 << 32, outbound_streams=1, inbound_streams=1, initial_tsn=0),
        CookieEcho(cookie=bytes(65532)),
        Heartbeat(info=bytes(65532)),
        ReConfig(parameters=(SupportedExtensions(chunk_types=(256,)),)),
        Error(causes=(UnknownCause(code=65536),)),
        UnknownChunk(type=256),
    ],
    ids=lambda chunk: type(chunk).__name__,
)
def test_what_does_not_fit_is_our_mistake(wrong: Chunk) -> None:
    with pytest.raises(LocalProtocolError):
        packed(wrong)


def test_a_packet_without_chunks_is_our_mistake() -> None:
    with pytest.raises(LocalProtocolError):
        packed()
