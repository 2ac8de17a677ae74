"""A process's family is all that it has started, by whichever of its threads."""

import os
import subprocess
import threading

import pytest

from bench.processes import family_of


@pytest.mark.e2e
def test_children_of_other_threads_and_their_children_belong_to_a_process() -> None:
    started: list[subprocess.Popen[bytes]] = []
    done, over = threading.Event(), threading.Event()

    def start() -> None:
        started.append(subprocess.Popen(["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE))
        done.set()
        over.wait()

    thread = threading.Thread(target=start)
    thread.start()
    try:
        assert done.wait(10)
        (shell,) = started
        assert shell.stdout is not None
        sleeper = int(shell.stdout.readline())
        assert {os.getpid(), shell.pid, sleeper} <= set(family_of(os.getpid()))
        assert set(family_of(shell.pid)) == {shell.pid, sleeper}
    finally:
        over.set()
        thread.join()
        for pid in family_of(started[0].pid)[::-1]:
            os.kill(pid, 15)
        started[0].communicate(timeout=10)
