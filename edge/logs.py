"""Logs: one line for each thing that happened, as JSON for machines or text for people, on standard error.

Facts are named, never formatted into the sentence: `log.info("call ended", call=call_id, reason=reason)`. The call id
runs through all tiers. Secrets have no repr and credentials are never logged; should one slip into a fact with a
telling name all the same, it is struck out here.
"""

import functools
import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from edge.config.model import LogConfig
from edge.reports import Report

__all__ = ["configure_logs", "get_logger", "reporter"]

_TELLING_NAME = re.compile(r"(?i)(authorization|api_?key|secret|password|pwd|ufrag|bearer|private)")
_STRUCK_OUT = "***"

# A call is one line, that of its end, which tells how it was made and why it ended. These are for who looks closer;
# they were a twentieth of what setting a call up costs signal and the transceiver.
_DETAILS = frozenset({"call-created", "call-established", "call-hung-up", "call-placed", "ice-trickled"})
_ERRORS = frozenset({"internal-error", "worker-died"})
_LINE_FIELDS = frozenset({"level", "timestamp", "tier"})
_WARNINGS = frozenset(
    {
        "calls-refused",
        "location-database-unreadable",
        "no-permitted-region",
        "socket-warning",
        "store-full",
        "tls-handshake-failed",
        "worker-silent",
    }
)

_level = logging.DEBUG  # the least important one that is logged; `configure_logs` sets it for the process


def configure_logs(config: LogConfig, stream: TextIO | None = None) -> None:
    """Set what is logged and how, for this process; may be called again with another configuration.

    Args:
        config: level and format.
        stream: where to write; None for standard error.
    """
    stream = stream or sys.stderr
    global _level  # noqa: PLW0603 - logging is the process's, and so is its level
    _level = logging.getLevelNamesMapping()[config.level.upper()]
    is_text = config.format == "text" or (config.format == "auto" and stream.isatty())
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if is_text else "iso", utc=not is_text),
        _strike_out_secrets,
    ]
    last: list[Processor] = (
        [
            _leave_out_what_is_empty,
            structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback),
        ]
        if is_text
        else [structlog.processors.format_exc_info, _common_fields_first, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(_level),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,  # so that a reload changes the level of loggers that exist
    )
    _configure_libraries(stream, shared, last)


def _configure_libraries(stream: TextIO, shared: list[Processor], last: list[Processor]) -> None:
    """Send what libraries log through the same formats, from warnings on."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def get_logger(tier: str) -> FilteringBoundLogger:
    """Return the logger of one tier of this process."""
    return cast("FilteringBoundLogger", structlog.get_logger(tier=tier))


def reporter(log: FilteringBoundLogger) -> Report:
    """Turn reports into log lines: failures are errors, hints to the operator are warnings, steps of a call details."""

    def report(name: str, facts: Mapping[str, object]) -> None:
        if name in _DETAILS and _level > logging.DEBUG:
            return  # said here, as making a line costs much even when it is thrown away in the end
        written: dict[str, Any] = dict(facts)
        exception = written.pop("exception", None)
        if isinstance(exception, BaseException):
            written["exc_info"] = exception
        event = name.replace("-", " ")
        if isinstance(detail := written.pop("event", None), str):
            event = f"{event}: {detail}"
        # A fact must not take the name of the line's own fields.
        written = {f"{key}_" if key in _LINE_FIELDS else key: written[key] for key in written}
        if name in _ERRORS:
            log.error(event, **written)
        elif name in _WARNINGS:
            log.warning(event, **written)
        elif name in _DETAILS:
            log.debug(event, **written)
        else:
            log.info(event, **written)

    return report


@functools.lru_cache(maxsize=1024)  # names are few and come again with every line
def _is_telling(name: str) -> bool:
    return _TELLING_NAME.search(name) is not None


def _strike_out_secrets(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    for name, value in event_dict.items():
        if _is_telling(name):
            event_dict[name] = _STRUCK_OUT
        elif isinstance(value, dict):
            event_dict[name] = _strike_out_secrets(_logger, _method, dict(value))
    return event_dict


def _leave_out_what_is_empty(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    """Make a line shorter for people, and name the tier in front of its facts."""
    kept = {name: value for name, value in event_dict.items() if value is not None and value not in ({}, [], "")}
    if "tier" in kept:
        kept["logger"] = str(kept.pop("tier"))
    return kept


def _common_fields_first(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    first = {name: event_dict[name] for name in ("timestamp", "level", "tier", "event", "call") if name in event_dict}
    return {**first, **event_dict}
