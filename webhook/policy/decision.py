"""What to do with one pod, and why, as data. `report.py` tells it, `patch.py` renders it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from webhook.policy.configuration import Mode
from webhook.policy.facts import Missing
from webhook.policy.osmo.treatment import Treatment
from webhook.policy.pod.metadata import JsonObject
from webhook.policy.shutdown.changes import SpecChanges, VariableEdit
from webhook.policy.shutdown.grace import Term
from webhook.policy.statements.statements import Ignored


class Outcome(StrEnum):
    """What became of a pod: the slug labels a metric, the sentence is for people."""

    PATCHED = "patched"
    AUDITED = "audited"
    UNCHANGED = "unchanged"
    SIZE_UNKNOWN = "size-unknown"
    UNSUPPORTED = "unsupported"
    NOT_TRAINING = "not-training"
    OPTED_OUT = "opted-out"
    EXCLUDED = "excluded"

    @property
    def sentence(self) -> str:
        """Return the outcome in words."""
        return _SENTENCES[self]

    @property
    def is_of_training_pod(self) -> bool:
        """Whether gracekeeper acted on the pod, or would have."""
        return self not in {Outcome.NOT_TRAINING, Outcome.OPTED_OUT, Outcome.EXCLUDED}


_SENTENCES = {
    Outcome.PATCHED: "the pod gets the grace that its checkpoint needs",
    Outcome.AUDITED: "audit mode: decided and counted, the pod is left as it is",
    Outcome.UNCHANGED: "the pod has enough already",
    Outcome.SIZE_UNKNOWN: "nothing tells how big the checkpoint is, nor that the pod saves when told to stop",
    Outcome.UNSUPPORTED: "an OSMO task whose pod cannot be converted, and is left as it is",
    Outcome.NOT_TRAINING: "nothing marks the pod as training",
    Outcome.OPTED_OUT: "the pod's owner wants it left alone",
    Outcome.EXCLUDED: "the pod's Namespace or kind is excluded",
}


@dataclass(frozen=True, slots=True)
class Decision:
    """What to change in a pod, and why. Example: a grace of 216 s, because the pod carries a gracekeeper key."""

    outcome: Outcome
    because: str
    mode: Mode = Mode.ENFORCE
    profile: str | None = None
    grace_seconds: int | None = None
    """The grace that the pod is to have; None where it keeps what it has."""
    grace_before_seconds: int = 0
    """The grace that the pod came with."""
    trainer: str | None = None
    terms: tuple[Term, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    missing: tuple[Missing, ...] = ()
    notes: tuple[str, ...] = ()
    environment: tuple[VariableEdit, ...] = ()
    osmo: Treatment | None = None
    """How the pod of an OSMO task is treated; None for any other pod."""
    changes: SpecChanges | None = None
    """Containers that are wrapped, added or moved."""
    labels: Mapping[str, str | None] = field(default_factory=dict)
    """Labels that the pod is to have; None: it is to have none of that name. In audit mode nothing but them is written."""
    restored: Mapping[str, Sequence[JsonObject]] = field(default_factory=dict)
    """Lists of the pod's spec that are set back first, by name, as another webhook broke the wrapping of an earlier call.
    The positions of all other changes are those in these lists."""
    annotation: str | None = None
    """The text of gracekeeper.dev/decision; None where nothing is to be written."""
