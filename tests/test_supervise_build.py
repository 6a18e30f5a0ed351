"""supervise is built once for the same sources, and a test that lacks it says in a line how to build it."""

import pytest

from tools import supervise
from tools.cluster.steps import StepError


def test_a_program_that_was_not_built_is_named_with_the_command_that_builds_it(tmp_path, monkeypatch):
    monkeypatch.setenv("GRACEKEEPER_CACHE", str(tmp_path))
    with pytest.raises(StepError) as raised:
        supervise.built("amd64")
    assert str(raised.value) == "supervise is not built from these sources: run `make supervise`"


def test_a_program_is_built_from_all_go_files_but_tests():
    names = {path.name for path in supervise.sources()}
    assert {"main.go", "forward.go", "go.mod", "go.sum"} <= names
    assert not [name for name in names if name.endswith("_test.go")]
