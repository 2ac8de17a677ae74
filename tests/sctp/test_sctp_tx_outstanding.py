"""Reading SACKs: what is acknowledged, missing, taken back, lost and given up."""

import pytest

from sctp.drops import DropReason
from sctp.tx.acknowledging import acknowledge
from sctp.tx.message import ChunkState, OutgoingMessage, SentChunk
from sctp.tx.outstanding import OutstandingData
from sctp.tx.sack_check import check_sack

SIZE = 116  # 100 bytes of user data


def outstanding_of(count, *, first=10, messages=None, unfinished=()):
    outstanding = OutstandingData(first, lambda message: message in unfinished)
    outstanding.may_abandon = True
    for number in range(count):
        message = messages[number] if messages else OutgoingMessage(1, 51, b"x" * 100)
        outstanding.add(SentChunk(first + number, message, b"x" * 100, 3, 1.0))
    return outstanding


def states(outstanding):
    return "".join(
        {"in-flight": "f", "acked": "a", "to-retransmit": "r", "abandoned": "-"}[chunk.state.value]
        for chunk in outstanding.chunks
    )


def sack(outstanding, cumulative, *blocks, now=1.5, is_recovering=False):
    return acknowledge(outstanding, cumulative, blocks, now, is_recovering=is_recovering)


def test_a_cumulative_acknowledgement():
    outstanding = outstanding_of(4)
    result = sack(outstanding, 12)
    assert (result.acked, result.has_advanced, result.highest_newly_acked) == (3 * SIZE, True, 12)
    assert result.round_trip == pytest.approx(0.5)
    assert outstanding.flight_size == SIZE
    assert not outstanding.is_empty


def test_gaps_and_bytes_are_counted_once():
    outstanding = outstanding_of(6)
    assert sack(outstanding, 10, (12, 13)).acked == 3 * SIZE
    assert states(outstanding) == "faaff"
    result = sack(outstanding, 13)
    assert result.acked == SIZE
    assert outstanding.flight_size == 2 * SIZE


def test_what_is_taken_back_is_in_flight_again():
    outstanding = outstanding_of(6)
    sack(outstanding, 10, (12, 13), (15, 15))
    assert states(outstanding) == "faafa"
    sack(outstanding, 10, (13, 13))
    assert states(outstanding) == "ffaff"
    assert outstanding.flight_size == 4 * SIZE
    sack(outstanding, 10)
    assert states(outstanding) == "fffff"


def test_the_third_miss_is_a_loss_and_counts_only_below_what_is_newly_acknowledged():
    outstanding = outstanding_of(10)
    sack(outstanding, 9, (11, 11))
    sack(outstanding, 9, (11, 12))
    # The same SACK again acknowledges nothing new, so it is no miss.
    sack(outstanding, 9, (11, 12))
    assert outstanding.chunks[0].misses == 2
    assert not outstanding.retransmissions
    result = sack(outstanding, 9, (11, 13))
    assert result.has_lost
    assert states(outstanding) == "raaafff" + "fff"
    assert outstanding.flight_size == 6 * SIZE
    assert outstanding.next_retransmission() is outstanding.chunks[0]


def test_in_recovery_every_missing_one_counts_when_the_cumulative_tsn_advances():
    outstanding = outstanding_of(10)
    sack(outstanding, 9, (11, 12), (14, 14))
    assert [chunk.misses for chunk in outstanding.chunks][:5] == [1, 0, 0, 1, 0]
    sack(outstanding, 12, (14, 14), is_recovering=True)
    assert outstanding.chunks[0].tsn == 13
    assert outstanding.chunks[0].misses == 2
    sack(outstanding, 12, (14, 14), is_recovering=True)
    assert outstanding.chunks[0].misses == 2


def test_a_lost_retransmission_is_found_by_what_was_sent_behind_it():
    outstanding = outstanding_of(12)
    for last in (11, 12, 13):
        sack(outstanding, 9, (11, last))
    chunk = outstanding.next_retransmission()
    outstanding.add(SentChunk(22, OutgoingMessage(1, 51, b"x" * 100), b"x" * 100, 3, 1.9))
    outstanding.retransmit(chunk, 2.0)
    for number in range(23, 27):
        outstanding.add(SentChunk(number, OutgoingMessage(1, 51, b"x" * 100), b"x" * 100, 3, 2.0))
    # What was under way before it says nothing about it, however much it is.
    for last in range(14, 23):
        sack(outstanding, 9, (11, last))
    assert chunk.state is ChunkState.IN_FLIGHT
    assert chunk.misses == 0
    sack(outstanding, 9, (11, 23))
    sack(outstanding, 9, (11, 24))
    assert outstanding.next_retransmission() is None
    assert sack(outstanding, 9, (11, 25)).has_lost
    assert outstanding.next_retransmission() is chunk
    outstanding.retransmit(chunk, 3.0)
    assert chunk.transmissions == 3
    # And again, by what is sent behind that.
    sack(outstanding, 9, (11, 26))
    assert chunk.misses == 0


def test_nothing_is_measured_with_what_was_sent_twice():
    outstanding = outstanding_of(3)
    outstanding.lose_all(1.2)
    chunk = outstanding.next_retransmission()
    outstanding.retransmit(chunk, 1.3)
    assert sack(outstanding, 12).round_trip is None


def test_losses_are_sent_again_lowest_first_and_not_if_they_arrived_after_all():
    outstanding = outstanding_of(4)
    outstanding.lose_all(2.0)
    assert outstanding.flight_size == 0
    result = sack(outstanding, 10, (12, 12))
    assert result.acked == 2 * SIZE
    assert outstanding.next_retransmission().tsn == 11
    outstanding.retransmit(outstanding.next_retransmission(), 2.0)
    assert outstanding.next_retransmission().tsn == 13


def test_too_many_retransmissions_abandon_the_whole_message():
    limited = OutgoingMessage(1, 51, b"x" * 300, max_retransmits=1)
    other = OutgoingMessage(1, 51, b"x" * 100)
    outstanding = outstanding_of(5, messages=[other, limited, limited, limited, other])
    sack(outstanding, 10, (12, 12))
    outstanding.lose_all(2.0)
    assert states(outstanding) == "rarr"
    while (chunk := outstanding.next_retransmission()) is not None:
        outstanding.retransmit(chunk, 2.0)
    outstanding.lose_all(3.0)
    assert states(outstanding) == "---r"
    outstanding.advance()
    assert outstanding.advanced_peer_ack_point == 13
    assert outstanding.needs_forward_tsn
    assert [chunk.tsn for chunk in outstanding.skipped()] == [11, 12, 13]
    assert sack(outstanding, 13).acked == 0


def test_a_message_that_is_not_all_sent_is_closed_with_a_tsn_more():
    limited = OutgoingMessage(1, 51, b"x" * 900, max_retransmits=0)
    outstanding = outstanding_of(2, messages=[limited, limited], unfinished=[limited])
    sack(outstanding, 10)
    outstanding.lose_all(2.0)
    assert states(outstanding) == "--"
    assert outstanding.next_tsn == 13
    assert outstanding.flight_size == 0


def test_a_lifetime_abandons_what_is_under_way():
    short = OutgoingMessage(1, 51, b"x" * 100, expires_at=2.0)
    outstanding = outstanding_of(2, messages=[short, OutgoingMessage(1, 51, b"y")])
    outstanding.abandon_expired(1.9)
    assert states(outstanding) == "ff"
    outstanding.abandon_expired(2.0)
    assert states(outstanding) == "-f"
    assert outstanding.flight_size == SIZE


def test_nothing_is_abandoned_for_a_peer_that_knows_no_forward_tsn():
    outstanding = outstanding_of(1, messages=[OutgoingMessage(1, 51, b"x", expires_at=1.0, max_retransmits=0)])
    outstanding.may_abandon = False
    outstanding.abandon_expired(5.0)
    outstanding.lose_all(5.0)
    assert states(outstanding) == "r"


# What is believed ----------------------------------------------------------------------------------------------------


def test_sacks_are_unwrapped_sorted_and_merged():
    outstanding = outstanding_of(10, first=(1 << 32) - 2)
    base = (1 << 32) - 3
    assert check_sack(outstanding, 0, [(5, 6), (2, 3), (4, 4), (6, 7)]) == (base + 3, [(base + 5, base + 10)])


@pytest.mark.parametrize(
    ("cumulative", "blocks", "reason"),
    [
        (8, [], DropReason.OLD_SACK),
        (13, [], DropReason.SACK_OF_UNSENT),
        (9, [(2, 4)], DropReason.SACK_OF_UNSENT),
        (9, [(0, 1)], DropReason.SACK_OF_UNSENT),
        (9, [(3, 2)], DropReason.SACK_OF_UNSENT),
        (9 + (1 << 31), [], DropReason.OLD_SACK),
        (9 + (1 << 30), [], DropReason.SACK_OF_UNSENT),
    ],
)
def test_sacks_that_cannot_be(cumulative, blocks, reason):
    assert check_sack(outstanding_of(3), cumulative, blocks) is reason
