"""Which volume the checkpoint goes to.

The rules, in this order:
1. The volume that `checkpoint-volume` names.
2. The mount that holds the path in a known variable or argument of the trainer container.
3. A volume that outlives the pod, by a path in a name that also stands on pods which only read.
4. The only claim; of several claims the slowest, and the decision says so. Without a claim the volumes that the trainer
   mounts by a driver.
5. Where such a path or a relative one leads, if that ends with the pod.

Only a volume that can be written to counts: a dataset that is mounted read-only takes no checkpoint.
"""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from webhook.policy import brevity
from webhook.policy.pod import Mount, Pod, PodVolume
from webhook.policy.statements import keys
from webhook.policy.statements.statements import Statements
from webhook.policy.storage.save_paths import SavePath, SavePaths, save_paths_of

_LONGEST_PATH = 4096
"""Linux opens none that is longer (PATH_MAX); to compare a megabyte with thousands of mounts takes seconds."""


@dataclass(frozen=True, slots=True)
class Destination:
    """The volumes that the checkpoint may go to."""

    volume_names: tuple[str, ...] = ()
    """Volumes of the pod that have a claim or a driver; none where it goes to neither."""
    why: str = ""
    """What chose it, in words for the decision, where that was a path."""
    ends_with_the_pod: str = ""
    """The emptyDir or root file system that it goes to; empty where it goes to a volume that outlives the pod."""
    empty_dir: str = ""
    """The name of that emptyDir; empty for the root file system."""
    shared_with: tuple[str, ...] = ()
    """Containers beside the trainer that mount that emptyDir, and so may upload the checkpoint from there."""
    on_one_node: str = ""
    """The volume that is a folder of the pod's node; empty where it goes elsewhere."""
    notes: tuple[str, ...] = ()


def destination_of(pod: Pod, statements: Statements) -> Destination:
    """Return where the checkpoint goes, as far as the pod and what was said about it tell."""
    volumes = {volume.name: volume for volume in pod.volumes}
    stated = statements.get(keys.CHECKPOINT_VOLUME)
    named = None if stated is None else _named(pod, volumes, stated.value)
    if named is not None:
        return named
    paths = save_paths_of(pod)
    destination = _by_path(pod, volumes, paths) or _by_claims(pod, volumes) or _ending_with_the_pod(pod, volumes, paths)
    destination = destination or Destination()
    if stated is None:
        return destination
    note = f"checkpoint-volume {brevity.short(stated.value)} is no volume or mount path of the pod"
    return replace(destination, notes=(note, *destination.notes))


def _named(pod: Pod, volumes: Mapping[str, PodVolume], name_or_path: str) -> Destination | None:
    """Return the volume of that name, else the one that any container mounts at or above that path."""
    if name_or_path in volumes:
        return _at(pod, volumes[name_or_path])
    path = posixpath.normpath(name_or_path)
    mounts = [_mount_of(container.mounts, path) for container in pod.containers]
    return next(
        (_at(pod, volumes[mount.volume_name]) for mount in mounts if mount and mount.volume_name in volumes), None
    )


def _by_path(pod: Pod, volumes: Mapping[str, PodVolume], paths: SavePaths) -> Destination | None:
    """Return where the trainer's own paths lead: of several the first that outlives the pod, else the first.

    A path that is only likely counts where it leads to a volume with a claim or a driver.
    """
    sure = [each for path in paths.sure for each in _holding(pod, volumes, path)]
    lasting = (each for each in sure if not each.ends_with_the_pod)
    likely = (each for path in paths.likely for each in _holding(pod, volumes, path) if each.volume_names)
    return next(chain(lasting, likely, sure), None)


def _ending_with_the_pod(pod: Pod, volumes: Mapping[str, PodVolume], paths: SavePaths) -> Destination | None:
    """Return where a likely or a relative path leads. A relative one may lead to any volume that the trainer mounts."""
    likely = (each for path in paths.likely for each in _holding(pod, volumes, path))
    relative = () if _mounts_a_lasting_volume(pod, volumes) else paths.relative
    in_the_image = (Destination(ends_with_the_pod=f"the image's working directory ({path})") for path in relative)
    return next(chain(likely, in_the_image), None)


def _mounts_a_lasting_volume(pod: Pod, volumes: Mapping[str, PodVolume]) -> bool:
    mounted = (volumes.get(mount.volume_name) for mount in pod.trainer.mounts if not mount.read_only)
    return any(volume is not None and volume.outlives_the_pod for volume in mounted)


def _holding(pod: Pod, volumes: Mapping[str, PodVolume], path: SavePath) -> Iterator[Destination]:
    """Yield the destination of a path in the trainer container; nothing where it cannot be written to."""
    if path.is_elsewhere:
        yield Destination(why=f"{path}, no volume")
        return
    mount = _mount_of(pod.trainer.mounts, path.path)
    if mount is None:
        yield Destination(ends_with_the_pod=f"the root file system ({path})")
        return
    volume = volumes.get(mount.volume_name)
    if volume is not None and not mount.read_only and volume.can_be_written:
        yield replace(_at(pod, volume), why=f"volume {volume.name} by {path}")


def _by_claims(pod: Pod, volumes: Mapping[str, PodVolume]) -> Destination | None:
    """Return every claim that the pod can write to, else every volume with a driver that it mounts; None without any."""
    read_only = _mounted_read_only(pod)
    writable = [volume for name, volume in volumes.items() if volume.can_be_written and name not in read_only]
    mounted = {mount.volume_name for mount in pod.trainer.mounts}
    names = [volume.name for volume in writable if volume.has_claim] or [
        volume.name for volume in writable if volume.driver and volume.name in mounted
    ]
    notes = (f"{len(names)} volumes, the slowest counts: set checkpoint-volume",) if len(names) > 1 else ()
    return Destination(tuple(names), notes=notes) if names else None


def _at(pod: Pod, volume: PodVolume) -> Destination:
    if volume.has_claim or volume.driver:
        return Destination((volume.name,))
    if volume.is_empty_dir:
        beside = tuple(_beside_the_trainer(pod, volume.name))
        where = f"volume {volume.name} (emptyDir)"
        return Destination(ends_with_the_pod=where, empty_dir=volume.name, shared_with=beside)
    return Destination(on_one_node=volume.name if volume.host_path else "")


def _beside_the_trainer(pod: Pod, volume_name: str) -> Iterator[str]:
    """Yield the containers that run beside the trainer, native sidecars among them, and mount the volume."""
    for container in pod.running_containers:
        is_trainer = container.position == pod.trainer.position
        if not is_trainer and any(mount.volume_name == volume_name for mount in container.mounts):
            yield container.name


def _mount_of(mounts: Sequence[Mount], path: str) -> Mount | None:
    """Return the mount that a path lies in, the deepest of several; None means the root file system."""
    below = f"{path[:_LONGEST_PATH]}/"
    holding = [mount for mount in mounts if mount.prefix and below.startswith(mount.prefix)]
    return max(holding, key=lambda mount: len(mount.prefix), default=None)


def _mounted_read_only(pod: Pod) -> set[str]:
    """Return the volumes that containers mount, every one of them read-only."""
    mounts = [mount for container in pod.containers for mount in container.mounts]
    writable = {mount.volume_name for mount in mounts if not mount.read_only}
    return {mount.volume_name for mount in mounts} - writable
