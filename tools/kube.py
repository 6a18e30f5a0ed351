"""The cluster as the tests see it: kubectl for what an admin would type, raw calls where many objects are made."""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tools.cluster.steps import StepError, run
from webhook.api import Api, ApiError

Json = dict[str, Any]
CALL_SECONDS = 30.0
FIRST_LOOK_SECONDS, LATER_LOOKS_SECONDS = 0.2, 0.5


@dataclass(frozen=True, slots=True)
class Kube:
    """One cluster through its own kubeconfig file."""

    kubectl: Path
    kubeconfig: Path
    api: Api

    def __call__(self, *arguments: str, text: str | None = None, timeout_seconds: float = 300) -> str:
        """What `kubectl ARGUMENTS` prints; StepError with its message where it fails."""
        return run(self.command(*arguments), text=text, timeout_seconds=timeout_seconds)

    def command(self, *arguments: str) -> list[str | Path]:
        """The words of `kubectl ARGUMENTS`."""
        return [self.kubectl, f"--kubeconfig={self.kubeconfig}", *arguments]

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """`kubectl apply` of these objects."""
        self("apply", "-f", "-", text=yaml.safe_dump_all(list(objects)))

    def get(self, kind: str, name: str = "", namespace: str = "", selector: str = "") -> Json:
        """One object, or a list."""
        words = [word for word in (kind, name) if word]
        options = [f"-n{namespace}"] if namespace else []
        options += [f"-l{selector}"] if selector else []
        manifest: Json = json.loads(self("get", *words, *options, "-ojson"))
        return manifest

    def exists(self, kind: str, name: str, namespace: str = "") -> bool:
        """Whether the object is there."""
        options = [f"-n{namespace}"] if namespace else []
        return bool(self("get", kind, name, *options, "--ignore-not-found", "-oname").strip())

    def create_pod(self, namespace: str, pod: Mapping[str, Any]) -> Json:
        """The pod as the API server made it, by a raw call; ApiError where it refuses."""
        return self.api.post(f"/api/v1/namespaces/{namespace}/pods", pod, timeout_seconds=CALL_SECONDS)

    def make_namespace(self, name: str, labels: Mapping[str, str] | None = None) -> None:
        """The namespace, ready for pods: its default ServiceAccount is there."""
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels or {})}})
        eventually(lambda: self.exists("serviceaccount", "default", name), f"ServiceAccount default in {name}")

    def remove_namespaces(self, *names: str) -> None:
        """Begin to remove namespaces and what is in them."""
        self("delete", "namespace", *names, "--ignore-not-found", "--wait=false")


def eventually(is_true: Callable[[], Any], description: str, seconds: float = 60) -> Any:
    """The first truthy answer; an assertion that names `what` where there is none in time."""
    end = time.monotonic() + seconds
    pause = FIRST_LOOK_SECONDS
    failure: Exception | None = None
    while True:
        try:
            answer, failure = is_true(), None
        except (StepError, ApiError) as error:
            answer, failure = None, error
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s: {description}" + (f" ({failure})" if failure else ""))
        time.sleep(pause)
        pause = LATER_LOOKS_SECONDS


def paced(count: int, per_second: float, make: Callable[[int], Any]) -> Iterable[Any]:
    """Results of `make(0)`, `make(1)`, ..., so many a second."""
    began = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, began + number / per_second - time.monotonic()))
        yield make(number)
