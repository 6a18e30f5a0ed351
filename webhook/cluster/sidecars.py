"""Whether this cluster runs native sidecars as they are meant: what its API server keeps, and how old its kubelets are.

Law: while in doubt they are not used. A server without them drops the field without a word, and the pod hangs for ever;
kubelets before 1.31 end sidecars and the other containers in no certain order.
"""

import threading
import time
from dataclasses import dataclass
from typing import Any

from webhook import log
from webhook.api import Api, ApiError
from webhook.cluster.nodes import NEED, counted_up, is_new_enough
from webhook.cluster.watched import Derived, Watched
from webhook.log import Logger
from webhook.policy.facts import Sidecars
from webhook.policy.prefix import ENABLED_LABEL

_SIDECAR = "sidecar"
_PULL_POLICY = "IfNotPresent"
"""Of what gracekeeper adds to pods; the plugin AlwaysPullImages makes it Always."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often the API server is asked."""

    version_seconds: float = 60.0
    probe_seconds: float = 600.0
    """For a test pod; a new version of the server asks for one at once."""
    retry_seconds: tuple[float, float] = (0.5, 60.0)
    """The first pause after a failure and the longest; each is twice the one before."""
    look_seconds: float = 5.0
    """How soon the log tells what the nodes have changed."""
    call_seconds: float = 10.0
    """The most that one call may take; other webhooks see the test pod too."""
    deaf_seconds: float = 180.0
    """After which nodes that nothing was heard of count as unknown; a watch hears at least its own end in two minutes."""


@dataclass(frozen=True, slots=True)
class Probe:
    """The pod that the API server is shown, never to be created."""

    namespace: str | None
    """gracekeeper's own, which its webhook leaves alone."""
    image: str
    """One that the cluster's policies allow."""
    pre_pull: str | None = None
    """Name of the pre-pull DaemonSet in that namespace; None where it is not installed."""

    def pod(self) -> dict[str, Any]:
        """As small as Pod Security's `restricted` and a quota of the namespace allow; no mark of training is on it."""
        amounts = {"cpu": "10m", "memory": "16Mi"}
        container = {
            "image": self.image,
            "imagePullPolicy": _PULL_POLICY,
            "resources": {"requests": amounts, "limits": amounts},
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"generateName": "gracekeeper-asks-", "labels": {ENABLED_LABEL: "false"}},
            "spec": {
                "initContainers": [{**container, "name": _SIDECAR, "restartPolicy": "Always"}],
                "containers": [{**container, "name": "main"}],
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            },
        }


class SidecarSupport:
    """The answer, kept up to date: `run` belongs to one thread, `now` to everybody."""

    def __init__(self, api: Api, nodes: Watched, probe: Probe, logger: Logger, rhythm: Rhythm) -> None:
        self._api = api
        self._nodes = nodes
        self._probe = probe
        self._logger = logger
        self._rhythm = rhythm
        self._server_problem = "the API server has not been asked yet"
        self._version = ""
        self._ask_at = self._probe_at = 0.0
        self._pause_seconds = rhythm.retry_seconds[0]
        self._logged: Sidecars | None = None
        self._of_nodes = Derived(nodes, counted_up)
        self.tried = False
        """Whether the API server was asked, whatever came of it."""
        self.forces_pulls = False
        """Whether it changed the test pod so that its images are always pulled."""

    def now(self) -> Sidecars:
        """What is known at this moment; never waits."""
        architectures, nodes_problem = self._of_nodes.now()
        why_not = self._server_problem or self._nodes_unknown() or nodes_problem
        return Sidecars(not why_not, why_not, architectures)

    def run(self, stop: threading.Event) -> None:
        """Ask until told to stop, and log each change."""
        while not stop.is_set():
            if time.monotonic() >= self._ask_at:
                self._ask()
            self._tell()
            stop.wait(min(self._rhythm.look_seconds, max(0.0, self._ask_at - time.monotonic())))

    def _ask(self) -> None:
        try:
            self._ask_server()
        except ApiError as error:
            pause_seconds = self._failed(error)
        except Exception as error:  # noqa: BLE001  # the thread must live on, as a watch's
            pause_seconds = self._failed(ApiError(0, "Bug", type(error).__name__), **log.trace(error))
        else:
            self._pause_seconds = self._rhythm.retry_seconds[0]
            pause_seconds = self._rhythm.version_seconds
        self._ask_at = time.monotonic() + pause_seconds
        self.tried = True

    def _ask_server(self) -> None:
        version = str(self._api.get("/version", timeout_seconds=self._rhythm.call_seconds).get("gitVersion"))
        if version == self._version and time.monotonic() < self._probe_at:
            return
        if is_new_enough(version):
            self._server_problem = self._probe_problem()
        else:
            self._server_problem = f"the API server is {version.removeprefix('v')}, {NEED}"
        self._version, self._probe_at = version, time.monotonic() + self._rhythm.probe_seconds

    def _probe_problem(self) -> str:
        """What the API server made of the test pod; empty where all of it was kept."""
        if self._probe.namespace is None:
            return "GRACEKEEPER_SERVER_NAMESPACE is not set, so the API server cannot be shown a test pod"
        path = f"/api/v1/namespaces/{self._probe.namespace}/pods"
        shown = self._api.post(
            path, self._probe.pod(), query={"dryRun": "All"}, timeout_seconds=self._rhythm.call_seconds
        )
        containers = (shown.get("spec") or {}).get("initContainers") or ()
        self.forces_pulls = any(each.get("imagePullPolicy", _PULL_POLICY) != _PULL_POLICY for each in containers)
        if any(each.get("name") == _SIDECAR and each.get("restartPolicy") == "Always" for each in containers):
            return ""
        return "the API server drops restartPolicy of init containers: its feature gate SidecarContainers is off"

    def _failed(self, failure: ApiError, **trace: Any) -> float:
        """Note it; the result is the pause until the next attempt."""
        if failure.status == 0:  # the message may name sockets, and ends up on pods
            problem = f"the API server gave no answer about native sidecars ({failure.reason})"
        else:
            problem = f"the API server refused to answer about native sidecars: {failure}"
        if problem != self._server_problem:
            self._logger.warning("cannot ask about native sidecars", why=str(failure), **trace)
        self._server_problem, self._probe_at = problem, 0.0
        pause_seconds = self._pause_seconds
        self._pause_seconds = min(pause_seconds * 2, self._rhythm.retry_seconds[1])
        return pause_seconds

    def _nodes_unknown(self) -> str:
        failure = self._nodes.failure
        if self._nodes.forbidden:
            return "gracekeeper may not list nodes: its ClusterRole is missing or cut"
        if not self._nodes.synced and failure is not None:
            return f"the nodes cannot be listed ({failure.reason})"
        if not self._nodes.synced:
            return "the nodes are not known yet"
        if self._nodes.age_seconds() > self._rhythm.deaf_seconds:
            return "the nodes have not been heard of for minutes"
        return ""

    def _tell(self) -> None:
        sidecars = self.now()
        if self._logged == sidecars or not (self.tried and self._nodes.tried):
            return
        self._logged = sidecars
        architectures = sorted(sidecars.architectures)
        if sidecars.native:
            self._logger.info("native sidecars are used", architectures=architectures)
        else:
            self._logger.info("native sidecars are not used", why=sidecars.why_not, architectures=architectures)
