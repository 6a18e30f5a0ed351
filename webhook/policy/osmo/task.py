"""What an OSMO task pod says about its task: whose containers are whose, how much is uploaded, and whether it is ours already."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from webhook.policy import pod as pods
from webhook.policy.facts import JsonObject
from webhook.policy.supervise.change import Place
from webhook.policy.supervise.parts import BINARY

_CHECKPOINT_ARGUMENT = "-checkpoint"
_OUTPUT_ARGUMENT = "-outputs"


@dataclass(frozen=True, slots=True)
class Task:
    """One OSMO task pod, read: `user` runs osmo_exec, `uploaders` are all the places where osmo-ctrl stands."""

    pod: JsonObject
    user: int | None
    uploaders: tuple[Place, ...]
    checkpoint_uploads: int
    output_uploads: int
    converted: bool
    """gracekeeper changed this pod before; whatever happened to it since, it is left as it is."""
    native: bool
    """osmo-ctrl is a native sidecar, and nothing else."""


def read(pod: JsonObject) -> Task | None:
    """The task of an OSMO task pod; None for any other pod."""
    if not pods.is_osmo_task(pod):
        return None
    containers, user = pods.containers(pod), pods.osmo_user_index(pod)
    places = tuple(_uploaders(pod))
    uploaders = [pod["spec"][group][index] for group, index in places]
    return Task(
        pod=pod,
        user=user,
        uploaders=places,
        checkpoint_uploads=0 if user is None else pods.words(containers[user]).count(_CHECKPOINT_ARGUMENT),
        output_uploads=max(pods.words(uploader).count(_OUTPUT_ARGUMENT) for uploader in uploaders),
        converted=any(BINARY in (container.get("command") or ()) for container in (*containers, *uploaders)),
        native=len(uploaders) == 1 and uploaders[0].get("restartPolicy") == "Always",
    )


def uploader(task: Task) -> dict[str, Any]:
    """osmo-ctrl in one piece.

    A pod template that lists osmo-ctrl under initContainers leaves two of the name, as OSMO merges list by list: the
    regular one is whole, and what the template says counts over it.
    """
    whole: dict[str, Any] = {}
    for group, index in sorted(task.uploaders):  # containers come before initContainers
        for field, value in task.pod["spec"][group][index].items():
            if field in {"env", "volumeMounts"}:
                whole[field] = _merged(whole.get(field) or [], value or [], "name" if field == "env" else "mountPath")
            elif value not in (None, "", [], {}):
                whole[field] = value
    return whole


def _uploaders(pod: JsonObject) -> Iterator[Place]:
    for group, members in (("containers", pods.containers(pod)), ("initContainers", pods.init_containers(pod))):
        for index, container in enumerate(members):
            if container.get("name") == pods.OSMO_UPLOADER:
                yield group, index


def _merged(first: list[JsonObject], second: list[JsonObject], key: str) -> list[JsonObject]:
    said = {entry.get(key) for entry in second}
    return [*(entry for entry in first if entry.get(key) not in said), *second]
