"""Kinds that hold no plain pod template, as what their controllers create of them: objects that do hold one.

Law: what cannot be read is said in one line, never guessed.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from webhook.manifests import argo, katib, trainjob
from webhook.policy.pod.metadata import JsonObject
from webhook.policy.prefix import PREFIX

_TEKTON = "tekton.dev"
_OPERATOR_S_OWN = {
    ("sparkoperator.k8s.io", "SparkApplication"),
    ("sparkoperator.k8s.io", "ScheduledSparkApplication"),
    ("flyte.lyft.com", "FlyteWorkflow"),
    *((_TEKTON, kind) for kind in ("Task", "TaskRun", "Pipeline", "PipelineRun")),
}
"""Kinds whose pods are put together from parts by an operator, in ways that only it knows."""

_KEYS_OF_OBJECTS = {f"{PREFIX}doctor-skip"}
"""Keys that are meant for objects that are no pods."""


def created(objects: Sequence[JsonObject], others: Sequence[JsonObject]) -> Iterator[dict[str, Any]]:
    """The objects, each as its controller would create the next; `others` may hold what they refer to."""
    for document in objects:
        yield from created_of(document, objects, others)


def created_of(
    document: JsonObject, objects: Sequence[JsonObject], others: Sequence[JsonObject]
) -> Iterator[dict[str, Any]]:
    """One of the objects, as its controller would create the next."""
    kind = group_and_kind(document)
    if kind == ("workload.codeflare.dev", "AppWrapper"):
        components = (document.get("spec") or {}).get("components") or ()
        yield from created([each["template"] for each in components if "template" in each], others)
    elif kind == trainjob.KIND:
        yield from trainjob.job_sets(document, _runtimes(objects, others))
    elif kind == katib.KIND:
        yield from created(list(katib.trials(document)), others)
    elif kind[0] == argo.GROUP:
        yield argo.with_pod_templates(document)
        yield from created(list(argo.resources(document)), others)
    elif kind == ("apps", "StatefulSet"):
        yield _with_claims(document)
    elif kind not in _OPERATOR_S_OWN and not (kind in trainjob.RUNTIMES and _has_train_jobs(objects)):
        yield dict(document)


def unread(objects: Sequence[JsonObject], others: Sequence[JsonObject]) -> Iterator[str]:
    """One line for each object, or part of one, whose pods are not shown, with what to do instead."""
    for document in objects:
        yield from unread_of(document, objects, others)


def unread_of(document: JsonObject, objects: Sequence[JsonObject], others: Sequence[JsonObject]) -> Iterator[str]:
    """The same for one of the objects."""
    kind = group_and_kind(document)
    called = f"{kind[1]} {(document.get('metadata') or {}).get('name', '')}".strip()
    why: Iterator[str] = iter(())
    if kind in _OPERATOR_S_OWN:
        why = iter(("only its operator knows the pods that come of it; give one of them (kubectl get pod -o yaml)",))
    elif kind == trainjob.KIND:
        why = trainjob.unread(document, _runtimes(objects, others))
    elif kind == katib.KIND:
        why = katib.unread(document)
    elif kind[0] == argo.GROUP:
        why = argo.unread(document)
    yield from (f"{called}: {each}" for each in why)


def keys_beside_the_template(document: JsonObject) -> Iterator[str]:
    """Yield a line for keys of gracekeeper on an object that makes pods: its controller copies them to no pod."""
    group, kind = group_and_kind(document)
    if (group, kind) == ("", "Pod"):
        return
    metadata = document.get("metadata") or {}
    called = f"{kind} {metadata.get('name', '')}".strip()
    for field in ("labels", "annotations"):
        keys = [str(key) for key in metadata.get(field) or () if str(key).startswith(PREFIX)]
        if keys := [key for key in keys if key not in _KEYS_OF_OBJECTS]:
            yield f"{called}: {', '.join(keys)} in its own {field} reaches no pod: set it in the pod template"


def _runtimes(objects: Sequence[JsonObject], others: Sequence[JsonObject]) -> list[JsonObject]:
    return [each for each in (*objects, *others) if group_and_kind(each) in trainjob.RUNTIMES]


def _has_train_jobs(objects: Sequence[JsonObject]) -> bool:
    return any(group_and_kind(each) == trainjob.KIND for each in objects)


def group_and_kind(document: JsonObject) -> tuple[str, str]:
    """API group and kind of an object; the group is empty for the core."""
    return str(document.get("apiVersion", "")).rpartition("/")[0], str(document.get("kind", ""))


def claims_of(document: JsonObject) -> dict[str, JsonObject]:
    """The claims that a StatefulSet or a Workflow makes for its first pod, by name."""
    group, kind = group_and_kind(document)
    if group != argo.GROUP and kind != "StatefulSet":
        return {}
    spec = document.get("spec") or {}
    templates = spec.get("volumeClaimTemplates") or (spec.get("workflowSpec") or {}).get("volumeClaimTemplates") or ()
    return {claim_name(document, each): {**each, "kind": "PersistentVolumeClaim"} for each in templates}


def claim_name(document: JsonObject, template: JsonObject) -> str:
    """Of a claim made for the first pod: <template>-<StatefulSet>-0, <Workflow>-<template>."""
    name = (document.get("metadata") or {}).get("name") or (document.get("metadata") or {}).get("generateName", "")
    of_template = (template.get("metadata") or {}).get("name", "")
    return f"{name}-{of_template}" if group_and_kind(document)[0] == argo.GROUP else f"{of_template}-{name}-0"


def _with_claims(document: JsonObject) -> dict[str, Any]:
    """A StatefulSet whose template has the volumes that its controller adds for the claim templates."""
    spec: Mapping[str, Any] = document.get("spec") or {}
    templates, template = spec.get("volumeClaimTemplates") or (), spec.get("template")
    if not templates or not isinstance(template, dict) or not isinstance(template.get("spec"), dict):
        return dict(document)
    made = [
        {"name": each["metadata"]["name"], "persistentVolumeClaim": {"claimName": claim_name(document, each)}}
        for each in templates
    ]
    pod = {**template["spec"], "volumes": [*(template["spec"].get("volumes") or ()), *made]}
    return {**document, "spec": {**spec, "template": {**template, "spec": pod}}}
