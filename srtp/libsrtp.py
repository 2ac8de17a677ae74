"""libsrtp, with as little of its wrapper in between as is safe.

pylibsrtp allocates a length for every packet, checks what `SrtpSession` has checked before, and passes through three
functions of Python. That is 5,100 of the 12,100 instructions that protecting a packet of 92 bytes takes, all of the
cryptography included, and a call does it a hundred times a second. Here libsrtp's functions are called on a buffer and
a length that all sessions share, so that what every packet passes through stays in the processor's caches: where many
calls take turns, buffers of their own would have left these before their next packet comes. Two threads must not use
sessions at the same time, then; a process has one loop, and media is nothing for another thread.

This uses names that pylibsrtp does not promise to keep. So it is tried when this module is imported: if anything is
missing, or a packet comes out otherwise than by the promised way, `protector` and `unprotector` go that way, which does
the same and costs more. Memory is safe in either case: cffi checks the types of what a function is called with, and the
bounds of the buffer that a packet is copied into.
"""

from collections.abc import Callable

import pylibsrtp
from pylibsrtp import Error, Policy, Session

from srtp.keying import MasterKey
from srtp.profile import ProtectionProfile
from srtp.secure_rtp import REPLAY_WINDOW

__all__ = ["CAN_BE_DIRECT", "MAX_PACKET", "MAX_PROTECTED", "Error", "protector", "unprotector"]

MAX_PROTECTED = 1500
"""The longest packet that is unprotected: the size of pylibsrtp's buffer."""

MAX_PACKET = MAX_PROTECTED - 144
"""The longest packet that is protected: behind it there is room for the longest tag and key identifier."""

_PROFILES = {
    ProtectionProfile.AES128_CM_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    ProtectionProfile.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    ProtectionProfile.AEAD_AES_256_GCM: Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}


def protector(profile: ProtectionProfile, master: MasterKey) -> Callable[[bytes], bytes]:
    """Return what turns RTP packets of at most `MAX_PACKET` bytes into SRTP packets.

    It raises `Error` for what libsrtp refuses. A sequence number is not protected twice.
    """
    session = _session(profile, master, Policy.SSRC_ANY_OUTBOUND)
    return _direct_protect(session) if CAN_BE_DIRECT else session.protect


def unprotector(profile: ProtectionProfile, master: MasterKey) -> Callable[[bytes], bytes]:
    """Return what turns SRTP packets of at most `MAX_PROTECTED` bytes into RTP packets.

    It raises `Error` for what is not authentic, repeated or too old.
    """
    session = _session(profile, master, Policy.SSRC_ANY_INBOUND)
    return _direct_unprotect(session) if CAN_BE_DIRECT else session.unprotect


def _session(profile: ProtectionProfile, master: MasterKey, ssrc_type: int) -> Session:
    policy = Policy(key=master.key + master.salt, ssrc_type=ssrc_type, srtp_profile=_PROFILES[profile])
    policy.window_size = REPLAY_WINDOW
    # The default stays: libsrtp refuses to protect a sequence number twice, which would break GCM.
    policy.allow_repeat_tx = False
    return Session(policy)


def _direct(name: str) -> Callable[[Session], Callable[[bytes], bytes]]:
    """Return what makes, for a session, one of libsrtp's functions one from bytes to bytes."""
    function = getattr(pylibsrtp.lib, name)  # type: ignore[attr-defined]  # one of the names that are not promised
    errors, ffi = pylibsrtp.ERRORS, pylibsrtp.ffi  # type: ignore[attr-defined]  # another one
    memory, length = ffi.new("char[]", MAX_PROTECTED), ffi.new("int *")
    buffer = ffi.buffer(memory)

    def bind(session: Session) -> Callable[[bytes], bytes]:
        owner = session._srtp  # noqa: SLF001 - see above
        state = owner[0]

        # The owner frees the state when it goes; as a default it is kept as long as the function.
        def call(packet: bytes, _kept: object = owner) -> bytes:
            size = length[0] = len(packet)
            buffer[:size] = packet
            if status := function(state, memory, length):
                raise Error(errors[status])
            result: bytes = buffer[: length[0]]
            return result

        return call

    return bind


def _try_direct() -> bool:
    """Find out whether `_direct` does what pylibsrtp's methods do, on packets that pass and on one that does not."""
    profile = ProtectionProfile.AEAD_AES_128_GCM
    key = MasterKey(key=bytes(profile.key_length), salt=bytes(profile.salt_length))
    packet = b"\x80" + bytes(11) + b"voice"
    try:
        protected = _session(profile, key, Policy.SSRC_ANY_OUTBOUND).protect(packet)
        if _direct("srtp_protect")(_session(profile, key, Policy.SSRC_ANY_OUTBOUND))(packet) != protected:
            return False
        unprotect = _direct("srtp_unprotect")(_session(profile, key, Policy.SSRC_ANY_INBOUND))
        if unprotect(protected) != packet:
            return False
        try:
            unprotect(protected)
        except Error as error:
            return str(error) == "replay check failed (bad index)"
    except Exception:  # noqa: BLE001 - whatever it is, the promised way is there
        return False
    return False


CAN_BE_DIRECT = _try_direct()
"""Whether pylibsrtp is as it has to be for packets to go past its methods."""

if CAN_BE_DIRECT:
    _direct_protect, _direct_unprotect = _direct("srtp_protect"), _direct("srtp_unprotect")
