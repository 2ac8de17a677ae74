"""What a session refuses: early, late, foreign and forged datagrams; a client with another certificate."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtls.certificate import Fingerprint
from srtp.keying import MasterKey
from srtp.profile import ProtectionProfile
from srtp.session import SrtpSession
from stun.events import DropReason as IceDropReason
from transceiver.describing import drops_of
from transceiver.dtls_transport import DropReason as TransportDropReason
from transceiver.media import DropReason as MediaDropReason
from transceiver.session import State
from transceiver.session_events import DropReason, Established
from wire.core import Closed, Path
from wire.demux import Kind, kind_of

STRANGER = Path(("203.0.113.9", 9), 1)
RTP = b"\x80\x6f" + bytes(40)
RTCP = b"\x80\xc9" + bytes(40)
DTLS = b"\x16\xfe\xfd" + bytes(40)


def reasons(events) -> list[str]:
    return [event.reason for event in events if isinstance(event, Closed)]


def test_strangers_are_counted_and_never_answered(call_network, talk) -> None:
    network = talk()
    before = len(network.downstream)
    drops = network.server.drops
    drops.clear()
    for data in (RTP, RTCP, DTLS):
        assert network.inject(data, STRANGER) == []
    assert drops == {DropReason.UNKNOWN_PATH: 3}
    for data in (b"", b"\x80", b"\x40" + bytes(40), b"\xff" * 40):
        assert network.inject(data, STRANGER) == []
    assert drops[DropReason.UNKNOWN_PROTOCOL] == 4
    assert len(network.downstream) == before
    network.inject(b"\x00\x01" + bytes(18), STRANGER)
    assert network.server.ice.drops[IceDropReason.MALFORMED] == 1
    assert len(network.downstream) == before


def test_before_the_first_check_everything_but_stun_is_a_stranger(connect, call_network) -> None:
    network = connect(is_cut=True)
    for data in (RTP, RTCP, DTLS):
        network.inject(data, call_network.CLIENT)
    assert network.server.drops == {DropReason.UNKNOWN_PATH: 3}
    assert network.server.state is State.WAITING


@pytest.mark.parametrize("setup", ["actpass", "active"])
def test_media_before_the_client_is_authenticated_is_not_believed(call_network, connect, setup: str) -> None:
    network = connect(setup=setup)
    # The client's handshake does not get through, but its audio does.
    network.arrives_as = lambda data: call_network.CLIENT if kind_of(data) is Kind.STUN else None
    network.run(1)
    assert network.server.state is State.CONNECTING
    for data in (RTP, RTP, RTCP):
        assert network.inject(data, call_network.CLIENT) == []
    assert network.server.drops == {DropReason.EARLY_MEDIA: 3}
    assert network.kinds_sent_to(call_network.CLIENT) <= {Kind.STUN, Kind.DTLS}
    # DTLS application data in the clear is none.
    application_data = b"\x17\xfe\xfd" + bytes(8) + b"\x00\x05hello"
    assert network.inject(application_data, call_network.CLIENT) == []
    assert drops_of(network.server)["dtls.unprotected-record"] == 1
    network.arrives_as = None
    network.run(3)
    assert network.server.state is State.ESTABLISHED


@pytest.mark.parametrize("setup", ["actpass", "active"])
def test_a_client_with_another_certificate_is_never_believed(call_network, connect, setup: str) -> None:
    another = str(Fingerprint("sha-256", bytes(32)))

    def forge(offer: str) -> str:
        lines = offer.split("\r\n")
        return "\r\n".join(f"a=fingerprint:{another}" if "a=fingerprint" in line else line for line in lines)

    network = connect(setup=setup, change_offer=forge)
    network.run(2)
    assert reasons(network.server_events) == ["fingerprint-mismatch"]
    assert not any(isinstance(event, Established) for event in network.server_events)
    assert network.server.media is None
    assert network.server.dtls.secured is None
    # The client is told why, and that is the last that it hears; its own keys are of no use.
    assert reasons(network.events) == ["peer-alert"]
    before = len(network.downstream)
    for data in (RTP, RTCP):
        network.inject(data, call_network.CLIENT)
    assert len(network.downstream) == before
    assert network.kinds_sent_to(call_network.CLIENT) == {Kind.STUN, Kind.DTLS}


def test_the_second_of_two_fingerprints_may_match(connect) -> None:
    """RFC 8122 §5: a certificate has to match one of several."""

    def add(offer: str) -> str:
        right = next(line for line in offer.split("\r\n") if "a=fingerprint" in line)
        return offer.replace(right, f"a=fingerprint:{Fingerprint('sha-256', bytes(32))}\r\n{right}")

    network = connect(change_offer=add)
    network.run(1)
    assert network.server.state is State.ESTABLISHED


def test_media_under_other_keys_is_counted_and_moves_nothing(call_network, talk) -> None:
    network = talk()
    key = MasterKey(b"k" * 16, b"s" * 12)
    stranger = SrtpSession(ProtectionProfile.AEAD_AES_128_GCM, key, key)
    packet = b"\x80\x6f\x00\x01" + bytes(4) + b"ssrc" + bytes(60)
    heard = network.server.media.packets_in
    before = len(network.downstream)
    network.inject(stranger.protect_rtp(packet), call_network.CLIENT)
    network.inject(stranger.protect_rtcp(b"\x80\xc9\x00\x01ssrc"), call_network.CLIENT)
    assert network.server.media.packets_in == heard
    assert len(network.downstream) == before
    assert drops_of(network.server) == {"srtp.authentication": 2}


def test_data_that_was_not_negotiated_is_dropped(call_network, talk) -> None:
    network = talk()
    network.caller._dtls.send(bytes(16))
    network.run(0.1)
    assert network.server.drops == {DropReason.NO_DATA_CHANNELS: 1}
    assert network.server.state is State.ESTABLISHED


def test_nobody_can_end_a_call_from_outside(call_network, talk) -> None:
    network = talk()
    alert = b"\x15\xfe\xfd" + bytes(8) + b"\x00\x02\x02\x28"
    network.inject(alert, call_network.CLIENT)
    for _, _, data in list(network.upstream):  # all that was ever said, once more
        network.inject(data, call_network.CLIENT)
    network.run(1)
    assert network.server.state is State.ESTABLISHED
    assert network.server.closed is None


@given(data=st.binary(max_size=100), first=st.sampled_from([0, 1, 20, 22, 23, 25, 44, 63, 128, 144, 191]))
def test_no_bytes_make_a_session_raise(call_network, established, data: bytes, first: int) -> None:
    for source in (call_network.CLIENT, STRANGER):
        assert list(established.server.receive_datagram(bytes([first]) + data, source, established.now)) == []


@given(seed=st.integers(0, 2**32))
def test_no_changed_datagram_makes_a_session_raise_or_believe(call_network, established, seed: int) -> None:
    chance = random.Random(seed)
    _, _, data = chance.choice(established.upstream)
    changed = bytearray(data)
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    heard = established.server.media.packets_in
    assert list(established.server.receive_datagram(bytes(changed), call_network.CLIENT, established.now)) == []
    assert established.server.media.packets_in == heard


@pytest.fixture(scope="module")
def established(call_network, certificate, clip):
    """A call under way, for properties that leave it as it is."""
    network = call_network.connect(certificate, clip)
    network.run(2)
    assert network.server.state is State.ESTABLISHED
    return network


def test_every_reason_has_a_test() -> None:
    """A reason that is added here needs a test that asserts it; those of lower layers have theirs."""
    assert set(DropReason) == {
        DropReason.UNKNOWN_PROTOCOL,  # above
        DropReason.UNKNOWN_PATH,  # above
        DropReason.EARLY_MEDIA,  # above
        DropReason.NO_VALIDATED_PATH,  # test_session_paths
        DropReason.CLOSED,  # test_session_life
        DropReason.NO_DATA_CHANNELS,  # above
    }
    assert set(TransportDropReason) == {TransportDropReason.UNVALIDATED_PATH}  # test_dtls_transport
    assert set(MediaDropReason) == {  # test_media, test_echo
        MediaDropReason.MALFORMED_RTP,
        MediaDropReason.MALFORMED_RTCP,
        MediaDropReason.PAYLOAD_TYPE,
        MediaDropReason.INDEX_USED,
        MediaDropReason.TOO_LONG,
        MediaDropReason.CEILING,  # handover/test_ceilings
    }
