"""What learning costs, as tables for people."""

from collections.abc import Iterator

from rich.table import Table

from bench.learning import Admission, Learning, Observed
from bench.match_conditions import Condition

_MOST_OBSERVER_MIB, _MOST_RATIO = 200, 1.1
"""What the design asks for. The bench prints it beside what was measured, and judges nothing."""


def tables(learning: Learning) -> Iterator[Table | str]:
    """Yield the tables and lines, in the order of the report."""
    yield _observed(learning.observed)
    yield _writes(learning.observed)
    yield _admission(learning.admission)
    without, with_it = learning.admission
    yield f"Admission with learning against without: p99 {with_it.p99_ms / without.p99_ms:.2f} (at most {_MOST_RATIO} is wanted)"
    yield _conditions(learning.conditions, f"{learning.condition_bytes:,} bytes, Kubernetes {learning.kubernetes}")


def _observed(observed: Observed) -> Table:
    table = Table(title=f"The observer among {observed.pods:,} pods (at most {_MOST_OBSERVER_MIB} MiB are wanted)")
    for heading in ("listed after s", "peak MiB when listed", "stopped at once", "classified", "after s", "peak MiB"):
        table.add_column(heading, justify="right")
    table.add_row(
        f"{observed.listed_seconds:.1f}",
        f"{observed.peak_mib_listed:.0f}",
        str(observed.stopped_at_once),
        str(observed.classified),
        f"{observed.classified_seconds:.1f}",
        f"{observed.peak_mib:.0f}",
    )
    return table


def _writes(observed: Observed) -> str:
    at = ", ".join(f"{seconds:g}" for seconds in observed.writes_at_seconds) or "none"
    return f"Writes of the memory, seconds after the first pod was told to stop: {at} (at most one a minute)"


def _admission(lines: list[Admission]) -> Table:
    table = Table(title="Admission of a training pod, one connection, in turns, while as many pods end beside it")
    for heading in ("server", "p50 ms", "p99 ms", "CPU ms", "failed"):
        table.add_column(heading, justify="left" if heading == "server" else "right")
    for line in lines:
        table.add_row(line.how, f"{line.p50_ms:.2f}", f"{line.p99_ms:.2f}", f"{line.cpu_ms:.2f}", str(line.failed))
    return table


def _conditions(lines: list[Condition], what: str) -> Table:
    table = Table(title=f"Creation of a pod that is not matched, as a dry run ({what})")
    for heading in ("API server with", "p50 ms", "p99 ms", "its CPU ms"):
        table.add_column(heading, justify="left" if heading == "API server with" else "right")
    for line in lines:
        table.add_row(line.how, f"{line.p50_ms:.2f}", f"{line.p99_ms:.2f}", f"{line.cpu_ms:.2f}")
    return table
