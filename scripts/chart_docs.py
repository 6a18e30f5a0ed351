"""Writes docs/chart.md, the reference of the chart's values, from the comments in its values.yaml.

Law: every value has a comment right above it; one that has none stops the script.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
VALUES = ROOT / "charts" / "gracekeeper" / "values.yaml"
REFERENCE = ROOT / "docs" / "chart.md"
HEAD = """# Values of the chart

Written by `python -m scripts.chart_docs` from charts/gracekeeper/values.yaml: change it there.

| value | default | meaning |
|---|---|---|
"""


class UncommentedValueError(Exception):
    """A value that nothing explains."""


@dataclass(frozen=True, slots=True)
class Value:
    """One line of the reference."""

    path: str
    meaning: str
    default: str | None
    """JSON; None for a group of values."""


def main() -> int:
    """Write the reference, or with --check only say whether it is up to date."""
    parser = argparse.ArgumentParser(description="Write docs/chart.md from the comments in values.yaml.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the file is not up to date")
    check = parser.parse_args().check
    text = reference(VALUES.read_text(encoding="utf-8"))
    if not check:
        REFERENCE.parent.mkdir(exist_ok=True)
        REFERENCE.write_text(text, encoding="utf-8")
    elif not REFERENCE.exists() or REFERENCE.read_text(encoding="utf-8") != text:
        sys.exit("docs/chart.md is not up to date: run python -m scripts.chart_docs")
    return 0


def reference(text: str) -> str:
    """The whole page."""
    return HEAD + "".join(_line(value) for value in values(text))


def values(text: str) -> Iterator[Value]:
    """Every value of the file, groups before what is in them."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise UncommentedValueError("values.yaml: not a map")
    yield from _below(root, (), text.splitlines())


def _below(node: yaml.MappingNode, path: tuple[str, ...], lines: list[str]) -> Iterator[Value]:
    for key, value in node.value:
        here = (*path, key.value)
        meaning = _comment_above(lines, key.start_mark.line)
        if not meaning:
            raise UncommentedValueError(f"values.yaml: {'.'.join(here)} has no comment above it")
        group = isinstance(value, yaml.MappingNode) and value.value
        yield Value(_dotted(here), meaning, None if group else json.dumps(_plain(value)))
        if group:
            yield from _below(value, here, lines)


def _comment_above(lines: list[str], line: int) -> str:
    words: list[str] = []
    while line and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        words.insert(0, lines[line].lstrip().removeprefix("#").strip())
    return " ".join(words)


def _plain(node: yaml.Node) -> Any:
    loader = yaml.SafeLoader("")
    return loader.construct_object(node, deep=True)


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(f'"{part}"' if "." in part else part for part in path)


def _line(value: Value) -> str:
    default = f"`{value.default}`" if value.default is not None else ""
    return f"| `{value.path}` | {default} | {value.meaning.replace('|', '&#124;')} |\n"


if __name__ == "__main__":
    sys.exit(main())
