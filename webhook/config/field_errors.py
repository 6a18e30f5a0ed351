"""What is wrong with a field, of the process's settings or of the configuration file: one line each, that names the field."""

from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

_SHOWN = str | int | float | None
"""Inputs that a line shows: a list of lists may be endless, and whole sections say nothing."""


class ConfigError(Exception):
    """Settings or a configuration that cannot be used; the message is one line that names the field.

    `lines` has all that is wrong, the message is the first of them; `places` are the fields, as paths from the top.
    """

    def __init__(self, *lines: str, places: Sequence[Sequence[str | int]] = ()) -> None:
        super().__init__(lines[0])
        self.lines = lines
        self.places = tuple(places) or ((),) * len(lines)


def refusal(error: ValidationError, name_of: Callable[[str], str], known: Collection[str] = ()) -> ConfigError:
    """All that pydantic found; `name_of` says a field as the reader wrote it, `known` are the fields that may be meant."""
    errors = error.errors()
    return ConfigError(*(_line(each, name_of, known) for each in errors), places=[each["loc"] for each in errors])


def _line(field_error: Mapping[str, Any], name_of: Callable[[str], str], known: Collection[str]) -> str:
    place = ".".join(name_of(str(part)) for part in field_error["loc"])
    reason = {
        "extra_forbidden": f"no such field{_nearest(field_error, known)}",
        "missing": "is required",
        "model_type": "is to hold fields and their values",
    }.get(field_error["type"], field_error["msg"].removeprefix("Value error, "))
    given = f" (it is {str(field_error['input'])[:40]!r})" if isinstance(field_error["input"], _SHOWN) else ""
    return f"{place}: {reason}{given}" if place else reason


def _nearest(field_error: Mapping[str, Any], known: Collection[str]) -> str:
    """A field that was probably meant; empty where none comes near."""
    near = get_close_matches(str(field_error["loc"][-1]), sorted(known), n=1) if field_error["loc"] else []
    return f", did you mean {near[0]}?" if near else ""
