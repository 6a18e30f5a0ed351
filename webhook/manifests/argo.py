"""Argo Workflows: a template with a container, a script or a set of containers becomes a pod of its own.

Argo's own containers (init, wait) are left out: they hold no checkpoint, and their image is the controller's to choose.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from webhook import yaml_text
from webhook.policy.pod.marks import DEFAULT_CONTAINER_ANNOTATION
from webhook.policy.pod.metadata import JsonObject
from webhook.policy.shutdown.clocks import ARGO_VARIABLE

GROUP = "argoproj.io"
_MAIN = "main"
_CREATING = ("create", "apply", "replace")
"""Actions of a resource template that make pods."""


def with_pod_templates(document: JsonObject) -> dict[str, Any]:
    """The object (Workflow, CronWorkflow, WorkflowTemplate, ...), with its templates as pod templates."""
    spec: Mapping[str, Any] = document.get("spec") or {}
    if isinstance(spec.get("workflowSpec"), dict):
        return {**document, "spec": {**spec, "workflowSpec": _with_pods(document, spec["workflowSpec"])}}
    return {**document, "spec": _with_pods(document, spec)} if "templates" in spec else dict(document)


def unread(document: JsonObject) -> Iterator[str]:
    """What of it makes pods that cannot be shown."""
    spec: Mapping[str, Any] = document.get("spec") or {}
    spec = spec.get("workflowSpec") or spec
    reference = (spec.get("workflowTemplateRef") or {}).get("name")
    if reference:
        yield f"its templates are in the WorkflowTemplate {reference}: give that one"
    for template in _templates(spec):
        if _creates(template) and _resource(template) is None:
            yield f"template {template.get('name')} creates an object of its own: give that one"
        for each in _referring(template):
            yield f"template {template.get('name')} refers to the WorkflowTemplate {each}: give that one"


def resources(document: JsonObject) -> Iterator[dict[str, Any]]:
    """The objects that its templates create, where their text can be read as it is."""
    spec: Mapping[str, Any] = document.get("spec") or {}
    spec = spec.get("workflowSpec") or spec
    namespace = (document.get("metadata") or {}).get("namespace")
    for template in _templates(spec):
        resource = _resource(template) if _creates(template) else None
        if resource is not None:
            own = {"namespace": namespace} if namespace else {}
            yield {**resource, "metadata": {**own, **(resource.get("metadata") or {})}}


def _creates(template: JsonObject) -> bool:
    return (template.get("resource") or {}).get("action") in _CREATING


def _resource(template: JsonObject) -> dict[str, Any] | None:
    """The object in a template's `resource.manifest`; None where values that only Argo fills in make it no YAML."""
    text = (template.get("resource") or {}).get("manifest")
    try:
        resource = next(iter(yaml_text.documents(text)), None) if isinstance(text, str) else None
    except yaml_text.NotYamlError:
        return None
    return resource if isinstance(resource, dict) else None


def _referring(template: JsonObject) -> list[str]:
    steps = [step for group in template.get("steps") or () for step in (group if isinstance(group, list) else [group])]
    tasks = (template.get("dag") or {}).get("tasks") or ()
    names = (str(each["templateRef"].get("name")) for each in (*steps, *tasks) if each.get("templateRef"))
    return list(dict.fromkeys(names))


def _templates(spec: JsonObject) -> list[Mapping[str, Any]]:
    return [each for each in spec.get("templates") or () if isinstance(each, dict)]


def _with_pods(document: JsonObject, spec: JsonObject) -> dict[str, Any]:
    made = [_pod_template(document, spec, each) for each in _templates(spec) if _containers(each)]
    return {"templates": made, "volumeClaimTemplates": spec.get("volumeClaimTemplates") or []}


def _containers(template: JsonObject) -> list[dict[str, Any]]:
    for field in ("container", "script"):
        if isinstance(template.get(field), dict):
            return [{**{k: v for k, v in template[field].items() if k != "source"}, "name": _MAIN}]
    return [dict(each) for each in (template.get("containerSet") or {}).get("containers") or ()]


def _pod_template(document: JsonObject, spec: JsonObject, template: JsonObject) -> dict[str, Any]:
    of_all, own = spec.get("podMetadata") or {}, template.get("metadata") or {}
    metadata: dict[str, Any] = {
        field: {**(of_all.get(field) or {}), **(own.get(field) or {})} for field in ("labels", "annotations")
    }
    containers = _containers(template)
    default = _MAIN if _MAIN in {each.get("name") for each in containers} else containers[0].get("name")
    metadata["annotations"] = {DEFAULT_CONTAINER_ANNOTATION: default, **metadata["annotations"]}
    pod: dict[str, Any] = {
        "containers": [*containers, *(template.get("sidecars") or ())],
        "volumes": [*(spec.get("volumes") or ()), *(template.get("volumes") or ()), *_claimed(document, spec)],
    }
    if template.get("initContainers"):
        pod["initContainers"] = template["initContainers"]
    selector = template.get("nodeSelector") or spec.get("nodeSelector")
    if selector:
        pod["nodeSelector"] = selector
    for holder in (spec, template):
        pod = _patched(pod, holder.get("podSpecPatch"))
    return {"metadata": metadata, "spec": _with_grace_variable(pod)}


def _claimed(document: JsonObject, spec: JsonObject) -> Iterator[dict[str, Any]]:
    metadata = document.get("metadata") or {}
    workflow = metadata.get("name") or metadata.get("generateName", "")
    for each in spec.get("volumeClaimTemplates") or ():
        name = (each.get("metadata") or {}).get("name")
        yield {"name": name, "persistentVolumeClaim": {"claimName": f"{workflow}-{name}"}}


def _patched(pod: dict[str, Any], text: Any) -> dict[str, Any]:
    """The pod after a podSpecPatch: fields replaced, containers merged by name; a patch full of {{...}} changes nothing."""
    try:
        patch = next(iter(yaml_text.documents(text)), None) if isinstance(text, str) else None
    except yaml_text.NotYamlError:
        return pod
    if not isinstance(patch, dict):
        return pod
    merged = {**pod, **patch}
    if isinstance(patch.get("containers"), list):
        by_name = {each.get("name"): each for each in patch["containers"] if isinstance(each, dict)}
        merged["containers"] = [{**each, **by_name.get(each.get("name"), {})} for each in pod["containers"]]
    return merged


def _with_grace_variable(pod: dict[str, Any]) -> dict[str, Any]:
    """Argo tells its executor in each container, where the template names a grace."""
    grace = pod.get("terminationGracePeriodSeconds")
    if grace is None:
        return pod
    variable = {"name": ARGO_VARIABLE, "value": str(grace)}
    containers: Sequence[Mapping[str, Any]] = pod["containers"]
    return {**pod, "containers": [{**each, "env": [*(each.get("env") or ()), variable]} for each in containers]}
