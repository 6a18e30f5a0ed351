"""The chart on the cluster, as an admin would install, upgrade and remove it."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.cluster.settings import ROOT
from tools.cluster.steps import StepError, attempt, run
from tools.kube import Kube, eventually

CHART = ROOT / "charts" / "gracekeeper"
ROLLOUT_SECONDS = 180


@dataclass(frozen=True, slots=True)
class Release:
    """One installed chart."""

    kube: Kube
    helm: Path
    name: str
    namespace: str
    image: str
    supervise_image: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def upgrade(self, *options: str, helm: Path | None = None, **values: Any) -> None:
        """`helm upgrade --install` of this checkout's chart, waited for until its pods are ready."""
        text = self.all_values(**values)
        command: list[str | Path] = [
            helm or self.helm,
            "upgrade",
            "--install",
            self.name,
            CHART,
            "-f",
            "-",
            "--create-namespace",
        ]
        try:
            self.run_helm(*command, *options, "--wait", f"--timeout={ROLLOUT_SECONDS}s", text=text)
        except StepError as error:
            raise StepError(f"{error}\n{self._state()}") from None

    def all_values(self, **values: Any) -> str:
        """The chart's values as text: the images on the nodes, the release's own values, and these."""
        images = {"image": _on_the_nodes(self.image), "supervise": {"image": _on_the_nodes(self.supervise_image)}}
        return json.dumps({**images, **self.values, **values})

    def _state(self) -> str:
        """What the person who looks at a failed rollout asks for first."""
        selector = "-lapp.kubernetes.io/component=webhook"
        commands = (["get", "pods", "-owide"], ["logs", selector, "--tail=15"], ["get", "events"])
        return "".join(attempt(self.kube.command(*words, f"-n{self.namespace}")).stdout for words in commands)

    def test(self) -> str:
        """What `helm test` prints."""
        return self.run_helm(self.helm, "test", self.name, "--logs", "--timeout=120s")

    def uninstall(self) -> None:
        """`helm uninstall`, waited for."""
        self.run_helm(self.helm, "uninstall", self.name, "--wait", f"--timeout={ROLLOUT_SECONDS}s")

    def run_helm(self, *command: str | Path, text: str | None = None) -> str:
        """A helm command in the release's namespace, on this cluster."""
        where = [f"--kubeconfig={self.kube.kubeconfig}", f"--namespace={self.namespace}"]
        return run([*command, *where], text=text, timeout_seconds=ROLLOUT_SECONDS + 60)

    @property
    def webhook_configuration(self) -> Mapping[str, Any]:
        """The MutatingWebhookConfiguration that is called in the order of its name, as it is now."""
        return self.kube.get("mutatingwebhookconfiguration", f"{self.namespace}.{self.name}")

    @property
    def last_webhook_configuration(self) -> Mapping[str, Any]:
        """The MutatingWebhookConfiguration that is called after all others, as it is now."""
        return self.kube.get("mutatingwebhookconfiguration", f"zzz.{self.namespace}.{self.name}")

    @property
    def secret(self) -> Mapping[str, Any]:
        """The Secret of the serving certificate as it is now."""
        return self.kube.get("secret", f"{self.name}-tls", self.namespace)

    @property
    def ca_bundles(self) -> Sequence[str]:
        """The caBundle of each entry of both webhook configurations."""
        entries = (*self.webhook_configuration["webhooks"], *self.last_webhook_configuration["webhooks"])
        return [entry["clientConfig"].get("caBundle", "") for entry in entries]

    def scale(self, replicas: int) -> None:
        """So many pods of the webhook, no more and no less, when this returns."""
        self.kube("scale", f"-n{self.namespace}", f"deployment/{self.name}", f"--replicas={replicas}")
        self.wait_for_rollout()
        eventually(lambda: len(self.pods()) == replicas, f"{replicas} pods of the webhook", ROLLOUT_SECONDS)

    def restart(self) -> None:
        """`kubectl rollout restart`; does not wait."""
        self.kube("rollout", "restart", f"-n{self.namespace}", f"deployment/{self.name}")

    def wait_for_rollout(self) -> None:
        """`kubectl rollout status`."""
        self.kube(
            "rollout", "status", f"-n{self.namespace}", f"deployment/{self.name}", f"--timeout={ROLLOUT_SECONDS}s"
        )

    def pods(self) -> list[Mapping[str, Any]]:
        """The pods of the webhook, those that are ending included."""
        selector = f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component=webhook"
        pods: list[Mapping[str, Any]] = self.kube.get("pods", namespace=self.namespace, selector=selector)["items"]
        return pods

    def metrics(self) -> dict[str, float]:
        """Every series of every pod, added up."""
        total: dict[str, float] = {}
        for pod in self.pods():
            path = f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}:8080/proxy/metrics"
            for line in self.kube("get", "--raw", path).splitlines():
                if not line.startswith("#"):
                    series, _, value = line.rpartition(" ")
                    total[series] = total.get(series, 0.0) + float(value)
        return total

    def rotate_certificate(self) -> None:
        """Ask for a new CA and certificate, as docs/operations.md says."""
        wanted = f"gracekeeper.dev/rotate={time.time_ns()}"
        self.kube("annotate", "--overwrite", f"-n{self.namespace}", f"secret/{self.name}-tls", wanted)


def _on_the_nodes(image: str) -> dict[str, str]:
    """Values for an image that every node has and no registry."""
    repository, _, tag = image.rpartition(":")
    return {"repository": repository, "tag": tag, "pullPolicy": "Never"}
