"""The two names of a workload: hashes of what its pod runs, which are the same for its next run.

The coarse name is the same for runs that differ in numbers, dates and names. What was learned under it may only raise a
grace. The exact name also holds literal arguments and variables, the image's tag or digest and the names of mounted
ConfigMaps. What was learned under it may lower a grace too, so two models never share one.

Law: what gracekeeper or another webhook adds to a pod is in no name.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from webhook.policy.checkpoint import writers
from webhook.policy.pod import Container, Pod, PodVolume, marks
from webhook.policy.workload import run_ids
from webhook.policy.workload.run_ids import OwnNames

_DIGITS = 16
_AS_TEXT = json.JSONEncoder(sort_keys=True, default=str)
_LABELS_WITH_A_NAME_OF_THE_RUN = (
    "app.kubernetes.io/instance",
    "release",
    "batch.kubernetes.io/job-name",
    "job-name",
    "jobset.sigs.k8s.io/jobset-name",
    "training.kubeflow.org/job-name",
    "trainer.kubeflow.org/trainjob-name",
    "volcano.sh/job-name",
    "ray.io/cluster",
    "ray.io/originated-from-cr-name",
    "leaderworkerset.sigs.k8s.io/name",
    "workflows.argoproj.io/workflow",
    "katib.kubeflow.org/trial",
    "elasticjob.dlrover/name",
)
"""Labels whose value one run has and the next has not: by Helm, Kubernetes and training systems."""
_LABELS_WITH_AN_ID_OF_THE_RUN = (
    "jobset.sigs.k8s.io/jobset-uid",
    "execution-id",
    "osmo.workflow_uuid",
    "osmo.group_uuid",
    "osmo.task_uuid",
)
"""Labels whose value tells nothing but which run it is: by JobSet, Flyte and OSMO."""
_LABELS_OF_AN_OSMO_TASK = ("osmo.pool", "osmo.platform", "osmo.task_name")
_OSMO_WORKFLOW = "osmo.workflow_id"
"""An OSMO workflow's name and the number of its run."""
_CLUSTERS_OWN_CONFIG_MAPS = frozenset({"kube-root-ca.crt", "openshift-service-ca.crt"})
_VARIABLES_OF_A_STOP = frozenset(
    {
        "TORCH_ELASTIC_SHUTDOWN_TIMEOUT",
        "ARGO_TERMINATION_GRACE_PERIOD_SECONDS",
        "HF_CSI_TERMINATION_GRACE_SECONDS",
        "HOSTNAME",
    }
)
"""Clocks, which gracekeeper sets itself, and the pod's own name."""
_PREFIXES_OF_AN_EXECUTION = ("FLYTE_INTERNAL_", "ARGO_", "KFP_")
"""Variables by which an engine tells its executor about one run. The command is in the pod's words."""


@dataclass(frozen=True, slots=True)
class WorkloadNames:
    """The names under which terminations of a workload are remembered, within its namespace: 16 hex digits each."""

    coarse: str
    exact: str


def names_of(pod: Pod) -> WorkloadNames:
    """Return both names of the workload that a pod belongs to. Pods of its next run have the same."""
    own, size = _own_names(pod), _size_of_job(pod)
    return WorkloadNames(_hash({**_coarse_parts(pod, own), **size}), _hash({**_exact_parts(pod, own), **size}))


def _coarse_parts(pod: Pod, own: OwnNames) -> dict[str, Any]:
    claims = (run_ids.coarse_text(name, own) for name in _claims(pod))
    return {
        "image": run_ids.coarse_text(_repository(pod.trainer.image), own),
        "words": [run_ids.coarse_text(word, own) for word in pod.trainer.own_words],
        "claims": sorted(set(claims)),
    }


def _exact_parts(pod: Pod, own: OwnNames) -> dict[str, Any]:
    claims = (run_ids.exact_text(name, own, names_a_run=True) for name in _claims(pod))
    return {
        "trainer": _exact_container(pod.trainer, own),
        "before": [_exact_container(container, own) for container in _prepares(pod)],
        "claims": sorted(claims),
        "config_maps": sorted({run_ids.exact_text(name, own) for name in _config_maps(pod)}),
        "osmo": run_ids.without_last_number(str(pod.labels.get(_OSMO_WORKFLOW, ""))) if pod.osmo_task else "",
    }


def _exact_container(container: Container, own: OwnNames) -> dict[str, Any]:
    variables = {
        name: run_ids.exact_value(name, str(value), own, has_world_size=True)
        for name, value in container.environment.items()
        if name not in _VARIABLES_OF_A_STOP and not name.startswith(_PREFIXES_OF_AN_EXECUTION)
    }
    return {
        "image": container.image,
        "words": list(run_ids.exact_words(container.own_words, own)),
        "variables": {name: value for name, value in sorted(variables.items()) if value},
    }


def _size_of_job(pod: Pod) -> dict[str, Any]:
    """Return the accelerators, the number of pods that write, and of an OSMO task its place."""
    accelerators: dict[str, int] = {}
    for container in pod.containers:
        for resource, count in container.accelerators.items():
            accelerators[resource] = accelerators.get(resource, 0) + count
    pods = writers.pods_of_job(pod, None)
    of_osmo = [pod.labels.get(label) for label in _LABELS_OF_AN_OSMO_TASK] if pod.osmo_task is not None else []
    return {
        "accelerators": accelerators,
        "writers": None if pods is None else [pods.fewest, pods.most],
        "task": of_osmo,
    }


def _own_names(pod: Pod) -> OwnNames:
    labels = (pod.labels.get(label) for label in _LABELS_WITH_A_NAME_OF_THE_RUN)
    owners = (owner.name for owner in pod.owners)
    ids = (pod.labels.get(label) for label in _LABELS_WITH_AN_ID_OF_THE_RUN)
    return run_ids.own_names((pod.name, *owners, *labels), numbered=(pod.labels.get(_OSMO_WORKFLOW),), ids=ids)


def _prepares(pod: Pod) -> Iterator[Container]:
    """Yield the init containers that write what the trainer reads, such as a download of the model. An OSMO task's are OSMO's."""
    if pod.osmo_task is not None:
        return
    written = {volume.name for volume in pod.volumes if volume.can_be_written} - {marks.SUPERVISE_VOLUME}
    of_trainer = {mount.volume_name for mount in pod.trainer.mounts} & written
    for container in pod.init_containers:
        if not container.is_native_sidecar and any(mount.volume_name in of_trainer for mount in container.mounts):
            yield container


def _mounted(pod: Pod) -> Iterator[PodVolume]:
    names = {mount.volume_name for mount in pod.trainer.mounts}
    return (volume for volume in pod.volumes if volume.name in names)


def _claims(pod: Pod) -> Iterator[str]:
    """Yield the claims that the trainer mounts. A generic ephemeral volume's claim is new each time: it counts by its volume."""
    of_stateful_set = "StatefulSet" in pod.owner_kinds
    for volume in _mounted(pod):
        if volume.has_claim:
            name = volume.claim_name if volume.claim_template is None else volume.name
            yield run_ids.without_last_number(name or volume.name) if of_stateful_set else name or volume.name


def _config_maps(pod: Pod) -> Iterator[str]:
    yield from pod.trainer.config_map_names
    for volume in _mounted(pod):
        yield from (name for name in volume.config_map_names if name not in _CLUSTERS_OWN_CONFIG_MAPS)


def _repository(image: str) -> str:
    """Return an image's repository: without digest and tag, and with the port of its registry."""
    name = image.partition("@")[0]
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}"


def _hash(parts: Mapping[str, Any]) -> str:
    return sha256(_AS_TEXT.encode(parts).encode("ascii")).hexdigest()[:_DIGITS]
