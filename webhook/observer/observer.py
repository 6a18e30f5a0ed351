"""The observer: follows training pods, and writes down what their ends teach.

Law: what teaches is a termination that was seen. A write that fails is tried again, and a restart loses at most what was
seen since the last write.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from webhook import log
from webhook.api import Api, ApiError
from webhook.cluster.stream import Kind, Patience, Stream
from webhook.observer.breaker import Breaker
from webhook.observer.events import event_of
from webhook.observer.gangs import ObservedEnd
from webhook.observer.memory_object import NOT_FOUND, MemoryObject
from webhook.observer.observer_metrics import ObserverMetrics
from webhook.observer.pods import read_observed_pod
from webhook.observer.supervise_waits import SuperviseWaits
from webhook.observer.tracker import Tracker
from webhook.policy.observed import interruptions
from webhook.policy.observed.interruptions import EndedPod, counted, is_counted, tallies_in
from webhook.policy.observed.memory import Memory, memory_in, remembering, text_of, without_old
from webhook.policy.prefix import WORKLOAD_LABEL

_WRITE_SECONDS = 60.0
_LOOK_SECONDS = 1.0
_CALL_SECONDS = 10.0
_MOST_PENDING = 10_000
_END_SECONDS = 10.0
"""How long the threads of the watches may take to end."""


class PodStream(Stream):
    """The pods with a workload's label, of one namespace or of all."""

    waits: SuperviseWaits | None = None
    """Where pods that wait for supervise's image are noted."""

    def __init__(
        self, api: Api, namespace: str | None, tracker: Tracker, logger: log.Logger, patience: Patience
    ) -> None:
        """Follow the pods of this namespace; None: of all."""
        path = "/api/v1/pods" if namespace is None else f"/api/v1/namespaces/{namespace}/pods"
        kind = Kind("Pod", (path,), read_observed_pod, {"labelSelector": WORKLOAD_LABEL}, page_objects=100)
        super().__init__(api, kind, logger, patience)
        self.tracker = tracker
        self._prefix = "" if namespace is None else f"{namespace}/"

    def take_list(self, objects: Mapping[str, Any]) -> None:
        """Take all pods."""
        self.tracker.listed(objects)
        if self.waits is not None:
            self.waits.listed(self._prefix, objects)

    def take_change(self, key: str, shortened: Any) -> None:
        """Take one pod."""
        self.tracker.changed(key, shortened)
        if self.waits is not None:
            self.waits.seen(key, shortened)

    def take_removal(self, key: str, shortened: Any) -> None:
        """Take a pod's last state."""
        self.tracker.removed(key, shortened)
        if self.waits is not None:
            self.waits.gone(key)


@dataclass(frozen=True, slots=True)
class Rules:
    """What is observed, and what of it teaches."""

    minimum_run_seconds: int
    """A pod whose trainer ran for less teaches nothing."""
    namespaces: Sequence[str] = ()
    """Whose pods are followed; empty: all."""
    write_seconds: float = _WRITE_SECONDS
    """The shortest time between two writes."""


@dataclass(slots=True)
class PodObserver:
    """Everything that observes, in threads of its own between `start` and `stop`."""

    api: Api
    memory: MemoryObject
    rules: Rules
    metrics: ObserverMetrics = field(default_factory=ObserverMetrics)
    logger: log.Logger = field(default_factory=log.logger)
    patience: Patience = field(default_factory=Patience)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _pending: list[ObservedEnd] = field(default_factory=list, init=False)
    """Ends that are not written yet."""
    _interrupted: list[ObservedEnd] = field(default_factory=list, init=False)
    """Ends with less than the pod's own grace that are not counted yet."""
    _problem: str = field(default="", init=False)
    _loss: str = field(default="", init=False)
    """How the memory was lost, until something is learned again."""
    _remembered: int = field(default=0, init=False)
    """Workloads in the memory when it was read last."""
    _was_missing: bool = field(default=False, init=False)
    """Whether there was no memory when it was read last. It is made again only then: while a release is removed, nothing is."""
    _stop: threading.Event = field(default_factory=threading.Event, init=False)
    _streams: Sequence[PodStream] = field(init=False)
    _threads: Sequence[threading.Thread] = field(init=False)
    _breaker: Breaker = field(init=False)

    def __post_init__(self) -> None:
        namespaces: Sequence[str | None] = self.rules.namespaces or (None,)
        self._breaker = Breaker(self.api, self.memory, self.metrics, self.logger, self.now)
        self._breaker.between_writes_seconds = min(self.rules.write_seconds, self._breaker.between_writes_seconds)
        self._breaker.watch_events(namespaces, self.patience)
        seconds = self.rules.minimum_run_seconds
        self._streams = [
            PodStream(self.api, name, Tracker(seconds, self._ended, self._learned), self.logger, self.patience)
            for name in namespaces
        ]
        for stream in self._streams:
            stream.waits = self._breaker.waits
        self._threads = [
            *(
                threading.Thread(target=stream.run, args=(self._stop,), name=f"watch-{stream.kind.name}")
                for stream in (*self._streams, *self._breaker.streams)
            ),
            threading.Thread(target=self._write_now_and_then, name="memory"),
        ]
        self.metrics.pods(lambda: sum(stream.tracker.count for stream in self._streams))

    def start(self) -> None:
        """Begin to observe."""
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def stop(self) -> None:
        """End, and write what is not written yet."""
        self._stop.set()
        for stream in (*self._streams, *self._breaker.streams):
            stream.end_watch()
        for thread in self._threads:
            thread.join(_END_SECONDS)
        for stream in self._streams:
            stream.tracker.teach_all()
        self._was_missing = False
        if self._pending or self._interrupted:
            self.write()

    def lacks(self) -> Sequence[str]:
        """Return why nothing is learned at all; empty once every watch has begun."""
        failures = [str(stream.failure) for stream in self._streams if stream.failure and not stream.synced]
        return failures or ["the pods are not listed yet"] * any(not stream.synced for stream in self._streams)

    def notes(self) -> Sequence[str]:
        """Return what is wrong although pods are observed."""
        failures = [f"pods are not watched: {stream.failure}" for stream in self._streams if stream.failure]
        return [*failures, *filter(None, (self._problem, self._loss)), *self._breaker.notes()]

    def write(self) -> bool:
        """Read the memory, and write what the pending ends teach; False where it has to be tried again."""
        with self._lock:
            ends, self._pending = self._pending, []
            interrupted, self._interrupted = self._interrupted, []
        try:
            text = self.memory.change(lambda text: self._after(text, ends), may_create=self._was_missing)
            ends = []  # a count that cannot be written is tried again without them
            if interrupted:
                self.memory.change(lambda text: self._counted(text, interrupted), interruptions.DATA_KEY)
        except ApiError as error:
            with self._lock:
                self._pending = [*ends, *self._pending][-_MOST_PENDING:]
                self._interrupted = [*interrupted, *self._interrupted][-_MOST_PENDING:]
            self._was_missing = error.status == NOT_FOUND
            self.metrics.write_failed()
            self._tell_problem(f"what was learned cannot be written: {error}")
            return False
        self._was_missing = False
        self._remembered = len(memory_in(text).entries)
        self._loss = "" if self._remembered else self._loss
        self.metrics.remembered(self._remembered)
        self._tell_problem("")
        return True

    def _after(self, text: str, ends: Sequence[ObservedEnd]) -> str:
        memory = memory_in(text)
        self._note_loss(text, memory)
        if not ends:
            return text
        for end in ends:
            workload, owner = end.pod.workload, str(end.pod.controller.get("name") or end.pod.name)
            for name in dict.fromkeys((workload.coarse, workload.exact)):
                memory = remembering(memory, (workload.namespace, name), end.termination, owner)
        return text_of(without_old(memory, int(self.now().timestamp())))

    def _note_loss(self, text: str, memory: Memory) -> None:
        """Tell people once that somebody deleted, emptied or broke the memory."""
        is_broken = bool(text) and not memory.entries and text != text_of(memory)
        was_emptied = not text and self._remembered > 0
        loss = "holds nothing that can be read" if is_broken else "was emptied or deleted" * was_emptied
        if loss and not self._loss:
            self.metrics.memory_lost()
            self._loss = f"what was learned is lost: the ConfigMap {self.memory.name} {loss}; learning starts anew"
            self.logger.warning("memory lost", why=self._loss)

    def _counted(self, text: str, ends: Sequence[ObservedEnd]) -> str:
        tallies, now = tallies_in(text), int(self.now().timestamp())
        for end in ends:
            pod = EndedPod(end.pod.workload.namespace, end.pod.name, end.pod.history.trainer.grace_seconds)
            tallies = counted(tallies, pod, end.termination, now)
        return interruptions.text_of(tallies, now)

    def _write_now_and_then(self) -> None:
        written_at = time.monotonic() - self.rules.write_seconds
        while not self._stop.wait(_LOOK_SECONDS):
            self._survive(self._breaker.look)
            if time.monotonic() - written_at >= self.rules.write_seconds:
                written_at = time.monotonic()
                self._survive(self.write)

    def _ended(self, end: ObservedEnd) -> None:
        """Take one end, in the thread of a watch."""
        self.metrics.ended(end)
        termination, workload = end.termination, end.pod.workload
        self.logger.info(
            "training pod ended",
            namespace=workload.namespace,
            pod=end.pod.name,
            workload=workload.coarse,
            termination=termination.kind,
            seconds=termination.seconds,
            granted_seconds=termination.granted_seconds,
            cause=termination.cause,
        )
        if is_counted(termination):
            with self._lock:
                self._interrupted.append(end)
                del self._interrupted[:-_MOST_PENDING]
        self._survive(lambda: self._tell_owner(end))

    def _learned(self, end: ObservedEnd) -> None:
        """Take one end that teaches, when its gang is over."""
        with self._lock:
            self._pending.append(end)
            del self._pending[:-_MOST_PENDING]

    def _tell_owner(self, end: ObservedEnd) -> None:
        event = event_of(end, self.now())
        if event is None:
            return
        path = f"/api/v1/namespaces/{end.pod.workload.namespace}/events"
        try:
            self.api.post(path, event, timeout_seconds=_CALL_SECONDS)
        except ApiError as error:
            self.logger.warning("Event not written", namespace=end.pod.workload.namespace, why=str(error))

    def _survive(self, act: Callable[[], object]) -> None:
        """Act; a failure is logged, and the thread goes on: it is the only one that follows pods."""
        try:
            act()
        except Exception as error:  # noqa: BLE001
            self.logger.warning("bug", why=type(error).__name__, **log.trace(error))

    def _tell_problem(self, problem: str) -> None:
        if problem and problem != self._problem:
            self.logger.warning("memory not written", why=problem)
        elif self._problem and not problem:
            self.logger.info("memory written again")
        self._problem = problem
