"""Jobs that list their pods by role, each with a number of replicas: Kubeflow's, Volcano's, and the old ElasticJob.

Kubeflow's operator writes the number of a PyTorchJob on its pods. Of the others only the file tells it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from webhook.manifests.pod_templates import group_and_kind
from webhook.policy.pod import accelerators
from webhook.policy.pod.metadata import JsonObject

_PYTORCH_JOB = ("kubeflow.org", "PyTorchJob")
_NODES_VARIABLE = "PET_NNODES"
_KUBEFLOW = "kubeflow.org"
_ELASTIC_JOB = ("elastic.pytorch.org", "ElasticJob")
_VOLCANO_JOB = ("batch.volcano.sh", "Job")
_WITHOUT_RANKS = frozenset({"Launcher", "PS", "Evaluator", "Scheduler"})
"""Roles whose pods run no rank that trains: an MPI launcher, a parameter server, an evaluator."""


def replicas_of(document: JsonObject, template: JsonObject) -> int:
    """Return how many pods of a job train, as this template's do; 0 where the document does not tell."""
    if group_and_kind(document) == _VOLCANO_JOB:
        asks = _asks_for_accelerators(template)
        tasks = (document.get("spec") or {}).get("tasks") or ()
        return sum(_number(task) for task in tasks if _asks_for_accelerators(task.get("template") or {}) == asks)
    return sum(_number(role) for name, role in _roles(document) if name not in _WITHOUT_RANKS)


def with_number_of_nodes(document: JsonObject, template: JsonObject) -> JsonObject:
    """Return the template of a PyTorchJob's pod with the variable that its operator adds (pytorch/envvar.go)."""
    if group_and_kind(document) != _PYTORCH_JOB:
        return template
    nodes = {"name": _NODES_VARIABLE, "value": _nodes(document)}
    containers = [_with_variable(container, nodes) for container in template["spec"]["containers"]]
    return {**template, "spec": {**template["spec"], "containers": containers}}


def _nodes(document: JsonObject) -> str:
    elastic = (document.get("spec") or {}).get("elasticPolicy") or {}
    total = replicas_of(document, {})
    if not elastic:
        return str(total)
    return f"{elastic.get('minReplicas', total)}:{elastic.get('maxReplicas', total)}"


def _with_variable(container: Any, variable: Mapping[str, str]) -> Any:
    """Return the container with the variable, unless it has one of the name. Another shape is refused later."""
    entries = container.get("env") or [] if isinstance(container, Mapping) else None
    if not isinstance(entries, list) or any(
        isinstance(e, Mapping) and e.get("name") == variable["name"] for e in entries
    ):
        return container
    return {**container, "env": [*entries, variable]}


def _roles(document: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    kind = group_and_kind(document)
    if kind[0] != _KUBEFLOW and kind != _ELASTIC_JOB:
        return
    for field, roles in (document.get("spec") or {}).items():
        if field.lower().endswith("replicaspecs"):
            yield from roles.items()


def _number(role: JsonObject) -> int:
    replicas = role.get("replicas", 1)
    return replicas if isinstance(replicas, int) else 0


def _asks_for_accelerators(template: JsonObject) -> bool:
    containers = (template.get("spec") or {}).get("containers") or ()
    return any(accelerators.requested(container.get("resources") or {}) for container in containers)
