"""Writes the table of docs/signals.md from what `make launchers` recorded in build/launchers/: each start, without and with supervise.

Law: a cell changes only if its row ran.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tools.cluster.settings import BUILD, ROOT

PAGE = ROOT / "docs" / "signals.md"
RECORD = BUILD / "launchers"
BEGIN, END = "<!-- launchers: written by make launchers -->", "<!-- launchers: end -->"
NOT_RUN = "not run yet"
_STARTS = ("without", "forward")
_RAN_WITH = "Run with"
HEADER = ["| start | without | with `supervise forward` |", "|---|---|---|"]


@dataclass(frozen=True, slots=True)
class Row:
    """How a trainer was started, and the cell of each start."""

    name: str
    without: str = NOT_RUN
    forward: str = NOT_RUN

    def __str__(self) -> str:
        """The line of the table."""
        return f"| {self.name.replace('|', chr(92) + '|')} | {self.without} | {self.forward} |"


def main() -> int:
    """Write the table."""
    try:
        names, versions = (json.loads((RECORD / name).read_text()) for name in ("names.json", "versions.json"))
    except FileNotFoundError as error:
        sys.exit(f"launchers: {error.filename} is missing. Run make launchers first.")
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(page(text, records(RECORD / "rows"), versions, names), encoding="utf-8")
    return 0


def records(folder: Path) -> list[dict[str, Any]]:
    """Return what the run recorded."""
    return [json.loads(path.read_text()) for path in folder.glob("*.json")]


def page(text: str, runs: Iterable[Mapping[str, Any]], versions: Mapping[str, str], names: Sequence[str]) -> str:
    """Return the page with the cells of these runs. The table has the rows of `names` that ran ever, in that order."""
    before, _, rest = text.partition(BEGIN)
    old, _, after = rest.partition(END)
    table = {row.name: row for row in rows(text)}
    for run in runs:
        row = table.get(run["row"], Row(run["row"]))
        table[row.name] = replace(row, **{run["start"]: run["cell"]})
    ran_with = [line for line in old.splitlines() if line.startswith(_RAN_WITH)]
    if versions:
        ran_with = [f"{_RAN_WITH} {', '.join(map(' '.join, versions.items()))}."]
    lines = [f"{line}\n" for line in ran_with] + HEADER + [str(table[name]) for name in names if name in table]
    return "\n".join([f"{before}{BEGIN}", *lines, f"{END}{after}"])


def rows(text: str) -> list[Row]:
    """The rows of a page's table; ValueError where it has none."""
    table, end, _ = text.partition(BEGIN)[2].partition(END)
    if not end:
        raise ValueError(f"{PAGE.name} has no table between {BEGIN} and {END}")
    lines = [line.replace(r"\|", "\0") for line in table.splitlines() if line.startswith("|")]
    cells = [[cell.strip().replace("\0", "|") for cell in line.strip("|").split("|")] for line in lines]
    return [Row(*row) for row in cells[len(HEADER) :]]


if __name__ == "__main__":
    sys.exit(main())
