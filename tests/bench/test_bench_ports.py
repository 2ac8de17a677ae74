"""A port is given once, and is one that the kernel chooses for nobody."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bench import ports
from bench.ports import free_port, hop_port


@pytest.fixture(autouse=True)
def own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)


def test_no_port_is_given_twice_not_even_to_another_process():
    ask = "from bench.ports import free_port; print(*(free_port() for _ in range(3)))"
    other = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout.split()
    given = [free_port() for _ in range(3)] + [free_port(4) + number for number in range(4)]
    assert len({*given, *map(int, other)}) == 10


def test_the_workers_of_a_relay_have_ports_of_their_own():
    first = hop_port()
    assert free_port() >= first + 4


def test_the_kernel_chooses_others():
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert free_port() < ports._END <= first


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_that_is_in_use_is_left_out_and_so_is_a_row_with_it(kind: socket.SocketKind):
    before = free_port()
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", before + 2))
        assert free_port(3) > before + 2


def test_behind_the_last_comes_the_first(tmp_path: Path):
    (tmp_path / ports._FILE).write_text(str(ports._END - 1))
    assert free_port(2) < ports._END - 2


def test_a_file_that_makes_no_sense_is_begun_anew(tmp_path: Path):
    (tmp_path / ports._FILE).write_text("lost")
    assert ports._FIRST <= free_port() < ports._END
