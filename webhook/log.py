"""Log lines: one JSON object a line for machines, or coloured lines for people; other libraries' lines as well."""

import logging
import sys
import traceback
from collections.abc import Mapping
from typing import Any

import structlog

_QUIET = ("uvicorn.error", "uvicorn.access", "uvicorn.asgi", "asyncio", "kubernetes", "urllib3")

Logger = structlog.typing.FilteringBoundLogger


def configure(level: str = "info", form: str = "json") -> None:
    """Set the level (debug, info, warning, error) and the form (json, console) of all lines, once, at start."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if form == "console" else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    _adopt_other_libraries(number, shared, renderer)


def logger() -> Logger:
    """A logger for lines of `event` and named values."""
    bound: Logger = structlog.get_logger()
    return bound


def trace(error: BaseException) -> Mapping[str, Any]:
    """An error as values of a line: its type and the lines of code it came through.

    Not its message: that may quote the pod, and a pod's environment holds secrets.
    """
    frames = traceback.extract_tb(error.__traceback__)
    return {
        "error": type(error).__name__,
        "trace": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }


def _adopt_other_libraries(
    number: int, shared: list[structlog.typing.Processor], renderer: structlog.typing.Processor
) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.processors.format_exc_info],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
