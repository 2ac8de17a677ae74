"""What a listener on the wire sees of the nonces of a session, told by the keys and not by what the session believes.

The index of an RTP packet, and of a record of DTLS 1.3, is the one that it authenticates with; those of RTCP and of
DTLS 1.2 stand in the packets.
"""

import contextlib
import struct

from cryptography.exceptions import InvalidTag

from dtls.key_schedule import KeySchedule
from dtls.options import Role
from dtls.protection13 import OutboundProtection13
from dtls.records import RawRecord, split_datagram
from srtp.derivation import rtcp_session_keys, rtp_session_keys
from srtp.keying import EXPORTER_LABEL, split_keying_material
from srtp.profile import ProtectionProfile
from srtp.rtp import read_header
from srtp.transform import transform_for
from transceiver.session import Session
from wire.demux import Kind, kind_of
from wire.errors import AuthenticationError

_ROLLOVERS = 8


class NonceUsedTwice(Exception):  # noqa: N818 - what the tests are about
    """Two processes have sent different packets under one key and one nonce."""


class WireTap:
    """Collects (key, nonce) of all that the processes of one session put on the wire.

    Attributes:
        used: who has sent what under each of them.
        counts: how many packets of each kind everybody has sent.
    """

    def __init__(self, session: Session) -> None:
        association = session.dtls.association
        profile = ProtectionProfile(association.srtp_profile)
        material = association.export_keying_material(EXPORTER_LABEL, profile.keying_material_length)
        ours, _ = split_keying_material(profile, material, is_client=association.role is Role.CLIENT)
        self._rtp = transform_for(profile, rtp_session_keys(profile, ours))
        self._rtcp = transform_for(profile, rtcp_session_keys(profile, ours))
        self._epochs = {}
        suite = association._established._suite
        for epoch in association.next_sequences():
            protection = association._records.outbound(epoch)
            if isinstance(protection, OutboundProtection13):
                keys = KeySchedule(hash_name=suite.hash_name).traffic_keys(
                    protection.secret, suite.key_size, suite.iv_size
                )
                iv = int.from_bytes(keys.iv, "big")
                self._epochs[epoch & 3] = suite.mask(keys.record_number_key), suite.aead(keys.key), iv
        self.used: dict[tuple[object, ...], tuple[object, bytes]] = {}
        self.counts: dict[tuple[object, str], int] = {}
        self.highest = 0

    def note(self, owner: object, datagram: bytes) -> None:
        """A process has sent a datagram."""
        kind = kind_of(datagram)
        match kind:
            case Kind.RTP:
                self._use(owner, "rtp", self._rtp_nonce(datagram), datagram)
            case Kind.RTCP:
                nonce = struct.unpack_from(">I", datagram, 4)[0], self._rtcp.rtcp_index(datagram)
                self._use(owner, "rtcp", nonce, datagram)
            case Kind.DTLS:
                for raw in split_datagram(datagram):
                    if raw.is_unified:
                        self._use(owner, "dtls", self._dtls_nonce(raw), raw.payload)
                    elif raw.epoch:
                        self._use(owner, "dtls", (raw.epoch, raw.sequence), raw.payload)
            case _:
                assert kind is Kind.STUN

    def _rtp_nonce(self, datagram: bytes) -> tuple[int, int]:
        _, sequence, _, ssrc, start, _ = read_header(datagram)
        for rollovers in range(_ROLLOVERS):
            index = rollovers << 16 | sequence
            with contextlib.suppress(AuthenticationError):
                self._rtp.unprotect_rtp(datagram, start, index)
                self.highest = max(self.highest, index)
                return ssrc, index
        raise AssertionError("a packet of ours that is not authentic")

    def _dtls_nonce(self, raw: RawRecord) -> tuple[int, int]:
        mask_of, aead, iv = self._epochs[raw.epoch]
        mask = mask_of(raw.payload[:16])
        sequence = raw.sequence ^ (mask[0] << 8 | mask[1])
        header = raw.header[:1] + sequence.to_bytes(2, "big") + raw.header[3:]
        for rollovers in range(_ROLLOVERS):
            number = rollovers << 16 | sequence
            with contextlib.suppress(InvalidTag):
                aead.decrypt((iv ^ number).to_bytes(12, "big"), raw.payload, header)
                return raw.epoch, number
        raise AssertionError("a record of ours that is not authentic")

    def _use(self, owner: object, key: str, nonce: tuple[int, int], content: bytes) -> None:
        self.counts[owner, key] = self.counts.get((owner, key), 0) + 1
        before = self.used.setdefault((key, *nonce), (owner, content))
        if before[0] != owner and before[1] != content:
            raise NonceUsedTwice(f"{key} {nonce} by {before[0]} and {owner}")
        assert before[1] == content, f"{key} {nonce} by {owner} alone, twice"
