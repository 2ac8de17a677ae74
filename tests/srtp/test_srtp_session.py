"""The session: our implementation and libsrtp packet by packet, bounds, and every reason to drop."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from pylibsrtp import Policy, Session

from srtp.derivation import rtcp_session_keys, rtp_session_keys
from srtp.keying import MasterKey
from srtp.profile import ProtectionProfile
from srtp.rtp import RtpPacket, pack_packet
from srtp.secure_rtcp import SrtcpReceiver, SrtcpSender
from srtp.secure_rtp import REPLAY_WINDOW, RtpReceiver, RtpSender, packet_index
from srtp.session import MAX_PACKET, MAX_PROTECTED, MAX_SOURCES, DropReason, SrtpSession
from srtp.transform import Transform, transform_for
from wire.buffer import Reader, Writer
from wire.errors import (
    AuthenticationError,
    CeilingReached,
    LimitError,
    LocalProtocolError,
    MalformedError,
    ReplayError,
)

MakeKey = Callable[..., MasterKey]

RTCP = bytes.fromhex("80c90001 00000001")


@pytest.fixture
def sessions(profile: ProtectionProfile, outbound: MasterKey, inbound: MasterKey) -> tuple[SrtpSession, SrtpSession]:
    return SrtpSession(profile, outbound, inbound), SrtpSession(profile, inbound, outbound)


def libsrtp(profile: ProtectionProfile, key: MasterKey, ssrc_type: int) -> Session:
    profiles = {
        ProtectionProfile.AES128_CM_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
        ProtectionProfile.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
        ProtectionProfile.AEAD_AES_256_GCM: Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    }
    return Session(Policy(key=key.key + key.salt, ssrc_type=ssrc_type, srtp_profile=profiles[profile]))


def rtp(sequence_number: int, ssrc: int = 7, payload: bytes = b"voice") -> bytes:
    return pack_packet(111, sequence_number & 0xFFFF, 960 * sequence_number & 0xFFFFFFFF, ssrc, payload)


def any_packet(rng: random.Random, sequence_number: int) -> bytes:
    """A packet with whatever a header may have."""
    has_extension = rng.random() < 0.5
    packet = RtpPacket(
        payload_type=rng.randrange(128),
        sequence_number=sequence_number & 0xFFFF,
        timestamp=rng.getrandbits(32),
        ssrc=rng.choice([7, 0xFFFFFFFF]),
        marker=rng.random() < 0.5,
        csrcs=tuple(rng.getrandbits(32) for _ in range(rng.choice([0, 0, 1, 15]))),
        extension_profile=0xBEDE if has_extension else None,
        extension=rng.randbytes(4 * rng.choice([0, 1, 5])) if has_extension else b"",
        payload=rng.randbytes(rng.choice([0, 1, 15, 16, 17, 80, 1000])),
        padding_size=rng.choice([0, 0, 1, 255]),
    )
    writer = Writer()
    packet.serialize(writer)
    return writer.finish()


class TestAgainstLibsrtp:
    """Every packet of the implementation to read is the packet of the implementation to run."""

    def test_protect(self, profile: ProtectionProfile, outbound: MasterKey) -> None:
        theirs = libsrtp(profile, outbound, Policy.SSRC_ANY_OUTBOUND)
        ours = RtpSender(profile, outbound)
        rng = random.Random(3711)
        # Three rollovers, in strides.
        for sequence_number in range(65_000, 65_000 + 3 * 65_536, 401):
            packet = any_packet(rng, sequence_number)
            assert ours.protect(packet) == theirs.protect(packet)

    def test_unprotect_out_of_order(self, profile: ProtectionProfile, inbound: MasterKey) -> None:
        sender = libsrtp(profile, inbound, Policy.SSRC_ANY_OUTBOUND)
        theirs = libsrtp(profile, inbound, Policy.SSRC_ANY_INBOUND)
        ours = RtpReceiver(profile, inbound)
        rng = random.Random(7714)
        packets = [any_packet(rng, number) for number in range(65_000, 66_200)]
        sent = [(packet, sender.protect(packet)) for packet in packets]
        # Each is delayed by up to 40 places; reordering crosses the rollover too.
        sent = [
            sent[0],
            *(pair for _, pair in sorted((i + rng.randrange(40), pair) for i, pair in enumerate(sent[1:]))),
        ]
        for packet, data in sent:
            assert theirs.unprotect(data) == packet
            assert ours.unprotect(data) == packet
            with pytest.raises(ReplayError):
                ours.unprotect(data)

    def test_rtcp_protect(self, profile: ProtectionProfile, outbound: MasterKey) -> None:
        theirs = libsrtp(profile, outbound, Policy.SSRC_ANY_OUTBOUND)
        ours = SrtcpSender(profile, outbound)
        ours.next_index = 1  # where libsrtp starts
        rng = random.Random(1)
        for _ in range(300):
            packet = bytes.fromhex("80c9000100000007") + rng.randbytes(4 * rng.randrange(100))
            assert ours.protect(packet) == theirs.protect_rtcp(packet)

    def test_rtcp_unprotect(self, profile: ProtectionProfile, inbound: MasterKey) -> None:
        sender = libsrtp(profile, inbound, Policy.SSRC_ANY_OUTBOUND)
        ours = SrtcpReceiver(profile, inbound)
        packets = [RTCP + bytes(4 * size) for size in range(100)]
        for packet in packets:
            data = sender.protect_rtcp(packet)
            assert ours.unprotect(data) == packet
            with pytest.raises(ReplayError):
                ours.unprotect(data)

    def test_rtcp_that_is_only_authenticated(self, profile: ProtectionProfile, outbound: MasterKey) -> None:
        transform = transform_for(profile, rtcp_session_keys(profile, outbound))
        data = transform.protect_rtcp(RTCP + b"body", 3, encrypt=False)
        assert data.startswith(RTCP + b"body")
        assert SrtcpReceiver(profile, outbound).unprotect(data) == RTCP + b"body"
        # The flag is authenticated: it cannot be set on the way.
        for at in range(len(data)):
            with pytest.raises(AuthenticationError):
                transform.unprotect_rtcp(data[:at] + bytes([data[at] ^ 0x80]) + data[at + 1 :])

    def test_libsrtp_reads_our_rtcp(self, profile: ProtectionProfile, outbound: MasterKey) -> None:
        theirs = libsrtp(profile, outbound, Policy.SSRC_ANY_INBOUND)
        ours = SrtcpSender(profile, outbound)
        for size in range(100):
            packet = RTCP + bytes(4 * size)
            assert theirs.unprotect_rtcp(ours.protect(packet)) == packet


class TestOurRtp:
    """The implementation to read, by itself."""

    def test_index_is_the_nearest(self) -> None:
        assert packet_index(-1, 65_000) == 65_000
        assert packet_index(65_535, 0) == 65_536
        assert packet_index(65_536, 65_535) == 65_535
        assert packet_index(5 * 65_536 + 10, 65_530) == 5 * 65_536 - 6
        assert packet_index(2, 65_535) == -1

    def test_what_was_sent_before_the_stream_began_is_refused(
        self, profile: ProtectionProfile, inbound: MasterKey
    ) -> None:
        sender, receiver = RtpSender(profile, inbound), RtpReceiver(profile, inbound)
        late = RtpSender(profile, inbound).protect(rtp(65_535))
        receiver.unprotect(sender.protect(rtp(2)))
        with pytest.raises(ReplayError):
            receiver.unprotect(late)

    def test_a_sequence_number_is_used_once(self, profile: ProtectionProfile, outbound: MasterKey) -> None:
        sender = RtpSender(profile, outbound)
        sender.protect(rtp(9))
        with pytest.raises(LocalProtocolError):
            sender.protect(rtp(9))
        with pytest.raises(LocalProtocolError):
            sender.protect(b"\x80 not RTP")

    def test_forged_packets_leave_no_trace(self, profile: ProtectionProfile, inbound: MasterKey) -> None:
        sender, receiver = RtpSender(profile, inbound), RtpReceiver(profile, inbound)
        receiver.unprotect(sender.protect(rtp(10)))
        ahead = sender.protect(rtp(30_000))
        with pytest.raises(AuthenticationError):
            receiver.unprotect(ahead[:-1] + bytes([ahead[-1] ^ 1]))
        # Had it moved the window, this one would be too old.
        assert receiver.unprotect(RtpSender(profile, inbound).protect(rtp(11))) == rtp(11)
        assert receiver.unprotect(ahead) == rtp(30_000)

    def test_bounds(self, profile: ProtectionProfile, inbound: MasterKey) -> None:
        sender, receiver = RtpSender(profile, inbound), RtpReceiver(profile, inbound, max_sources=1)
        data = sender.protect(rtp(1))
        receiver.unprotect(data)
        with pytest.raises(LimitError):
            receiver.unprotect(sender.protect(rtp(1, ssrc=8)))
        for short in (b"", data[:11], data[: 12 + profile.tag_length - 1]):
            with pytest.raises(MalformedError):
                receiver.unprotect(short)


class TestSession:
    def test_both_directions_past_rollovers(self, sessions: tuple[SrtpSession, SrtpSession]) -> None:
        here, there = sessions
        rng = random.Random(5)
        for number in range(60_000, 60_000 + 2 * 65_536, 997):
            packet = any_packet(rng, number)
            assert there.unprotect_rtp(here.protect_rtp(packet)) == packet
            assert here.unprotect_rtp(there.protect_rtp(packet)) == packet
            assert there.unprotect_rtcp(here.protect_rtcp(RTCP)) == RTCP
        assert not here.drops
        assert not there.drops

    def test_directions_have_keys_of_their_own(self, sessions: tuple[SrtpSession, SrtpSession]) -> None:
        here, _ = sessions
        assert here.unprotect_rtp(here.protect_rtp(rtp(1))) is None
        assert here.unprotect_rtcp(here.protect_rtcp(RTCP)) is None
        assert here.drops == {DropReason.AUTHENTICATION: 2}

    def test_every_changed_byte_is_noticed(self, sessions: tuple[SrtpSession, SrtpSession]) -> None:
        here, there = sessions
        for protect, unprotect, packet in [
            (here.protect_rtp, there.unprotect_rtp, rtp(1)),
            (here.protect_rtcp, there.unprotect_rtcp, RTCP),
        ]:
            data = protect(packet)
            for at in range(len(data)):
                assert unprotect(data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1 :]) is None
            assert unprotect(data) == packet
        assert set(there.drops) <= {DropReason.AUTHENTICATION, DropReason.MALFORMED}

    def test_replays(self, sessions: tuple[SrtpSession, SrtpSession]) -> None:
        here, there = sessions
        first = here.protect_rtp(rtp(1))
        report = here.protect_rtcp(RTCP)
        assert there.unprotect_rtp(first)
        assert there.unprotect_rtcp(report)
        assert there.unprotect_rtp(first) is None
        assert there.unprotect_rtcp(report) is None
        assert there.drops == {DropReason.REPLAYED: 2}
        # Too old to tell is refused too; what is only late passes.
        packets = [here.protect_rtp(rtp(number)) for number in range(2, REPLAY_WINDOW + 4)]
        assert there.unprotect_rtp(packets[-1])
        assert there.unprotect_rtp(packets[0]) is None
        assert there.unprotect_rtp(packets[5])
        assert there.drops == {DropReason.REPLAYED: 3}

    @pytest.mark.parametrize("which", ["unprotect_rtp", "unprotect_rtcp"])
    def test_shapes_that_libsrtp_never_sees(self, sessions: tuple[SrtpSession, SrtpSession], which: str) -> None:
        _, there = sessions
        unprotect = getattr(there, which)
        for data, reason in [
            (bytearray(100), DropReason.NOT_BYTES),
            (memoryview(bytes(100)), DropReason.NOT_BYTES),
            (None, DropReason.NOT_BYTES),
            (b"", DropReason.TOO_SHORT),
            (bytes(11), DropReason.TOO_SHORT),
            (bytes(MAX_PROTECTED + 1), DropReason.TOO_LONG),
            (bytes(65_507), DropReason.TOO_LONG),
        ]:
            there.drops.clear()
            assert unprotect(data) is None
            assert there.drops == {reason: 1}

    @pytest.mark.parametrize("data", [bytes.fromhex("8f") + bytes(20), bytes.fromhex("90") + bytes(11) + b"\xff" * 8])
    def test_headers_that_do_not_end(self, sessions: tuple[SrtpSession, SrtpSession], data: bytes) -> None:
        _, there = sessions
        assert there.unprotect_rtp(data) is None
        assert there.drops == {DropReason.MALFORMED: 1}

    def test_rtcp_too_short_for_its_trailer(self, sessions: tuple[SrtpSession, SrtpSession]) -> None:
        _, there = sessions
        assert there.unprotect_rtcp(RTCP + bytes(5)) is None
        assert there.drops == {DropReason.MALFORMED: 1}

    def test_the_longest_packets(self, sessions: tuple[SrtpSession, SrtpSession]) -> None:
        here, there = sessions
        longest = rtp(1, payload=bytes(MAX_PACKET - 12))
        assert there.unprotect_rtp(here.protect_rtp(longest)) == longest
        with pytest.raises(LocalProtocolError):
            here.protect_rtp(rtp(2, payload=bytes(MAX_PACKET - 11)))

    def test_what_we_may_not_protect(self, sessions: tuple[SrtpSession, SrtpSession]) -> None:
        here, _ = sessions
        here.protect_rtp(rtp(1))
        for wrong in (rtp(1), bytearray(rtp(2)), b"", bytes(11), b"\x8f" + bytes(12)):
            with pytest.raises(LocalProtocolError):
                here.protect_rtp(wrong)
        with pytest.raises(LocalProtocolError):
            here.protect_rtcp(bytes(7))

    def test_sources_are_bounded_and_forgers_take_no_place(self, sessions: tuple[SrtpSession, SrtpSession]) -> None:
        here, there = sessions
        for ssrc in range(100, 120):
            assert there.unprotect_rtp(rtp(1, ssrc) + bytes(16)) is None
            assert there.unprotect_rtcp(b"\x80\xc9\x00\x01" + ssrc.to_bytes(4, "big") + bytes(20)) is None
        assert there.drops == {DropReason.AUTHENTICATION: 40}
        for ssrc in range(MAX_SOURCES):
            assert there.unprotect_rtp(here.protect_rtp(rtp(1, ssrc)))
            assert there.unprotect_rtcp(here.protect_rtcp(b"\x80\xc9\x00\x01" + ssrc.to_bytes(4, "big")))
        assert there.unprotect_rtp(here.protect_rtp(rtp(1, MAX_SOURCES))) is None
        assert there.unprotect_rtcp(here.protect_rtcp(b"\x80\xc9\x00\x01" + bytes([9] * 4))) is None
        assert there.drops == {DropReason.AUTHENTICATION: 40, DropReason.SOURCE_LIMIT: 2}
        # Those that are known go on.
        assert there.unprotect_rtp(here.protect_rtp(rtp(2, 0)))

    def test_noise(self, sessions: tuple[SrtpSession, SrtpSession]) -> None:
        _, there = sessions
        rng = random.Random(8)
        for _ in range(500):
            data = bytes([rng.choice([0x80, 0x90, 0xBF, rng.randrange(256)])]) + rng.randbytes(rng.randrange(200))
            assert there.unprotect_rtp(data) is None
            assert there.unprotect_rtcp(data) is None
        assert there.drops.total() == 1000

    def test_every_reason_is_tested(self) -> None:
        source = Path(__file__).read_text()
        assert all(f"DropReason.{reason.name}" in source for reason in DropReason)

    def test_rtcp_keys_are_used_up(self, profile: ProtectionProfile, outbound: MasterKey) -> None:
        sender = SrtcpSender(profile, outbound)
        sender.next_index = (1 << 31) - 1
        assert SrtcpReceiver(profile, outbound).unprotect(sender.protect(RTCP)) == RTCP
        with pytest.raises(LocalProtocolError):
            sender.protect(RTCP)


class TestHandover:
    """A session goes on in another process."""

    @pytest.mark.parametrize("start", [5, 65_530])
    def test_goes_on(self, profile: ProtectionProfile, outbound: MasterKey, inbound: MasterKey, start: int) -> None:
        here, there = SrtpSession(profile, outbound, inbound), SrtpSession(profile, inbound, outbound)
        received, late = [], b""
        for number in range(start, start + 3 * 65_536, 10_007):
            late = there.protect_rtp(rtp(number, ssrc=2))
            received.append(there.protect_rtp(rtp(number + 1, ssrc=2)))
            assert here.unprotect_rtp(received[-1]) == rtp(number + 1, ssrc=2)
            there.unprotect_rtp(here.protect_rtp(rtp(number, ssrc=1)))
        report = there.protect_rtcp(RTCP)
        here.unprotect_rtcp(report)
        sent_reports = {here.protect_rtcp(RTCP) for _ in range(3)}

        moved = SrtpSession.restore(profile, outbound, inbound, here.snapshot())
        # Neither what was received before, nor what came too late to be told from it.
        assert moved.unprotect_rtp(received[-1]) is None
        assert moved.unprotect_rtp(late) is None
        assert moved.unprotect_rtcp(report) is None
        assert moved.drops == {DropReason.REPLAYED: 3}
        # On in both directions, in the same rollover; a reordered pair after the move is fine.
        for reordered in (number + 3, number + 2):
            packet = rtp(reordered, ssrc=2)
            assert moved.unprotect_rtp(there.protect_rtp(packet)) == packet
        number += 1
        assert there.unprotect_rtp(moved.protect_rtp(rtp(number, ssrc=1))) == rtp(number, ssrc=1)
        assert there.unprotect_rtcp(moved.protect_rtcp(RTCP)) == RTCP
        assert moved.protect_rtcp(RTCP) not in sent_reports
        # Nothing that the first process has sent is sent again.
        with pytest.raises(LocalProtocolError):
            moved.protect_rtp(rtp(number, ssrc=1))

    def test_snapshot_of_a_restored_session(
        self, profile: ProtectionProfile, outbound: MasterKey, inbound: MasterKey
    ) -> None:
        here, there = SrtpSession(profile, outbound, inbound), SrtpSession(profile, inbound, outbound)
        for number in range(0, 200_000, 20_000):
            here.unprotect_rtp(there.protect_rtp(rtp(number)))
            here.protect_rtp(rtp(number))
        here.unprotect_rtcp(there.protect_rtcp(RTCP))
        snapshot = here.snapshot()
        assert SrtpSession.restore(profile, outbound, inbound, snapshot).snapshot() == snapshot
        assert outbound.key not in snapshot

    def test_malformed_snapshots(self, make_key: MakeKey) -> None:
        profile = ProtectionProfile.AEAD_AES_128_GCM
        session = SrtpSession(profile, make_key(profile), make_key(profile))
        session.protect_rtp(rtp(1))
        session.unprotect_rtp(SrtpSession(profile, make_key(profile), make_key(profile)).protect_rtp(rtp(1)))
        session.unprotect_rtcp(session.protect_rtcp(RTCP))
        snapshot = session.snapshot()
        writer = Writer().u8(1).u32(0).u8(1).u32(7).u48(1 << 47).u8(0).u8(0)
        for wrong in (*(snapshot[:size] for size in range(len(snapshot))), snapshot + b"\0", b"\2" + snapshot[1:]):
            with pytest.raises(MalformedError):
                SrtpSession.restore(profile, make_key(profile), make_key(profile), wrong)
        twice = Writer().u8(1).u32(0).u8(2).u32(7).u48(1).u32(7).u48(1).u8(0).u8(0)
        with pytest.raises(MalformedError, match="twice"):
            SrtpSession.restore(profile, make_key(profile), make_key(profile), twice.finish())
        with pytest.raises(MalformedError, match="more than a call can"):
            SrtpSession.restore(profile, make_key(profile), make_key(profile), writer.finish())


def test_reader_and_record_agree_on_every_packet() -> None:
    rng = random.Random(12)
    for number in range(200):
        data = any_packet(rng, number)
        writer = Writer()
        RtpPacket.parse(Reader(data)).serialize(writer)
        assert writer.finish() == data


class TestCeilings:
    """Two processes with one key keep to indices of their own."""

    @pytest.mark.parametrize("highest", [3, 0x7FFF, 0xEFFE, 0xFFFF - 4096, 0xFFFF, 0x1_7FFF, 0x2_FFF0])
    @pytest.mark.parametrize("margin", [1, 4096, 0x7000])
    def test_a_successor_begins_above(
        self, profile: ProtectionProfile, outbound: MasterKey, inbound: MasterKey, highest: int, margin: int
    ) -> None:
        """Wherever the sequence number wraps meanwhile; told by our own implementation, which is told the index."""
        here = SrtpSession(profile, outbound, inbound)
        receiver = RtpReceiver(profile, outbound)
        for number in (*range(0, highest, 0x3000), highest):
            receiver.unprotect(here.protect_rtp(rtp(number)))
        first = highest + 1 + margin
        there = SrtpSession.restore(profile, outbound, inbound, here.snapshot(), first_rtp={7: first})
        assert there.next_index(7) == first
        for number in range(first - 3, first):
            with pytest.raises(LocalProtocolError):
                there.protect_rtp(rtp(number))
        for number in (first + 1, first, first + 2):
            protected = there.protect_rtp(rtp(number))
            assert receiver.unprotect(protected) == rtp(number)
            assert RtpReceiver(profile, outbound)._transform.unprotect_rtp(protected, 12, number) == rtp(number)

    @pytest.mark.parametrize("ceiling", [100, 0xFFFF, 0x1_0000, 0x1_0001, 0x2_0005])
    def test_nothing_from_the_ceiling_on(
        self, profile: ProtectionProfile, outbound: MasterKey, inbound: MasterKey, ceiling: int
    ) -> None:
        session = SrtpSession(profile, outbound, inbound)
        session.limit({7: ceiling}, 3)
        for number in (*range(0, ceiling, 0x3000), ceiling - 1):
            session.protect_rtp(rtp(number))
        # The same sixteen bits, a turn further, or just beyond.
        for number in (ceiling, ceiling + 1, ceiling + 0x7000):
            with pytest.raises(CeilingReached):
                session.protect_rtp(rtp(number))
        assert session.next_index(7) == ceiling
        with pytest.raises(CeilingReached):
            session.protect_rtp(rtp(1, ssrc=8))  # of which nobody has reserved anything
        for _ in range(3):
            session.protect_rtcp(RTCP)
        with pytest.raises(CeilingReached):
            session.protect_rtcp(RTCP)
        session.limit({7: ceiling + 2, 8: 2}, 4)
        session.protect_rtp(rtp(ceiling + 1))
        session.protect_rtp(rtp(1, ssrc=8))
        session.protect_rtcp(RTCP)
        with pytest.raises(CeilingReached):
            session.protect_rtcp(RTCP)
        session.limit(None, None)
        session.protect_rtp(rtp(ceiling + 3))
        session.protect_rtcp(RTCP)

    def test_no_step_that_libsrtp_could_take_for_another(
        self, profile: ProtectionProfile, outbound: MasterKey, inbound: MasterKey
    ) -> None:
        """Each packet that is let through has the index that we have counted, and none goes a way that we have not."""
        rng = random.Random(5)
        session = SrtpSession(profile, outbound, inbound)
        transform = transform_for(profile, rtp_session_keys(profile, outbound))
        number, passed, refused = rng.randrange(0x8000), 0, 0
        session.protect_rtp(rtp(number))
        for _ in range(1500):
            step = rng.choice((1, 1, 2, -1, -3, -2000, 0x4000, 0x7FFF, 0x8000, 0x8001, -0x7FFF, -0x8000, 0))
            try:
                protected = session.protect_rtp(rtp(number + step))
            except LocalProtocolError:
                refused += 1
                continue
            passed += 1
            index = next(
                index
                for index in range((number + step) & 0xFFFF, number + 0x2_0000, 0x1_0000)
                if opens(transform, protected, index)
            )
            assert index == number + step
            number = max(number, index)
            assert session.next_index(7) == number + 1
        assert passed > 300
        assert refused > 300

    def test_rtcp_begins_where_it_is_told(
        self, profile: ProtectionProfile, outbound: MasterKey, inbound: MasterKey
    ) -> None:
        here = SrtpSession(profile, outbound, inbound)
        here.protect_rtcp(RTCP)
        there = SrtpSession.restore(profile, outbound, inbound, here.snapshot(), first_rtcp=1025)
        assert there.next_rtcp_index == 1025
        transform = transform_for(profile, rtcp_session_keys(profile, outbound))
        assert transform.rtcp_index(there.protect_rtcp(RTCP)) == 1025
        assert SrtpSession.restore(profile, outbound, inbound, there.snapshot(), first_rtcp=5).next_rtcp_index == 1026


def opens(transform: Transform, protected: bytes, index: int) -> bool:
    try:
        transform.unprotect_rtp(protected, 12, index)
    except AuthenticationError:
        return False
    return True
