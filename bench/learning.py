"""What learning costs: the observer among thousands of pods, admission beside it, and the match condition on the API server.

Everything talks to a real API server (bench/control_plane.py) without nodes: the bench writes the pods' status itself.
"""

import http.client
import json
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench import match_conditions
from bench.contestants import HOST, Contestant, free_port, process_of, wait_until_ready
from bench.control_plane import ControlPlane, control_plane
from bench.load import Result
from bench.measure import Bench, Say, loaded
from bench.process import peak_mib
from bench.reviews import review
from bench.training_pods import CALL_SECONDS, LABELLED, NAMESPACE, THREADS, UNLABELLED, a_pod, create, stop
from webhook.api import Api
from webhook.policy.observed.memory import DATA_KEY, Entry, Lesson, Memory, Sample, text_of
from webhook.policy.recognition.match_condition import match_condition

PODS, AT_ONCE, OF_A_TURN, TURNS = 10_000, 500, 60, 5
REQUESTS, WARM_UP = 2_000, 300
WITHOUT, WITH = "without learning", "with learning"
_RELEASE, _MEMORY = "gracekeeper", "gracekeeper-terminations"
_MEMORY_PATH = f"/api/v1/namespaces/{_RELEASE}/configmaps/{_MEMORY}"
_WORKLOADS_IN_MEMORY = 8_000
"""More than fit: the memory is full."""
_WATCHED_SECONDS, _WAIT_SECONDS = 150.0, 300.0
_LOOK_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Observed:
    """The observer's process among the pods."""

    pods: int
    listed_seconds: float
    peak_mib_listed: float
    stopped_at_once: int
    classified: int
    classified_seconds: float
    """From the last pod's end to the last class that was counted."""
    peak_mib: float
    writes_at_seconds: list[float]
    """When the memory was written, since the first pod was told to stop."""


@dataclass(frozen=True, slots=True)
class Admission:
    """One server, over one connection, while as many pods end beside it."""

    how: str
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    failed: int


@dataclass(frozen=True, slots=True)
class Learning:
    """All of it."""

    kubernetes: str
    condition_bytes: int
    observed: Observed
    admission: list[Admission]
    conditions: list[match_conditions.Condition]


def measured(bench: Bench, say: Say) -> Learning:
    """Measure against an API server that is made for it."""
    with control_plane(bench.folder) as plane:
        api = Api.from_kubeconfig(str(plane.kubeconfig))
        for name in (NAMESPACE, _RELEASE):
            api.post("/api/v1/namespaces", {"metadata": {"name": name}}, timeout_seconds=CALL_SECONDS)
        say(f"the match condition, {match_conditions.TURNS} turns of {match_conditions.CREATIONS} creations")
        conditions = match_conditions.measured(api, plane)
        say(f"making {PODS:,} labelled pods")
        _put_memory(api)
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda number: create(api, f"{LABELLED}-{number}"), range(PODS)))
            list(
                pool.map(lambda number: create(api, f"{UNLABELLED}-{number}", labelled=False), range(TURNS * OF_A_TURN))
            )
        observed, admission = _observed(bench, plane, api, say)
        return Learning(plane.version, len(match_condition()), observed, admission, conditions)


def _observed(bench: Bench, plane: ControlPlane, api: Api, say: Say) -> tuple[Observed, list[Admission]]:
    began = time.monotonic()
    with _observer(bench.folder, plane) as (pid, port):
        _wait_for(lambda: _metric(port, "gracekeeper_observed_pods") >= PODS)
        listed_seconds, peak_mib_listed = time.monotonic() - began, peak_mib(pid)
        say(f"admission, {TURNS} turns of {REQUESTS} reviews, beside {OF_A_TURN} pods that end")
        admission = _admission(bench, plane, api)
        before = _stopped(port)
        say(f"{AT_ONCE} pods that stop at once")
        writes = Writes(api)
        with writes.watched():
            stop(api, [f"{LABELLED}-{number}" for number in range(TURNS * OF_A_TURN, TURNS * OF_A_TURN + AT_ONCE)])
            ended = time.monotonic()
            _wait_for(lambda: _stopped(port) - before >= AT_ONCE)
            classified_seconds = time.monotonic() - ended
            time.sleep(max(0.0, _WATCHED_SECONDS - (time.monotonic() - writes.began)))
        classified = int(_stopped(port) - before)
        peak = peak_mib(pid)
    return (
        Observed(PODS, listed_seconds, peak_mib_listed, AT_ONCE, classified, classified_seconds, peak, writes.at),
        admission,
    )


def _admission(bench: Bench, plane: ControlPlane, api: Api) -> list[Admission]:
    """Both servers in turns. Beside the one without learning end pods that nobody follows, so that the API server has the same work."""
    turns: dict[str, list[Result]] = {WITHOUT: [], WITH: []}
    body = bench.folder / "learning.json"
    body.write_bytes(review(a_pod("reviewed", labelled=False), NAMESPACE))
    with ExitStack() as stack:
        servers = {how: stack.enter_context(_server(bench, plane, how)) for how in (WITHOUT, WITH)}
        for turn in range(TURNS):
            for how, prefix in ((WITHOUT, UNLABELLED), (WITH, LABELLED)):
                names = [f"{prefix}-{number}" for number in range(turn * OF_A_TURN, (turn + 1) * OF_A_TURN)]
                stopping = threading.Thread(target=stop, args=(api, names))
                stopping.start()
                job = bench.job(servers[how], "small", 1)
                turns[how].append(loaded(replace(job, body_file=str(body), warm_up=WARM_UP, requests=REQUESTS)))
                stopping.join()
    return [_admission_of(how, results) for how, results in turns.items()]


def _admission_of(how: str, turns: Sequence[Result]) -> Admission:
    """The median of the turns: what else runs on the machine spoils single ones."""
    centiles = [statistics.quantiles(turn.latencies_us, n=100) for turn in turns]
    p50, p99 = (statistics.median(each[place] for each in centiles) / 1000 for place in (49, 98))
    cpu = statistics.median(1000 * turn.server_cpu_seconds / len(turn.latencies_us) for turn in turns)
    return Admission(how, p50, p99, cpu, sum(turn.failed for turn in turns))


@contextmanager
def _server(bench: Bench, plane: ControlPlane, how: str) -> Iterator[Contestant]:
    port, health_port = free_port(), free_port()
    config = bench.folder / f"{how.replace(' ', '-')}.json"
    config.write_text(json.dumps({"observer": {"enabled": how == WITH}}), encoding="utf-8")
    settings = {
        "HOST": HOST,
        "PORT": port,
        "HEALTH_PORT": health_port,
        "CERTIFICATE_SOURCE": "files",
        "CERTIFICATE_DIRECTORY": bench.certificate.directory,
        "DRAIN_SECONDS": 0,
        "CONFIG_FILE": config,
        "NAMESPACE": _RELEASE,
    } | ({"MEMORY_NAME": _MEMORY} if how == WITH else {})
    environment = {f"GRACEKEEPER_SERVER_{key}": str(value) for key, value in settings.items()}
    environment["KUBECONFIG"] = str(plane.kubeconfig)
    command = [sys.executable, "-m", "webhook", "serve"]
    with process_of(how, command, environment, bench.folder, bench.server_core) as (process, began):
        connection = http.client.HTTPConnection(HOST, health_port, timeout=1)
        wait_until_ready(how, process, connection, "/readyz", bench.folder)
        yield Contestant(how, process.pid, port, time.monotonic() - began)


@contextmanager
def _observer(folder: Path, plane: ControlPlane) -> Iterator[tuple[int, int]]:
    """Yield the process id and the port of its metrics."""
    port = free_port()
    settings = {"NAMESPACE": _RELEASE, "MEMORY_NAME": _MEMORY, "HEALTH_HOST": HOST, "HEALTH_PORT": port}
    environment = {f"GRACEKEEPER_OBSERVER_{key}": str(value) for key, value in settings.items()}
    environment["KUBECONFIG"] = str(plane.kubeconfig)
    command = [sys.executable, "-m", "webhook", "observe"]
    with process_of("observer", command, environment, folder, None) as (process, _):
        connection = http.client.HTTPConnection(HOST, port, timeout=1)
        wait_until_ready("observer", process, connection, "/readyz", folder)
        yield process.pid, port


@dataclass(slots=True)
class Writes:
    """When the memory changed, by its resourceVersion."""

    api: Api
    began: float = field(default_factory=time.monotonic)
    at: list[float] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look at it again and again until the context ends."""
        thread = threading.Thread(target=self._look)
        thread.start()
        yield
        self._stop.set()
        thread.join()

    def _look(self) -> None:
        version = self._version()
        while not self._stop.wait(_LOOK_SECONDS):
            now = self._version()
            if now != version:
                self.at.append(round(time.monotonic() - self.began, 1))
            version = now

    def _version(self) -> str:
        return str(self.api.get(_MEMORY_PATH, timeout_seconds=CALL_SECONDS)["metadata"]["resourceVersion"])


def _put_memory(api: Api) -> None:
    """Create the memory, full."""
    now = int(time.time())
    samples = tuple(Sample(now - 86400 * day, 45, 600, Lesson.STOPPED) for day in range(5, 0, -1))
    entries = {("other", f"{number:016x}"): Entry(samples, f"job-{number}") for number in range(_WORKLOADS_IN_MEMORY)}
    data = {DATA_KEY: text_of(Memory(entries))}
    config_map = {"metadata": {"name": _MEMORY, "namespace": _RELEASE}, "data": data}
    api.post(_MEMORY_PATH.rsplit("/", 1)[0], config_map, timeout_seconds=CALL_SECONDS)


def _metric(port: int, name: str) -> float:
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return next((float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} ")), 0.0)


def _stopped(port: int) -> float:
    return _metric(port, 'gracekeeper_terminations_total{class="stopped"}')


def _wait_for(condition: Any) -> None:
    end = time.monotonic() + _WAIT_SECONDS
    while not condition() and time.monotonic() < end:
        time.sleep(_LOOK_SECONDS)
