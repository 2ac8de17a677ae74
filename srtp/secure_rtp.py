"""SRTP as it is written in the RFC, to be read and to be compared with.

Calls use libsrtp for RTP, which is faster; the tests hold every packet of both against each other.

An RTP packet carries 16 bits of its 48-bit index. Both ends count the rollovers of the rest: the sender knows, the
receiver takes the index nearest to the highest one it has authenticated. It is right unless 2^15 packets in a row
are lost.

Goal: an attacker on the path can neither read nor change media, and has no effect by repeating it. A packet moves
the receiver's index and its replay window only after its tag was verified, so a forged one moves nothing.

Source: RFC 3711 §3.3; RFC 7714 §8.
"""

from srtp.derivation import rtp_session_keys
from srtp.keying import MasterKey
from srtp.profile import ProtectionProfile
from srtp.rtp import header_size
from srtp.transform import transform_for
from wire.errors import LimitError, LocalProtocolError, MalformedError, ReplayError
from wire.replay import ReplayWindow
from wire.serial import serial_distance

__all__ = ["REPLAY_WINDOW", "RtpReceiver", "RtpSender", "packet_index"]

REPLAY_WINDOW = 256
"""How many packets may overtake another one: 5 s of audio, which nobody would wait for. libsrtp moves a bit for each
place of the window with each packet: with four times as many, that would be a third of all its instructions."""

_INDEX_END = 1 << 48


def packet_index(highest: int, sequence_number: int) -> int:
    """Estimate the 48-bit index of a packet.

    Args:
        highest: the highest index authenticated so far; -1 before the first packet.
        sequence_number: the lower 16 bits.

    Returns:
        The index nearest to `highest`; negative for a packet from before the stream began.
    """
    # RFC 3711 §3.3.1: the rollover counter starts at zero with whatever sequence number comes first.
    if highest < 0:
        return sequence_number
    return highest + serial_distance(sequence_number, highest & 0xFFFF, 16)


class RtpSender:
    """Protects our RTP packets.

    Args:
        profile: the negotiated profile.
        master: the key that we protect with.
    """

    def __init__(self, profile: ProtectionProfile, master: MasterKey) -> None:
        master.check(profile)
        self._transform = transform_for(profile, rtp_session_keys(profile, master))
        self._windows: dict[int, ReplayWindow] = {}

    def protect(self, packet: bytes) -> bytes:
        """Protect an RTP packet.

        Raises:
            LocalProtocolError: it is no RTP packet, its sequence number was used before, or the key is used up.
        """
        try:
            size = header_size(packet)
        except MalformedError as error:
            raise LocalProtocolError(str(error)) from error
        window = self._windows.setdefault(int.from_bytes(packet[8:12], "big"), ReplayWindow(REPLAY_WINDOW))
        index = packet_index(window.highest, int.from_bytes(packet[2:4], "big"))
        # RFC 7714 §8.4: an index used twice breaks GCM. RFC 3711 §3.3.1: after 2^48 packets a key is used up.
        if not 0 <= index < _INDEX_END or not window.check(index):
            raise LocalProtocolError("this packet index was used before, or does not exist")
        window.commit(index)
        return self._transform.protect_rtp(packet, size, index)


class RtpReceiver:
    """Unprotects the peer's RTP packets.

    Args:
        profile: the negotiated profile.
        master: the key that the peer protects with.
        max_sources: how many SSRCs we follow.
    """

    def __init__(self, profile: ProtectionProfile, master: MasterKey, max_sources: int = 4) -> None:
        master.check(profile)
        self._transform = transform_for(profile, rtp_session_keys(profile, master))
        self._tag_length = profile.tag_length
        self._max_sources = max_sources
        self._windows: dict[int, ReplayWindow] = {}

    def unprotect(self, data: bytes) -> bytes:
        """Return the RTP packet inside of an SRTP packet.

        Raises:
            MalformedError: it is too short, or no RTP packet.
            ReplayError: it was received before, or is too old to tell.
            AuthenticationError: it was not protected with the peer's key.
            LimitError: it is authentic, and its source one too many.
        """
        size = header_size(data)
        if len(data) < size + self._tag_length:
            raise MalformedError("authentication tag", size, "packet ends before it")
        ssrc = int.from_bytes(data[8:12], "big")
        window = self._windows.get(ssrc) or ReplayWindow(REPLAY_WINDOW)
        index = packet_index(window.highest, int.from_bytes(data[2:4], "big"))
        # RFC 3711 §3.3 steps 2 and 5: estimate the index, refuse repetitions, then verify.
        if index < 0 or not window.check(index):
            raise ReplayError("packet index")
        packet = self._transform.unprotect_rtp(data, size, index)
        if ssrc not in self._windows:
            if len(self._windows) >= self._max_sources:
                raise LimitError("SSRCs")
            self._windows[ssrc] = window
        # RFC 3711 §3.3.1 and §3.3.2: index and window move only now that the packet is authentic.
        window.commit(index)
        return packet
