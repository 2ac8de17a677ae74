"""What is reported before there is a log is not lost, and nothing is said over and over."""

import pytest

from edge.config.model import Role
from edge.reports import Reports


@pytest.fixture
def said():
    return []


@pytest.fixture
def open_log(said):
    return lambda reports: reports.open(lambda tier: lambda name, facts: said.append((tier, name, dict(facts))))


def test_what_was_reported_before_there_was_a_log_comes_first_and_in_order(said, open_log) -> None:
    reports = Reports()
    report = reports.of("relay")
    report("first", {"number": 1})
    reports.of("signal")("second", {})
    assert said == []
    open_log(reports)
    report("third", {})
    assert said == [("relay", "first", {"number": 1}), ("signal", "second", {}), ("relay", "third", {})]


def test_a_warning_that_several_sockets_give_rise_to_is_said_once(said, open_log) -> None:
    reports = Reports()
    open_log(reports)
    for role in Role:
        reports.of(role)("socket-warning", {"warning": "small buffer"})
        reports.of(role)("call-created", {"call": "rtc_1"})
    assert [name for _, name, _ in said] == ["socket-warning", "call-created", "call-created", "call-created"]
