"""The measurements on loopback: speed in turns, memory after many requests, rested connections, time until ready."""

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import orjson

from bench.contestants import BARE, FLOOR, WITH_FACTS, Certificate, Contestant, running
from bench.load import Job, Result
from bench.process import resident_mib

CONTESTANTS = (FLOOR, BARE, WITH_FACTS)
CONNECTIONS = (1, 16, 64)
REQUESTS = {"small": 2000, "large": 800}
"""Of one turn."""
TURNS = 5
WARM_UP = 300
MEMORY_REQUESTS = (5_000, 20_000)
PAUSES_SECONDS = (5.0, 20.0)
RESTED_CONNECTIONS = 200
STARTS = 5
_LOAD_SECONDS = 150.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Bench:
    """Where things lie and which cores are used; None where there is only one."""

    folder: Path
    certificate: Certificate
    bodies: dict[str, Path]
    server_core: int | None
    load_core: int | None

    @classmethod
    def prepared(cls, folder: Path, bodies: dict[str, bytes]) -> "Bench":
        """Certificate and bodies as files in an empty folder."""
        paths = {size: folder / f"{size}.json" for size in bodies}
        for size, path in paths.items():
            path.write_bytes(bodies[size])
        cores = sorted(os.sched_getaffinity(0))
        both = (cores[0], cores[1]) if len(cores) > 1 else (None, None)
        return cls(folder, Certificate.issued(folder), paths, *both)

    def job(self, contestant: Contestant, size: str, connections: int) -> Job:
        """A job without work, to be filled in."""
        return Job(
            contestant.port,
            contestant.pid,
            str(self.certificate.authority),
            str(self.bodies[size]),
            connections,
            core=self.load_core,
        )


@dataclass(frozen=True, slots=True)
class Speed:
    """All turns of one contestant with one body and so many connections."""

    contestant: str
    body: str
    connections: int
    requests_per_second: float
    """Of the median turn, as CPU time is: what else runs on the machine spoils single turns."""
    p50_ms: float
    p99_ms: float
    cpu_seconds_per_1000: float
    load_cpu_share: float
    """CPU seconds of the load generator per second: near 1 it was the limit."""
    failed: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident set size after so many small requests over 64 connections."""

    contestant: str
    mib_at_start: float
    mib_after: dict[int, float]


def speed(bench: Bench, say: Say) -> list[Speed]:
    """Each body and number of connections: the contestants in turns, several times."""
    measured = []
    with (
        running(FLOOR, bench.certificate, bench.folder, bench.server_core) as floor,
        running(BARE, bench.certificate, bench.folder, bench.server_core) as bare,
        running(WITH_FACTS, bench.certificate, bench.folder, bench.server_core) as with_facts,
    ):
        for size, requests in REQUESTS.items():
            for connections in CONNECTIONS:
                say(f"{size} body, {connections} connections")
                turns: dict[str, list[Result]] = {name: [] for name in CONTESTANTS}
                for _ in range(TURNS):
                    for contestant in (floor, bare, with_facts):
                        job = replace(bench.job(contestant, size, connections), warm_up=WARM_UP, requests=requests)
                        turns[contestant.name].append(loaded(job))
                measured += [_speed(name, size, connections, turns[name]) for name in CONTESTANTS]
    return measured


def memory(bench: Bench, say: Say) -> list[Memory]:
    """A fresh process of each contestant, and its size on the way."""
    rows = []
    for name in CONTESTANTS:
        say(f"memory of {name}")
        with running(name, bench.certificate, bench.folder, bench.server_core) as contestant:
            at_start, done, after = resident_mib(contestant.pid), 0, {}
            for total in MEMORY_REQUESTS:
                loaded(replace(bench.job(contestant, "small", 64), requests=total - done))
                done, after[total] = total, resident_mib(contestant.pid)
        rows.append(Memory(name, at_start, after))
    return rows


def rested(bench: Bench, say: Say) -> dict[str, list[int]]:
    """Calls lost on connections that rested, by contestant, one number for each pause."""
    say(f"{RESTED_CONNECTIONS} connections, each used again after {' and '.join(f'{p:g} s' for p in PAUSES_SECONDS)}")
    lost = {}
    for name in (FLOOR, BARE):
        with running(name, bench.certificate, bench.folder, bench.server_core) as contestant:
            job = replace(bench.job(contestant, "small", RESTED_CONNECTIONS), pauses_seconds=PAUSES_SECONDS)
            lost[name] = loaded(job).failed_by_pause
    return lost


def ready_seconds(bench: Bench, say: Say) -> dict[str, float]:
    """The median time from the start of the process until it answers."""
    say(f"{STARTS} starts each")
    return {name: statistics.median(_start(bench, name) for _ in range(STARTS)) for name in CONTESTANTS}


def loaded(job: Job) -> Result:
    """Do the job in a process of its own."""
    command = [sys.executable, "-m", "bench.load"]
    done = subprocess.run(
        command, input=orjson.dumps(asdict(job)), stdout=subprocess.PIPE, check=True, timeout=_LOAD_SECONDS
    )
    return Result(**orjson.loads(done.stdout))


def _start(bench: Bench, name: str) -> float:
    with running(name, bench.certificate, bench.folder, bench.server_core) as contestant:
        return contestant.ready_seconds


def _speed(name: str, size: str, connections: int, turns: Sequence[Result]) -> Speed:
    latencies_us = [latency for turn in turns for latency in turn.latencies_us]
    centiles = statistics.quantiles(latencies_us, n=100)
    return Speed(
        name,
        size,
        connections,
        statistics.median(len(turn.latencies_us) / turn.seconds for turn in turns),
        centiles[49] / 1000,
        centiles[98] / 1000,
        1000 * statistics.median(turn.server_cpu_seconds / len(turn.latencies_us) for turn in turns),
        sum(turn.own_cpu_seconds for turn in turns) / sum(turn.seconds for turn in turns),
        sum(turn.failed for turn in turns),
    )
