"""Writes the JSON Schema of the configuration file, for editors and for the chart's values, from webhook/config/fields.py.

Law: the shape is pydantic's, the words are docs/configuration.md's; nothing about a field is said a third time.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from webhook.config.fields import PROFILE_KEYS, config_schema
from webhook.policy import quantity
from webhook.policy.configuration import ForwardSigterm, OsmoMode
from webhook.policy.statements.keys import (
    ALL_PODS,
    CHECKPOINT_WRITERS,
    FORWARD_SIGNAL,
    FORWARD_SIGTERM,
    KEYS,
    MOST_WRITERS,
    OSMO_MODE,
    SIGNALS,
    WORKLOAD,
    Key,
)

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = ROOT / "docs" / "config.schema.json"
VALUES_SCHEMA = ROOT / "charts" / "gracekeeper" / "values.schema.json"
PAGE = ROOT / "docs" / "configuration.md"
DRAFT = "http://json-schema.org/draft-07/schema#"
"""What Helm and editors read alike."""

_DEAD = ("title", "format")
_ABOVE_ZERO = r"(0*[1-9][0-9]*(\.[0-9]+)?|0+\.0*[1-9][0-9]*)"
"""Without look-ahead, which Helm's expressions do not have."""
_EXPONENT = r"[eE]\+?[0-9]{1,2}"
_SIZE = rf"({_ABOVE_ZERO}({_EXPONENT})? ?([KMGTP]i|[kMGTP])B?|0*[1-9][0-9]{{6,}}(\.[0-9]+)? ?B?|{_ABOVE_ZERO}{_EXPONENT} ?B?)"
_PARAMETERS = (
    rf"({_ABOVE_ZERO} ?[BTbt]|0*[1-9][0-9]*(\.[0-9]+)? ?M|0*[1-9][0-9]{{3,}}(\.[0-9]+)? ?[Kk]"
    rf"|0*[1-9][0-9]{{6,}}(\.[0-9]+)?|{_ABOVE_ZERO}{_EXPONENT})"
)
_LABEL_VALUE = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_RATE = f"^{_SIZE}(/s|ps)$"
_SMALLEST_BARE_NUMBER = 2**20


def main() -> int:
    """Write both files, or with --check only say whether they are up to date."""
    parser = argparse.ArgumentParser(description="Write the JSON Schema of the configuration from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file is not up to date")
    check = parser.parse_args().check
    for path, text in files():
        if not check:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            sys.exit(f"{path.relative_to(ROOT)} is not up to date: run python -m scripts.config_schema")
    return 0


def files() -> tuple[tuple[Path, str], ...]:
    """Each file with what it should hold."""
    values = json.loads(VALUES_SCHEMA.read_text(encoding="utf-8"))
    values["properties"]["config"] = schema()
    own = {"$schema": DRAFT, "title": "Configuration of gracekeeper", **schema()}
    return (SCHEMA, _text(own)), (VALUES_SCHEMA, _text(values))


def schema() -> dict[str, Any]:
    """The configuration file; what a pattern cannot say (a size beyond 10^18 bytes) is left to the server."""
    whole = config_schema()
    inlined: dict[str, Any] = _inlined(whole, whole.get("$defs", {}))
    inlined.pop("$defs", None)
    _describe(inlined, PAGE.read_text(encoding="utf-8"))
    return inlined


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2) + "\n"


def _inlined(node: Any, definitions: Mapping[str, Any]) -> Any:
    """Without references, so that it can stand inside another schema, and without null: a field is left out instead."""
    if isinstance(node, list):
        return [_inlined(each, definitions) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        node = {**definitions[node["$ref"].rpartition("/")[2]], **{k: v for k, v in node.items() if k != "$ref"}}
    if {"type": "null"} in node.get("anyOf", ()):
        (only,) = (each for each in node["anyOf"] if each != {"type": "null"})
        node = {**only, **{k: v for k, v in node.items() if k not in {"anyOf", "default"}}}
        return _inlined(node, definitions)
    field_schema = {key: value for key, value in node.items() if key not in {*_DEAD, "$defs", "description"}}
    if node.get("format") == "rate":
        field_schema["pattern"] = _RATE
    if node.get("format") == "rate" and "default" in node:
        field_schema["default"] = f"{quantity.human_bytes(node['default'])}/s".replace(" ", "")
    if isinstance(field_schema.get("default"), dict | list):
        del field_schema["default"]  # what is in it has defaults of its own
    names_of_fields = field_schema.pop("properties", None)
    plain = {key: _inlined(value, definitions) for key, value in field_schema.items()}
    if names_of_fields is not None:  # a field may be called title or format
        plain["properties"] = {name: _inlined(value, definitions) for name, value in names_of_fields.items()}
    return plain


def _describe(schema_object: dict[str, Any], page: str) -> None:
    profile = schema_object["properties"]["profiles"]["items"]
    for heading, fields in (
        ("At the top", schema_object["properties"]),
        ("`defaults`", schema_object["properties"]["defaults"]["properties"]),
        ("`supervise`", schema_object["properties"]["supervise"]["properties"]),
        ("`observer`", schema_object["properties"]["observer"]["properties"]),
        ("`osmo`", schema_object["properties"]["osmo"]["properties"]),
    ):
        for name, meaning in _meanings(page, heading).items():
            fields[name]["description"] = meaning
    for name, meaning in _meanings(page, "`profiles`").items():
        outer, _, inner = name.partition(".")
        field = profile["properties"][outer]
        (field["properties"][inner] if inner else field)["description"] = meaning
    profile["properties"]["match"]["description"] = "which pods; an empty field matches every pod"
    keys = _meanings(page, "Keys")
    values = {name: {"description": keys[name], **_value(KEYS[name])} for name in PROFILE_KEYS}
    profile["properties"]["values"] = {
        "type": "object",
        "additionalProperties": False,
        "properties": values,
        "description": profile["properties"]["values"]["description"],
    }


def _meanings(page: str, heading: str) -> dict[str, str]:
    """First and last cells of the table below a heading, in plain words."""
    section = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", page, re.DOTALL | re.MULTILINE)
    lines = section[1].splitlines() if section else []
    cells = [line.strip("| ").split(" | ") for line in lines if line.startswith("| `")]
    return {row[0].strip("` "): re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", row[-1]).replace("`", "") for row in cells}


def _value(key: Key) -> dict[str, Any]:
    """What a profile may say for a key; numbers and switches need no quotes there."""
    words: dict[Key, list[Any]] = {
        FORWARD_SIGTERM: [True, False, *ForwardSigterm],
        FORWARD_SIGNAL: sorted(SIGNALS),
        OSMO_MODE: list(OsmoMode),
    }
    if key in words:
        return {"enum": words[key]}
    if key is CHECKPOINT_WRITERS:
        return _whole_number(1, MOST_WRITERS, or_else=ALL_PODS)
    if key is WORKLOAD:
        return {"type": ["string", "number", "boolean"], "minimum": 0, "pattern": f"^{_LABEL_VALUE}$"}
    if isinstance(key.read, partial):
        bounds = key.read.keywords
        if key.read.func is quantity.whole_number:
            return _whole_number(bounds["smallest"], bounds["largest"])
        return {
            "type": ["number", "string"],
            "minimum": 0,
            "maximum": bounds["largest"],
            "pattern": rf"^[0-9]{{1,{len(str(bounds['largest']))}}}(\.[0-9]{{1,10}})?$",
        }
    by_reader: dict[Callable[[str], Any], dict[str, Any]] = {
        quantity.size_bytes: {
            "type": ["string", "number"],
            "minimum": _SMALLEST_BARE_NUMBER,
            "maximum": 10**18,
            "pattern": f"^{_SIZE}$",
        },
        quantity.rate_bytes_per_second: {"type": "string", "pattern": _RATE},
        quantity.parameter_count: {
            "type": ["string", "number"],
            "minimum": 10**6,
            "maximum": 10**16,
            "pattern": f"^{_PARAMETERS}$",
        },
        quantity.switch: {"enum": [True, False, "true", "false"]},
    }
    return by_reader.get(key.read, {"type": ["string", "number", "boolean"], "minLength": 1})


def _whole_number(smallest: int, largest: int, or_else: str = "") -> dict[str, Any]:
    """A number, or its digits as a text; or one word."""
    words = "|".join(word for word in (or_else, *_digits(smallest, largest)) if word)
    return {"type": ["integer", "string"], "minimum": smallest, "maximum": largest, "pattern": f"^({words})$"}


def _digits(smallest: int, largest: int) -> Iterator[str]:
    """Patterns of all texts from 0 or 1 to a number, whatever zeros are before it: one for each digit that is smaller."""
    if not smallest:
        yield "0+"
    text = str(largest)
    if len(text) > 1:
        yield f"0*[1-9][0-9]{{0,{len(text) - 2}}}"
    for position, digit in enumerate(text):
        lowest = 1 if position == 0 else 0
        if int(digit) > lowest:
            yield f"0*{text[:position]}[{lowest}-{int(digit) - 1}][0-9]{{{len(text) - position - 1}}}"
    yield f"0*{text}"


if __name__ == "__main__":
    sys.exit(main())
