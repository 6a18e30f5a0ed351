"""What Prometheus is told; every label comes from a closed set, never from an object's name."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from webhook import __version__
from webhook.policy.configuration import Mode
from webhook.policy.decision import Decision, Outcome
from webhook.policy.facts import MissingReason

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_REQUEST_BUCKETS_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0)
_GRACE_BUCKETS_SECONDS = (30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)


class Overload(StrEnum):
    """What there was no room or time for; the slugs label a metric."""

    ARRIVAL = "arrival"
    """The body while it arrived; the pod was allowed unpatched."""
    REVIEW = "review"
    """The review while it waited for facts; the pod was allowed unpatched."""
    CONTAINERS = "containers"
    """Time to decide on a pod of thousands of containers; it was allowed unpatched."""
    ANSWER = "answer"
    """The answer, which its caller did not read; the connection was closed."""
    PIPELINE = "pipeline"
    """One more request behind others that wait for their answers on the same connection, which was closed."""
    CONNECTION = "connection"
    """One more connection; one of the address that has most was closed, or the new one."""


class Metrics:
    """All metrics of one process, in a registry of their own; every series is there from the start, at zero."""

    def __init__(self, refusals: Iterable[StrEnum]) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        Gauge("gracekeeper_build_info", "Always 1; the label is the version.", ["version"], registry=registry).labels(
            __version__
        ).set(1)
        decisions = Counter(
            "gracekeeper_decisions", "Pods decided on, by what became of them.", ["outcome", "mode"], registry=registry
        )
        self._decisions = {(outcome, mode): decisions.labels(outcome, mode) for outcome in Outcome for mode in Mode}
        missing = Counter(
            "gracekeeper_facts_missing",
            "Objects that a decision had to do without, by reason.",
            ["reason"],
            registry=registry,
        )
        self._missing = {reason: missing.labels(reason) for reason in MissingReason}
        refused = Counter(
            "gracekeeper_refused", "Requests that were no usable AdmissionReview.", ["reason"], registry=registry
        )
        self._refused = {refusal: refused.labels(refusal) for refusal in refusals}
        overloads = Counter(
            "gracekeeper_overloads", "What there was no room or time for, by stage.", ["stage"], registry=registry
        )
        self._overloads = {overload: overloads.labels(overload) for overload in Overload}
        self._held_bytes = Gauge(
            "gracekeeper_held_bytes",
            "Bytes of memory that requests hold: bodies, reviews that wait for facts, answers that nobody reads.",
            registry=registry,
        )
        self._bugs = Counter(
            "gracekeeper_bugs", "Errors of gracekeeper itself; the pod was allowed unpatched.", registry=registry
        )
        self._doubtful = Counter(
            "gracekeeper_doubtful_patches",
            "Patches withheld as they might not have applied; the pod was allowed unpatched.",
            registry=registry,
        )
        self._request_seconds = Histogram(
            "gracekeeper_request_seconds",
            "Time from a review's headers to its answer.",
            buckets=_REQUEST_BUCKETS_SECONDS,
            registry=registry,
        )
        self._grace_seconds = Histogram(
            "gracekeeper_grace_seconds",
            "Termination grace decided for training pods.",
            buckets=_GRACE_BUCKETS_SECONDS,
            registry=registry,
        )
        self._certificate_expiry = Gauge(
            "gracekeeper_certificate_expiry_timestamp_seconds",
            "When the serving certificate ends, as Unix time.",
            registry=registry,
        )
        self._certificate_in_step = Gauge(
            "gracekeeper_certificate_in_step",
            "1 while the serving certificate is kept in step with its Secret and the webhook configuration, or its files.",
            registry=registry,
        )
        self._clock_ahead = Gauge(
            "gracekeeper_clock_ahead_seconds",
            "How far this node's clock is ahead of the API server's, negative if behind; 0 if there is nothing to compare.",
            registry=registry,
        )
        self._native_sidecars = Gauge(
            "gracekeeper_native_sidecars",
            "1 where OSMO task pods get native sidecars, 0 where they do not or nobody asked.",
            registry=registry,
        )
        self._ready = Gauge("gracekeeper_ready", "1 if this replica is ready, 0 if it is not.", registry=registry)
        self._replicas_wanted = Gauge(
            "gracekeeper_replicas_wanted",
            "How many replicas the installation asks for, 0 if it does not say.",
            registry=registry,
        )
        self._config_valid = Gauge(
            "gracekeeper_config_valid",
            "1 where what the configuration file holds can be used, 0 where a former one is in use instead.",
            registry=registry,
        )
        self._config_valid.set(1)
        self._config_loaded = Gauge(
            "gracekeeper_config_loaded_timestamp_seconds",
            "Since when the configuration that is in use has been, as Unix time.",
            registry=registry,
        )

    def decided(self, decision: Decision) -> None:
        """Count one decision and what it had to do without."""
        self._decisions[decision.outcome, decision.mode].inc()
        if decision.grace_seconds is not None:
            self._grace_seconds.observe(decision.grace_seconds)
        for missing in decision.missing:
            self._missing[missing.reason].inc()

    def refused(self, refusal: StrEnum) -> None:
        """Count one request that got an HTTP error."""
        self._refused[refusal].inc()

    def overloaded(self, overload: Overload) -> None:
        """Count one request, answer or connection for which there was no room."""
        self._overloads[overload].inc()

    def bug(self) -> None:
        """Count one error of gracekeeper itself."""
        self._bugs.inc()

    def doubtful_patch(self) -> None:
        """Count one patch that was not sent."""
        self._doubtful.inc()

    def answered(self, seconds: float) -> None:
        """Count one answered review."""
        self._request_seconds.observe(seconds)

    def certificate_ends(self, timestamp_seconds: float) -> None:
        """Tell when the certificate that is being served ends."""
        self._certificate_expiry.set(timestamp_seconds)

    def certificate_in_step(self, in_step: Callable[[], bool]) -> None:
        """Tell, at each scrape, whether the serving certificate is kept in step."""
        self._certificate_in_step.set_function(lambda: float(in_step()))

    def clock_ahead(self, seconds: Callable[[], float]) -> None:
        """Tell, at each scrape, how far the clock is ahead of the API server's."""
        self._clock_ahead.set_function(seconds)

    def config_usable(self, usable: bool) -> None:  # noqa: FBT001  # a gauge
        """Tell whether what the configuration file holds can be used."""
        self._config_valid.set(usable)

    def config_loaded(self) -> None:
        """Tell that another configuration is in use from now on."""
        self._config_loaded.set_to_current_time()

    def readiness(self, ready: Callable[[], bool]) -> None:
        """Tell, at each scrape, whether this replica is ready."""
        self._ready.set_function(lambda: float(ready()))

    def replicas_wanted(self, count: int) -> None:
        """Tell how many replicas the installation asks for."""
        self._replicas_wanted.set(count)

    def held(self, held_bytes: Callable[[], int]) -> None:
        """Tell, at each scrape, how many bytes requests hold."""
        self._held_bytes.set_function(held_bytes)

    def watch(self, ages_seconds: Callable[[], Mapping[str, float]]) -> None:
        """Tell, at each scrape, how long ago each watched kind was last heard of."""
        self._registry.register(_WatchAges(ages_seconds))

    def facts_out_of_date(self, total: Callable[[], int]) -> None:
        """Tell, at each scrape, how many objects were served as they were read before."""
        self._registry.register(_FactsOutOfDate(total))

    def sidecars(self, native: Callable[[], bool]) -> None:
        """Tell, at each scrape, whether native sidecars are used."""
        self._native_sidecars.set_function(lambda: float(native()))

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)


class _WatchAges(Collector):
    def __init__(self, ages_seconds: Callable[[], Mapping[str, float]]) -> None:
        self._ages_seconds = ages_seconds

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "gracekeeper_watch_age_seconds",
            "Time since the last event or bookmark of a watched kind.",
            labels=["kind"],
        )
        for kind, age_seconds in self._ages_seconds().items():
            family.add_metric([kind], age_seconds)
        yield family


class _FactsOutOfDate(Collector):
    def __init__(self, total: Callable[[], int]) -> None:
        self._total = total

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(
            "gracekeeper_facts_out_of_date",
            "Objects that a decision used as they were read before, because the API server did not show them in time.",
            value=self._total(),
        )
