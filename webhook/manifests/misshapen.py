"""Objects of files that are not shaped as Kubernetes has them: refused with the file's name and the field's."""

from collections.abc import Callable
from typing import Any

from webhook import shapes
from webhook.manifests.text import BadManifestError
from webhook.policy.pod.metadata import JsonObject
from webhook.shapes import kind_of_value


def refuse_misshapen_pod(pod: JsonObject, where: str) -> None:
    """BadManifestError where a field that is read of a pod is not what it is in Kubernetes."""
    _refuse(shapes.check_pod_of_file, pod, where)


def refuse_misshapen_object(document: JsonObject, where: str) -> None:
    """The same for an object that a pod refers to, or that makes it."""
    _refuse(shapes.check_object, document, where)


def mapping(holder: JsonObject, field: str, where: str, above: str = "") -> dict[str, Any]:
    """The object in a field, empty where there is none; BadManifestError where it is something else."""
    value = holder.get(field)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadManifestError(f"{where}: {above}{field} is {kind_of_value(value)}, not an object")
    return value


def _refuse(check: Callable[[JsonObject], None], document: JsonObject, where: str) -> None:
    try:
        check(document)
    except shapes.MisshapenError as error:
        raise BadManifestError(f"{where}: {error}") from None
