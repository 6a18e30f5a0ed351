"""What the match condition costs an API server, for pods that are not matched: nobody is called."""

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.contestants import HOST
from bench.control_plane import ControlPlane
from bench.process import cpu_seconds
from bench.training_pods import CALL_SECONDS, PODS_PATH, a_pod
from webhook.api import Api, ApiError
from webhook.policy.recognition.match_condition import match_condition

CREATIONS, TURNS = 400, 4


@dataclass(frozen=True, slots=True)
class Condition:
    """Dry-run creations of pods that are not matched, and what they cost the API server."""

    how: str
    p50_ms: float
    p99_ms: float
    cpu_ms: float


def measured(api: Api, plane: ControlPlane) -> list[Condition]:
    """Return the cost without a webhook, with a short condition, and with gracekeeper's, in turns."""
    hows = ("no webhook", "another condition", "gracekeeper's condition")
    expressions = {hows[1]: "object.metadata.name == 'nobody'", hows[2]: match_condition()}
    times_ms: dict[str, list[float]] = {how: [] for how in hows}
    cpu_ms: dict[str, list[float]] = {how: [] for how in hows}
    for _ in range(TURNS):
        for how in hows:
            with _configured(api, expressions.get(how)):
                before = cpu_seconds(plane.pid)
                times_ms[how] += _creations(api)
                cpu_ms[how].append(1000 * (cpu_seconds(plane.pid) - before) / CREATIONS)
    quantiles = {how: statistics.quantiles(each, n=100) for how, each in times_ms.items()}
    return [Condition(how, quantiles[how][49], quantiles[how][98], statistics.median(cpu_ms[how])) for how in hows]


def _creations(api: Api) -> list[float]:
    """Milliseconds of each dry-run creation of a pod that does not train, with forty variables."""
    pod = a_pod("web", labelled=False)
    del pod["metadata"]["labels"]
    times = []
    for _ in range(CREATIONS):
        began = time.perf_counter()
        api.post(PODS_PATH, pod, query={"dryRun": "All"}, timeout_seconds=CALL_SECONDS)
        times.append((time.perf_counter() - began) * 1000)
    return times


@contextmanager
def _configured(api: Api, expression: str | None) -> Iterator[None]:
    """A webhook configuration with this match condition, of a server that is not there; None: no configuration."""
    path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
    webhook = {
        "name": "bench.gracekeeper.dev",
        "clientConfig": {"url": f"https://{HOST}:9/mutate"},
        "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
        "failurePolicy": "Ignore",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 1,
        "matchConditions": [{"name": "trains", "expression": expression}],
    }
    webhooks = [] if expression is None else [webhook]
    try:
        held = api.get(f"{path}/bench", timeout_seconds=CALL_SECONDS)
        api.put(f"{path}/bench", {**held, "webhooks": webhooks}, timeout_seconds=CALL_SECONDS)
    except ApiError:
        api.post(path, {"metadata": {"name": "bench"}, "webhooks": webhooks}, timeout_seconds=CALL_SECONDS)
    time.sleep(2)  # until the API server uses it
    yield
