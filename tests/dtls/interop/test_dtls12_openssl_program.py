"""DTLS 1.2 with the `openssl` program over loopback UDP, in both roles."""

import os
import random
import re
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from dtls.association import DtlsAssociation
from dtls.certificate import Certificate
from dtls.events import Connected
from dtls.handshake.message import HandshakeType, parse_fragments
from dtls.options import DtlsOptions, Role
from dtls.records import ContentType, split_datagram
from dtls.versions import Version
from wire.core import Event

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl program is missing"),
]

LABEL = "EXTRACTOR-dtls_srtp"
MATERIAL = 56
OPTIONS = (
    *("-dtls1_2", "-use_srtp", "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80"),
    *("-keymatexport", LABEL, "-keymatexportlen", str(MATERIAL)),
)
SECONDS = 10.0  # until a test gives up


@attrs.define
class Program:
    """A running `openssl`, and what it has printed."""

    process: subprocess.Popen[bytes]
    output: str = ""

    def read(self) -> None:
        """Take what there is to read, without waiting."""
        assert self.process.stdout is not None
        while select.select([self.process.stdout], [], [], 0)[0]:
            data = os.read(self.process.stdout.fileno(), 1 << 16)
            if not data:
                return
            self.output += data.decode(errors="replace")

    def keying_material(self) -> bytes | None:
        self.read()
        found = re.search(r"Keying material: ([0-9A-F]+)", self.output)
        return None if found is None else bytes.fromhex(found[1])


@attrs.define
class Endpoint:
    """One of ours on a UDP socket."""

    association: DtlsAssociation
    socket: socket.socket
    peer: Any = None
    events: list[Event] = attrs.field(factory=list)
    received: list[bytes] = attrs.field(factory=list)

    def run(self, done: Any) -> None:
        """Carry datagrams until `done()`."""
        deadline = time.monotonic() + SECONDS
        while not done():
            assert time.monotonic() < deadline, self.events
            now = time.monotonic()
            if self.peer is not None:
                for data in self.association.datagrams_to_send(now):
                    self.socket.sendto(data, self.peer)
            if select.select([self.socket], [], [], 0.02)[0]:
                try:
                    data, self.peer = self.socket.recvfrom(1 << 16)
                except ConnectionRefusedError:
                    continue  # the program is not there yet
                self.received.append(data)
                self.events += self.association.receive_datagram(data, time.monotonic())
            due = self.association.next_timeout()
            if due is not None and due <= time.monotonic():
                self.events += self.association.handle_timeout(time.monotonic())


@pytest.fixture
def pem(tmp_path: Path, identities: Any) -> tuple[str, str]:
    """The stranger's certificate and key as files."""
    certificate: Certificate = identities.stranger
    paths = tmp_path / "certificate.pem", tmp_path / "key.pem"
    parsed = x509.load_der_x509_certificate(certificate.der)
    paths[0].write_bytes(parsed.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        certificate.private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return str(paths[0]), str(paths[1])


@pytest.fixture
def start(pem: tuple[str, str]) -> Iterator[Any]:
    """Returns a function that starts `openssl` with a certificate."""
    running: list[subprocess.Popen[bytes]] = []

    def start_program(command: str, *arguments: str) -> Program:
        process = subprocess.Popen(
            ["openssl", command, *OPTIONS, "-cert", pem[0], "-key", pem[1], *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        running.append(process)
        return Program(process)

    yield start_program
    for process in running:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            stream.close()


@pytest.fixture
def udp() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound


def endpoint(role: Role, identities: Any, udp: socket.socket, options: DtlsOptions) -> Endpoint:
    association = DtlsAssociation(
        role=role,
        certificate=identities.client if role is Role.CLIENT else identities.server,
        peer_fingerprints=[identities.stranger.fingerprint()],
        options=options,
        entropy=random.Random(f"openssl program {role}").randbytes,
        now=time.monotonic(),
    )
    return Endpoint(association, udp)


def assert_agreed(ours: Endpoint, program: Program) -> None:
    ours.run(lambda: ours.association.is_connected and program.keying_material() is not None)
    (connected,) = ours.events
    assert isinstance(connected, Connected)
    assert connected.version == "DTLS 1.2"
    assert connected.cipher_suite == "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    assert connected.srtp_profile == 7
    assert ours.association.export_keying_material(LABEL, MATERIAL) == program.keying_material()
    assert "SRTP Extension negotiated, profile=SRTP_AEAD_AES_128_GCM" in program.output


VERSIONS = pytest.mark.parametrize("versions", [(Version.DTLS_1_2,), (Version.DTLS_1_3, Version.DTLS_1_2)])


@VERSIONS
@pytest.mark.parametrize("mtu", [256, 1200])
def test_s_server(start, udp, identities, versions, mtu):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = start("s_server", "-accept", f"127.0.0.1:{port}", "-Verify", "1", "-mtu", str(mtu))
    ours = endpoint(Role.CLIENT, identities, udp, DtlsOptions(versions=versions, mtu=mtu))
    deadline = time.monotonic() + SECONDS
    while "ACCEPT" not in program.output:
        assert time.monotonic() < deadline, program.output
        program.read()
    ours.peer = ("127.0.0.1", port)
    assert_agreed(ours, program)
    # It asks for a cookie, and for our certificate.
    first = parse_fragments(next(split_datagram(ours.received[0])).payload)[0]
    assert first.type == HandshakeType.HELLO_VERIFY_REQUEST
    assert "BEGIN CERTIFICATE" in program.output
    assert_data(ours, program)
    ours.association.close()
    ours.run(lambda: is_protected_alert(ours.received[-1]))  # its own close_notify answers ours


@VERSIONS
@pytest.mark.parametrize("mtu", [256, 1200])
def test_s_client(start, udp, identities, versions, mtu):
    ours = endpoint(Role.SERVER, identities, udp, DtlsOptions(versions=versions, mtu=mtu))
    address = f"127.0.0.1:{udp.getsockname()[1]}"
    program = start("s_client", "-connect", address, "-mtu", str(mtu))
    assert_agreed(ours, program)
    assert "Secure Renegotiation IS supported" in program.output
    assert "Extended master secret: yes" in program.output
    assert_data(ours, program)
    assert program.process.stdin is not None
    program.process.stdin.write(b"Q\n")
    program.process.stdin.flush()
    ours.run(lambda: len(ours.events) > 2)
    assert ours.events[2].reason == "close-notify"
    assert is_protected_alert(ours.received[-1])


def is_protected_alert(data: bytes) -> bool:
    return [(raw.content_type, raw.epoch) for raw in split_datagram(data)] == [(ContentType.ALERT, 1)]


def assert_data(ours: Endpoint, program: Program) -> None:
    assert program.process.stdin is not None
    ours.association.send(b"from our side\n")
    ours.run(lambda: program.read() or "from our side" in program.output)
    program.process.stdin.write(b"from the program\n")
    program.process.stdin.flush()
    ours.run(lambda: len(ours.events) > 1)
    assert ours.events[1].data == b"from the program\n"
