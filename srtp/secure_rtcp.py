"""SRTCP: what carries our reports.

Unlike SRTP, a packet carries its whole index, 31 bits, so nothing has to be guessed. Each sender counts for itself;
the index and the replay window are plain state, which is why a restored session can go on at once.

Goal: as in `secure_rtp`. An index is never used twice, also not by a session that was restored; a packet leaves a
trace only after its tag was verified.

Source: RFC 3711 §3.4; RFC 7714 §9.
"""

from srtp.derivation import rtcp_session_keys
from srtp.keying import MasterKey
from srtp.profile import ProtectionProfile
from srtp.transform import transform_for
from wire.errors import CeilingReached, LimitError, LocalProtocolError, MalformedError, ReplayError
from wire.replay import ReplayWindow

__all__ = ["SRTCP_REPLAY_WINDOW", "SrtcpReceiver", "SrtcpSender"]

SRTCP_REPLAY_WINDOW = 128
"""How many reports may overtake another one."""

_INDEX_END = 1 << 31
_MINIMUM = 8  # a header and the sender's SSRC


class SrtcpSender:
    """Protects our RTCP packets.

    Args:
        profile: the negotiated profile.
        master: the key that we protect with.

    Attributes:
        next_index: the index of the next packet, whatever its SSRC.
    """

    def __init__(self, profile: ProtectionProfile, master: MasterKey) -> None:
        master.check(profile)
        self._transform = transform_for(profile, rtcp_session_keys(profile, master))
        # DEVIATES from RFC 3711 §3.4, which counts for each SSRC apart: one counter for all skips numbers in each,
        # which a receiver takes for loss and no more, and is one number to hand over.
        self.next_index = 0
        self._ceiling = _INDEX_END

    def limit(self, ceiling: int | None) -> None:
        """Set the first index that may not be used; None for as many as a key may protect."""
        self._ceiling = _INDEX_END if ceiling is None else min(ceiling, _INDEX_END)

    def protect(self, packet: bytes) -> bytes:
        """Protect an RTCP packet, compound or reduced.

        Raises:
            CeilingReached: its index is not ours to use yet.
            LocalProtocolError: it has no SSRC, or the key is used up.
        """
        if len(packet) < _MINIMUM:
            raise LocalProtocolError("an RTCP packet has at least 8 bytes")
        index = self.next_index
        if index >= self._ceiling:
            # RFC 3711 §9.2: a key may protect 2^31 SRTCP packets.
            if index >= _INDEX_END:
                raise LocalProtocolError("the SRTCP key is used up")
            raise CeilingReached(f"RTCP may not use index {index}")
        self.next_index = index + 1
        return self._transform.protect_rtcp(packet, index)


class SrtcpReceiver:
    """Unprotects the peer's RTCP packets.

    Args:
        profile: the negotiated profile.
        master: the key that the peer protects with.
        max_sources: how many SSRCs we follow.

    Attributes:
        windows: the replay window of each SSRC that has sent something authentic.
    """

    def __init__(self, profile: ProtectionProfile, master: MasterKey, max_sources: int = 4) -> None:
        master.check(profile)
        self._transform = transform_for(profile, rtcp_session_keys(profile, master))
        self._max_sources = max_sources
        self.windows: dict[int, ReplayWindow] = {}

    def unprotect(self, data: bytes) -> bytes:
        """Return the RTCP packet inside of an SRTCP packet.

        Raises:
            MalformedError: it is too short.
            ReplayError: it was received before, or is too old to tell.
            AuthenticationError: it was not protected with the peer's key.
            LimitError: it is authentic, and its source one too many.
        """
        if len(data) < _MINIMUM + self._transform.rtcp_overhead:
            raise MalformedError("SRTCP packet", 0, f"{len(data)} bytes are too few")
        ssrc = int.from_bytes(data[4:8], "big")
        index = self._transform.rtcp_index(data)
        window = self.windows.get(ssrc) or ReplayWindow(SRTCP_REPLAY_WINDOW)
        # RFC 3711 §3.4: replays are refused before, and remembered after, the tag is verified.
        if not window.check(index):
            raise ReplayError("SRTCP index")
        packet = self._transform.unprotect_rtcp(data)
        if ssrc not in self.windows:
            if len(self.windows) >= self._max_sources:
                raise LimitError("SSRCs")
            self.windows[ssrc] = window
        window.commit(index)
        return packet
