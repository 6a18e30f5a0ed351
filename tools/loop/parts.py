"""The parts of the test loop, each with its share of the time: minutes on two quiet cores with warm caches."""

from collections.abc import Sequence
from dataclasses import dataclass

THE_REST = "other tests"
CLUSTER = "cluster, images, release"


@dataclass(frozen=True, slots=True)
class Part:
    """What is timed by itself: a target of the Makefile, or the e2e tests of some files."""

    name: str
    share_minutes: float
    files: Sequence[str] = ()
    """How the names of its e2e test files begin, below e2e/."""


@dataclass(frozen=True, slots=True)
class Step:
    """A target of the Makefile that one command runs."""

    make_target: str
    part: Part
    e2e_target: str = ""
    """The e2e tests that it runs (e2e/targets.py), whose session is told apart by their files."""


E2E_PARTS = (
    Part("OSMO", 10, ("test_osmo",)),
    Part("signals", 0, ("test_signal", "test_supervise")),
    Part("learning", 6, ("test_observer", "test_learning")),
    Part("doctor", 4, ("test_doctor",)),
    Part("faults", 6, ("test_fault", "test_facts_lost")),
)
"""The shares of the tests on a cluster. What a table lists beside them is paid from what they leave over."""

COMMANDS: dict[str, Sequence[Step]] = {
    "test": (
        Step("lint", Part("lint, types", 0.5)),
        Step("test-supervise", Part("supervise", 1.5)),
        Step("test-unit", Part("unit, chart", 4.5)),
        Step("e2e-core", Part("core of e2e", 5.5), "core"),
    ),
    "e2e": (
        Step("e2e-ci", Part("e2e", 26), "ci"),
        Step("launchers-ci", Part("signals, real launchers", 8)),
    ),
    "e2e-all": (
        Step("e2e-release", Part("e2e before a release", 0), "release"),
        Step("e2e-old-cluster", Part("e2e on an old cluster", 0), "old_cluster"),
    ),
}
"""What `make test`, `make e2e` and `make e2e-all` run, in this order. A share of 0 is no bound."""


def part_of(test_file: str) -> str:
    """The name of the part that an e2e test file belongs to."""
    name = test_file.rpartition("/")[2]
    return next((part.name for part in E2E_PARTS if name.startswith(tuple(part.files))), THE_REST)
