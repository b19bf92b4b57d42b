"""Structured logs: one JSON object per line on stderr, readable lines when a person watches."""

import logging
import sys

import structlog
from structlog.typing import EventDict


def configure_logging(part: str, level: str = "INFO") -> None:
    """Set structlog up for a process; `part` is on every line of every thread. `level`: debug, info, warning, error."""

    def name_part(_logger: object, _method: str, event: EventDict) -> EventDict:
        event["part"] = part
        return event

    watched = sys.stderr.isatty()
    renderer = structlog.dev.ConsoleRenderer() if watched else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            name_part,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
