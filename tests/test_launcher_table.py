"""The table of docs/signals.md: what a run writes into it, and that it names every row."""

import json

import pytest

from scripts import launcher_table
from tests.launchers.rows import NAMES

PAGE = f"# Signals\n\n{launcher_table.BEGIN}\n{launcher_table.END}\n\n## More\n"


def _run(row: str, start: str, cell: str) -> dict[str, str]:
    return {"row": row, "start": start, "cell": cell}


def test_a_run_writes_a_line_for_each_start_and_leaves_the_rest_of_the_page():
    # given
    runs = [_run("sh -c 'torchrun | tee log'", "without", "0/2, end, 137"), _run("torchrun", "forward", "2/2, -, 143")]
    # when
    page = launcher_table.page(PAGE, runs, {"torch": "2.6.0", "Open MPI": "5.0.7"})
    # then
    assert page.splitlines()[2:-3] == [
        launcher_table.BEGIN,
        "Run with torch 2.6.0, Open MPI 5.0.7.",
        "",
        "| start | without | with `supervise forward` |",
        "|---|---|---|",
        r"| sh -c 'torchrun \| tee log' | 0/2, end, 137 | not run yet |",
        "| torchrun | not run yet | 2/2, -, 143 |",
    ]
    assert page.endswith(f"{launcher_table.END}\n\n## More\n")


def test_a_cell_that_was_not_run_this_time_stays():
    # given
    first = launcher_table.page(PAGE, [_run("a | b", "without", "0/2, 30.0, 1"), _run("c", "without", "0/1, -, 1")], {})
    # when
    second = launcher_table.page(first, [_run("a | b", "forward", "2/2, -, 143")], {})
    # then
    assert [str(row) for row in launcher_table.rows(second)] == [
        r"| a \| b | 0/2, 30.0, 1 | 2/2, -, 143 |",
        "| c | 0/1, -, 1 | not run yet |",
    ]


def test_records_come_in_the_order_of_the_rows(tmp_path):
    # given
    for name, order in (("a", 7), ("b", 2)):
        (tmp_path / f"{name}.json").write_text(json.dumps({"row": name, "order": order}))
    # when
    records = launcher_table.records(tmp_path)
    # then
    assert [record["row"] for record in records] == ["b", "a"]


def test_a_page_without_the_place_for_the_table_is_refused():
    with pytest.raises(ValueError, match="has no table between"):
        launcher_table.page("# Signals\n", [], {})


def test_every_row_has_a_name_of_its_own_and_is_in_the_page():
    written = [row.name for row in launcher_table.rows(launcher_table.PAGE.read_text(encoding="utf-8"))]
    assert len(set(NAMES)) == len(NAMES)
    assert set(written) == set(NAMES), "run make launchers"
