"""Past pylibsrtp's methods: the same packets and the same refusals, and its methods where that cannot be."""

import gc

import pylibsrtp
import pytest
from pylibsrtp import Policy, Session

import srtp.libsrtp
from srtp.keying import MasterKey
from srtp.libsrtp import CAN_BE_DIRECT, MAX_PACKET, Error, protector, unprotector
from srtp.profile import ProtectionProfile
from srtp.rtp import pack_packet


@pytest.fixture(params=[True, False], ids=["direct", "by pylibsrtp's methods"])
def way(request, monkeypatch):
    """Take each way in turn."""
    monkeypatch.setattr(srtp.libsrtp, "CAN_BE_DIRECT", request.param)
    return request.param


def packet(number: int, size: int = 80) -> bytes:
    return pack_packet(111, number, 960 * number, 7, bytes([number]) * size)


def test_the_pylibsrtp_that_is_installed_can_be_called_directly():
    assert CAN_BE_DIRECT


@pytest.mark.usefixtures("way")
def test_packets_come_out_as_by_pylibsrtp(profile: ProtectionProfile, outbound: MasterKey):
    theirs = Session(
        Policy(
            key=outbound.key + outbound.salt,
            ssrc_type=Policy.SSRC_ANY_OUTBOUND,
            srtp_profile=srtp.libsrtp._PROFILES[profile],
        )
    )
    protect, unprotect = protector(profile, outbound), unprotector(profile, outbound)
    for number, size in enumerate((80, 0, 300, 1, MAX_PACKET - 12, 20)):
        protected = protect(packet(number, size))
        assert protected == theirs.protect(packet(number, size))
        assert unprotect(protected) == packet(number, size)


@pytest.mark.usefixtures("way")
def test_refusals_are_told_in_the_same_words(profile: ProtectionProfile, outbound: MasterKey):
    protect, unprotect = protector(profile, outbound), unprotector(profile, outbound)
    protected = protect(packet(1))
    with pytest.raises(Error, match="authentication failure"):
        unprotect(protected[:-1] + bytes([protected[-1] ^ 1]))
    assert unprotect(protected) == packet(1)
    with pytest.raises(Error, match="replay check failed"):
        unprotect(protected)
    with pytest.raises(Error, match="replay check failed"):
        protect(packet(1))


def test_it_is_used_directly_only_where_that_was_tried(profile, outbound, way):
    assert (getattr(protector(profile, outbound), "__self__", None) is None) == way
    assert (getattr(unprotector(profile, outbound), "__self__", None) is None) == way


def test_a_session_lives_as_long_as_its_function(profile, outbound):
    protect, unprotect = protector(profile, outbound), unprotector(profile, outbound)
    gc.collect()
    for number in range(50):
        assert unprotect(protect(packet(number))) == packet(number)


@pytest.mark.parametrize("name", ["ERRORS", "ffi", "lib"])
def test_a_pylibsrtp_without_these_names_is_used_by_its_methods(monkeypatch, name):
    monkeypatch.delattr(pylibsrtp, name)
    assert not srtp.libsrtp._try_direct()


def test_a_pylibsrtp_whose_functions_do_something_else_is_used_by_its_methods(monkeypatch):
    class Library:
        srtp_protect = staticmethod(lambda _state, _memory, _length: 0)
        srtp_unprotect = srtp_protect

    monkeypatch.setattr(pylibsrtp, "lib", Library)
    assert not srtp.libsrtp._try_direct()
