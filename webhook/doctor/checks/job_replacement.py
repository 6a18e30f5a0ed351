"""GK302: a Job starts the next pod while the one that was told to stop still writes its checkpoint.

Without `podReplacementPolicy: Failed` a Job replaces a pod as soon as it terminates (the default without a podFailurePolicy).
Two pods write into one volume then. A Job that has no try left makes no such pod, and neither does one whose volume only one
pod can mount.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from webhook.doctor.finding import Cure, Evidence, Finding, Severity
from webhook.doctor.lists import ClusterLists
from webhook.doctor.trainers import TrainingPod
from webhook.policy.pod import PodVolume
from webhook.policy.pod.metadata import JsonObject, controller_of, metadata_of
from webhook.policy.storage.destination import destination_of

ID = "GK302"
_POLICY = "podReplacementPolicy"
_WAITS = "Failed"
_REPLACES_AT_ONCE = "TerminatingOrFailed"
_ONE_NODE, _ONE_POD = "ReadWriteOnce", "ReadWriteOncePod"


def findings(lists: ClusterLists) -> Iterator[Finding]:
    """Yield one finding for each Job of training pods that replaces a pod which still writes."""
    claims = {_key(claim): claim for claim in lists.of("PersistentVolumeClaim")}
    pods_by_job: dict[tuple[str, str], list[TrainingPod]] = defaultdict(list)
    for trainer in lists.trainers:
        owner = controller_of(trainer.manifest)
        if owner.get("kind") == "Job" and str(owner.get("apiVersion", "")).startswith("batch/"):
            pods_by_job[trainer.namespace, str(owner.get("name"))].append(trainer)
    for job in lists.of("Job"):
        trainers = pods_by_job.get(_key(job), [])
        if trainers and _replaces_at_once(job):
            yield from _findings_of(job, trainers, claims)


def _key(holder: JsonObject) -> tuple[str, str]:
    metadata = metadata_of(holder)
    return metadata.get("namespace", ""), metadata.get("name", "")


def _replaces_at_once(job: JsonObject) -> bool:
    spec = job.get("spec") or {}
    has_tries = spec.get("backoffLimit") != 0 and spec.get("backoffLimitPerIndex") != 0
    is_alone = controller_of(job).get("kind") in {None, "CronJob"}  # a JobSet ends its Jobs before it makes them anew
    waits = spec.get(_POLICY) == _WAITS or (_POLICY not in spec and bool(spec.get("podFailurePolicy")))
    return has_tries and is_alone and not waits and not spec.get("suspend")


def _findings_of(
    job: JsonObject, trainers: Sequence[TrainingPod], claims: Mapping[tuple[str, str], JsonObject]
) -> Iterator[Finding]:
    shared = [(each, _volume_of_both(each, claims)) for each in trainers]
    hit = [(each, volume) for each, volume in shared if volume]
    if not hit:
        return
    namespace, name = _key(job)
    longest = max(each.asked_seconds for each, _ in hit)
    is_sure = any("same node" not in volume for _, volume in hit)
    yield Finding(
        check=ID,
        severity=Severity.ERROR if is_sure else Severity.WARNING,
        subject=f"Job {namespace}/{name}",
        sentence=f"Job {namespace}/{name} starts a new pod while the old one still writes for up to {longest} s into "
        f"{hit[0][1]}. Two pods write the same checkpoint.",
        cure=_cure(job),
        evidence=(
            Evidence(
                f"kubectl get job {name} -n {namespace} -o jsonpath='{{.spec.{_POLICY}}}'",
                f".spec.{_POLICY}",
                (job.get("spec") or {}).get(_POLICY) or f"(not set: {_REPLACES_AT_ONCE})",
            ),
        ),
        pods=tuple(sorted(each.full_name for each, _ in hit)),
    )


def _volume_of_both(trainer: TrainingPod, claims: Mapping[tuple[str, str], JsonObject]) -> str:
    """Return the volume that the next pod would write to as well, in words; empty where there is none."""
    pod = trainer.look.pod
    destination = destination_of(pod, trainer.look.statements)
    names = {*destination.volume_names, destination.on_one_node}
    volumes = (volume for volume in pod.volumes if volume.name in names)
    return next(filter(None, (_in_words(volume, trainer.namespace, claims) for volume in volumes)), "")


def _in_words(volume: PodVolume, namespace: str, claims: Mapping[tuple[str, str], JsonObject]) -> str:
    if volume.claim_template is not None:  # the claim belongs to the pod
        return ""
    if volume.host_path:
        return f"the folder {volume.host_path}, where it lands on the same node"
    if volume.driver:
        return f"volume {volume.name} ({volume.driver})"
    spec: Mapping[str, Any] = (claims.get((namespace, volume.claim_name or "")) or {}).get("spec") or {}
    modes = spec.get("accessModes") or ()
    if modes and all(mode == _ONE_POD for mode in modes):
        return ""
    is_of_one_node = not modes or all(mode in {_ONE_NODE, _ONE_POD} for mode in modes)
    return f"claim {volume.claim_name}" + (", where it lands on the same node" if is_of_one_node else "")


def _cure(job: JsonObject) -> Cure:
    namespace, name = _key(job)
    patch: dict[str, Any] = {"spec": {_POLICY: _WAITS}}
    command = f"kubectl patch job {name} -n {namespace} --type merge -p '{json.dumps(patch)}'"
    owner = controller_of(job)
    if owner:
        of_template = json.dumps({"spec": {"jobTemplate": patch}})
        command += f" && kubectl patch cronjob {owner.get('name')} -n {namespace} --type merge -p '{of_template}'"
    return Cure(
        command,
        note=f"Write `{_POLICY}: {_WAITS}` into the manifest of the Job too, or the next one comes without it.",
        restarts="It restarts nothing: the Job takes the policy at once, and its pods run on.",
    )
