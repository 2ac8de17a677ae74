"""A server may open as many sockets as the system grants."""

import subprocess
import sys

PROGRAM = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 200))
from edge.descriptors import allow_many_descriptors
allow_many_descriptors()
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_the_hard_limit_is_taken() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "(200, 200)\n"
