"""The hop header: one spelling for every meaning, and nothing that raises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.hop.header import CONTROL, DOWN, UP, answering, pack_header, pack_host, parse_header
from wire.errors import LocalProtocolError

u16 = st.integers(0, 0xFFFF)
hosts = st.ip_addresses(v=4).map(str) | st.ip_addresses(v=6).map(
    lambda address: str(address) if address.ipv4_mapped is None else "2001:db8::1"
)
fields = st.fixed_dictionaries(
    {
        "ingress": u16,
        "client": st.tuples(hosts, u16),
        "session": st.integers(0, 2**64 - 1),
        "tag": st.binary(min_size=8, max_size=8),
        "generation": u16,
    }
)


def test_bytes_of_an_ipv4_header():
    packed = pack_header(
        UP, ingress=0x0102, client=("192.0.2.7", 0x1234), session=0xA1A2A3A4A5A6A7A8, tag=b"flow tag", generation=3
    )
    assert packed == bytes.fromhex("1100 0102 0003 1234 a1a2a3a4a5a6a7a8") + b"flow tag" + bytes((192, 0, 2, 7))


def test_bytes_of_an_ipv6_header_that_goes_down_a_proven_path():
    packed = pack_header(DOWN, ingress=1, client=("2001:db8::7", 5), session=2, tag=b"flow tag", validated=True)
    assert packed == bytes.fromhex("1203 0001 0000 0005 0000000000000002") + b"flow tag" + bytes.fromhex(
        "20010db8000000000000000000000007"
    )


@given(fields, st.sampled_from([(UP, False), (DOWN, False), (DOWN, True)]), st.binary(max_size=40))
def test_what_was_packed_parses_to_the_same(values, kind, datagram):
    direction, validated = kind
    packed = pack_header(direction, validated=validated, **values)
    header = parse_header(packed + datagram)
    assert header._asdict() == {"direction": direction, "validated": validated, "size": len(packed), **values}
    assert len(packed) == (40 if ":" in values["client"][0] else 28)


@given(fields, st.sampled_from([UP, DOWN]))
def test_no_strict_prefix_parses(values, direction):
    packed = pack_header(direction, **values)
    assert all(parse_header(packed[:size]) is None for size in range(len(packed)))


@given(st.binary(max_size=60))
def test_what_parses_is_spelled_as_we_would_spell_it(data):
    check_canonical(data)
    check_canonical(bytes((UP, 2)) + data)
    check_canonical(bytes((DOWN, 3)) + data)


def check_canonical(data):
    header = parse_header(data)
    if header is not None:
        values = header._asdict()
        size, direction = values.pop("size"), values.pop("direction")
        assert pack_header(direction, **values) == data[:size]


@pytest.mark.parametrize("first", [0x01, 0x10, CONTROL, 0x14, 0x21, 0x22, 0x80])
def test_other_versions_and_types_are_refused(first):
    packed = pack_header(UP, ingress=1, client=("192.0.2.7", 5), session=2, tag=bytes(8))
    assert parse_header(bytes((first,)) + packed[1:]) is None


@pytest.mark.parametrize(("direction", "flags"), [(UP, 0x01), (UP, 0x04), (DOWN, 0x08), (DOWN, 0x80)])
def test_flags_without_a_meaning_are_refused(direction, flags):
    packed = pack_header(direction, ingress=1, client=("192.0.2.7", 5), session=2, tag=bytes(8))
    assert parse_header(bytes((direction, flags)) + packed[2:]) is None


@given(fields, st.booleans())
def test_answering_turns_the_header_of_a_path_round(values, validated):
    expected = pack_header(DOWN, validated=validated, **values)
    assert answering(pack_header(UP, **values), validated=validated) == expected


@pytest.mark.parametrize(
    "change",
    [
        {"ingress": 0x10000},
        {"session": 2**64},
        {"session": -1},
        {"tag": bytes(7)},
        {"tag": bytes(9)},
        {"generation": 0x10000},
        {"client": ("192.0.2.7", 65536)},
        {"client": ("localhost", 5)},
        {"client": ("fe80::1%eth0", 5)},
        {"validated": True},
    ],
    ids=str,
)
def test_our_own_mistakes_are_told(change):
    values = {"ingress": 1, "client": ("192.0.2.7", 5), "session": 2, "tag": bytes(8)} | change
    with pytest.raises(LocalProtocolError):
        pack_header(UP, **values)


def test_a_control_message_is_no_header_to_pack():
    with pytest.raises(LocalProtocolError):
        pack_header(CONTROL, ingress=1, client=("192.0.2.7", 5), session=2, tag=bytes(8))


def test_hosts_are_packed_as_the_network_has_them():
    assert pack_host("192.0.2.7") == bytes((192, 0, 2, 7))
    assert pack_host("::1") == bytes(15) + b"\x01"
