"""Writes the table of docs/signals.md from what `make launchers` recorded in build/launchers/: each start, without and with supervise."""

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.cluster.settings import BUILD, ROOT

PAGE = ROOT / "docs" / "signals.md"
RECORD = BUILD / "launchers"
BEGIN, END = "<!-- launchers: written by make launchers -->", "<!-- launchers: end -->"
NOT_RUN = "not run yet"
_STARTS = ("without", "forward")
_HEADER = ["| start | without | with `supervise forward` |", "|---|---|---|"]


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
    text = PAGE.read_text(encoding="utf-8")
    versions = RECORD / "versions.json"
    ran_with = json.loads(versions.read_text()) if versions.exists() else {}
    PAGE.write_text(page(text, records(RECORD / "rows"), ran_with), encoding="utf-8")
    return 0


def records(folder: Path) -> list[dict[str, Any]]:
    """What the runs recorded, in the order of the rows."""
    found = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    return sorted(found, key=lambda record: int(record["order"]))


def page(text: str, runs: Iterable[Mapping[str, Any]], versions: Mapping[str, str]) -> str:
    """The page with the table of these runs; a cell that no run gave stays as it was."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    stored = {row.name: row for row in rows(text)}
    table: dict[str, Row] = {}
    for run in runs:
        row = table.get(run["row"]) or stored.pop(run["row"], Row(run["row"]))
        cells = {start: getattr(row, start) for start in _STARTS} | {run["start"]: run["cell"]}
        table[run["row"]] = Row(run["row"], **cells)
    ran_with = ", ".join(f"{name} {version}" for name, version in versions.items())
    lines = [f"Run with {ran_with}.", ""] if ran_with else []
    return "\n".join([f"{before}{BEGIN}", *lines, *_HEADER, *map(str, (table | stored).values()), f"{END}{after}"])


def rows(text: str) -> list[Row]:
    """The rows of a page's table; ValueError where it has none."""
    table, end, _ = text.partition(BEGIN)[2].partition(END)
    if not end:
        raise ValueError(f"{PAGE.name} has no table between {BEGIN} and {END}")
    lines = [line.replace(r"\|", "\0") for line in table.splitlines() if line.startswith("|")]
    cells = [[cell.strip().replace("\0", "|") for cell in line.strip("|").split("|")] for line in lines]
    return [Row(*row) for row in cells[len(_HEADER) :]]


if __name__ == "__main__":
    sys.exit(main())
