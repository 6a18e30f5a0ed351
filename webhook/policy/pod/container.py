"""One container as the rules read it: what it runs, its environment as it counts, its mounts and resources."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webhook.policy.pod import accelerators, marks
from webhook.policy.pod.launchers import mentions_torch_launcher
from webhook.policy.pod.metadata import JsonObject

_TORCHRUN_PREFIX = "PET_"
_RENDEZVOUS_OF_TORCH = frozenset({"MASTER_ADDR", "WORLD_SIZE"})


@dataclass(frozen=True, order=True, slots=True)
class SpecPosition:
    """A list of the pod's spec, such as `containers` or `initContainers`, and a position in it."""

    group: str
    index: int


@dataclass(frozen=True, slots=True)
class Mount:
    """One volume mount."""

    volume_name: str
    path: str
    """Empty where the mount names none."""
    prefix: str
    """The path with one slash at the end, which the paths of all files below begin with; empty where there is no path."""
    read_only: bool


@dataclass(frozen=True, slots=True)
class Container:
    """One regular or init container."""

    position: SpecPosition
    name: str
    """Empty where the container has none: a pod is read before it is validated."""
    command: tuple[str, ...]
    words: tuple[str, ...]
    """Command and arguments."""
    environment: Mapping[str, Any]
    """Literal values by variable name. The last entry of a name counts, and a value from elsewhere is not known."""
    variable_names: tuple[str, ...]
    """Every variable, also those whose value comes from elsewhere."""
    mounts: tuple[Mount, ...]
    accelerators: Mapping[str, int]
    """How many of each accelerator resource the container asks for."""
    pre_stop_seconds: int
    """Length of a preStop sleep; 0 for none and for a hook of unknown length."""
    has_pre_stop_of_unknown_length: bool
    """Whether an exec or HTTP preStop hook runs, whose length the pod does not say."""
    manifest: JsonObject
    """As received, for what a patch copies."""

    @property
    def is_native_sidecar(self) -> bool:
        """Whether this init container runs beside the regular ones."""
        return self.manifest.get("restartPolicy") == "Always"

    @property
    def is_wrapped(self) -> bool:
        """Whether the container starts through supervise."""
        return marks.SUPERVISE_BINARY in self.command

    @property
    def own_words(self) -> tuple[str, ...]:
        """Return command and arguments as the pod's owner wrote them, without supervise."""
        return without_supervise(self.words)

    @property
    def image(self) -> str:
        """Return the image; empty where the container names none."""
        return self.manifest.get("image") or ""

    @property
    def config_map_names(self) -> tuple[str, ...]:
        """Return the ConfigMaps that the environment comes from, whole or one key of it."""
        whole = (entry.get("configMapRef") for entry in self.manifest.get("envFrom") or ())
        keys = ((entry.get("valueFrom") or {}).get("configMapKeyRef") for entry in self.manifest.get("env") or ())
        return tuple(reference.get("name") or "" for reference in (*whole, *keys) if reference)

    @property
    def working_directory(self) -> str:
        """Return the working directory that the container names; empty where the image decides."""
        return self.manifest.get("workingDir") or ""

    @property
    def shows_torch(self) -> bool:
        """Whether torch's elastic agent may run here: by a launcher's name, or by the variables that torch reads.

        A launcher often stands in a mounted script, so its name is not needed.
        """
        return (
            self.names_torchrun
            or mentions_torch_launcher(" ".join(self.words))
            or _RENDEZVOUS_OF_TORCH.issubset(self.variable_names)
        )

    @property
    def names_torchrun(self) -> bool:
        """Whether a variable sets an option of torchrun, which nobody else reads."""
        return any(name.startswith(_TORCHRUN_PREFIX) for name in self.variable_names)

    @property
    def limits(self) -> Mapping[str, Any]:
        """Return the resource limits."""
        return (self.manifest.get("resources") or {}).get("limits") or {}

    @property
    def requests(self) -> Mapping[str, Any]:
        """Return the resource requests as written."""
        return (self.manifest.get("resources") or {}).get("requests") or {}

    @property
    def effective_requests(self) -> Mapping[str, Any]:
        """Return the requests as the API server counts them."""
        return effective_requests(self.manifest)

    def entries_of(self, variable: str) -> list[tuple[int, JsonObject]]:
        """Return the environment's entries of this name, with their positions."""
        environment = self.manifest.get("env") or ()
        return [(position, entry) for position, entry in enumerate(environment) if entry.get("name") == variable]


def effective_requests(manifest: JsonObject) -> Mapping[str, Any]:
    """Return a container's requests as the API server counts them: a limit without a request is one."""
    resources = manifest.get("resources") or {}
    return {**(resources.get("limits") or {}), **(resources.get("requests") or {})}


def without_supervise(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the words of a command that may start through supervise, without it."""
    if words and words[0] == marks.SUPERVISE_BINARY and "--" in words:
        return words[words.index("--") + 1 :]
    return words


def read_container(group: str, index: int, manifest: JsonObject) -> Container:
    """Read one container at this position of the pod's spec."""
    command = tuple(map(str, manifest.get("command") or ()))
    entries = manifest.get("env") or ()
    values = {entry.get("name", ""): entry.get("value") for entry in entries}
    pre_stop = (manifest.get("lifecycle") or {}).get("preStop") or {}
    sleep_seconds = (pre_stop.get("sleep") or {}).get("seconds")
    return Container(
        position=SpecPosition(group, index),
        name=manifest.get("name") or "",
        command=command,
        words=(*command, *map(str, manifest.get("args") or ())),
        environment={name: value for name, value in values.items() if value},
        variable_names=tuple(values),
        mounts=tuple(map(_read_mount, manifest.get("volumeMounts") or ())),
        accelerators=accelerators.requested(manifest.get("resources") or {}),
        pre_stop_seconds=sleep_seconds if isinstance(sleep_seconds, int) else 0,
        has_pre_stop_of_unknown_length=any(pre_stop.get(kind) for kind in ("exec", "httpGet", "tcpSocket")),
        manifest=manifest,
    )


def _read_mount(mount: JsonObject) -> Mount:
    path = mount.get("mountPath") or ""
    return Mount(mount.get("name", ""), path, f"{path.rstrip('/')}/" if path else "", bool(mount.get("readOnly")))
