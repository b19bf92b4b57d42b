"""`python -m loadtest VERB`.

Exit codes: 0 all well; 1 something was lost, wrong or refused; 2 the call itself is wrong.
"""

import logging
import sys

import structlog

from loadtest.cli import app


def _configure_logs() -> None:
    """JSON lines on stderr for machines, coloured lines for a terminal."""
    terminal = sys.stderr.isatty()
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )


if __name__ == "__main__":
    _configure_logs()
    app(prog_name="python -m loadtest")
