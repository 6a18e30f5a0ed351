"""The test loop: what it prints of each part, and that each e2e test is run by one of its commands."""

import json
import re
import subprocess
import sys

import pytest

from tools.cluster.settings import ROOT
from tools.loop import __main__ as loop
from tools.loop import record, release_tests
from tools.loop.parts import COMMANDS, E2E_PARTS, THE_REST, part_of
from tools.loop.record import Result, SessionRecord, StepRecord
from tools.loop.table import table

TARGETS = tuple(step.e2e_target for steps in COMMANDS.values() for step in steps if step.e2e_target)
CI_SHARE_MINUTES = 46


LIST = """
import json, pytest
from e2e.targets import target_of

class Lister:
    def pytest_collection_finish(self, session):
        print("listed", json.dumps([[target_of(item), item.nodeid] for item in session.items]))

pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider", "e2e"], [Lister()])
"""


@pytest.fixture(scope="module")
def tests_by_target() -> dict[str, list[str]]:
    done = subprocess.run([sys.executable, "-c", LIST], cwd=ROOT, capture_output=True, text=True, check=False)
    [line] = [line for line in done.stdout.splitlines() if line.startswith("listed ")] or [done.stdout + done.stderr]
    pairs = json.loads(line.removeprefix("listed "))
    return {target: [test for its, test in pairs if its == target] for target in dict(pairs)}


def test_every_e2e_test_belongs_to_one_target_and_no_target_is_empty(tests_by_target):
    assert set(tests_by_target) == set(TARGETS)
    together = [test for tests in tests_by_target.values() for test in tests]
    assert len(set(together)) == len(together)


def test_a_session_of_one_target_has_its_tests_and_no_other(tests_by_target):
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "--target=core", "e2e"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert [line for line in done.stdout.splitlines() if "::" in line] == tests_by_target["core"]


def test_a_test_with_two_targets_is_refused(tmp_path):
    path = tmp_path / "test_of_two_targets.py"
    path.write_text("import pytest\n@pytest.mark.core\n@pytest.mark.release\ndef test_it():\n    pass\n")
    words = ["--collect-only", "-q", "-p", "no:cacheprovider", "-p", "e2e.conftest", f"--rootdir={ROOT}", str(path)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "is marked core and release" in done.stdout + done.stderr


def test_every_row_that_runs_before_a_release_is_in_the_page_that_tells_of_it(tests_by_target):
    named = release_tests.rows(release_tests.PAGE.read_text(encoding="utf-8"))
    wanted = {release_tests.sentence(test) for target in release_tests.TARGETS for test in tests_by_target[target]}
    assert set(named) == wanted, "run python -m tools.loop release-tests"


def test_the_makefile_has_every_step_of_every_command():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {word for line in re.findall(r"^([a-z0-9 -]+):", makefile, re.MULTILINE) for word in line.split()}
    steps = {step.make_target for steps in COMMANDS.values() for step in steps}
    assert steps | set(COMMANDS) <= targets


def test_the_shares_are_what_ci_has():
    shares = [step.part.share_minutes for command in ("test", "e2e") for step in COMMANDS[command]]
    assert sum(shares) == CI_SHARE_MINUTES
    assert sum(part.share_minutes for part in E2E_PARTS) == COMMANDS["e2e"][0].part.share_minutes


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("test_osmo_release.py", "OSMO"),
        ("test_signals.py", "signals"),
        ("old/test_osmo.py", "OSMO"),
        ("test_helm.py", THE_REST),
    ],
)
def test_an_e2e_test_counts_for_the_part_that_its_file_names(file, part):
    assert part_of(file) == part


def test_the_table_tells_what_each_part_took_and_which_failed_or_was_not_reached():
    steps = [StepRecord("lint", 40.2, 0), StepRecord("test-supervise", 80, 0), StepRecord("test-unit", 10, 2)]
    assert table("test", steps, None) == [
        "make test                      took   share",
        "  lint, types                  0:40    0:30  over its share",
        "  supervise                    1:20    1:30",
        "  unit, chart                  0:10    4:30  FAILED",
        "  core of e2e                     -    5:30  not run",
        "together                       2:10   12:00  FAILED",
    ]


def test_the_table_tells_of_e2e_tests_by_their_part_and_of_parts_without_a_test():
    tests = (
        Result("test_osmo.py::test_a", "passed", 400),
        Result("test_osmo_release.py::test_b", "passed", 230),
        Result("test_facts_lost.py::test_c", "error", 10),
        Result("test_helm.py::test_d", "skipped", 61),
    )
    session = SessionRecord("ci", "", "", seconds=800, fixture_seconds=90, tests=tests)
    assert table("e2e", [StepRecord("e2e-ci", 801, 1)], session) == [
        "make e2e                       took   share",
        "  e2e                         13:21   26:00  FAILED",
        "    OSMO                      10:30   10:00  over its share",
        "    signals                       -          no test yet",
        "    learning                      -    6:00  no test yet",
        "    doctor                        -    4:00  no test yet",
        "    faults                     0:10    6:00  1 FAILED",
        "    other tests                1:01",
        "    cluster, images, release   1:30",
        "  signals, real launchers         -    8:00  not run",
        "together                      13:21   34:00  FAILED",
    ]


def test_records_are_read_as_they_were_written_and_forgotten(tmp_path):
    steps = [StepRecord("lint", 1.5, 0)]
    session = SessionRecord("ci", "1234", "2026-11-28", {"Kubernetes": "1.37.2"}, 9, 1, (Result("a", "passed", 1),))
    record.write_steps("test", steps, tmp_path)
    record.write_session(session, tmp_path)
    assert record.read_steps("test", tmp_path) == steps
    assert record.read_session("ci", tmp_path) == session
    record.forget("e2e", tmp_path)
    assert record.read_session("ci", tmp_path) is None
    assert record.read_steps("test", tmp_path) == steps
    assert record.read_steps("e2e", tmp_path) == []


def test_a_step_that_fails_ends_the_command_and_the_table_is_printed_after_its_last_lines(tmp_path, capfd):
    fake = tmp_path / "make"
    fake.write_text('#!/bin/sh\n[ "$1" = lint ] || { echo "5 failed, 1 passed"; exit 2; }\n')
    fake.chmod(0o755)
    assert loop.run("test", str(fake), tmp_path) == 2
    printed = capfd.readouterr().out.splitlines()
    assert printed[:5] == ["", "=== make lint", "", "=== make test-supervise", "5 failed, 1 passed"]
    assert [line[44:].strip() for line in printed[-5:]] == ["", "FAILED", "not run", "not run", "FAILED"]


def test_a_command_whose_steps_all_pass_ends_with_0_and_tells_so(tmp_path, capfd):
    assert loop.run("test", "true", tmp_path) == 0
    assert "FAILED" not in capfd.readouterr().out
    assert [step.make_target for step in record.read_steps("test", tmp_path)] == [
        step.make_target for step in COMMANDS["test"]
    ]


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 2", 2)])
def test_given_a_run_before_a_release_when_it_ends_then_the_page_is_written_and_the_code_is_that_of_the_tests(
    tmp_path, script, code
):
    session = SessionRecord("release", "1234", "2026-11-28", tests=(Result("test_osmo.py::test_c", "passed", 1),))
    record.write_session(session, tmp_path / "written by pytest")
    fake = tmp_path / "make"
    fake.write_text(
        f'#!/bin/sh\n[ "$1" != e2e-release ] || mv "{tmp_path}/written by pytest/"* "{tmp_path}"\n{script}\n'
    )
    fake.chmod(0o755)
    page = tmp_path / "page.md"
    assert loop.run_and_write_page("e2e-all", str(fake), tmp_path, page, ["e2e/test_osmo.py::test_c"]) == code
    assert page.read_text().splitlines()[-1] == "| osmo: c | passed | 1 |  |  | 1234 | 2026-11-28 |"


def test_the_page_keeps_the_last_result_of_a_test_that_was_not_run_this_time():
    tests = ["e2e/test_osmo.py::test_a_b[row-native]", "e2e/test_osmo.py::test_c", "e2e/test_osmo.py::test_d"]
    first = SessionRecord(
        "release",
        "1234+",
        "2026-11-28",
        {"Kubernetes": "1.37.2", "containerd": "2.3.7"},
        tests=(Result("test_osmo.py::test_a_b[row-native]", "passed", 3.0),),
    )
    page = release_tests.page(tests, {}, [first])
    passed = "| osmo: a b (row-native) | passed | 3 | 1.37.2 | 2.3.7 | 1234+ | 2026-11-28 |"
    assert page.splitlines()[-3:] == [
        passed,
        "| osmo: c | not run yet |  |  |  |  |  |",
        "| osmo: d | not run yet |  |  |  |  |  |",
    ]
    second = SessionRecord("release", "5678", "2026-12-01", tests=(Result("test_osmo.py::test_c", "failed", 1.26),))
    again = release_tests.page(tests, release_tests.rows(page), [second])
    assert again.splitlines()[-3:-1] == [passed, "| osmo: c | failed | 1.26 |  |  | 5678 | 2026-12-01 |"]
