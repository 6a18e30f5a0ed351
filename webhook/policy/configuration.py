"""The admin's configuration as the policy reads it: plain frozen data. webhook/config/fields.py parses and checks it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from fnmatch import fnmatchcase
from typing import ClassVar

MEBIBYTE = 2**20


class Mode(StrEnum):
    """Whether a decision is carried out."""

    ENFORCE = "enforce"
    AUDIT = "audit"


class UnknownSize(StrEnum):
    """What a training pod gets when nothing tells how big its checkpoint is."""

    EVIDENCE = "evidence"
    DEFAULT = "default"
    ESTIMATE = "estimate"
    SKIP = "skip"


class OsmoMode(StrEnum):
    """How an OSMO task pod is treated: converted with osmo-ctrl as a sidecar or as a regular container, or not."""

    NATIVE = "native"
    CONTAINER = "container"
    GRACE_ONLY = "grace-only"
    OFF = "off"


class ForwardSigterm(StrEnum):
    """Whether the trainer is started through `supervise forward`: by its owner's word, or where that is known to be needed."""

    AUTO = "auto"
    YES = "true"
    NO = "false"


class Compatibility(StrEnum):
    """Which version's behaviour counts for pods of which nobody says anything."""

    NEWEST = "newest"
    V0_1_0 = "0.1.0"


class InterruptedCode(IntEnum):
    """What OSMO reports of a task that was told to stop while its command ran, although everything was saved."""

    AS_TODAY = 2001
    SIGTERM = 143


@dataclass(frozen=True, slots=True)
class Supervise:
    """The helper that runs inside pods: where it comes from and where it can run."""

    image: str | None = None
    """As changed pods name it; without one no pod gets it."""
    image_pull_secret: str | None = None
    """Name of a pull secret that is added to such pods; it must exist in their namespaces."""
    architectures: tuple[str, ...] = ("amd64",)
    """What the image is built for, as in kubernetes.io/arch."""
    runtime_classes: tuple[str, ...] = ("nvidia",)
    """Runtime classes that show their processes as Linux does, so that `forward-sigterm: auto` may wrap. NVIDIA's is runc."""
    images_always_pulled: bool = False
    """Whether an admission forces every container to pull its image (AlwaysPullImages), where the test pod does not show it."""
    user_id: ClassVar[int | None] = 65532
    """User and group of the containers that are added."""


@dataclass(frozen=True, slots=True)
class SuperviseWithoutUser(Supervise):
    """The same in a namespace that chooses the users of its containers itself (OpenShift)."""

    user_id: ClassVar[int | None] = None


@dataclass(frozen=True, slots=True)
class Osmo:
    """How OSMO task pods are converted."""

    mode: OsmoMode = OsmoMode.NATIVE
    interrupted_code: InterruptedCode = InterruptedCode.AS_TODAY


@dataclass(frozen=True, slots=True)
class Observer:
    """Learning from terminations."""

    enabled: bool = True
    """Whether training pods get the labels by which the observer knows their workload again."""
    minimum_run_seconds: int = 600
    """A trainer that ran for less teaches nothing."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """Terms of the sum that hold where nobody said anything else."""

    step_seconds: float = 30.0
    """Longest time until a training loop looks at the signal."""
    safety: float = 2.0
    """Factor on step, write and upload: the field's rule of thumb (twice the measured save)."""
    margin_seconds: float = 15.0
    """Added once: process exit, file system sync, the kubelet's own delays."""
    maximum_grace_seconds: int = 3600
    """The most that gracekeeper asks for; a pod that hangs holds its node that long."""
    unknown_size_grace_seconds: int = 600
    """cluster-autoscaler's default cap: more is often cut anyway."""
    bytes_per_parameter: float = 14.0
    """bf16 weights, fp32 master copy and two Adam moments: facts/tables/bytes_per_param.csv."""
    write_bytes_per_second: float = 100.0 * MEBIBYTE
    """A volume that states nothing; below the smallest default of the large clouds' block storage."""
    upload_bytes_per_second: float = 100.0 * MEBIBYTE
    """An object store from one node, conservatively."""


@dataclass(frozen=True, slots=True)
class GraceCap:
    """Something that cuts a longer grace, for pods that ask for nodes with all these labels; empty: for every pod."""

    seconds: int
    node_selector: Mapping[str, str] = field(default_factory=dict)
    bound: bool = False
    """Whether the grace is not set above it, for pods that ask for no other nodes. A longer grace is worse than a cut one
    there: Karpenter ends a pod earlier that asks for more than its node has left. Off by default."""


@dataclass(frozen=True, slots=True)
class Match:
    """Which pods a profile is for; an empty field matches every pod."""

    namespaces: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    owner_kinds: tuple[str, ...] = ()

    def covers(self, namespace: str, labels: Mapping[str, str], owner_kinds: frozenset[str]) -> bool:
        """Return whether a pod of this namespace (globs allowed), with these labels and owners, is meant."""
        return (
            (not self.namespaces or any(fnmatchcase(namespace, pattern) for pattern in self.namespaces))
            and all(labels.get(key) == value for key, value in self.labels.items())
            and (not self.owner_kinds or not owner_kinds.isdisjoint(self.owner_kinds))
        )


@dataclass(frozen=True, slots=True)
class Profile:
    """What an admin says for a group of pods."""

    name: str
    match: Match = field(default_factory=Match)
    values: Mapping[str, str] = field(default_factory=dict)
    enabled: bool | None = None
    mode: Mode | None = None
    unknown_size: UnknownSize | None = None
    maximum_grace_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """Everything an admin can set; `Config()` is what runs without a file."""

    mode: Mode = Mode.ENFORCE
    unknown_size: UnknownSize = UnknownSize.EVIDENCE
    forward_sigterm: ForwardSigterm = ForwardSigterm.AUTO
    defaults: Defaults = field(default_factory=Defaults)
    profiles: tuple[Profile, ...] = ()
    supervise: Supervise = field(default_factory=Supervise)
    osmo: Osmo = field(default_factory=Osmo)
    grace_caps: Mapping[str, GraceCap] = field(default_factory=dict)
    """What cuts a longer grace in this cluster, by name (cluster-autoscaler: 600 s)."""
    node_throughput: Mapping[str, float] = field(default_factory=dict)
    """Bytes per second that a node can write, by its instance type or by `label=value`."""
    observer: Observer = field(default_factory=Observer)
    audit_labels: bool = False
    """Whether the observer's labels are written in audit mode too, so that a first week of audit already learns."""
    compatibility: Compatibility = Compatibility.NEWEST
    """With 0.1.0, pods are recognised as in that version, nothing is learned, and nothing is wrapped unasked."""

    def as_in_0_1_0(self) -> "Config":
        """Return the configuration under which pods get what version 0.1.0 gave them."""
        asked = ForwardSigterm.NO if self.forward_sigterm is ForwardSigterm.AUTO else self.forward_sigterm
        observer = replace(self.observer, enabled=False)
        return replace(self, compatibility=Compatibility.V0_1_0, observer=observer, forward_sigterm=asked)

    def unknown_size_for(self, profile: Profile | None) -> UnknownSize:
        """Return the rule for pods that this profile covers; without a profile the rule for all."""
        return self.unknown_size if profile is None or profile.unknown_size is None else profile.unknown_size

    def profile_for(self, namespace: str, labels: Mapping[str, str], owner_kinds: frozenset[str]) -> Profile | None:
        """Return the first profile that covers the pod."""
        return next((p for p in self.profiles if p.match.covers(namespace, labels, owner_kinds)), None)
