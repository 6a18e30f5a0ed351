"""The OSMO task in a pod: which container is whose, how much is uploaded, whether gracekeeper converted the pod before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from webhook.policy.pod import marks
from webhook.policy.pod.container import Container
from webhook.policy.pod.metadata import JsonObject

_CHECKPOINT_ARGUMENT = "-checkpoint"
_OUTPUT_ARGUMENT = "-outputs"
_ONE_FILE = "kpi:"
"""An output that is one small file with measurements, and no folder (OSMO, task.py)."""


@dataclass(frozen=True, slots=True)
class OsmoTask:
    """One OSMO task."""

    user: Container | None
    """The container that runs osmo_exec, hence the user's command."""
    uploaders: tuple[Container, ...]
    """All containers that are called osmo-ctrl, the regular ones first."""
    checkpoint_uploads: int
    output_uploads: int
    converted: bool
    """Whether gracekeeper changed this pod before. It is left as it is, whatever happened to it since."""
    native: bool
    """Whether osmo-ctrl is a native sidecar and nothing else."""

    @property
    def uploader(self) -> dict[str, Any]:
        """Return osmo-ctrl's manifest in one piece.

        OSMO merges a pod template list by list. A template that lists osmo-ctrl under initContainers leaves two of the
        name: the regular one is whole, and the template's fields replace its own.
        """
        whole: dict[str, Any] = {}
        for container in self.uploaders:
            for field, value in container.manifest.items():
                if field in {"env", "volumeMounts"}:
                    key = "name" if field == "env" else "mountPath"
                    whole[field] = _merged(whole.get(field) or [], value or [], key)
                elif value not in (None, "", [], {}):
                    whole[field] = value
        return whole


def read_osmo_task(labels: Mapping[str, Any], containers: Sequence[Container]) -> OsmoTask | None:
    """Read the task from the pod's regular and init containers; None where the pod is no OSMO task.

    A task has both labels and the uploader, by name and command, wherever a pod template put it.
    """
    uploaders = tuple(container for container in containers if container.name == marks.OSMO_UPLOADER)
    if not labels.keys() >= marks.OSMO_LABELS or not any(
        marks.OSMO_UPLOADER_COMMAND in uploader.command for uploader in uploaders
    ):
        return None
    regular = [container for container in containers if container.position.group == "containers"]
    user = next((container for container in regular if marks.OSMO_EXEC in container.command), None)
    return OsmoTask(
        user=user,
        uploaders=uploaders,
        checkpoint_uploads=0 if user is None else user.words.count(_CHECKPOINT_ARGUMENT),
        output_uploads=max(map(_output_uploads, uploaders)),
        converted=any(container.is_wrapped for container in (*regular, *uploaders)),
        native=len(uploaders) == 1 and uploaders[0].is_native_sidecar,
    )


def _output_uploads(uploader: Container) -> int:
    """Return how many outputs of the task are uploads of its folder."""
    pairs = pairwise((*uploader.words, ""))
    return sum(word == _OUTPUT_ARGUMENT and not output.startswith(_ONE_FILE) for word, output in pairs)


def _merged(first: list[JsonObject], second: list[JsonObject], key: str) -> list[JsonObject]:
    replaced = {entry.get(key) for entry in second}
    return [*(entry for entry in first if entry.get(key) not in replaced), *second]
