"""What front and worker say to each other: whole, strict, and without secrets where somebody might print it."""

import contextlib

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config.model import BackendConfig
from edge.config.problems import Problem
from edge.keys import Purpose
from edge.workers.messages import (
    ORDERS,
    WORDS,
    BadLine,
    Figures,
    Refused,
    Reload,
    Reloaded,
    Started,
    Stop,
)

PROBLEM = Problem("transceiver.hop", "it is taken", 'Choose "another".')


@pytest.fixture
def settings(make_start):
    backend = BackendConfig(use="realtime:wss://voice.example/v1", api_key="sk-hidden", voices=("marin=luna",))
    return attrs.evolve(make_start(number=1, max_calls=7).settings, backend=(backend,))


def test_orders_are_read_as_they_were_written(make_start, settings) -> None:
    for order in (make_start(), Reload(settings=settings), Stop()):
        line = ORDERS.write(order)
        assert ORDERS.read(line) == order
        assert line.count(b"\n") == 1, "one line"


def test_words_are_read_as_they_were_written() -> None:
    figures = Figures(
        calls=3,
        max_calls=9,
        calls_by_owner={"me": 2, "": 1},
        relays=2,
        reason="",
        counts={"created": 4},
        drops={"worker.not-a-relay": 1},
        lateness={0: 400, 399: 1},
        worst_lateness=0.25,
        cpu_seconds=1.5,
        resident_bytes=50_000_000,
    )
    for word in (
        figures,
        Figures(),
        Started(hop=("::1", 7001), control=("127.0.0.1", 4000)),
        Refused(problems=(PROBLEM,)),
        Reloaded(),
        Reloaded(problems=(PROBLEM, PROBLEM)),
    ):
        assert WORDS.read(WORDS.write(word)) == word


def test_neither_direction_reads_the_other() -> None:
    with pytest.raises(BadLine):
        ORDERS.read(WORDS.write(Figures()))
    with pytest.raises(BadLine):
        WORDS.read(ORDERS.write(Stop()))


def test_no_secret_is_in_what_somebody_might_print(make_start, settings) -> None:
    start = attrs.evolve(make_start(), settings=settings)
    shown = repr(start) + repr(Reload(settings=settings))
    assert "sk-hidden" not in shown
    for secret in settings.keys.secrets(Purpose.CONTROL).values():
        assert repr(secret) not in shown
    line = ORDERS.write(start)
    assert b"sk-hidden" in line
    with pytest.raises(BadLine) as caught:
        ORDERS.read(line[:-5] + b"}\n")
    assert "sk-hidden" not in str(caught.value)
    assert caught.value.__cause__ is None, "whose text may quote the line"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"3",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b'{"say": "Nothing"}',
        b'{"say": ["Figures"]}',
        b'{"say": "Figures", "calls": "many"}',
        b'{"say": "Figures", "cals": 1}',
        b'{"say": "Figures", "lateness": {"late": 1}}',
        b'{"say": "Started", "hop": ["127.0.0.1"]}',
        b'{"say": "Started"}',
        b'{"say": "Start", "number": 1}',
        b'{"say": "Refused", "problems": [{"key": "x"}]}',
    ],
)
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(BadLine):
        WORDS.read(line)
    with pytest.raises(BadLine):
        ORDERS.read(line)


@given(st.data())
def test_nothing_else_is_raised_whatever_comes(data) -> None:
    line = bytearray(WORDS.write(Figures(counts={"created": 1}, lateness={3: 4})))
    for _ in range(data.draw(st.integers(1, 6))):
        line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BadLine):
        WORDS.read(bytes(line))
