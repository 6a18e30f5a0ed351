"""What a check finds, as data: findings with the pods that lose, and what could not be looked at. Rendering is elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    """Nothing is lost today; it would be by a pod that asks for more."""


class UnseenReason(StrEnum):
    """Why a kind could not be looked at. None of these means that all is well."""

    FORBIDDEN = "forbidden"
    NOT_SERVED = "not-served"
    TIMEOUT = "timeout"
    ERROR = "error"
    NOT_ASKED = "not-asked"
    NOT_IN_DUMP = "not-in-dump"
    NOT_READABLE = "not-readable"
    """No API of the cluster tells it; a cloud's own might."""


@dataclass(frozen=True, slots=True)
class PodLoss:
    """A pod that loses a part of its grace. Example: ml/llama-0 asks for 782 s and gets 300 s."""

    namespace: str
    name: str
    asked_seconds: int
    given_seconds: int

    @property
    def lost_seconds(self) -> int:
        """Return how many seconds of its grace the pod loses."""
        return self.asked_seconds - self.given_seconds


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a person sees it: the command that shows the field, the field's path, and its value."""

    command: str
    path: str
    value: str


@dataclass(frozen=True, slots=True)
class Cure:
    """What mends it."""

    command: str
    """What can be pasted into a shell, or what to write where no command can do it."""
    note: str = ""
    """What to know before: an order, a side effect. Empty where there is nothing to know."""
    restarts: str = "It restarts nothing."
    """What the cure restarts, or why it restarts nothing."""


@dataclass(frozen=True, slots=True)
class Cap:
    """Something that cuts every longer grace, on the nodes that have all these labels; without labels on all nodes."""

    name: str
    """As the pool table and the chart's `graceCaps` call it: Karpenter NodePool h100."""
    seconds: int
    node_selector: Mapping[str, str] = field(default_factory=dict)
    except_label: str = ""
    """Nodes that have this label are not meant; empty: all of them are."""
    pool: str = ""
    """The only pool that is meant, where no label selects its nodes; empty where the labels say it all."""
    may_bound: bool = False
    """Whether a longer grace is worse here than a cut one, so that the grace is better not set above the cap."""

    def holds_on(self, node_labels: Mapping[str, str]) -> bool:
        """Return whether a node with these labels is meant."""
        return self.except_label not in node_labels and self.node_selector.items() <= node_labels.items()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, where, for whom, and what mends it."""

    check: str
    """The id of the check: GK105."""
    severity: Severity
    subject: str
    """The object that is wrong: NodePool h100, Job ml/llama."""
    sentence: str
    """What is wrong, in one or two sentences, without the pods that lose."""
    cure: Cure
    evidence: tuple[Evidence, ...] = ()
    losses: tuple[PodLoss, ...] = ()
    """The pods that lose, the one that loses most first."""
    pods: tuple[str, ...] = ()
    """The pods that are meant (namespace/name) where no seconds can be named; empty where `losses` names them."""
    cap: Cap | None = None


@dataclass(frozen=True, slots=True)
class Unseen:
    """Something that a check could not look at."""

    check: str
    what: str
    """The kind of objects, or the thing: nodepools.karpenter.sh, kubelet settings of 32 nodes."""
    reason: UnseenReason
    sentence: str
    """Why not, in words."""
    command: str
    """What to do or run so that it can be looked at."""


def longest_loss_first(losses: list[PodLoss]) -> tuple[PodLoss, ...]:
    """Return the losses, the longest first, then by name."""
    return tuple(sorted(losses, key=lambda loss: (-loss.lost_seconds, loss.namespace, loss.name)))
