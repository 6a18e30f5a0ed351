"""YAML files as people keep them: the pods in them, as their controllers would create them, and the objects around them.

Law: what the API server would refuse is refused here too, in one line that says what to write instead.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from webhook.manifests import jobs, misshapen, pod_templates, replicas
from webhook.manifests.text import BadManifestError, NoPodError, documents, documents_and_refusals
from webhook.policy.pod.metadata import JsonObject
from webhook.shapes import kind_of_value

__all__ = [
    "BadManifestError",
    "NoPodError",
    "PodInFile",
    "Reading",
    "documents",
    "documents_and_refusals",
    "no_pod_in",
    "pods_in",
    "reading_of",
    "surroundings",
]

_MISSHAPEN = (AttributeError, KeyError, TypeError, ValueError)
"""What reading another kind's fields comes to where they are not what that kind says."""
_CONTROLLER_BETWEEN = {
    ("apps", "Deployment"): ("apps/v1", "ReplicaSet"),
    ("batch", "CronJob"): ("batch/v1", "Job"),
    ("jobset.x-k8s.io", "JobSet"): ("batch/v1", "Job"),
    ("leaderworkerset.x-k8s.io", "LeaderWorkerSet"): ("apps/v1", "StatefulSet"),
    ("ray.io", "RayJob"): ("ray.io/v1", "RayCluster"),
    ("ray.io", "RayService"): ("ray.io/v1", "RayCluster"),
    ("argoproj.io", "CronWorkflow"): ("argoproj.io/v1alpha1", "Workflow"),
    ("argoproj.io", "WorkflowTemplate"): ("argoproj.io/v1alpha1", "Workflow"),
    ("argoproj.io", "ClusterWorkflowTemplate"): ("argoproj.io/v1alpha1", "Workflow"),
}
"""Kinds whose pods are owned by another object, which they create."""
_LABELS_BY_CONTROLLER = {
    ("batch", "Job"): ("batch.kubernetes.io/job-name",),
    ("batch", "CronJob"): ("batch.kubernetes.io/job-name",),
    ("batch.volcano.sh", "Job"): ("volcano.sh/job-name",),
    ("jobset.x-k8s.io", "JobSet"): ("jobset.sigs.k8s.io/jobset-name", "batch.kubernetes.io/job-name"),
    ("leaderworkerset.x-k8s.io", "LeaderWorkerSet"): ("leaderworkerset.sigs.k8s.io/name",),
    ("argoproj.io", "Workflow"): ("workflows.argoproj.io/workflow",),
    ("argoproj.io", "CronWorkflow"): ("workflows.argoproj.io/workflow",),
    ("argoproj.io", "WorkflowTemplate"): ("workflows.argoproj.io/workflow",),
    ("argoproj.io", "ClusterWorkflowTemplate"): ("workflows.argoproj.io/workflow",),
    ("ray.io", "RayCluster"): ("ray.io/cluster",),
    ("ray.io", "RayJob"): ("ray.io/cluster",),
    ("ray.io", "RayService"): ("ray.io/cluster",),
}
"""Labels with the object's name that a controller puts on its pods, where recognition rests on them."""
_RAY_SUBMITTER = "submitterPodTemplate"
"""Of a RayJob: the pod that hands the job in, which a Job makes and Ray's labels are not on."""
_LWS_SIZE_ANNOTATION = "leaderworkerset.sigs.k8s.io/size"


@dataclass(frozen=True, slots=True)
class PodInFile:
    """One pod of a file, where it was found, and the namespace it would be created in."""

    where: str
    namespace: str
    pod: dict[str, Any]
    claims: Mapping[str, JsonObject] = field(default_factory=dict)
    """Claims that its controller makes for it, by name."""
    job: JsonObject | None = None
    """The Indexed Job that makes it."""
    of_object: str = ""
    """The file and the object that it comes of."""
    template: str = ""
    """The path of its template in that object; empty for a plain pod."""
    replicas: int = 0
    """How many pods of its job train, where the job lists them by role; 0: not known."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file holds."""

    pods: tuple[PodInFile, ...]
    refused: tuple[str, ...]
    """One line for each document or pod that the API server would refuse."""
    unread: tuple[str, ...]
    """One line for each object whose pods cannot be shown, or not wholly."""


def reading_of(
    objects: Sequence[dict[str, Any]], name: str, namespace: str, others: Sequence[JsonObject] = ()
) -> Reading:
    """Return every pod, and every pod template of a Job or another kind as the pod that would come of it.

    `namespace` is where objects go that name none; `others` may hold what the objects refer to, such as the runtime of a
    TrainJob. What is refused of one object hides no other.
    """
    pods: list[PodInFile] = []
    refused: list[str] = []
    unread: list[str] = []
    for document in objects:
        try:
            created = list(pod_templates.created_of(document, objects, others))
            candidates = [pod for each in created for pod in _pods_of(each, name, namespace)]
            unread += [f"{name}: {line}" for line in pod_templates.unread_of(document, objects, others)]
            if candidates:
                unread += [f"{name}: {line}" for line in pod_templates.keys_beside_the_template(document)]
        except BadManifestError as error:
            refused.append(str(error))
        except _MISSHAPEN:
            refused.append(f"{name}: {_called(document)}an object is not shaped as its kind is")
        else:
            for pod in candidates:
                try:
                    _refuse_pod(pod)
                    pods.append(pod)
                except BadManifestError as error:
                    refused.append(str(error))
    return Reading(tuple(pods), tuple(refused), tuple(unread))


def pods_in(
    objects: list[dict[str, Any]], name: str, namespace: str, others: Sequence[JsonObject] = ()
) -> list[PodInFile]:
    """Return the pods of `reading_of`; BadManifestError where one is refused, NoPodError where there is none."""
    reading = reading_of(objects, name, namespace, others)
    if reading.refused:
        raise BadManifestError(reading.refused[0])
    if not reading.pods:
        raise no_pod_in(objects, name, reading)
    return list(reading.pods)


def no_pod_in(objects: Sequence[JsonObject], name: str, reading: Reading) -> BadManifestError:
    """Return the error of a file of which no pod can be shown: one that cannot be read, or a NoPodError."""
    why = next(iter((*reading.refused, *reading.unread)), None)
    return BadManifestError(why) if why else NoPodError(f"{name}: no pod and no pod template in it{_kinds_in(objects)}")


def surroundings(text: str, name: str) -> list[dict[str, Any]]:
    """The objects of a text that stands for what a cluster would tell."""
    objects = documents(text, name)
    for each in objects:
        called = misshapen.mapping(each, "metadata", name).get("name")
        misshapen.refuse_misshapen_object(each, f"{name}: {each.get('kind') or 'object'} {called or ''}".strip())
    return objects


def _called(document: JsonObject) -> str:
    """Return kind and name of an object as a line begins with them; nothing where it has no name."""
    metadata = document.get("metadata")
    named = metadata.get("name") if isinstance(metadata, dict) else None
    return f"{document.get('kind')} {named}: " if isinstance(named, str) else ""


def _kinds_in(objects: Sequence[JsonObject]) -> str:
    kinds = list(dict.fromkeys(str(each["kind"]) for each in objects if each.get("kind")))
    return f", only {', '.join(kinds[:5])}{', ...' if len(kinds) > 5 else ''}" if kinds else ""  # noqa: PLR2004  # one line


def _pods_of(document: dict[str, Any], name: str, namespace: str) -> Iterator[PodInFile]:
    metadata = misshapen.mapping(document, "metadata", name)
    namespace = metadata.get("namespace") or namespace
    label = (
        f"{name}: {document.get('kind', 'object')} {metadata.get('name') or metadata.get('generateName', '')}".strip()
    )
    if document.get("kind") == "Pod":
        yield PodInFile(label, namespace, {**document, "metadata": metadata}, of_object=label)
        return
    claims = pod_templates.claims_of(document)
    for path, above, template in _templates(document, (), ()):
        owner = {**document, "apiVersion": "batch/v1", "kind": "Job"} if _RAY_SUBMITTER in path else document
        inner = ".".join(path)
        where = f"{label} {inner}"
        for metadata_field in ("labels", "annotations"):
            misshapen.mapping(misshapen.mapping(template, "metadata", where), metadata_field, where, "metadata.")
        made = replicas.with_number_of_nodes(document, jobs.numbered(document, above, template))
        pod = _created_by(owner, made, namespace)
        count = replicas.replicas_of(document, template)
        yield PodInFile(where, namespace, pod, claims, jobs.indexed(document, above), label, inner, count)


def _templates(
    value: Any, path: tuple[str, ...], above: tuple[JsonObject, ...]
) -> Iterator[tuple[tuple[str, ...], tuple[JsonObject, ...], dict[str, Any]]]:
    """Whatever looks like a pod template: an object whose spec has containers. No list of kinds can be complete.

    Each with its path, and with the objects that it lies in, the innermost last.
    """
    if isinstance(value, dict):
        if path and isinstance(value.get("spec"), dict) and isinstance(value["spec"].get("containers"), list):
            yield path, above, value
            return
        for key, inner in value.items():
            yield from _templates(inner, (*path, str(key)), (*above, value))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _templates(inner, (*path, str(index)), above)


def _created_by(owner: JsonObject, template: JsonObject, namespace: str) -> dict[str, Any]:
    """The pod that a controller makes of a template: its owner, and the labels that recognition may rest on."""
    kind, name = str(owner.get("kind", "")), str((owner.get("metadata") or {}).get("name", ""))
    version = str(owner.get("apiVersion", ""))
    known = version.rpartition("/")[0], kind
    owning_version, owning_kind = _CONTROLLER_BETWEEN.get(known, (version, kind))
    metadata = dict(template.get("metadata") or {})
    labels = dict.fromkeys(_LABELS_BY_CONTROLLER.get(known, ()), name)
    if known[0] == "ray.io":
        labels["ray.io/originated-from-crd"] = kind
    if known == ("leaderworkerset.x-k8s.io", "LeaderWorkerSet"):
        size = ((owner.get("spec") or {}).get("leaderWorkerTemplate") or {}).get("size", 1)
        metadata["annotations"] = {_LWS_SIZE_ANNOTATION: str(size), **(metadata.get("annotations") or {})}
    metadata["labels"] = {**labels, **(metadata.get("labels") or {})}
    metadata["generateName"] = f"{name}-"
    metadata["namespace"] = namespace
    metadata["ownerReferences"] = [
        {"apiVersion": owning_version, "kind": owning_kind, "name": name, "controller": True}
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {k: v for k, v in metadata.items() if v},
        "spec": template["spec"],
    }


def _refuse_pod(pod_in_file: PodInFile) -> None:
    """Raise BadManifestError for what an API server would refuse."""
    spec = misshapen.mapping(pod_in_file.pod, "spec", pod_in_file.where)
    containers = spec.get("containers")
    if not isinstance(containers, list) or not containers or not all(isinstance(c, dict) for c in containers):
        raise BadManifestError(f"{pod_in_file.where}: spec.containers is to be a list of containers")
    misshapen.refuse_misshapen_pod(pod_in_file.pod, pod_in_file.where)
    for each in (*pod_in_file.claims.values(), *([] if pod_in_file.job is None else [pod_in_file.job])):
        misshapen.refuse_misshapen_object(each, pod_in_file.where)
    for metadata_field in ("labels", "annotations"):
        for key, value in misshapen.mapping(
            pod_in_file.pod["metadata"], metadata_field, pod_in_file.where, "metadata."
        ).items():
            _text(value, f"{pod_in_file.where}: {metadata_field[:-1]} {key}")
    for container in (*containers, *(spec.get("initContainers") or ())):
        for entry in _entries(container):
            if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
                raise BadManifestError(
                    f"{pod_in_file.where}: env of container {container.get('name')} is to be a list of names and values"
                )
            _text(
                "" if entry.get("value") is None else entry["value"],
                f"{pod_in_file.where}: environment variable {entry['name']}",
            )
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is not None and (not isinstance(grace, int) or isinstance(grace, bool) or grace < 0):
        raise BadManifestError(
            f"{pod_in_file.where}: terminationGracePeriodSeconds is to be a whole number of seconds, not {grace!r}"
        )


def _entries(container: JsonObject) -> list[Any]:
    entries = container.get("env") or []
    return entries if isinstance(entries, list) else [entries]


def _text(value: Any, name: str) -> None:
    if not isinstance(value, str):
        shown = str(value).lower() if isinstance(value, bool) else "" if value is None else value
        raise BadManifestError(f'{name} is {kind_of_value(value)}, Kubernetes takes only strings: write "{shown}"')
