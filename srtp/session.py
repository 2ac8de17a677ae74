"""Protecting a call's media: RTP through libsrtp, RTCP through our own `secure_rtcp`.

Attacker: anybody on the path, or who can send to our port. Properties: nothing unauthentic passes; nothing passes
twice; memory is bounded, since a source gets state only after a packet of its own was authentic, and at most
`MAX_SOURCES` do; nothing that is received raises.

libsrtp does the per-packet work. What we add costs 0.3 microseconds: its buffer (`libsrtp`) is 1500 bytes and it takes
`bytes` only, so other input is refused before the call; and we follow each source's highest index, because libsrtp
keeps it to itself, and `snapshot` needs it.

A session can be moved to another process. libsrtp has no setter for an index either, so a restored session brings
it forward with packets of its own making, which never leave the process (`_fast_forward`).

Where two processes may come to have the same keys, each keeps to indices of its own: of what we send, none below where
a session was restored to, and none from its ceiling on (`limit`). Both are compared with the whole index of 48 bits,
never with the 16 that a packet shows. That is why we tell the index by ourselves before libsrtp does, and refuse each
step for which the two could differ: forward by half a turn, back behind the replay window.

Source: RFC 3711, RFC 7714, RFC 5764.
"""

import enum
import struct
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Self

from srtp.keying import MasterKey
from srtp.libsrtp import MAX_PACKET, MAX_PROTECTED, Error, protector, unprotector
from srtp.profile import ProtectionProfile
from srtp.rtp import FIXED_HEADER
from srtp.secure_rtcp import SRTCP_REPLAY_WINDOW, SrtcpReceiver, SrtcpSender
from srtp.secure_rtp import REPLAY_WINDOW
from srtp.snapshot import RtcpWindow, SrtpSnapshot
from wire.buffer import Reader, Writer
from wire.core import Drops
from wire.errors import (
    AuthenticationError,
    CeilingReached,
    LimitError,
    LocalProtocolError,
    RemoteProtocolError,
    ReplayError,
)
from wire.replay import ReplayWindow

__all__ = ["MAX_PACKET", "MAX_PROTECTED", "MAX_SOURCES", "DropReason", "SrtpSession"]

MAX_SOURCES = 4
"""How many SSRCs of the peer's get state, for RTP and for RTCP each."""

_SEQUENCE_AND_SSRC = struct.Struct(">2xH4xI").unpack_from
_MINIMUM = 12
_HALF = 0x8000
_NO_CEILING = 1 << 48
"""RFC 3711 §9.2: a key may protect 2^48 packets of a source."""


class DropReason(enum.StrEnum):
    """Why a packet of the peer's was dropped."""

    NOT_BYTES = "not-bytes"
    TOO_SHORT = "too-short"
    TOO_LONG = "too-long"
    MALFORMED = "malformed"
    AUTHENTICATION = "authentication"
    REPLAYED = "replayed"
    SOURCE_LIMIT = "source-limit"


_BY_LIBSRTP_ERROR = {
    "authentication failure": DropReason.AUTHENTICATION,
    "replay check failed (bad index)": DropReason.REPLAYED,
    "replay check failed (index too old)": DropReason.REPLAYED,
}


class _Received:
    """How far an inbound source has come; looked at for every packet, so no attrs and no validation.

    Attributes:
        highest: the highest 48-bit index that was authentic.
        floor: what is not above it is refused; -1 unless the session was restored. libsrtp's replay window is empty
            then, and this stands in for it.
    """

    __slots__ = ("floor", "highest")

    def __init__(self, highest: int, floor: int = -1) -> None:
        self.highest = highest
        self.floor = floor


class _Sent:
    """How far a source of ours has come; as `_Received`.

    Attributes:
        highest: the highest 48-bit index that was protected; one below the first before that.
        floor: what is not above it is refused; -1 unless the session was restored.
        ceiling: from here on all is refused.
    """

    __slots__ = ("ceiling", "floor", "highest")

    def __init__(self, highest: int, floor: int, ceiling: int) -> None:
        self.highest = highest
        self.floor = floor
        self.ceiling = ceiling


class SrtpSession:
    """Both directions of one call's RTP and RTCP.

    Args:
        profile: the negotiated profile.
        outbound: what we protect with.
        inbound: what the peer protects with.

    Attributes:
        drops: how many of the peer's packets were dropped, by `DropReason`.
    """

    __slots__ = (
        "_ceilings",
        "_protect",
        "_received",
        "_rtcp_receiver",
        "_rtcp_sender",
        "_sent",
        "_unprotect",
        "drops",
    )

    def __init__(self, profile: ProtectionProfile, outbound: MasterKey, inbound: MasterKey) -> None:
        outbound.check(profile)
        inbound.check(profile)
        self.drops: Drops = Counter()
        self._protect = protector(profile, outbound)
        self._unprotect = unprotector(profile, inbound)
        self._sent: dict[int, _Sent] = {}
        self._received: dict[int, _Received] = {}
        self._ceilings: Mapping[int, int] | None = None
        self._rtcp_sender = SrtcpSender(profile, outbound)
        self._rtcp_receiver = SrtcpReceiver(profile, inbound, MAX_SOURCES)

    def protect_rtp(self, packet: bytes) -> bytes:
        """Protect an RTP packet.

        Raises:
            CeilingReached: its index is not ours to use, or not yet.
            LocalProtocolError: it is no RTP packet, too long, or its sequence number was used before.
        """
        if type(packet) is not bytes or not _MINIMUM <= len(packet) <= MAX_PACKET:
            raise LocalProtocolError(f"an RTP packet to protect is bytes, {_MINIMUM} to {MAX_PACKET} of them")
        sequence_number, ssrc = _SEQUENCE_AND_SSRC(packet)
        sent = self._sent.get(ssrc) or self._begin(ssrc, sequence_number)
        highest = sent.highest
        index = highest + ((sequence_number - highest) & 0xFFFF)
        if index >= highest + _HALF:
            index -= 0x10000
            if index <= sent.floor or index <= highest - REPLAY_WINDOW:
                raise LocalProtocolError(f"the sequence number {sequence_number} was used, or comes too late to tell")
        elif index >= sent.ceiling:
            raise CeilingReached(f"source {ssrc:08x} may not use index {index}")
        try:
            protected = self._protect(packet)
        except Error as error:
            raise LocalProtocolError(f"libsrtp: {error}") from error
        if index > highest:
            sent.highest = index
        return protected

    def _begin(self, ssrc: int, sequence_number: int) -> _Sent:
        ceilings = self._ceilings
        ceiling = _NO_CEILING if ceilings is None else ceilings.get(ssrc, 0)
        sent = self._sent[ssrc] = _Sent(sequence_number - 1, -1, ceiling)
        return sent

    def unprotect_rtp(self, data: bytes) -> bytes | None:
        """Return the RTP packet inside of an SRTP packet; None when it was dropped and counted. Never raises."""
        if type(data) is not bytes or not _MINIMUM <= len(data) <= MAX_PROTECTED:
            self.drops[_shape_problem(data)] += 1
            return None
        sequence_number, ssrc = _SEQUENCE_AND_SSRC(data)
        source = self._received.get(ssrc)
        if source is None:
            # A source takes one of the places only when its first packet was authentic.
            if len(self._received) >= MAX_SOURCES:
                self.drops[DropReason.SOURCE_LIMIT] += 1
                return None
            source = _Received(sequence_number)
        highest = source.highest
        ahead = (sequence_number - highest) & 0xFFFF
        if ahead >= _HALF and highest + ahead - 0x10000 <= source.floor:
            self.drops[DropReason.REPLAYED] += 1
            return None
        try:
            packet = self._unprotect(data)
        except Error as error:
            self.drops[_BY_LIBSRTP_ERROR.get(str(error), DropReason.MALFORMED)] += 1
            return None
        if not ahead:  # its first, as libsrtp lets nothing pass twice
            self._received[ssrc] = source
        elif ahead < _HALF:
            source.highest = highest + ahead
        return packet

    def protect_rtcp(self, packet: bytes) -> bytes:
        """Protect an RTCP packet, compound or reduced.

        Raises:
            CeilingReached: its index is not ours to use yet.
            LocalProtocolError: it has no SSRC, or the key is used up.
        """
        return self._rtcp_sender.protect(packet)

    def unprotect_rtcp(self, data: bytes) -> bytes | None:
        """Return the RTCP packet inside of an SRTCP packet; None when it was dropped and counted. Never raises."""
        if type(data) is not bytes or not _MINIMUM <= len(data) <= MAX_PROTECTED:
            self.drops[_shape_problem(data)] += 1
            return None
        try:
            return self._rtcp_receiver.unprotect(data)
        except RemoteProtocolError as error:
            self.drops[_drop_reason(error)] += 1
            return None

    def limit(self, rtp: Mapping[int, int] | None, rtcp: int | None) -> None:
        """Set the ceilings: the first index that may not be used.

        Args:
            rtp: of each of our sources, of 48 bits; a source that is not among them may send nothing. None for no
                ceiling.
            rtcp: of RTCP; None for no ceiling.
        """
        self._ceilings = rtp
        for ssrc, sent in self._sent.items():
            sent.ceiling = _NO_CEILING if rtp is None else rtp.get(ssrc, 0)
        self._rtcp_sender.limit(rtcp)

    def next_index(self, ssrc: int) -> int:
        """Return the index, of 48 bits, behind the highest one that a source of ours has used; 0 for none."""
        sent = self._sent.get(ssrc)
        return 0 if sent is None else sent.highest + 1

    @property
    def next_rtcp_index(self) -> int:
        """The index of the next RTCP packet that we send."""
        return self._rtcp_sender.next_index

    def snapshot(self) -> bytes:
        """Return all state but the keys, for `restore`. This session must not protect anything after it."""
        windows = self._rtcp_receiver.windows.items()
        writer = Writer()
        SrtpSnapshot(
            next_rtcp_index=self._rtcp_sender.next_index,
            sent=tuple((ssrc, sent.highest) for ssrc, sent in self._sent.items() if sent.highest >= 0),
            received=tuple((ssrc, source.highest) for ssrc, source in self._received.items()),
            rtcp_windows=tuple(
                RtcpWindow(ssrc=ssrc, highest=window.highest, seen=window.seen) for ssrc, window in windows
            ),
        ).serialize(writer)
        return writer.finish()

    @classmethod
    def restore(
        cls,
        profile: ProtectionProfile,
        outbound: MasterKey,
        inbound: MasterKey,
        data: bytes,
        *,
        first_rtp: Mapping[int, int] | None = None,
        first_rtcp: int = 0,
    ) -> Self:
        """Return a session that goes on where the one that made `data` stopped, or somewhere above.

        RTP packets that come late, from before the snapshot, are refused as if received: which of them were is not
        known here.

        Args:
            profile: the negotiated profile.
            outbound: what we protect with.
            inbound: what the peer protects with.
            data: what `snapshot` returned.
            first_rtp: the first index of 48 bits that our sources may use, where that is not the next one.
            first_rtcp: the first index that our RTCP may use; the next one, if that is higher.

        Raises:
            MalformedError: `data` is not from this version's `snapshot`.
        """
        snapshot = SrtpSnapshot.parse(Reader(data))
        session = cls(profile, outbound, inbound)
        session._rtcp_sender.next_index = max(snapshot.next_rtcp_index, first_rtcp)
        highest_sent = dict(snapshot.sent)
        for ssrc, first in (first_rtp or {}).items():
            highest_sent[ssrc] = max(highest_sent.get(ssrc, -1), first - 1)
        for ssrc, highest in highest_sent.items():
            if highest >= 0:
                _fast_forward(session._protect, ssrc, highest)
            session._sent[ssrc] = _Sent(highest, highest, _NO_CEILING)
        # What the peer would have sent, for libsrtp to believe.
        protect_as_peer = protector(profile, inbound)
        for ssrc, highest in snapshot.received:
            _fast_forward(lambda packet: session._unprotect(protect_as_peer(packet)), ssrc, highest)
            session._received[ssrc] = _Received(highest, floor=highest)
        for window in snapshot.rtcp_windows:
            session._rtcp_receiver.windows[window.ssrc] = ReplayWindow(
                SRTCP_REPLAY_WINDOW, highest=window.highest, seen=window.seen
            )
        return session


def _fast_forward(take: Callable[[bytes], bytes], ssrc: int, highest: int) -> None:
    """Bring libsrtp's index of a source to `highest`, with strides that it cannot take for a step back."""
    for index in (*range(0, highest, _HALF // 2), highest):
        take(FIXED_HEADER.pack(0x80, 0, index & 0xFFFF, 0, ssrc))


def _shape_problem(data: object) -> DropReason:
    if type(data) is not bytes:
        return DropReason.NOT_BYTES
    return DropReason.TOO_SHORT if len(data) < _MINIMUM else DropReason.TOO_LONG


def _drop_reason(error: RemoteProtocolError) -> DropReason:
    match error:
        case AuthenticationError():
            return DropReason.AUTHENTICATION
        case ReplayError():
            return DropReason.REPLAYED
        case LimitError():
            return DropReason.SOURCE_LIMIT
        case _:
            return DropReason.MALFORMED
