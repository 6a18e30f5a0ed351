"""The whole pod as the rules read it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from webhook.policy.pod import marks
from webhook.policy.pod.container import Container, read_container
from webhook.policy.pod.metadata import JsonObject, annotations_of, gang_of, labels_of, metadata_of
from webhook.policy.pod.osmo_task import OsmoTask, read_osmo_task
from webhook.policy.pod.other_work import other_work_of
from webhook.policy.pod.placement import Placement, read_placement
from webhook.policy.pod.start import Start, read_start
from webhook.policy.pod.volume import PodVolume, read_volume
from webhook.policy.pod.wrapping import UndoneWrapping, undone_wrapping

KUBERNETES_DEFAULT_GRACE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Owner:
    """One owner reference of the pod."""

    group: str
    kind: str
    name: object
    """Any JSON value: a pod is read before it is validated."""
    controls: bool


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that is about to be created."""

    name: str
    """Empty where the API server will generate it."""
    labels: Mapping[str, Any]
    annotations: Mapping[str, Any]
    owners: tuple[Owner, ...]
    """The controlling owner first."""
    gang: str
    """The JobSet or the controlling owner, by its uid if possible; empty for a pod without one."""
    containers: tuple[Container, ...]
    """The regular containers."""
    init_containers: tuple[Container, ...]
    """The init containers, native sidecars among them."""
    trainer: Container
    """The regular container that trains; an empty one where the pod has no container."""
    start: Start
    """How the trainer starts. Of the other containers it is not read."""
    other_work: str
    """What the trainer does instead of training, in words; empty where it may train."""
    osmo_task: OsmoTask | None
    volumes: tuple[PodVolume, ...]
    placement: Placement
    grace_seconds: int
    """The grace that the pod has, in seconds. API servers fill in 30 before admission; files may leave it out."""
    states_grace: bool
    """Whether the pod itself has a terminationGracePeriodSeconds."""
    has_resource_claims: bool
    """Whether it asks for devices by Dynamic Resource Allocation."""
    operating_system: str | None
    runtime_class: str
    """Empty for the node's own runtime."""
    scheduler_name: str
    """Empty for the cluster's default."""
    image_pull_secrets: tuple[str, ...]
    undone: UndoneWrapping | None
    """The wrapping of an earlier call that another webhook broke. The other fields are those of the pod without it."""

    @property
    def all_containers(self) -> tuple[Container, ...]:
        """Return the regular containers, then the init containers."""
        return (*self.containers, *self.init_containers)

    @property
    def running_containers(self) -> tuple[Container, ...]:
        """Return the containers that run together: the regular ones, then the native sidecars."""
        return (*self.containers, *(each for each in self.init_containers if each.is_native_sidecar))

    @property
    def controller(self) -> Owner | None:
        """Return the owner that controls the pod."""
        return next((owner for owner in self.owners if owner.controls), None)

    @property
    def owner_kinds(self) -> frozenset[str]:
        """Return the kinds of all owners."""
        return frozenset(owner.kind for owner in self.owners)

    @property
    def containers_default_first(self) -> list[Container]:
        """Return the regular containers, with the one first that the default-container annotation names."""
        default = self.annotations.get(marks.DEFAULT_CONTAINER_ANNOTATION)
        return sorted(self.containers, key=lambda container: container.name != default)


def read_pod(manifest: JsonObject) -> Pod:
    """Read a pod once. The manifest is not changed, and missing or null fields read as empty."""
    metadata, spec = metadata_of(manifest), manifest.get("spec") or {}
    undone = undone_wrapping(spec)
    if undone is not None:
        spec = {**spec, **undone.lists}
    labels, annotations, name = labels_of(manifest), annotations_of(manifest), metadata.get("name") or ""
    containers, init_containers = _containers(spec, "containers"), _containers(spec, "initContainers")
    task = read_osmo_task(labels, (*containers, *init_containers))
    trainer = _trainer(containers, annotations, task)
    start = read_start(trainer.words)
    return Pod(
        name=name,
        labels=labels,
        annotations=annotations,
        owners=_owners(metadata),
        gang=gang_of(manifest),
        containers=containers,
        init_containers=init_containers,
        trainer=trainer,
        start=start,
        other_work=other_work_of(trainer, start),
        osmo_task=task,
        volumes=tuple(read_volume(volume, name) for volume in spec.get("volumes") or ()),
        placement=read_placement(spec),
        grace_seconds=grace_seconds_of(manifest),
        states_grace="terminationGracePeriodSeconds" in spec,
        has_resource_claims=bool(spec.get("resourceClaims")),
        operating_system=(spec.get("os") or {}).get("name"),
        runtime_class=spec.get("runtimeClassName") or "",
        scheduler_name=spec.get("schedulerName") or "",
        image_pull_secrets=tuple(secret.get("name") for secret in spec.get("imagePullSecrets") or ()),
        undone=undone,
    )


def grace_seconds_of(manifest: JsonObject) -> int:
    """Return the terminationGracePeriodSeconds of a raw pod, or Kubernetes' default of 30."""
    value = (manifest.get("spec") or {}).get("terminationGracePeriodSeconds")
    return value if isinstance(value, int) else KUBERNETES_DEFAULT_GRACE_SECONDS


def _containers(spec: JsonObject, group: str) -> tuple[Container, ...]:
    return tuple(read_container(group, index, container) for index, container in enumerate(spec.get(group) or ()))


def _owners(metadata: JsonObject) -> tuple[Owner, ...]:
    owners = (
        Owner(
            group=reference.get("apiVersion", "").rpartition("/")[0],
            kind=reference.get("kind", ""),
            name=reference.get("name"),
            controls=bool(reference.get("controller")),
        )
        for reference in metadata.get("ownerReferences") or ()
    )
    return tuple(sorted(owners, key=lambda owner: not owner.controls))


def _trainer(containers: Sequence[Container], annotations: Mapping[str, Any], task: OsmoTask | None) -> Container:
    """Return an OSMO task's user container, else the default container, else a known main name, else the first."""
    if not containers:
        return read_container("containers", 0, {})
    if task is not None:
        return task.user or containers[0]
    by_name = {container.name: container for container in reversed(containers)}
    wanted = (annotations.get(marks.DEFAULT_CONTAINER_ANNOTATION), *marks.MAIN_CONTAINER_NAMES)
    return next((by_name[name] for name in wanted if name in by_name), containers[0])
