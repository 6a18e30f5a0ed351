"""Metadata of any Kubernetes object, as the API server sent it. Missing and null fields read as empty."""

from collections.abc import Mapping
from typing import Any

JsonObject = Mapping[str, Any]
"""A Kubernetes object, or a part of one, as parsed JSON."""

_JOB_SET_LABELS = ("jobset.sigs.k8s.io/jobset-uid", "jobset.sigs.k8s.io/jobset-name")
_LONGEST_GANG = 253
"""Characters: anybody may write the label or the uid of an owner."""


def labels_of(holder: JsonObject | None) -> Mapping[str, Any]:
    """Return the object's labels."""
    return metadata_of(holder).get("labels") or {}


def annotations_of(holder: JsonObject | None) -> Mapping[str, Any]:
    """Return the object's annotations."""
    return metadata_of(holder).get("annotations") or {}


def controller_of(holder: JsonObject | None) -> JsonObject:
    """Return the reference to the owner that controls the object, or an empty mapping."""
    references = metadata_of(holder).get("ownerReferences") or ()
    return next((reference for reference in references if reference.get("controller")), {})


def metadata_of(holder: JsonObject | None) -> JsonObject:
    """Return the object's metadata."""
    return (holder or {}).get("metadata") or {}


def gang_of(pod: JsonObject | None) -> str:
    """Return the JobSet or the controlling owner of a pod, by its uid if possible; empty for a pod without one."""
    labels = labels_of(pod)
    job_set = next((labels[label] for label in _JOB_SET_LABELS if labels.get(label)), "")
    return str(job_set or controller_of(pod).get("uid") or "")[:_LONGEST_GANG]
