"""The table of the doctor's checks: a check is one file, one row, one section of docs/doctor.md and one test."""

import importlib
import re
from pathlib import Path

import pytest

from webhook.doctor.kinds import KINDS
from webhook.doctor.table import CHECKS, chosen, unknown

ROOT = Path(__file__).parents[2]
FILES = sorted(path.stem for path in (ROOT / "webhook/doctor/checks").glob("*.py") if path.stem != "__init__")
PAGE = (ROOT / "docs/doctor.md").read_text(encoding="utf-8")
PARTS = ("Cause", "Evidence", "Cure", "What the cure restarts")


def section_of(check):
    """The section with the check's anchor, up to the next heading."""
    heading = f'### <a id="{check.id.lower()}"></a>{check.id}: {check.title}\n'
    assert heading in PAGE, heading
    return PAGE.split(heading, 1)[1].split("\n### ", 1)[0].split("\n## ", 1)[0]


def test_each_file_is_one_row_and_each_row_one_file():
    by_file = {name: importlib.import_module(f"webhook.doctor.checks.{name}") for name in FILES}
    in_files = {name: (module.ID, module.findings) for name, module in by_file.items()}
    assert sorted(in_files.values(), key=lambda pair: pair[0]) == sorted(
        ((check.id, check.findings) for check in CHECKS), key=lambda pair: pair[0]
    )
    assert len({check.id for check in CHECKS}) == len(CHECKS)


@pytest.mark.parametrize("name", FILES)
def test_each_file_opens_with_its_id_and_has_a_test_of_its_own(name):
    module = importlib.import_module(f"webhook.doctor.checks.{name}")
    assert (module.__doc__ or "").startswith(f"{module.ID}: ")
    assert (ROOT / f"tests/doctor/test_{name}.py").is_file()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_each_check_asks_for_kinds_that_are_known(check):
    assert re.fullmatch(r"GK\d{3}", check.id)
    assert check.kinds
    assert set(check.kinds) <= set(KINDS)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_each_check_is_explained(check):
    section = section_of(check)
    assert section.startswith(f"\nSeverity: {check.severity}.")
    for part in PARTS:
        assert f"**{part}.**" in section, part
    evidence = section.split("**Evidence.**", 1)[1].split("**Cure.**", 1)[0]
    assert "kubectl get " in evidence


def test_the_page_explains_no_other_check():
    assert re.findall(r'<a id="(gk\d+)"></a>', PAGE) == [check.id.lower() for check in CHECKS]


def test_ids_and_their_beginnings_choose():
    ids = [check.id for check in CHECKS]
    assert [check.id for check in chosen((), ())] == ids
    assert [check.id for check in chosen(("GK105", "GK3"), ())] == [
        each for each in ids if each == "GK105" or each.startswith("GK3")
    ]
    assert [check.id for check in chosen((), ("GK1",))] == [each for each in ids if not each.startswith("GK1")]
    assert unknown(("GK105", "GK9", "")) == ["GK9", ""]


def test_the_loop_that_writes_a_dump_writes_every_kind():
    loop = PAGE.split("for kind in ", 1)[1].split("; do", 1)[0].replace("\\", " ").split()
    by_name = {kind.kubectl_name for kind in KINDS.values() if kind.names}
    asked = {kind for check in CHECKS for kind in check.kinds} | {"Deployment"}
    assert set(loop) == {KINDS[kind].kubectl_name for kind in asked} - by_name
