"""Metadata of any Kubernetes object, as the API server sent it. Missing and null fields read as empty."""

from collections.abc import Mapping
from typing import Any

JsonObject = Mapping[str, Any]
"""A Kubernetes object, or a part of one, as parsed JSON."""


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
