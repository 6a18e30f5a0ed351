"""What Prometheus is told about terminations; every label comes from a closed set, never from an object's name."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest

from webhook import __version__
from webhook.observer.gangs import ObservedEnd
from webhook.policy.observed.termination import TerminationClass
from webhook.policy.observed.wrapping_stops import StopCause


class ObserverMetrics:
    """All metrics of the observer, in a registry of their own; every series is there from the start, at zero."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        info = Gauge("gracekeeper_build_info", "Always 1; the label is the version.", ["version"], registry=registry)
        info.labels(__version__).set(1)
        terminations = Counter(
            "gracekeeper_terminations",
            "Training pods that were told to stop, by how they ended.",
            ["class"],
            registry=registry,
        )
        self._terminations = {kind: terminations.labels(kind) for kind in TerminationClass}
        self._stopping_seconds = Counter(
            "gracekeeper_accelerator_seconds_stopping",
            "Seconds from SIGTERM to the trainer's end, times the pod's accelerators.",
            registry=registry,
        )
        self._write_failures = Counter(
            "gracekeeper_memory_write_failures",
            "Reads and writes of the memory that failed; they are tried again.",
            registry=registry,
        )
        self._losses = Counter(
            "gracekeeper_memory_losses",
            "How often somebody deleted, emptied or broke the memory, so that learning starts anew.",
            registry=registry,
        )
        self._pods = Gauge("gracekeeper_observed_pods", "Training pods that exist and are followed.", registry=registry)
        self._workloads = Gauge(
            "gracekeeper_remembered_workloads", "Workloads of which terminations are remembered.", registry=registry
        )

        stops = Counter(
            "gracekeeper_wrapping_stops",
            "Times that wrapping was stopped in a namespace, by cause.",
            ["cause"],
            registry=registry,
        )
        self._stops = {cause: stops.labels(cause) for cause in StopCause}
        self._stopped = Gauge(
            "gracekeeper_wrapping_stopped_namespaces",
            "Namespaces in which no pod is wrapped for now.",
            registry=registry,
        )

    def ended(self, end: ObservedEnd) -> None:
        """Count one pod's end."""
        self._terminations[end.termination.kind].inc()
        if end.termination.seconds is not None:
            self._stopping_seconds.inc(end.termination.seconds * end.pod.accelerators)

    def write_failed(self) -> None:
        """Count one write that failed."""
        self._write_failures.inc()

    def memory_lost(self) -> None:
        """Count one loss of the memory."""
        self._losses.inc()

    def remembered(self, workloads: int) -> None:
        """Tell how many workloads the memory holds."""
        self._workloads.set(workloads)

    def pods(self, count: Callable[[], int]) -> None:
        """Ask for the number of followed pods at each scrape."""
        self._pods.set_function(count)

    def wrapping_stopped(self, cause: StopCause) -> None:
        """Count one stop of wrapping."""
        self._stops[cause].inc()

    def stopped_namespaces(self, count: Callable[[], int]) -> None:
        """Ask for the number of namespaces without wrapping at each scrape."""
        self._stopped.set_function(count)

    def text(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return generate_latest(self._registry)
