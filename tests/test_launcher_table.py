"""The table of docs/signals.md: what a run writes into it, and that it names every row."""

import pytest

from scripts import launcher_table
from tests.launchers import run
from tests.launchers.rows import NAMES, ROWS

PAGE = f"# Signals\n\n{launcher_table.BEGIN}\n{launcher_table.END}\n\n## More\n"


def _run(row: str, start: str, cell: str) -> dict[str, str]:
    return {"row": row, "start": start, "cell": cell}


def test_a_run_writes_a_line_for_each_start_and_leaves_the_rest_of_the_page():
    # given
    runs = [_run("sh -c 'torchrun | tee log'", "without", "0/2, end, 137"), _run("torchrun", "forward", "2/2, -, 143")]
    # when
    page = launcher_table.page(PAGE, runs, {"torch": "2.6.0", "Open MPI": "5.0.7"}, [each["row"] for each in runs])
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


def _cells(*lines: str) -> str:
    return PAGE.replace(launcher_table.END, "\n".join([*launcher_table.HEADER, *lines, launcher_table.END]))


def test_a_run_of_some_rows_replaces_their_cells_where_they_stand():
    # given
    before = _cells(
        "| a | 0/2, 30.0, 1 | 2/2, -, 143 |",
        r"| b \| tee | 0/2, 29.9, 1 | not run yet |",
        "| c | 0/1, -, 1 | 1/1, -, 0 |",
    )
    # when
    page = launcher_table.page(before, [_run("b | tee", "forward", "2/2, -, 143")], {}, ["a", "b | tee", "c"])
    # then
    assert page == before.replace("not run yet", "2/2, -, 143")


def test_a_new_row_comes_where_the_rows_have_it_and_a_row_that_is_gone_is_left_out():
    # given
    before = _cells(
        "| a | 0/2, 30.0, 1 | 2/2, -, 143 |", "| gone | 0/1, -, 1 | 1/1, -, 0 |", "| c | 0/1, -, 1 | 1/1, -, 0 |"
    )
    runs = [_run("b", "without", "0/2, 0.5, 1"), _run("gone", "without", "0/1, -, 1")]
    # when
    page = launcher_table.page(before, runs, {}, ["a", "b", "not run", "c"])
    # then
    assert [str(row) for row in launcher_table.rows(page)] == [
        "| a | 0/2, 30.0, 1 | 2/2, -, 143 |",
        "| b | 0/2, 0.5, 1 | not run yet |",
        "| c | 0/1, -, 1 | 1/1, -, 0 |",
    ]


def test_the_versions_stay_where_a_run_recorded_none():
    # given
    first = launcher_table.page(PAGE, [_run("a", "without", "0/2, 30.0, 1")], {"torch": "2.6.0"}, ["a"])
    # when
    second = launcher_table.page(first, [], {}, ["a"])
    # then
    assert second == first


def test_a_run_leaves_a_record_of_each_row_until_the_next_run_begins(tmp_path):
    # when
    run.keep(tmp_path, "sh -c 'torchrun | tee log'", "without", "0/2, end, 137", tree=["1 < 0"])
    # then
    [record] = launcher_table.records(tmp_path / "rows")
    assert record == _run("sh -c 'torchrun | tee log'", "without", "0/2, end, 137") | {"tree": ["1 < 0"]}
    # when
    run.forget(tmp_path)
    # then
    assert launcher_table.records(tmp_path / "rows") == []


def test_a_page_without_the_place_for_the_table_is_refused():
    with pytest.raises(ValueError, match="has no table between"):
        launcher_table.page("# Signals\n", [], {}, [])


def test_every_row_has_a_name_of_its_own_and_is_in_the_page():
    written = [row.name for row in launcher_table.rows(launcher_table.PAGE.read_text(encoding="utf-8"))]
    assert len(set(NAMES)) == len(NAMES)
    assert written == list(NAMES), "run make launchers"


def test_ci_fetches_no_newer_launcher():
    assert [row.name for row in ROWS if row.ci and row.packages] == []
