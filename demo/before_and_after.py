"""A pod before and after, as lines that were taken away and lines that were added."""

import difflib
from collections.abc import Iterator
from typing import Any

import yaml
from rich.text import Text

_AROUND_LINES = 3
_LONGEST_LINE = 110
_STYLES = {"+": "green", "-": "red"}


def difference(before: dict[str, Any], after: dict[str, Any]) -> Text:
    """The YAML lines that changed with some around them; the whole pod where none did."""
    old, new = _lines(before), _lines(after)
    changed = [line for line in difflib.unified_diff(old, new, n=_AROUND_LINES) if not line.startswith(("---", "+++"))]
    return Text("\n").join(_coloured(changed or [f" {line}" for line in old]))


def _lines(pod: dict[str, Any]) -> list[str]:
    return yaml.safe_dump(pod, sort_keys=False, width=2**20).splitlines()


def _coloured(lines: list[str]) -> Iterator[Text]:
    for line in lines:
        shown = "    ..." if line.startswith("@@") else line
        cut = shown if len(shown) <= _LONGEST_LINE else f"{shown[: _LONGEST_LINE - 4]} ..."
        yield Text(f"  {cut}", style=_STYLES.get(line[0], "dim"))
