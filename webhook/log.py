"""Log lines: one JSON object a line for machines, or coloured lines for people; other libraries' lines as well."""

import json
import logging
import sys
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import orjson
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
    own, foreign, factory = _for_people() if form == "console" else _for_machines()
    structlog.configure(
        processors=[*shared, own],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    _adopt_other_libraries(number, shared, foreign)


def logger() -> Logger:
    """A logger for lines of `event` and named values."""
    bound: Logger = structlog.get_logger()
    return bound


def silent() -> Logger:
    """A logger that drops every line, for a command that tells its findings itself."""
    dropping: Logger = structlog.wrap_logger(
        structlog.ReturnLogger(), processors=[], wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
    )
    return dropping


def trace(error: BaseException) -> Mapping[str, Any]:
    """An error as values of a line: its type and the lines of code it came through.

    Not its message: that may quote the pod, and a pod's environment holds secrets.
    """
    frames = traceback.extract_tb(error.__traceback__)
    return {
        "error": type(error).__name__,
        "trace": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }


_Form = tuple[structlog.typing.Processor, structlog.typing.Processor, Callable[..., Any]]
"""How our lines are rendered, how other libraries' lines are, and who writes ours."""


def _for_people() -> _Form:
    renderer = structlog.dev.ConsoleRenderer()
    return renderer, renderer, structlog.WriteLoggerFactory(sys.stderr)


def _for_machines() -> _Form:
    """As bytes from end to end: each decision is a line, and json.dumps costs a twentieth of all that it takes."""
    own = structlog.processors.JSONRenderer(serializer=_json)
    return own, structlog.processors.JSONRenderer(), structlog.BytesLoggerFactory(sys.stderr.buffer)


def _json(values: Mapping[str, Any], **options: Any) -> bytes:
    """JSON for a line; orjson refuses a lone surrogate or a huge number, for which no line must be lost."""
    try:
        return orjson.dumps(values, **options)
    except TypeError:
        return json.dumps(values, **options).encode()


def _without_message(_logger: Any, _method: str, values: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """An error that a library logs, as `trace` tells it: uvicorn would write out what our own code raised."""
    error = (values.pop("exc_info", None) or (None, None))[1]
    if error is not None:
        values.update(trace(error))
    return values


def _adopt_other_libraries(
    number: int, shared: list[structlog.typing.Processor], renderer: structlog.typing.Processor
) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _without_message],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
