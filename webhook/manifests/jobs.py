"""Indexed Jobs, alone, in a CronJob or in a JobSet: the Job that makes a pod, and what is written on the pod of it."""

from collections.abc import Sequence
from typing import Any

from webhook.manifests.pod_templates import group_and_kind
from webhook.policy.checkpoint import writers
from webhook.policy.pod import marks
from webhook.policy.pod.metadata import JsonObject

_JOB_SET = ("jobset.x-k8s.io", "JobSet")
_DEFAULT_MODES = {("batch", "Job"): None, ("batch", "CronJob"): None, _JOB_SET: writers.INDEXED}


def indexed(document: JsonObject, above: Sequence[JsonObject]) -> JsonObject | None:
    """The Indexed Job that makes the pods of a template which lies in these objects; None where none does."""
    known = group_and_kind(document)
    if known not in _DEFAULT_MODES:
        return None
    spec = above[-1]
    mode = spec.get("completionMode") or _DEFAULT_MODES[known]
    return {"kind": "Job", "spec": {**spec, "completionMode": mode}} if mode == writers.INDEXED else None


def numbered(document: JsonObject, above: Sequence[JsonObject], template: JsonObject) -> dict[str, Any]:
    """The template with what Job's and JobSet's controllers write on its first pod."""
    metadata = dict(template.get("metadata") or {})
    if indexed(document, above) is not None:
        metadata["annotations"] = {writers.INDEX_ANNOTATION: "0", **(metadata.get("annotations") or {})}
    if group_and_kind(document) == _JOB_SET:
        replicas = next((each["replicas"] for each in above if "replicas" in each), 1)
        name = next((each["name"] for each in above if "name" in each and "template" in each), None)
        named = {} if name is None else {marks.REPLICATED_JOB_LABEL: name}
        metadata["labels"] = {**named, writers.REPLICAS_LABEL: str(replicas), **(metadata.get("labels") or {})}
    return {**template, "metadata": metadata}


def job_named(name: str | None, namespace: str, objects: Sequence[JsonObject]) -> JsonObject | None:
    """Return the Job of this name and namespace among the objects; None where there is none, or no name."""
    for document in objects if name else ():
        metadata = document.get("metadata") or {}
        known = document.get("kind"), metadata.get("name"), metadata.get("namespace", namespace)
        if known == ("Job", name, namespace):
            return document
    return None
