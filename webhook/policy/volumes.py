"""Which volume the checkpoint goes to.

The first that answers: the named one (`checkpoint-volume`); the mount that holds the path in a known variable or argument
of the trainer container; the only claim; of several claims the slowest, and the decision says so. Only what can be written
to counts: a dataset that is mounted read-only takes no checkpoint.
"""

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from webhook.policy import brevity, keys
from webhook.policy import pod as pods
from webhook.policy.facts import JsonObject
from webhook.policy.paths import SavePath, save_paths

_LONGEST_PATH = 4096
"""Linux opens none that is longer (PATH_MAX); copied for each of thousands of mounts a megabyte takes seconds."""
_READ_ONLY_KINDS = ("configMap", "secret", "projected", "downwardAPI", "image")

_Mount = tuple[str, JsonObject]


@dataclass(frozen=True, slots=True)
class Destination:
    """The volumes that the checkpoint may go to, by name; none where it goes to no claim."""

    claims: tuple[str, ...] = ()
    why: str = ""
    """What chose it, where that was a path; in words for the decision."""
    ends_with_the_pod: str = ""
    """The emptyDir or root file system that it goes to; empty where it goes to what stays."""
    shared_with: tuple[str, ...] = ()
    """Containers beside the trainer that mount that emptyDir, and so may upload what is in it."""
    notes: tuple[str, ...] = ()


def destination(pod: JsonObject, said: keys.Statements) -> Destination:
    """Where the checkpoint goes, as far as the pod and what was said about it tell."""
    wanted = said.get(keys.CHECKPOINT_VOLUME)
    named = None if wanted is None else _named(pod, wanted.value)
    if named is not None:
        return named
    found = _by_path(pod) or _by_claims(pod)
    if wanted is None:
        return found
    return replace(
        found,
        notes=(f"checkpoint-volume {brevity.short(wanted.value)} is no volume or mount path of the pod", *found.notes),
    )


def _named(pod: JsonObject, wanted: str) -> Destination | None:
    """The volume of that name, else the one that any container mounts at or above that path."""
    volumes = _volumes(pod)
    if wanted in volumes:
        return _at(pod, volumes[wanted])
    path = posixpath.normpath(wanted)
    mounts = [_mount_of(_mounts(container), path) for container in pods.containers(pod)]
    return next((_at(pod, volumes[m["name"]]) for m in mounts if m is not None and m.get("name") in volumes), None)


def _by_path(pod: JsonObject) -> Destination | None:
    """Where the trainer's own paths lead: of several the first that outlives the pod, else the first."""
    trainer = pods.trainer(pod)
    volumes, mounts = _volumes(pod), _mounts(trainer)
    found = [place for path in save_paths(trainer) for place in _holding(pod, volumes, mounts, path)]
    return next((place for place in found if not place.ends_with_the_pod), next(iter(found), None))


def _holding(
    pod: JsonObject, volumes: Mapping[str, JsonObject], mounts: list[_Mount], path: SavePath
) -> Iterator[Destination]:
    """The place of a path in a container with these mounts; nothing where it cannot be written to."""
    if path.is_elsewhere:
        yield Destination(why=f"{path}, no volume")
        return
    mount = _mount_of(mounts, path.path)
    if mount is None:
        yield Destination(ends_with_the_pod=f"the root file system ({path})")
        return
    volume = volumes.get(mount.get("name", ""))
    if volume is not None and not mount.get("readOnly") and _can_be_written(volume):
        why = f"volume {mount['name']} by {path}"
        yield replace(_at(pod, volume), why=why)


def _by_claims(pod: JsonObject) -> Destination:
    """Every claim that the pod can write to."""
    only_read = _only_read(pod)
    claims = [
        name
        for name, volume in _volumes(pod).items()
        if _has_claim(volume) and _can_be_written(volume) and name not in only_read
    ]
    notes = (f"{len(claims)} volumes, the slowest counts: set checkpoint-volume",) if len(claims) > 1 else ()
    return Destination(tuple(claims), notes=notes)


def _at(pod: JsonObject, volume: JsonObject) -> Destination:
    if _has_claim(volume):
        return Destination((volume["name"],))
    if volume.get("emptyDir") is not None:
        beside = tuple(_beside_the_trainer(pod, volume["name"]))
        return Destination(ends_with_the_pod=f"volume {volume['name']} (emptyDir)", shared_with=beside)
    return Destination()


def _beside_the_trainer(pod: JsonObject, volume_name: str) -> Iterator[str]:
    """Containers that run while the trainer does, native sidecars among them, and mount the volume."""
    trainer = pods.trainer(pod)
    sidecars = (each for each in pods.init_containers(pod) if each.get("restartPolicy") == "Always")
    for container in (*pods.containers(pod), *sidecars):
        mounted = [mount.get("name") for mount in container.get("volumeMounts") or ()]
        if container is not trainer and volume_name in mounted:
            yield container.get("name", "")


def _volumes(pod: JsonObject) -> dict[str, JsonObject]:
    return {volume.get("name", ""): volume for volume in (pod.get("spec") or {}).get("volumes") or ()}


def _mounts(container: JsonObject) -> list[_Mount]:
    """The container's mounts, each with its mount path and a slash at the end of that."""
    mounts = container.get("volumeMounts") or ()
    return [(f"{mount['mountPath'].rstrip('/')}/", mount) for mount in mounts if mount.get("mountPath")]


def _mount_of(mounts: list[_Mount], path: str) -> JsonObject | None:
    """The mount that a path lies in, the deepest of several; None: the root file system."""
    below = f"{path[:_LONGEST_PATH]}/"
    holding = [mount for mount in mounts if below.startswith(mount[0])]
    return max(holding, key=lambda mount: len(mount[0]), default=("", None))[1]


def _has_claim(volume: JsonObject) -> bool:
    return bool(volume.get("persistentVolumeClaim") or volume.get("ephemeral"))


def _can_be_written(volume: JsonObject) -> bool:
    read_only = (volume.get("persistentVolumeClaim") or {}).get("readOnly")
    return not read_only and not any(volume.get(kind) for kind in _READ_ONLY_KINDS)


def _only_read(pod: JsonObject) -> set[str]:
    """The volumes that containers mount, every one of them read-only."""
    mounts = [mount for container in pods.containers(pod) for mount in container.get("volumeMounts") or ()]
    writable = {mount.get("name") for mount in mounts if not mount.get("readOnly")}
    return {mount.get("name") for mount in mounts} - writable
