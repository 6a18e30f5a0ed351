"""The pods that exist, by the workload that they belong to: read by list and by name, never written.

Law: who may not read an owner still sees its pods, under the nearest owner that is known.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from webhook.api import Api, ApiError
from webhook.policy.pod.metadata import JsonObject, controller_of

_PAGE_PODS = 500
_CALL_SECONDS = 30.0
_FORBIDDEN, _NOT_FOUND = 403, 404
_ENDED = ("Succeeded", "Failed")
_COLLECTIONS = {
    ("apps", "ReplicaSet"): "replicasets",
    ("apps", "StatefulSet"): "statefulsets",
    ("batch", "Job"): "jobs",
    ("jobset.x-k8s.io", "JobSet"): "jobsets",
    ("ray.io", "RayCluster"): "rayclusters",
}
"""Owners that are often owned themselves: by Deployments, LeaderWorkerSets, CronJobs, JobSets, TrainJobs, RayJobs."""
_LONGEST_CHAIN = 5


@dataclass(frozen=True, slots=True)
class Workload:
    """Who a pod belongs to in the end: the outermost owner that can be seen, or the pod itself."""

    namespace: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class RunningPod:
    """A pod that has not ended, its workload, and the grace that its workload's template asks for."""

    pod: dict[str, Any]
    workload: Workload
    template_grace_seconds: int | None = None
    """None where the template is not known, or names none."""
    template_known: bool = False


class Workloads:
    """Reads pods and their owners; each owner once."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._owners: dict[str, JsonObject | None] = {}

    def pods(self, namespace: str | None) -> Iterator[RunningPod]:
        """Every pod of a namespace, or of all, that has not ended; ApiError where pods cannot be listed."""
        path = "/api/v1/pods" if namespace is None else f"/api/v1/namespaces/{namespace}/pods"
        query = {"limit": str(_PAGE_PODS), "fieldSelector": ",".join(f"status.phase!={phase}" for phase in _ENDED)}
        while True:
            page = self._api.get(path, query=query, timeout_seconds=_CALL_SECONDS)
            for each in page.get("items") or ():
                if (each.get("status") or {}).get("phase") not in _ENDED:
                    yield self._with_its_workload(each)
            following = (page.get("metadata") or {}).get("continue")
            if not following:
                return
            query = {**query, "continue": following}

    def _with_its_workload(self, pod: JsonObject) -> RunningPod:
        metadata = pod["metadata"]
        namespace = metadata.get("namespace", "")
        workload = Workload(namespace, "Pod", metadata["name"])
        reference, template = controller_of(pod), None
        for step in range(_LONGEST_CHAIN):
            if not reference:
                break
            workload = Workload(namespace, reference["kind"], reference["name"])
            owner = self._owner(namespace, reference)
            if step == 0 and owner is not None:
                template = (owner.get("spec") or {}).get("template")
            reference = controller_of(owner)
        seconds = ((template or {}).get("spec") or {}).get("terminationGracePeriodSeconds")
        as_created = {"apiVersion": "v1", "kind": "Pod", **{k: v for k, v in pod.items() if k != "status"}}
        return RunningPod(as_created, workload, seconds, template_known=template is not None)

    def _owner(self, namespace: str, reference: Mapping[str, Any]) -> JsonObject | None:
        version = str(reference.get("apiVersion", ""))
        collection = _COLLECTIONS.get((version.rpartition("/")[0], reference["kind"]))
        if collection is None:
            return None
        path = f"/apis/{version}/namespaces/{namespace}/{collection}/{reference['name']}"
        if path not in self._owners:
            try:
                self._owners[path] = self._api.get(path, timeout_seconds=_CALL_SECONDS)
            except ApiError as error:
                if error.status not in {_FORBIDDEN, _NOT_FOUND}:
                    raise
                self._owners[path] = None
        return self._owners[path]
