"""Laws that hold for every handshake message, extension and record content, found by discovery."""

import importlib
import inspect
import pkgutil
import random

import attrs
import pytest

import dtls.extensions
import dtls.handshake
from dtls.acknowledgement import Ack
from dtls.alerts import AbortError, Alert
from dtls.certificate import Fingerprint
from dtls.cipher_suites import read_suite
from dtls.events import SecurityParameters
from dtls.extensions.block import Extension, ExtensionBlock
from dtls.extensions.groups import KeyShareEntry
from dtls.handshake.certificate import CertificateEntry
from dtls.handshake.message import Fragment, parse_fragments
from dtls.records import RecordNumber
from dtls.snapshot import Snapshot
from dtls.versions import Role, Version
from wire.buffer import Reader, Writer
from wire.errors import LocalProtocolError, MalformedError


def discover():
    """Every class with `parse` and `serialize` in the two packages of codecs, and those named here."""
    found = {Alert, Ack, Snapshot}
    for package in (dtls.extensions, dtls.handshake):
        for module_info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(module_info.name)
            for _, item in inspect.getmembers(module, inspect.isclass):
                has_codec = hasattr(item, "parse") and hasattr(item, "serialize") and attrs.has(item)
                if has_codec and item.__module__.startswith("dtls."):
                    found.add(item)
    return sorted(found, key=lambda item: item.__name__)


CODECS = discover()


def some_block(source):
    types = source.sample(range(65536), source.randrange(4))
    return ExtensionBlock(tuple(Extension(kind, source.randbytes(source.randrange(20))) for kind in types))


def sized(low, high):
    return lambda source: source.randbytes(source.randint(low, high))


def numbers(low):
    return lambda source: tuple(source.randrange(65536) for _ in range(source.randint(low, 6)))


def u16(source):
    return source.randrange(65536)


def u8(source):
    return source.randrange(256)


VALUES = {
    "versions": numbers(1),
    "groups": numbers(1),
    "schemes": numbers(1),
    "profiles": numbers(1),
    "cipher_suites": numbers(1),
    "version": u16,
    "group": u16,
    "cipher_suite": u16,
    "legacy_version": u16,
    "algorithm": u16,
    "level": u8,
    "description": u8,
    "legacy_compression_method": u8,
    "random": sized(32, 32),
    "legacy_session_id": sized(0, 32),
    "legacy_session_id_echo": sized(0, 32),
    "legacy_cookie": sized(0, 40),
    "legacy_compression_methods": sized(1, 3),
    "cookie": sized(1, 40),
    "key_exchange": sized(1, 60),
    "mki": sized(0, 9),
    "renegotiated_connection": sized(0, 12),
    "formats": sized(1, 3),
    "context": sized(0, 9),
    "cert_data": sized(1, 60),
    "signature": sized(0, 70),
    "verify_data": sized(0, 32),
    "extensions": some_block,
    "entry": lambda source: some(KeyShareEntry, source),
    "record_numbers": lambda source: tuple(
        RecordNumber(source.randrange(1 << 64), source.randrange(1 << 64)) for _ in range(source.randrange(5))
    ),
    "role": lambda source: source.choice(list(Role)),
    "security": lambda source: SecurityParameters(
        version=source.choice(list(Version)),
        cipher_suite="A_SUITE",
        group="a group",
        srtp_profile=source.choice([None, 7]),
    ),
    "peer_certificate": sized(0, 90),
    "matched": lambda source: Fingerprint("sha-256", source.randbytes(32)),
    "stage": sized(0, 90),
    "certificates": lambda source: tuple(source.randbytes(source.randint(1, 60)) for _ in range(source.randrange(3))),
    "certificate_types": sized(1, 3),
    "certificate_authorities": lambda source: tuple(
        source.randbytes(source.randint(1, 30)) for _ in range(source.randrange(3))
    ),
    "public": sized(1, 65),
    "server_version": u16,
}


def some(codec, source):
    """Make any value of a codec."""
    if codec is ExtensionBlock:
        return some_block(source)
    if codec.__name__ in {"KeyShares", "CertificateMessage"}:
        entry = KeyShareEntry if codec.__name__ == "KeyShares" else CertificateEntry
        rest = {"context": VALUES["context"](source)} if codec.__name__ == "CertificateMessage" else {}
        return codec(entries=tuple(some(entry, source) for _ in range(source.randrange(3))), **rest)
    return codec(**{field.name: VALUES[field.name](source) for field in attrs.fields(codec)})


def serialize(value):
    writer = Writer()
    value.serialize(writer)
    return writer.finish()


def parse(codec, data):
    reader = Reader(data)
    value = codec.parse(reader)
    reader.finish(codec.__name__)
    return value


def test_discovery_finds_what_there_is():
    names = {codec.__name__ for codec in CODECS}
    assert {"ClientHello", "ServerHello", "EncryptedExtensions", "CertificateRequest", "CertificateMessage"} <= names
    assert {"CertificateMessage12", "CertificateRequest12", "ServerKeyExchange", "ClientKeyExchange"} <= names
    assert {"ServerHelloDone", "HelloVerifyRequest", "EcPointFormats", "RenegotiationInfo"} <= names
    assert {"CertificateVerify", "Finished", "UseSrtp", "KeyShares", "SelectedKeyShare", "Cookie"} <= names


@pytest.mark.parametrize("codec", CODECS)
def test_round_trip(codec):
    source = random.Random(codec.__name__)
    for _ in range(60):
        value = some(codec, source)
        data = serialize(value)
        assert parse(codec, data) == value
        assert serialize(parse(codec, data)) == data


@pytest.mark.parametrize("codec", CODECS)
def test_no_prefix_parses_unless_it_says_the_same(codec):
    """A strict prefix is refused, or, where the last field is "all that is left", is canonical itself."""
    source = random.Random(codec.__name__)
    for _ in range(20):
        data = serialize(some(codec, source))
        for end in range(len(data)):
            try:
                value = parse(codec, data[:end])
            except (MalformedError, AbortError):
                continue
            assert codec.__name__ in {"Finished", "ClientHello", "ServerHello"}
            assert serialize(value) == data[:end]


@pytest.mark.parametrize("codec", [codec for codec in CODECS if codec.__name__ != "Finished"])
def test_a_trailing_byte_is_refused(codec):
    source = random.Random(codec.__name__)
    for _ in range(20):
        data = serialize(some(codec, source))
        with pytest.raises((MalformedError, AbortError)):
            parse(codec, data + b"\0")


@pytest.mark.parametrize("codec", CODECS)
def test_mutations_raise_only_what_they_may(codec):
    source = random.Random(codec.__name__)
    for _ in range(150):
        data = bytearray(serialize(some(codec, source)))
        for _ in range(source.randint(1, 4)):
            if data:
                data[source.randrange(len(data))] = source.randrange(256)
        if source.random() < 0.3:
            del data[source.randrange(len(data) + 1) :]
        try:
            value = parse(codec, bytes(data))
        except (MalformedError, AbortError):
            continue
        assert parse(codec, serialize(value)) == value


def test_fragments_round_trip_and_refuse_every_prefix():
    source = random.Random(9)
    for _ in range(50):
        fragments = []
        for _ in range(source.randint(1, 4)):
            data = source.randbytes(source.randrange(20))
            offset = source.randrange(50)
            length = offset + len(data) + source.randrange(50)
            fragments.append(Fragment(u8(source), length, u16(source), offset, data))
        writer = Writer()
        boundaries = set()
        for fragment in fragments:
            fragment.serialize(writer)
            boundaries.add(len(writer))
        content = writer.finish()
        assert parse_fragments(content) == fragments
        for end in set(range(len(content))) - boundaries:
            with pytest.raises(MalformedError):
                parse_fragments(content[:end])


def test_values_that_do_not_fit_are_our_own_mistake():
    with pytest.raises(LocalProtocolError):
        serialize(KeyShareEntry(group=1 << 16, key_exchange=b"x"))
    with pytest.raises(LocalProtocolError):
        serialize(KeyShareEntry(group=1, key_exchange=bytes(1 << 16)))


def test_unknown_extensions_keep_their_bytes_and_order():
    block = ExtensionBlock((Extension(0xFAFA, b"grease"), Extension(43, b"\x02\xfe\xfc"), Extension(0x1234, b"")))
    assert serialize(parse(ExtensionBlock, serialize(block))) == serialize(block)
    assert block.types == {0xFAFA, 43, 0x1234}


def test_half_a_number_is_no_list():
    from dtls.extensions.groups import SupportedGroups

    with pytest.raises(MalformedError, match="16-bit"):
        parse(SupportedGroups, b"\x00\x03\x00\x1d\x00")


def test_a_snapshot_of_another_format_is_refused():
    with pytest.raises(MalformedError, match="format 2"):
        parse(Snapshot, b"\x02")


@pytest.mark.parametrize(
    ("number", "version"), [(0xC02B, Version.DTLS_1_3), (0x1301, Version.DTLS_1_2), (0x9999, Version.DTLS_1_3)]
)
def test_a_suite_of_another_version_is_refused(number: int, version: Version) -> None:
    with pytest.raises(MalformedError, match="cipher_suite"):
        read_suite(Reader(number.to_bytes(2, "big")), version)
