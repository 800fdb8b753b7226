"""Structured logs: one JSON object per line on stderr, which the supervisor keeps in a file."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog

# Without the local variables: connection URLs with their passwords are among them.
_TRACEBACKS = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


def configure(level: str = "INFO", file: TextIO | None = None, **context: object) -> None:
    """Write every log line of this process as JSON to stderr or `file`, with `context` on each.

    Lines of libraries that use the standard `logging` module take the same way.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    structlog.configure(
        processors=[
            *shared,
            _TRACEBACKS,
            structlog.processors.JSONRenderer(default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=file or sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(file or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _TRACEBACKS,
                structlog.processors.JSONRenderer(default=str),
            ],
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(number, logging.WARNING))
    structlog.contextvars.bind_contextvars(**context)


def get(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of a module or worker."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(component=name)
    return logger
