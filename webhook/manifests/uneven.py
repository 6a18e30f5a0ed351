"""Templates of one job with different keys of gracekeeper: its pods save together, so the shortest grace breaks the save."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from webhook.manifests import PodInFile
from webhook.policy.pod.metadata import annotations_of, controller_of, labels_of
from webhook.policy.prefix import DECISION_ANNOTATION, ENVIRONMENT_PREFIX, PREFIX

_MOST_TEMPLATES = 4
_WORKFLOW = "Workflow"


def uneven_keys(pods: Sequence[PodInFile]) -> Iterator[str]:
    """Yield one line for each object whose templates carry different keys. The pods are those that train.

    The templates of a workflow are steps that run one after the other, so they may differ.
    """
    by_object: defaultdict[str, list[PodInFile]] = defaultdict(list)
    for pod in pods:
        if controller_of(pod.pod).get("kind") != _WORKFLOW:
            by_object[pod.of_object].append(pod)
    for named, of_object in by_object.items():
        keys = [_keys(pod) for pod in of_object]
        if any(each != keys[0] for each in keys):
            texts = [
                f"{pod.template or 'the pod'} has {_told(each)}" for pod, each in zip(of_object, keys, strict=True)
            ]
            yield f"{named}: its templates carry different keys of gracekeeper: {'; '.join(texts[:_MOST_TEMPLATES])}"


def _keys(pod: PodInFile) -> Mapping[str, str]:
    """Return the keys of a pod with their values, however they are set."""
    metadata = {**labels_of(pod.pod), **annotations_of(pod.pod)}
    keys = {key.removeprefix(PREFIX): str(value) for key, value in metadata.items() if key.startswith(PREFIX)}
    keys.pop(DECISION_ANNOTATION.removeprefix(PREFIX), None)
    for container in pod.pod["spec"]["containers"]:
        for entry in container.get("env") or ():
            if entry["name"].startswith(ENVIRONMENT_PREFIX):
                key = entry["name"].removeprefix(ENVIRONMENT_PREFIX).lower().replace("_", "-")
                keys.setdefault(key, str(entry.get("value")))
    return keys


def _told(keys: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(keys.items())) or "none"
