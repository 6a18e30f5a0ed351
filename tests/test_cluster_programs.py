"""Helm and kind for the tests: a test that lacks one says in a line how to get it, and builds nothing by itself."""

import pytest

from tools.cluster import programs
from tools.cluster.settings import Settings
from tools.cluster.steps import StepError


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Settings:
    monkeypatch.setenv("PATH", str(tmp_path))
    return Settings.from_environment({"GRACEKEEPER_CACHE": str(tmp_path)})


def test_a_program_that_is_missing_is_named_with_the_command_that_builds_it(settings):
    with pytest.raises(StepError) as raised:
        programs.there(settings, "helm4")
    assert str(raised.value) == f"helm {programs.TOOLS['helm4'].version} is missing: run `make helm`"


def test_a_program_that_was_built_before_is_found_without_a_build(settings):
    path = programs.entry(settings.cache, "helm4")
    path.parent.mkdir()
    path.touch()
    assert programs.there(settings, "helm4") == path
