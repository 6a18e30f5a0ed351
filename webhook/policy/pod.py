"""What a pod says about itself: readers of the raw dict, which never change it and survive what is missing or null."""

from collections.abc import Mapping
from typing import Any

from webhook.policy.facts import JsonObject

DEFAULT_CONTAINER_ANNOTATION = "kubectl.kubernetes.io/default-container"
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
KUBERNETES_DEFAULT_GRACE_SECONDS = 30

MAIN_CONTAINER_NAMES = ("pytorch", "tensorflow", "mpi", "xgboost", "paddle", "jax", "node", "launcher", "main")
"""Names of the trainer container in training_pod_markers.csv; Argo's is `main`."""

OSMO_LABELS = frozenset({"osmo.task_uuid", "osmo.workflow_uuid"})
OSMO_UPLOADER = "osmo-ctrl"
OSMO_UPLOADER_COMMAND = "/osmo/bin/osmo_ctrl"
OSMO_EXEC = "/osmo/bin/osmo_exec"


def labels(holder: JsonObject) -> Mapping[str, Any]:
    """Labels of any object."""
    return (holder.get("metadata") or {}).get("labels") or {}


def annotations(holder: JsonObject) -> Mapping[str, Any]:
    """Annotations of any object."""
    return (holder.get("metadata") or {}).get("annotations") or {}


def owners(pod: JsonObject) -> tuple[tuple[str, str], ...]:
    """API group and kind of each owner, the controlling one first."""
    references = sorted((pod.get("metadata") or {}).get("ownerReferences") or (), key=lambda r: not r.get("controller"))
    return tuple((r.get("apiVersion", "").rpartition("/")[0], r.get("kind", "")) for r in references)


def controller(holder: JsonObject) -> JsonObject:
    """The reference to the owner that controls any object; empty where none does."""
    references = (holder.get("metadata") or {}).get("ownerReferences") or ()
    return next((each for each in references if each.get("controller")), {})


def containers(pod: JsonObject) -> list[JsonObject]:
    """The regular containers."""
    return (pod.get("spec") or {}).get("containers") or []


def init_containers(pod: JsonObject) -> list[JsonObject]:
    """The init containers, native sidecars among them."""
    return (pod.get("spec") or {}).get("initContainers") or []


def everyone(pod: JsonObject) -> tuple[JsonObject, ...]:
    """All containers that the pod's owner wrote: regular and init."""
    return (*containers(pod), *init_containers(pod))


def containers_default_first(pod: JsonObject) -> list[JsonObject]:
    """Regular containers, with the one first that the default-container annotation names."""
    default = annotations(pod).get(DEFAULT_CONTAINER_ANNOTATION)
    return sorted(containers(pod), key=lambda container: container.get("name") != default)


def is_osmo_task(pod: JsonObject) -> bool:
    """An OSMO task pod: both labels, and the uploader by name and command, wherever a template put it."""
    return labels(pod).keys() >= OSMO_LABELS and any(
        container.get("name") == OSMO_UPLOADER and OSMO_UPLOADER_COMMAND in (container.get("command") or ())
        for container in everyone(pod)
    )


def osmo_user_index(pod: JsonObject) -> int | None:
    """Which regular container runs the user's command of an OSMO task; None where none does."""
    commands = [container.get("command") or () for container in containers(pod)]
    return next((index for index, command in enumerate(commands) if OSMO_EXEC in command), None)


def trainer_index(pod: JsonObject) -> int:
    """Which regular container trains: an OSMO task's, the default container, else a known main name, else the first."""
    if is_osmo_task(pod):
        return osmo_user_index(pod) or 0
    names = [container.get("name") for container in containers(pod)]
    for wanted in (annotations(pod).get(DEFAULT_CONTAINER_ANNOTATION), *MAIN_CONTAINER_NAMES):
        if wanted in names:
            return names.index(wanted)
    return 0


def trainer(pod: JsonObject) -> JsonObject:
    """The container that trains; empty where the pod has none."""
    found = containers(pod)
    return found[trainer_index(pod)] if found else {}


def variable_names(container: JsonObject) -> list[str]:
    """Names of the container's environment variables."""
    return [entry.get("name", "") for entry in container.get("env") or ()]


def words(container: JsonObject) -> list[str]:
    """Command and arguments, one text after the other."""
    return [*(container.get("command") or ()), *(container.get("args") or ())]


def grace_seconds(pod: JsonObject) -> int:
    """The grace that the pod has; API servers fill in 30 before admission, files may leave it out."""
    value = (pod.get("spec") or {}).get("terminationGracePeriodSeconds")
    return value if isinstance(value, int) else KUBERNETES_DEFAULT_GRACE_SECONDS


def pre_stop_seconds(container: JsonObject) -> int:
    """Length of a preStop sleep; 0 for none and for hooks of unknown length."""
    seconds = (_pre_stop(container).get("sleep") or {}).get("seconds")
    return seconds if isinstance(seconds, int) else 0


def has_pre_stop_of_unknown_length(container: JsonObject) -> bool:
    """An exec or httpGet preStop: how long it takes is not written anywhere."""
    return any(_pre_stop(container).get(kind) for kind in ("exec", "httpGet", "tcpSocket"))


def _pre_stop(container: JsonObject) -> Mapping[str, Any]:
    return (container.get("lifecycle") or {}).get("preStop") or {}
