"""The ConfigMaps in which gracekeeper's observer keeps what it has seen."""

from collections.abc import Iterable, Iterator

from webhook.policy.pod.metadata import JsonObject, labels_of, metadata_of

_PART_OF = ("app.kubernetes.io/part-of", "gracekeeper")
_VARIABLE = "GRACEKEEPER_SERVER_MEMORY_NAME"


def memory_names(deployments: Iterable[JsonObject]) -> Iterator[tuple[str, str]]:
    """Yield namespace and name of the memory of each installation with an observer."""
    for deployment in deployments:
        pod = ((deployment.get("spec") or {}).get("template") or {}).get("spec") or {}
        if labels_of(deployment).get(_PART_OF[0]) == _PART_OF[1]:
            for container in pod.get("containers") or ():
                for variable in container.get("env") or ():
                    if variable.get("name") == _VARIABLE and isinstance(variable.get("value"), str):
                        yield str(metadata_of(deployment).get("namespace", "")), variable["value"]
