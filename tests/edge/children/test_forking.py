"""Children that are copies of their parent: what they have of it, and that none outlives its channel."""

import json
import subprocess
import sys

PROGRAM = """
import json, os, signal, socket, sys, threading
import trio
from edge.children.channel import Channel, ChannelClosed
from edge.children.forking import can_fork, first_of, fork_children
from edge.children.inside import take_standard_input

ours, theirs = socket.socketpair()  # what a child must not keep open
loaded = ["by the parent"]

def child():
    channel = take_standard_input()
    lines = channel.makefile("rw")
    descriptors = sorted(map(int, os.listdir("/proc/self/fd")))
    lines.write(json.dumps([os.getpid(), loaded, descriptors]) + "\\n")
    lines.flush()
    if lines.readline() == "raise\\n":
        raise RuntimeError("told to")
    return 7

print("said once")
can = can_fork()
children = fork_children(3, child)
launch = first_of(children, None)

async def main():
    told = {"can": can, "pids": [each.pid for each in children], "said": [], "codes": []}
    for number in range(3):
        async with launch() as (process, channel):
            told["said"].append(json.loads(await channel.receive()))
            if number == 0:
                await channel.send(b"go\\n")
                await process.wait()
            elif number == 1:
                process.kill()
            else:
                await channel.send(b"raise\\n")
                await process.wait()
        told["codes"].append(process.returncode)
    theirs.close()
    ours.settimeout(5)
    told["is_alone"] = ours.recv(1) == b""
    blocked = threading.Event()
    thread = threading.Thread(target=blocked.wait)
    thread.start()
    told["can_with_a_thread"] = can_fork()
    blocked.set()
    print(json.dumps(told))

trio.run(main)
"""


def test_copies_have_what_was_loaded_and_no_descriptor_but_their_channel() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    first, last = done.stdout.splitlines()
    assert first == "said once"
    told = json.loads(last)
    assert told["can"]
    assert not told["can_with_a_thread"]
    assert told["is_alone"], "no child holds another end of what the parent has"
    assert [pid for pid, _, _ in told["said"]] == told["pids"]
    for _, loaded, descriptors in told["said"]:
        assert loaded == ["by the parent"]
        assert len(descriptors) <= 5, "the channel, what the directory is read by, and the standard ones"
    assert told["codes"] == [7, -9, 1]
    assert "RuntimeError: told to" in done.stderr


def test_a_copy_ends_with_its_parent() -> None:
    program = """
import os
from edge.children.forking import fork_children
from edge.children.inside import take_standard_input

def child():
    take_standard_input().recv(1)
    os.write(1, b"the end\\n")  # in one piece
    return 0

fork_children(2, child)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (-9, "the end\n" * 2)
