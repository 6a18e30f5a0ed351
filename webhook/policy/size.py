"""How many bytes this pod has to save and to upload, and which volume the checkpoint goes to."""

from dataclasses import dataclass

from webhook.policy import keys, markers
from webhook.policy import pod as pods
from webhook.policy.config import Defaults
from webhook.policy.facts import Facts, JsonObject, claims_by_volume
from webhook.policy.throughput import Throughput, Volume, instead, of_volume


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of bytes, pods or the like, and who said it."""

    value: float
    source: str


def checkpoint_bytes(said: keys.Statements, defaults: Defaults) -> Amount | None:
    """Bytes that the whole job writes for one checkpoint: stated, or parameters x bytes per parameter.

    Of a size and a parameter count the one that is said nearer to the pod wins; at the same place the size.
    """
    size, parameters = said.get(keys.CHECKPOINT_SIZE), said.get(keys.MODEL_PARAMETERS)
    places = list(keys.Place)
    if size is not None and (parameters is None or places.index(size.place) <= places.index(parameters.place)):
        return Amount(size.value, size.source)
    if parameters is None:
        return None
    each = said.get(keys.BYTES_PER_PARAMETER)
    per_parameter = defaults.bytes_per_parameter if each is None else each.value
    return Amount(
        parameters.value * per_parameter,
        f"{parameters.value:g} parameters ({parameters.source}) x {per_parameter:g} bytes "
        f"({'default' if each is None else each.source})",
    )


def saves_when_told_to_stop(pod: JsonObject, said: keys.Statements, *, has_profile: bool) -> str | None:
    """What shows that the pod saves on SIGTERM, so that an unknown size is worth a default grace; None where nothing does."""
    if said.by_owner or said.of_pod(keys.ENABLED) is not None:
        return "the pod carries a gracekeeper key"
    if pods.is_osmo_task(pod):
        return "an OSMO task"
    if has_profile or any(stated for stated in said.said.values()):
        return "a profile or the Namespace speaks for it"
    for container in pods.containers(pod):
        variable = markers.first_match(pods.variable_names(container), markers.CHECKPOINT_VARIABLES)
        if variable is not None:
            return f"environment variable {variable}"
        argument = next((w for w in _flags(container) if w in markers.CHECKPOINT_ARGUMENTS), None)
        if argument is not None:
            return f"argument {argument}"
    return None


def _flags(container: JsonObject) -> list[str]:
    return [flag.partition("=")[0] for word in pods.words(container) for flag in word.split() if flag.startswith("--")]


@dataclass(frozen=True, slots=True)
class Target:
    """Where the checkpoint goes: the speed for this pod, and what should be said about the choice."""

    throughput: Throughput
    ignored: tuple[keys.Ignored, ...] = ()
    notes: tuple[str, ...] = ()


def target(pod: JsonObject, facts: Facts, said: keys.Statements, defaults: Defaults) -> Target:
    """The write throughput of the checkpoint volume, first that answers.

    Pod, then the volume's objects, then Namespace and profile, then the configured default. A shared (ReadWriteMany)
    volume's throughput is divided by the writers, whoever said it except the pod itself.
    """
    stated = said.get(keys.WRITE_THROUGHPUT)
    of_pod = said.of_pod(keys.WRITE_THROUGHPUT)
    if of_pod is not None:
        return Target(Throughput(of_pod.value, of_pod.source))
    candidates, notes = _candidates(pod, facts, said)
    answers = [(volume, *of_volume(volume)) for volume in candidates if volume is not None]
    ignored = tuple(passed for _, _, passed_over in answers for passed in passed_over)
    fallback = (
        Throughput(defaults.write_bytes_per_second, "default")
        if stated is None
        else Throughput(stated.value, stated.source)
    )
    speeds = [_per_writer(volume, found or instead(volume, fallback), said) for volume, found, _ in answers]
    if None in candidates or not speeds:
        speeds.append(fallback)
    slowest = min(speeds, key=lambda throughput: throughput.bytes_per_second)
    return Target(slowest, ignored, notes)


def _per_writer(volume: Volume, throughput: Throughput, said: keys.Statements) -> Throughput:
    writers = said.get(keys.CHECKPOINT_WRITERS)
    if writers is None or not volume.shared:
        return throughput
    return Throughput(
        throughput.bytes_per_second / writers.value, f"{throughput.source}, shared by {writers.value} writers"
    )


def _candidates(pod: JsonObject, facts: Facts, said: keys.Statements) -> tuple[list[Volume | None], tuple[str, ...]]:
    """Volumes that the checkpoint may go to: the named one, else every claim of the pod; None for a claim that is not known."""
    claims = dict(claims_by_volume(pod))
    volumes = (pod.get("spec") or {}).get("volumes") or ()
    templates = {v["name"]: (v["ephemeral"].get("volumeClaimTemplate") or {}) for v in volumes if v.get("ephemeral")}
    wanted = said.get(keys.CHECKPOINT_VOLUME)
    mounted = list(dict.fromkeys((*claims, *templates)))
    if wanted is not None:
        name = _volume_name(pod, wanted.value)
        if name is not None and name in mounted:
            return _known([name], claims, templates, facts), ()
        kind = "is no persistent volume" if name else "is no volume or mount path of the pod"
        return [], (f"checkpoint-volume {wanted.value} {kind}",)
    notes = (f"{len(mounted)} volumes, the slowest counts: set checkpoint-volume",) if len(mounted) > 1 else ()
    return _known(mounted, claims, templates, facts), notes


def _volume_name(pod: JsonObject, wanted: str) -> str | None:
    names = [volume["name"] for volume in (pod.get("spec") or {}).get("volumes") or ()]
    if wanted in names:
        return wanted
    mounts = (mount for container in pods.containers(pod) for mount in container.get("volumeMounts") or ())
    path = wanted.rstrip("/")
    return next((mount["name"] for mount in mounts if mount.get("mountPath", "").rstrip("/") == path), None)


def _known(
    names: list[str], claims: dict[str, str], templates: dict[str, JsonObject], facts: Facts
) -> list[Volume | None]:
    found = (facts.claims.get(claims.get(name, "")) or templates.get(name) for name in names)
    return [_volume(claim, facts) if claim else None for claim in found]


def _volume(claim: JsonObject, facts: Facts) -> Volume:
    spec = claim.get("spec") or {}
    bound = facts.persistent_volumes.get(spec.get("volumeName") or "")
    class_name = spec.get("storageClassName")
    storage_class = _default_class(facts) if class_name is None else facts.storage_classes.get(class_name)
    return Volume(
        claim, bound, storage_class, facts.volume_attributes_classes.get(spec.get("volumeAttributesClassName") or "")
    )


def _default_class(facts: Facts) -> JsonObject | None:
    """The StorageClass that a claim without one gets."""
    is_default = "storageclass.kubernetes.io/is-default-class"
    return next((c for c in facts.storage_classes.values() if pods.annotations(c).get(is_default) == "true"), None)
