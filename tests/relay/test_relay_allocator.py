"""What a table has left behind when it grew goes back to the system."""

import subprocess
import sys

import pytest

GROW = """
from bench.processes import memory_of
from relay.allocator import keep_no_holes
import os

{}
del (large := [bytes(8 << 20)])[:]  # the allocator has seen how large freed blocks are
before = memory_of(os.getpid())
halves = [bytearray(b"x" * (1 << 20)) for _ in range(16)]
last = bytearray(b"x" * (1 << 20))
halves.clear()
print(memory_of(os.getpid()) - before)
"""


def left_behind(first: str) -> int:
    return int(subprocess.run([sys.executable, "-c", GROW.format(first)], check=True, capture_output=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="the allocator is glibc's")
def test_large_blocks_go_back_to_the_system():
    assert left_behind("") > 8 << 20
    assert left_behind("keep_no_holes()") < 4 << 20
