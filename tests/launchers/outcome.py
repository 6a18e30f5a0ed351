"""What became of a row's ranks, read from what they wrote (trainers/rank.py) and from how the container ended."""

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

AT_THE_END_SECONDS = 1.0
"""A rank that is seen until so long before the end of the grace was killed by the kubelet, not by its launcher."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. Times are seconds after the first signal."""

    ranks: int
    """That had a handler for the signal, or saved without one."""
    saved: int
    cut_seconds: float | None
    """When the first rank was killed that had been told and had not ended; None where none was."""
    exit_code: int
    """Of PID 1; 137 where the grace was over."""
    ended_seconds: float
    told: tuple[int, ...]
    """How often each rank got the signal."""
    told_seconds: tuple[float, ...]
    """When each rank got it first."""
    begun_again: int
    """Ranks that began to train after the signal."""
    grace_over_seconds: float | None
    """When the container was killed at the end of the grace; None: it ended before."""

    def as_json(self) -> dict[str, Any]:
        """For the record."""
        return asdict(self)

    def __str__(self) -> str:
        """A cell of the table: saved of ranks, when the first was killed, exit code."""
        return f"{self.saved}/{self.ranks}, {self.cut}, {self.exit_code}"

    @property
    def cut(self) -> str:
        """When the first rank was killed, in words of the table."""
        if self.cut_seconds is None:
            return "-"
        over = self.grace_over_seconds
        at_end = over is not None and self.cut_seconds > over - AT_THE_END_SECONDS
        return "end" if at_end else f"{self.cut_seconds:.1f}"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a container ended, in seconds of the epoch."""

    told_at: float
    ended_at: float
    exit_code: int
    killed_at: float | None = None
    """The end of the grace, where the container still ran."""


@dataclass(frozen=True, slots=True)
class _RankLog:
    events: list[tuple[float, str]]
    last_seen: float

    def times(self, pattern: str) -> list[float]:
        return [time for time, event in self.events if re.fullmatch(pattern, event)]


def outcome(folder: Path, ending: Ending) -> Outcome:
    """Read what became of the ranks that wrote into a folder."""
    logs = [log for log in ranks(folder).values() if log.times("catches|saved")]
    told = [log.times("told-.*") for log in logs]
    cut = [max(0.0, log.last_seen - ending.told_at) for log in logs if _was_cut(log, ending.told_at)]
    return Outcome(
        ranks=len(logs),
        saved=sum(bool(log.times("saved")) for log in logs),
        cut_seconds=round(min(cut), 1) if cut else None,
        exit_code=ending.exit_code,
        ended_seconds=round(ending.ended_at - ending.told_at, 1),
        told=tuple(map(len, told)),
        told_seconds=tuple(round(times[0] - ending.told_at, 1) for times in told if times),
        begun_again=sum(sum(time > ending.told_at for time in log.times("trains")) for log in logs),
        grace_over_seconds=None if ending.killed_at is None else round(ending.killed_at - ending.told_at, 1),
    )


def _was_cut(log: _RankLog, told_at: float) -> bool:
    """Whether a rank that had a handler when the signal came ended without saying so; one that began later has no save to lose."""
    began = [time for time in log.times("catches") if time <= told_at]
    return bool(began) and not any(time > began[-1] for time in log.times("ends-.*"))


def ranks(folder: Path) -> dict[int, _RankLog]:
    """The ranks' logs, by their numbers."""
    logs = {}
    for path in folder.glob("rank-*.log"):
        events = [line.split(" ", 1) for line in path.read_text().splitlines()]
        alive = path.with_suffix(".alive")
        seen = alive.stat().st_mtime if alive.exists() else float(events[-1][0])
        logs[int(path.stem.removeprefix("rank-"))] = _RankLog([(float(time), event) for time, event in events], seen)
    return logs
