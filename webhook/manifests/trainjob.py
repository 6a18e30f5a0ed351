"""Kubeflow Trainer's TrainJob: its pods are those of a runtime, another object, with the job's own words put in."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from webhook.policy.pod.metadata import JsonObject
from webhook.policy.prefix import PREFIX

GROUP = "trainer.kubeflow.org"
KIND = (GROUP, "TrainJob")
RUNTIMES = {(GROUP, "ClusterTrainingRuntime"), (GROUP, "TrainingRuntime")}
_STEP_LABEL = f"{GROUP}/trainjob-ancestor-step"
_TRAINER_STEP = "trainer"
_TRAINER_CONTAINER = "node"
_FIELDS_OF_TRAINER = ("image", "command", "args")


def job_sets(job: JsonObject, runtimes: Sequence[JsonObject]) -> Iterator[dict[str, Any]]:
    """The JobSet that comes of the job; nothing where its runtime is not known."""
    runtime = _runtime(job, runtimes)
    if runtime is None:
        return
    spec, of_runtime = job.get("spec") or {}, runtime.get("spec") or {}
    template = of_runtime.get("template") or {}
    jobs = [_replicated(each, spec, of_runtime) for each in (template.get("spec") or {}).get("replicatedJobs") or ()]
    yield {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {key: value for key, value in (job.get("metadata") or {}).items() if key in {"name", "namespace"}},
        "spec": {"replicatedJobs": jobs},
    }


def unread(job: JsonObject, runtimes: Sequence[JsonObject]) -> Iterator[str]:
    """Why its pods, or a part of them, cannot be shown."""
    spec = job.get("spec") or {}
    reference = spec.get("runtimeRef") or {}
    if _runtime(job, runtimes) is None:
        kind, name = reference.get("kind") or "ClusterTrainingRuntime", reference.get("name", "")
        yield f"its pods are in the {kind} {name}: give that one too, here or with --objects"
    for field in ("labels", "annotations"):
        if any(str(key).startswith(PREFIX) for key in spec.get(field) or ()):
            yield f"spec.{field} reach no pod: use runtimePatches (Trainer 2.2 and newer) or podTemplateOverrides (2.1)"


def _runtime(job: JsonObject, runtimes: Sequence[JsonObject]) -> JsonObject | None:
    reference = (job.get("spec") or {}).get("runtimeRef") or {}
    wanted = (reference.get("kind") or "ClusterTrainingRuntime", reference.get("name"))
    return next((r for r in runtimes if (r.get("kind"), (r.get("metadata") or {}).get("name")) == wanted), None)


def _replicated(replicated: JsonObject, spec: JsonObject, of_runtime: JsonObject) -> dict[str, Any]:
    of_job = replicated.get("template") or {}
    job_spec = of_job.get("spec") or {}
    pod_template = job_spec.get("template") or {}
    pod = pod_template.get("spec") or {}
    if ((of_job.get("metadata") or {}).get("labels") or {}).get(_STEP_LABEL) == _TRAINER_STEP:
        nodes = _nodes(spec, of_runtime)
        job_spec = {**job_spec, "parallelism": nodes, "completions": nodes}
        pod = {**pod, "containers": [_trainer(each, spec, of_runtime) for each in pod.get("containers") or ()]}
    holders = [pod_template]
    for override in _overrides(spec, replicated.get("name")):
        pod = _overridden(pod, override.get("spec") or {})
        holders.append(override)
    metadata = {field: _joined(holders, field) for field in ("labels", "annotations")}
    return {**replicated, "template": {"spec": {**job_spec, "template": {"metadata": metadata, "spec": pod}}}}


def _overrides(spec: JsonObject, replicated_job: Any) -> Iterator[JsonObject]:
    """What the job changes in the pod template of a replicated job, with `metadata` and `spec`.

    podTemplateOverrides are Trainer 2.1's, runtimePatches those of 2.2 and newer (trainjob_types.go).
    """
    for override in spec.get("podTemplateOverrides") or ():
        if replicated_job in {target.get("name") for target in override.get("targetJobs") or ()}:
            yield override
    for patch in spec.get("runtimePatches") or ():
        template = (patch.get("trainingRuntimeSpec") or {}).get("template") or {}
        for each in (template.get("spec") or {}).get("replicatedJobs") or ():
            if each.get("name") == replicated_job:
                yield ((each.get("template") or {}).get("spec") or {}).get("template") or {}


def _joined(holders: Sequence[JsonObject], field: str) -> dict[str, Any]:
    """The labels or annotations of several templates; what a later one says wins."""
    return {key: value for each in holders for key, value in ((each.get("metadata") or {}).get(field) or {}).items()}


def _trainer(container: JsonObject, spec: JsonObject, of_runtime: JsonObject) -> dict[str, Any]:
    """The container of the training step, with what the job says of it and what the torch plugin adds."""
    if container.get("name") != _TRAINER_CONTAINER:
        return dict(container)
    trainer, policy = spec.get("trainer") or {}, of_runtime.get("mlPolicy") or {}
    fields = {field: trainer[field] for field in _FIELDS_OF_TRAINER if trainer.get(field)}
    if trainer.get("resourcesPerNode"):
        fields["resources"] = trainer["resourcesPerNode"]
    environment = _merged(container.get("env"), trainer.get("env"))
    if "torch" in policy:
        environment = _merged(environment, [{"name": "PET_NNODES", "value": str(_nodes(spec, of_runtime))}])
    return {**container, **fields, **({"env": environment} if environment else {})}


def _nodes(spec: JsonObject, of_runtime: JsonObject) -> Any:
    """How many pods the training step has."""
    return (spec.get("trainer") or {}).get("numNodes") or (of_runtime.get("mlPolicy") or {}).get("numNodes") or 1


def _overridden(pod: JsonObject, override: Mapping[str, Any]) -> dict[str, Any]:
    by_name = {each.get("name"): each for each in override.get("containers") or ()}
    containers = []
    for each in pod.get("containers") or ():
        container_override = by_name.get(each.get("name"), {})
        lists = {field: _merged(each.get(field), container_override.get(field)) for field in ("env", "volumeMounts")}
        containers.append({**each, **{field: value for field, value in lists.items() if value}})
    plain = {key: value for key, value in override.items() if key not in {"containers", "initContainers", "volumes"}}
    volumes = _merged(pod.get("volumes"), override.get("volumes"))
    return {**pod, **plain, "containers": containers, **({"volumes": volumes} if volumes else {})}


def _merged(first: Any, second: Any) -> list[Any]:
    """Two lists of named things; what the second names replaces what the first does."""
    names = {each.get("name") for each in second or ()}
    return [*(each for each in first or () if each.get("name") not in names), *(second or ())]
