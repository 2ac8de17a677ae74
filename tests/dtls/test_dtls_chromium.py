"""ClientHellos that Chromium 156 sent."""

import hashlib
import json
from pathlib import Path

import pytest

from dtls.association import DtlsAssociation
from dtls.channel import HandshakeChannel
from dtls.extensions.groups import KeyShares, SupportedGroups
from dtls.extensions.legacy import EcPointFormats, ExtendedMasterSecret, RenegotiationInfo
from dtls.extensions.signatures import SignatureAlgorithms
from dtls.extensions.srtp import UseSrtp
from dtls.extensions.versions import SupportedVersions
from dtls.handshake.body import parse_body, serialize_body
from dtls.handshake.client_hello import ClientHello
from dtls.options import DtlsOptions, Role
from dtls.record_layer import RecordLayer
from dtls.records import split_datagram
from wire.core import Drops

CAPTURES = json.loads((Path(__file__).parent / "chromium_156_client_hellos.json").read_text())["captures"]
DATAGRAMS = {name: [bytes.fromhex(data) for data in capture] for name, capture in CAPTURES.items()}
BODY_HASHES = {
    "stock-passive": "c78c168de54ff63e360afef086429c1555e6f1d6a87dcbf4be948e376cc5945c",
    "no-pqc-passive": "4141b1fffa72c1b3d68363550c477bb7a4ac286ae1a876d150b632e6a703e5db",
    "sped-passive": "d9295b04325b94f89c91a0fdc405ce3f098a98120a8e7c701744a4a84f1e32d2",
}


def reassemble(datagrams):
    drops = Drops()
    records = RecordLayer(drops)
    channel = HandshakeChannel(records, DtlsOptions(), drops)
    for datagram in datagrams:
        for record in records.receive(datagram):
            channel.receive(record, 0.0)
    return channel.next_message()


@pytest.mark.parametrize("name", CAPTURES)
def test_reassembles_in_any_order_and_with_repetitions(name):
    datagrams = DATAGRAMS[name]
    message = reassemble(datagrams)
    assert hashlib.sha256(message.body).hexdigest() == BODY_HASHES[name]
    assert reassemble(datagrams[::-1]).body == message.body
    # Each repetition holds the same bytes as the first transmission.
    half = len(datagrams) // 2
    assert reassemble(datagrams[half:]).body == message.body


@pytest.mark.parametrize("name", CAPTURES)
def test_parses_and_goes_out_again_unchanged(name):
    body = reassemble(DATAGRAMS[name]).body
    hello = parse_body(ClientHello, body)
    assert serialize_body(hello) == body
    extensions = hello.extensions
    assert hello.cipher_suites[:4] == (0x1301, 0x1302, 0x1303, 0xC02B)
    assert extensions.require(SupportedVersions).versions == (0xFEFC, 0xFEFD)
    groups = (0x001D, 0x0017, 0x0018) if name == "no-pqc-passive" else (0x11EC, 0x001D, 0x0017, 0x0018)
    assert extensions.require(SupportedGroups).groups == groups
    sizes = {0x11EC: 1216, 0x001D: 32}
    for entry in extensions.require(KeyShares).entries:
        assert len(entry.key_exchange) == sizes.pop(entry.group)
    assert sizes == ({0x11EC: 1216} if name == "no-pqc-passive" else {})
    assert extensions.require(SignatureAlgorithms).schemes[:2] == (0x0403, 0x0804)
    assert extensions.require(UseSrtp) == UseSrtp(profiles=(1, 8, 7))
    assert extensions.require(ExtendedMasterSecret)
    assert extensions.require(RenegotiationInfo) == RenegotiationInfo()
    assert extensions.require(EcPointFormats) == EcPointFormats()


def server(identities):
    return DtlsAssociation(
        role=Role.SERVER, certificate=identities.server, peer_fingerprints=None, entropy=bytes, now=0.0
    )


@pytest.mark.parametrize(("name", "first_flight"), [("stock-passive", 2), ("no-pqc-passive", 1), ("sped-passive", 2)])
def test_gets_a_flight_as_soon_as_it_is_complete(identities, name, first_flight):
    association = server(identities)
    datagrams = DATAGRAMS[name][:first_flight]
    for datagram in datagrams[:-1]:
        assert list(association.receive_datagram(datagram, 0.0)) == []
        assert list(association.datagrams_to_send(0.0)) == []
        assert association.next_timeout() is None
    assert list(association.receive_datagram(datagrams[-1], 0.0)) == []
    flight = list(association.datagrams_to_send(0.0))
    assert len(flight) == (1 if name == "no-pqc-passive" else 2)
    assert max(map(len, flight)) <= 1200
    # ServerHello in the clear, and behind it the handshake epoch.
    first, *_, last = [raw for datagram in flight for raw in split_datagram(datagram)]
    assert (first.content_type, first.epoch, last.is_unified, last.epoch) == (22, 0, True, 2)


def test_a_repeated_hello_gets_no_second_flight_at_once(identities):
    """A forged source address must not get more than one flight; the timer, which the driver holds, sends again."""
    association = server(identities)
    for datagram in DATAGRAMS["stock-passive"]:
        association.receive_datagram(datagram, 0.0)
    assert len(list(association.datagrams_to_send(0.0))) == 2
    assert association.drops["old-message"] == 2
    # The repetition brings the timer forward, but not to the present.
    assert association.next_timeout() == pytest.approx(0.2)
    association.handle_timeout(0.2)
    assert len(list(association.datagrams_to_send(0.2))) == 2


def test_the_version_is_not_guessed_from_the_first_fragment():
    """supported_versions may be anywhere; the first of two fragments decides nothing."""
    drops = Drops()
    records = RecordLayer(drops)
    channel = HandshakeChannel(records, DtlsOptions(), drops)
    (record,) = records.receive(DATAGRAMS["stock-passive"][0])
    assert not channel.receive(record, 0.0)
    assert not drops
    assert channel.next_message() is None
