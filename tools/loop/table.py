"""What each part of the test loop took against its share, as a table for people."""

from collections.abc import Sequence
from dataclasses import dataclass

from tools.loop.parts import CLUSTER, COMMANDS, E2E_PARTS, THE_REST, Step, part_of
from tools.loop.record import PASSED, SessionRecord, StepRecord

NOT_RUN, NO_TEST, OVER = "not run", "no test yet", "over its share"
_WIDTHS = (28, 6, 7)


@dataclass(frozen=True, slots=True)
class Row:
    """A part, what it took and may take, and a remark where there is one."""

    name: str
    seconds: float | None
    share_minutes: float
    remark: str = ""

    def __str__(self) -> str:
        """One line, in columns."""
        took = "-" if self.seconds is None else clock(self.seconds)
        share = clock(60 * self.share_minutes) if self.share_minutes else ""
        cells = (self.name.ljust(_WIDTHS[0]), took.rjust(_WIDTHS[1]), share.rjust(_WIDTHS[2]))
        return f"{' '.join(cells)}  {self.remark}".rstrip()


def table(command: str, steps: Sequence[StepRecord], session: SessionRecord | None) -> list[str]:
    r"""Return the lines for one command, the parts that were not reached included.

    >>> print("\n".join(table("test", steps, None)))
    make test                      took   share
      lint, types                  0:40    1:00
      supervise                    1:20    1:00  over its share
      unit, chart                  0:10    4:00  FAILED
      core of e2e                     -    6:00  not run
    together                       2:10   12:00  FAILED
    """
    ran = {step.make_target: step for step in steps}
    rows: list[Row] = []
    for step in COMMANDS[command]:
        rows.append(_step_row(step, ran.get(step.make_target)))
        if command == "e2e" and step.e2e_target:
            rows += _e2e_rows(session)
    together = Row(
        "together",
        sum(step.seconds for step in steps),
        sum(step.part.share_minutes for step in COMMANDS[command]),
        "FAILED" if any(step.exit_code for step in steps) else "",
    )
    header = f"{f'make {command}'.ljust(_WIDTHS[0])} {'took'.rjust(_WIDTHS[1])} {'share'.rjust(_WIDTHS[2])}"
    return [header, *map(str, rows), str(together)]


def _step_row(step: Step, ran: StepRecord | None) -> Row:
    if ran is None:
        return Row(f"  {step.part.name}", None, step.part.share_minutes, NOT_RUN)
    remark = "FAILED" if ran.exit_code else _over(ran.seconds, step.part.share_minutes)
    return Row(f"  {step.part.name}", ran.seconds, step.part.share_minutes, remark)


def _e2e_rows(session: SessionRecord | None) -> list[Row]:
    """The parts of a session by the files of its tests, then what is no part's."""
    if session is None:
        return []
    seconds: dict[str, float] = {}
    failures: dict[str, int] = {}
    for test in session.tests:
        part = part_of(test.test.partition("::")[0])
        seconds[part] = seconds.get(part, 0) + test.seconds
        failures[part] = failures.get(part, 0) + (test.outcome not in {PASSED, "skipped"})
    names = {part.name: part.share_minutes for part in E2E_PARTS}
    rows = [
        Row(f"    {name}", seconds.get(name), share, _remark(failures.get(name), seconds.get(name), share))
        for name, share in {**names, THE_REST: 0.0}.items()
    ]
    return [*rows, Row(f"    {CLUSTER}", session.fixture_seconds, 0)]


def _remark(failures: int | None, seconds: float | None, share_minutes: float) -> str:
    if failures is None or seconds is None:
        return NO_TEST
    return f"{failures} FAILED" if failures else _over(seconds, share_minutes)


def _over(seconds: float, share_minutes: float) -> str:
    return OVER if share_minutes and seconds > 60 * share_minutes else ""


def clock(seconds: float) -> str:
    """Minutes and seconds, as in 9:05."""
    return f"{round(seconds) // 60}:{round(seconds) % 60:02}"
