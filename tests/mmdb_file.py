"""Writes small MaxMind-format databases. Loaded by the fixture `mmdb_file`.

Source: the MaxMind DB file format specification, version 2.0: a binary tree over the bits of addresses, a section of
typed values, and metadata behind a marker.
"""

import struct
from collections.abc import Mapping
from ipaddress import ip_network

_MARKER = b"\xab\xcd\xefMaxMind.com"
_SEPARATOR = bytes(16)
_BITS = 128


def write_mmdb(records: Mapping[str, object], *, built: int = 1_700_000_000) -> bytes:
    """Write a database of IPv4 and IPv6 networks, none of which lies in another."""
    nodes: list[list[int | bytes | None]] = [[None, None]]
    for network, record in records.items():
        net = ip_network(network)
        # IPv4 addresses live under ::/96.
        depth = net.prefixlen + (96 if net.version == 4 else 0)
        bits = f"{int(net.network_address):0{_BITS}b}"[:depth]
        node = 0
        for bit in map(int, bits[:-1]):
            if nodes[node][bit] is None:
                nodes.append([None, None])
                nodes[node][bit] = len(nodes) - 1
            following = nodes[node][bit]
            assert isinstance(following, int), f"{network} lies in another network"
            node = following
        nodes[node][int(bits[-1])] = _value(record)
    data, tree = bytearray(), bytearray()
    for pair in nodes:
        for entry in pair:
            if entry is None:
                pointer = len(nodes)  # there is nothing
            elif isinstance(entry, int):
                pointer = entry
            else:
                pointer = len(nodes) + len(_SEPARATOR) + len(data)
                data += entry
            tree += pointer.to_bytes(3, "big")
    metadata = {
        "binary_format_major_version": 2,
        "binary_format_minor_version": 0,
        "build_epoch": built,
        "database_type": "Test-City",
        "description": {"en": "made by a test"},
        "ip_version": 6,
        "languages": ["en"],
        "node_count": len(nodes),
        "record_size": 24,
    }
    return bytes(tree) + _SEPARATOR + bytes(data) + _MARKER + _value(metadata)


def _value(value: object) -> bytes:
    match value:
        case dict():
            return _control(7, len(value)) + b"".join(_value(each) for pair in value.items() for each in pair)
        case list():
            return _control(11, len(value)) + b"".join(map(_value, value))
        case str():
            return _control(2, len(value.encode())) + value.encode()
        case float():
            return _control(3, 8) + struct.pack(">d", value)
        case int():
            return _control(6, 4) + struct.pack(">I", value)
        case _:
            raise TypeError(f"no value: {value!r}")


def _control(kind: int, size: int) -> bytes:
    assert size < 285
    rest = b"" if size < 29 else bytes([size - 29])
    first = min(size, 29)
    return (bytes([first, kind - 7]) if kind > 7 else bytes([kind << 5 | first])) + rest
