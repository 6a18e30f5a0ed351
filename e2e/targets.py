"""Which of the Makefile's targets runs which e2e test.

A marker on the test says it. A test without one is run by `make e2e`, which CI does.
"""

from collections.abc import Mapping

import pytest

CORE, CI, RELEASE, OLD_CLUSTER = "core", "ci", "release", "old_cluster"
MARKERS: Mapping[str, str] = {
    CORE: "run by `make test`, and by nothing else",
    RELEASE: "run by `make e2e-all`, before a release; CI runs another row of its kind",
    OLD_CLUSTER: "run by `make e2e-all`, on a cluster that drops native sidecars",
}
TARGETS = (CORE, CI, RELEASE, OLD_CLUSTER)


def target_of(item: pytest.Item) -> str:
    """The one target that runs a test; UsageError where its markers name two."""
    named = sorted({marker.name for marker in item.iter_markers() if marker.name in MARKERS})
    if len(named) > 1:
        raise pytest.UsageError(f"{item.nodeid} is marked {' and '.join(named)}: one target runs a test")
    return named[0] if named else CI


def select(target: str, items: list[pytest.Item]) -> list[pytest.Item]:
    """Leave the tests of one target in the list; the others are the result."""
    others = [item for item in items if target_of(item) != target]
    items[:] = [item for item in items if target_of(item) == target]
    return others
