"""Log lines are one JSON object each, or text; levels hold; secrets are struck out."""

import io
import json
import logging

import pytest
import structlog

from edge.config.model import LogConfig
from edge.logs import configure_logs, get_logger, reporter


@pytest.fixture(autouse=True)
def _restore():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def start(level: str = "info", format_: str = "json") -> io.StringIO:
    stream = io.StringIO()
    configure_logs(LogConfig(level=level, format=format_), stream)
    return stream


def lines(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_a_json_object_with_its_facts() -> None:
    stream = start()
    get_logger("relay").info("flow made", call="rtc_1", address=("192.0.2.1", 4))
    (line,) = lines(stream)
    assert list(line) == ["timestamp", "level", "tier", "event", "call", "address"], "what lines share comes first"
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "tier": "relay",
        "level": "info",
        "event": "flow made",
        "call": "rtc_1",
        "address": ["192.0.2.1", 4],
    }


def test_auto_is_json_where_nobody_watches_and_text_is_text() -> None:
    stream = start(format_="auto")
    get_logger("signal").info("hello")
    assert lines(stream)[0]["event"] == "hello"
    stream = start(format_="text")
    get_logger("signal").info("hello", call="rtc_1", detail=None, drops={})
    assert "hello" in stream.getvalue()
    assert "[signal]" in stream.getvalue()
    assert "drops" not in stream.getvalue(), "people need not read what is empty"
    assert "call=rtc_1" in stream.getvalue()
    assert "\x1b" not in stream.getvalue(), "no colours where there is no terminal"


def test_levels_hold_and_change_for_loggers_that_exist() -> None:
    log = get_logger("signal")
    stream = start(level="warning")
    log.info("quiet")
    log.warning("loud")
    assert [line["event"] for line in lines(stream)] == ["loud"]
    stream = start(level="debug")
    log.debug("now heard")
    assert [line["event"] for line in lines(stream)] == ["now heard"]


@pytest.mark.parametrize(
    "name", ["authorization", "api_key", "apikey", "ice_pwd", "ufrag", "client_secret", "password"]
)
def test_facts_with_telling_names_are_struck_out(name: str) -> None:
    stream = start()
    get_logger("signal").info("request", **{name: "s3cr3t", "headers": {name: "s3cr3t", "host": "h"}})
    assert "s3cr3t" not in stream.getvalue()
    assert lines(stream)[0]["headers"]["host"] == "h"


def test_exceptions_come_with_their_traceback() -> None:
    stream = start()
    try:
        int("broken")
    except ValueError as error:
        reporter(get_logger("transceiver"))("internal-error", {"call": "rtc_1", "exception": error})
    (line,) = lines(stream)
    assert line["level"] == "error"
    assert line["event"] == "internal error"
    assert "ValueError: invalid literal" in line["exception"]
    assert "test_logs.py" in line["exception"]


def test_reports_become_lines_of_their_level() -> None:
    stream = start(level="debug")
    report = reporter(get_logger("relay"))
    report("call-ended", {"reason": "hang-up", "level": "y"})
    report("socket-warning", {"warning": "small buffer"})
    report("store-full", {"to_do": "raise it"})
    report("hop-link", {"event": "LinkUp"})
    assert [(line["level"], line["event"]) for line in lines(stream)] == [
        ("info", "call ended"),
        ("warning", "socket warning"),
        ("warning", "store full"),
        ("info", "hop link: LinkUp"),
    ]
    assert lines(stream)[0]["level_"] == "y"


@pytest.mark.parametrize("name", ["call-created", "call-placed", "call-established", "call-hung-up"])
def test_the_steps_of_a_call_are_details_and_its_end_is_the_line(name: str) -> None:
    report = reporter(get_logger("signal"))
    stream = start(level="info")
    report(name, {"call": "rtc_1"})
    report("call-ended", {"call": "rtc_1"})
    assert [line["event"] for line in lines(stream)] == ["call ended"]
    stream = start(level="debug")
    report(name, {"call": "rtc_1"})
    (line,) = lines(stream)
    assert (line["level"], line["event"], line["call"]) == ("debug", name.replace("-", " "), "rtc_1")


def test_libraries_are_heard_from_warnings_on_in_the_same_form() -> None:
    stream = start(level="debug")
    logging.getLogger("httpcore").debug("chatter")
    logging.getLogger("httpcore").warning("trouble with %s", "x")
    (line,) = lines(stream)
    assert (line["level"], line["event"]) == ("warning", "trouble with x")
