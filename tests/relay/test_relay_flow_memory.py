"""How much memory a flow takes."""

import pytest

from bench.flow_memory import bytes_per_flow

AS_FULL_AS_50_000 = 50_000 // 8
"""So many fill the dicts as 50,000 do, where an entry takes ten bytes more: their indices are wider."""

MUST = 400
ROUNDED_UP = 30
"""What is counted is what was asked for; of it, memory is given out in steps of 16 bytes."""


@pytest.mark.parametrize("is_ipv6", [False, True])
def test_a_flow_takes_less_than_400_bytes(is_ipv6):
    assert bytes_per_flow(AS_FULL_AS_50_000, is_ipv6=is_ipv6) + ROUNDED_UP < MUST
