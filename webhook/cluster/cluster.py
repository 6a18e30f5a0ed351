"""The objects around one pod: its Namespace, its Job, and claim -> volume, StorageClass, VolumeAttributesClass.

Nodes, Namespaces, StorageClasses and VolumeAttributesClasses come from a watch. Claims, volumes and Jobs are too many to
watch, so they are read by name.
"""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from webhook.api import Api
from webhook.cluster.answers import Answer
from webhook.cluster.earlier_runs import EarlierRuns
from webhook.cluster.nodes import NODE, accelerator_memory
from webhook.cluster.pre_pull import pre_pull_watch
from webhook.cluster.reads import PodReads, Reads
from webhook.cluster.sidecars import Probe, Rhythm, SidecarSupport
from webhook.cluster.stream import Kind, Patience
from webhook.cluster.tasks import OfNamespace, TaskFacts
from webhook.cluster.watched import Derived, Watched
from webhook.log import Logger
from webhook.policy.facts import Facts, Lookups, Missing, MissingReason, Namespace
from webhook.policy.names import NO_NAME, is_name
from webhook.policy.pod.marks import UID_RANGE_ANNOTATION
from webhook.policy.pod.metadata import JsonObject
from webhook.policy.prefix import PREFIX

_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_MOST_CLAIMS = 16
"""Of one pod. A namespace alone reads 8 objects at a time, so the claims of one pod take two turns."""
_CORE = "/api/v1"
_NUMBERS_OF_JOB = ("completions", "parallelism", "completionMode")


def _slim(manifest: JsonObject) -> dict[str, Any]:
    """What the policy may look at; managed fields, status and other tools' annotations would only cost memory."""
    metadata = manifest.get("metadata") or {}
    annotations = {
        key: value
        for key, value in (metadata.get("annotations") or {}).items()
        if key.startswith(PREFIX) or key in {_DEFAULT_CLASS, UID_RANGE_ANNOTATION}
    }
    names = {field: metadata[field] for field in ("name", "namespace", "uid") if field in metadata}
    slim = {"metadata": {**names, "annotations": annotations}}
    return slim | {
        field: manifest[field] for field in ("kind", "spec", "parameters", "provisioner") if field in manifest
    }


def _slim_namespace(namespace: JsonObject) -> dict[str, Any]:
    slim = _slim(namespace)
    labels = (namespace.get("metadata") or {}).get("labels") or {}
    slim["metadata"]["labels"] = {key: value for key, value in labels.items() if key.startswith(PREFIX)}
    slim.pop("spec", None)
    return slim


def _slim_job(job: JsonObject) -> dict[str, Any]:
    spec = job.get("spec") or {}
    return {"kind": "Job", "spec": {field: spec[field] for field in _NUMBERS_OF_JOB if field in spec}}


def _slim_by_kind(manifest: JsonObject) -> dict[str, Any]:
    shorten = {"Namespace": _slim_namespace, "Job": _slim_job}.get(manifest.get("kind", ""), _slim)
    return shorten(manifest)


def _settled(manifest: JsonObject) -> bool:
    """Return whether an object will stay as it is for a while. A claim or a volume that is not bound yet will not."""
    bound_by = {"PersistentVolumeClaim": "volumeName", "PersistentVolume": "claimRef"}.get(manifest.get("kind", ""))
    return bound_by is None or bool((manifest.get("spec") or {}).get(bound_by))


NAMESPACE = Kind("Namespace", (f"{_CORE}/namespaces",), _slim_namespace)
STORAGE_CLASS = Kind("StorageClass", ("/apis/storage.k8s.io/v1/storageclasses",), _slim)
ATTRIBUTES_CLASS = Kind(
    "VolumeAttributesClass",
    tuple(f"/apis/storage.k8s.io/{version}/volumeattributesclasses" for version in ("v1", "v1beta1")),
    _slim,
)


class Cluster:
    """What the API server tells. `start` begins to watch; `namespace` and `facts` are for the event loop."""

    def __init__(
        self,
        api: Api,
        logger: Logger,
        patience: Patience | None = None,
        probe: Probe | None = None,
        rhythm: Rhythm | None = None,
    ) -> None:
        """Facts for the conversion of OSMO task pods only where there is a `probe` to ask the API server with."""
        patience = patience or Patience()
        self._reads = Reads(api, _slim_by_kind, _settled)
        self.namespaces = Watched(api, NAMESPACE, logger, patience)
        self.storage_classes = Watched(api, STORAGE_CLASS, logger, patience)
        self.attributes_classes = Watched(api, ATTRIBUTES_CLASS, logger, patience)
        self.nodes = Watched(api, NODE, logger, patience)
        self._accelerators = Derived(self.nodes, accelerator_memory)
        self.tasks: TaskFacts | None = None
        if probe is not None:
            sidecars = SidecarSupport(api, self.nodes, probe, logger, rhythm or Rhythm())
            self.tasks = TaskFacts(api, sidecars, logger, patience, pre_pull_watch(api, probe, logger, patience))
        self._earlier_runs: EarlierRuns | None = None
        ours = (self.nodes, self.namespaces, self.storage_classes, self.attributes_classes)
        self._watched: tuple[Watched, ...] = ours if self.tasks is None else (*ours, *self.tasks.watched)
        self._stop = threading.Event()

    def learn_from(self, earlier_runs: EarlierRuns) -> None:
        """Look up earlier runs of workloads there; to be called before `start`."""
        self._earlier_runs = earlier_runs
        self._watched = (*self._watched, earlier_runs.watched)

    def start(self) -> None:
        """Watch from now on, each kind in a thread of its own."""
        for watched in self._watched:
            name = f"watch-{watched.kind.name}"
            threading.Thread(target=watched.run, args=(self._stop,), name=name, daemon=True).start()
        if self.tasks is not None:
            self.tasks.start(self._stop)

    def stop(self) -> None:
        """Stop watching; what is known stays readable."""
        self._stop.set()
        for watched in self._watched:
            watched.end_watch()
        self._reads.close()

    def lacks(self) -> Sequence[str]:
        """What nothing is known of yet; what the server refuses is not waited for."""
        lists = [f"no list of {watched.kind.name} objects yet" for watched in self._watched if not watched.tried]
        if self.tasks is not None and not self.tasks.sidecars.tried:
            return [*lists, "no answer about native sidecars yet"]
        return lists

    def ages_seconds(self) -> Mapping[str, float]:
        """How long ago each watched kind was last heard of."""
        return {watched.kind.name: watched.age_seconds() for watched in self._watched}

    def facts_out_of_date(self) -> int:
        """Return how many objects were served as they were read before, because the API server did not show them in time."""
        return self._reads.out_of_date_total

    def has_native_sidecars(self) -> bool:
        """Whether OSMO task pods get native sidecars."""
        return self.tasks is not None and self.tasks.sidecars.now().native

    async def namespace(self, name: str, seconds: float) -> Namespace:
        """Return the Namespace, if it can be had within so many seconds."""
        if not is_name(name):
            return Namespace(name, missing=(Missing(f"Namespace {NO_NAME}", MissingReason.NOT_FOUND),))
        answer = await self._watched_or_read(self.namespaces, name, self._reads.of(name, _deadline(seconds)))
        missing: list[Missing] = []
        _note(missing, f"Namespace {name}", answer)
        return Namespace(name, answer.manifest, tuple(missing))

    async def facts(self, namespace: str, lookups: Lookups, seconds: float) -> Facts:
        """Return the objects around a pod of this namespace that can be had within so many seconds."""
        if not is_name(namespace):
            return Facts()
        reads = self._reads.of(namespace, _deadline(seconds))
        missing: list[Missing] = []
        of_tasks = self.tasks.of(namespace) if self.tasks is not None else OfNamespace()
        if lookups.nodes and (self.nodes.forbidden or not self.nodes.synced):
            missing.append(Missing("Nodes", _reason_of(self.nodes)))
        jobs = [] if lookups.job is None else [lookups.job]
        self._begin(reads, _jobs_of(namespace), jobs)  # beside the claims, whose volumes are a second read
        claims = await self._claims(namespace, lookups.claim_names, reads, missing)
        volumes = await self._volumes(claims, reads, missing)
        learned = self._earlier_runs
        exact_runs, coarse_runs = ((), ()) if learned is None else learned.of(namespace, lookups)
        return Facts(
            exact_runs=exact_runs,
            coarse_runs=coarse_runs,
            wrapping_stop=None if learned is None else learned.stop_in(namespace),
            claims=claims,
            persistent_volumes=volumes,
            storage_classes=await self._classes(self.storage_classes, "storageClassName", claims, reads, missing),
            volume_attributes_classes=await self._classes(
                self.attributes_classes, "volumeAttributesClassName", claims, reads, missing
            ),
            job=await self._job(namespace, jobs, reads, missing),
            accelerator_memory_mib=self._accelerators.now(),
            missing=tuple(missing),
            **of_tasks,
        )

    async def _job(
        self, namespace: str, names: Sequence[str], reads: PodReads, missing: list[Missing]
    ) -> JsonObject | None:
        jobs = await self._read_all(_jobs_of(namespace), f"Job {namespace}/", names, reads, missing)
        return next(iter(jobs.values()), None)

    async def _claims(
        self, namespace: str, names: Sequence[str], reads: PodReads, missing: list[Missing]
    ) -> dict[str, JsonObject]:
        base, kind = f"{_CORE}/namespaces/{namespace}/persistentvolumeclaims", "PersistentVolumeClaim"
        claims = await self._read_all(base, f"{kind} {namespace}/", names[:_MOST_CLAIMS], reads, missing)
        if len(names) > _MOST_CLAIMS:
            more = f"{len(names) - _MOST_CLAIMS} more {kind}s of the pod"
            missing.append(Missing(more, MissingReason.TOO_MANY))
        return claims

    async def _volumes(
        self, claims: Mapping[str, JsonObject], reads: PodReads, missing: list[Missing]
    ) -> dict[str, JsonObject]:
        names = _named_by(claims, "volumeName")
        return await self._read_all(f"{_CORE}/persistentvolumes", "PersistentVolume ", names, reads, missing)

    async def _read_all(
        self, base: str, name_prefix: str, names: Sequence[str], reads: PodReads, missing: list[Missing]
    ) -> dict[str, JsonObject]:
        """What is no name is not read, and said once."""
        readable = [name for name in names if is_name(name)]
        if len(readable) < len(names):
            missing.append(Missing(name_prefix + NO_NAME, MissingReason.NOT_FOUND))
        self._begin(reads, base, readable)
        objects = {}
        for name in readable:
            answer = await self._read(base, name, reads)
            _note(missing, name_prefix + name, answer)
            if answer.manifest is not None:
                objects[name] = answer.manifest
        return objects

    def _begin(self, reads: PodReads, base: str, names: Sequence[str]) -> None:
        for name in filter(is_name, names):
            reads.begin(f"{base}/{name}")

    async def _classes(
        self,
        watched: Watched,
        field: str,
        claims: Mapping[str, JsonObject],
        reads: PodReads,
        missing: list[Missing],
    ) -> Mapping[str, JsonObject]:
        """All classes that are known, so that the default one is among them, and those that these claims name."""
        classes = watched.objects
        if watched is self.storage_classes and not watched.synced and _name_no(claims, field):
            missing.append(Missing("the default StorageClass", _reason_of(watched)))
        for name in _named_by(claims, field):
            answer = await self._watched_or_read(watched, name, reads)
            if answer.missing is not MissingReason.NOT_FOUND:  # claims of hand-made volumes often name a class in vain
                _note(missing, f"{watched.kind.name} {name}", answer)
            if answer.manifest is not None and name not in classes:
                classes = {**classes, name: answer.manifest}
        return classes

    async def _watched_or_read(self, watched: Watched, name: str, reads: PodReads) -> Answer:
        held = watched.objects.get(name)
        if held is not None:
            return Answer(held)
        if not watched.served:
            return Answer(missing=MissingReason.NOT_FOUND)
        return await self._read(watched.path, name, reads)

    async def _read(self, base: str, name: str, reads: PodReads) -> Answer:
        if not is_name(name):
            return Answer(missing=MissingReason.NOT_FOUND)
        return await reads.answer(f"{base}/{name}")


def _deadline(seconds: float) -> float:
    """Return the event loop's time after so many seconds."""
    return asyncio.get_running_loop().time() + seconds


def _jobs_of(namespace: str) -> str:
    return f"/apis/batch/v1/namespaces/{namespace}/jobs"


def _named_by(claims: Mapping[str, JsonObject], field: str) -> Sequence[str]:
    names = ((claim.get("spec") or {}).get(field) for claim in claims.values())
    return list(dict.fromkeys(name for name in names if name))


def _name_no(claims: Mapping[str, JsonObject], field: str) -> bool:
    return any((claim.get("spec") or {}).get(field) is None for claim in claims.values())


def _reason_of(watched: Watched) -> MissingReason:
    return MissingReason.FORBIDDEN if watched.forbidden else MissingReason.DEADLINE


def _note(missing: list[Missing], name: str, answer: Answer) -> None:
    if answer.missing is not None:
        missing.append(Missing(name, answer.missing))
