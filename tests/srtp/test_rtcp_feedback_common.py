"""The short way for a call without trouble writes what the general way writes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srtp.rtcp import transport_feedback
from srtp.rtcp.transport_feedback import TransportFeedback
from wire.buffer import Writer


def written(deltas: list[int | None]) -> bytes:
    writer = Writer()
    TransportFeedback(
        sender_ssrc=1,
        media_ssrc=2,
        base_sequence_number=3,
        reference_time=4,
        feedback_packet_count=5,
        deltas=tuple(deltas),
    ).serialize(writer)
    return writer.finish()


@given(deltas=st.lists(st.integers(0, 255), min_size=1, max_size=60))
def test_both_ways_write_the_same(deltas: list[int]) -> None:
    short = written(deltas)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transport_feedback, "_all_small", lambda deltas: None)
        assert written(deltas) == short


@pytest.mark.parametrize("odd", [None, -1, 256])
def test_a_lost_or_late_packet_takes_the_general_way(odd: int | None) -> None:
    assert transport_feedback._all_small((80, odd, 80)) is None
