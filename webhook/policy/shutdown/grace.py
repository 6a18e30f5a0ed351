"""The number: `need = ceil((step + write + upload) x safety + margin) + preStop`, bounded, never below what the pod has.

Phases add up: the upload begins when the training has ended, and the kubelet takes preStop time out of the same grace.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from webhook.policy import quantity
from webhook.policy.checkpoint.size import Amount
from webhook.policy.checkpoint.writers import Share
from webhook.policy.configuration import Defaults, GraceCap
from webhook.policy.pod import OsmoTask, Pod, marks
from webhook.policy.pod.placement import Placement
from webhook.policy.statements import keys
from webhook.policy.statements.statements import Statement, Statements
from webhook.policy.storage.throughput import Throughput


@dataclass(frozen=True, slots=True)
class Term:
    """One term of the sum: its name, its value in words, and where it comes from."""

    name: str
    value: str
    source: str


_OSMO_LOG_BACKLOG_SECONDS = 45
"""osmo-ctrl sends what is left of the log after the upload: 5 s and a tenth of a second for each line."""
_OSMO_CHECKPOINT_UPLOADS = 2
"""A periodic upload that is under way is finished, then a last one follows; several `-checkpoint` run side by side."""


@dataclass(frozen=True, slots=True)
class Write:
    """The pod's share of the checkpoint, and how fast its volume takes it."""

    share: Share
    speed: Throughput

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return self.share.own_bytes / self.speed.bytes_per_second


@dataclass(frozen=True, slots=True)
class Need:
    """Seconds that the pod needs to stop well, the share of its upload in them, and the terms that say why."""

    seconds: int
    terms: tuple[Term, ...]
    upload_share_seconds: int = 0
    after_trainer_seconds: int | None = None
    """What is to be left when an OSMO task's trainer has ended; None where the size is unknown."""
    estimated: bool = False
    """An upper bound: that the maximum cuts it does not mean that a save is cut."""


@dataclass(frozen=True, slots=True)
class Maximum:
    """The most that may be asked for, and who says so."""

    seconds: int
    source: str
    cap: str = ""
    """The name of the cap that bounds; empty where it is an admin's maximum."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The grace after its bounds: what the pod will have, what bounded it, and the terms that say so."""

    seconds: int
    terms: tuple[Term, ...]
    notes: tuple[str, ...] = ()


def computed(pod: Pod, statements: Statements, write: Write, defaults: Defaults) -> Need:
    """The need of a pod whose share of the checkpoint is known or estimated; an OSMO task uploads it several times."""
    task, pre_stop = pod.osmo_task, pod.trainer.pre_stop_seconds
    step, step_term = _step(statements, defaults)
    one_upload_seconds, upload_terms = _upload(statements, write.share, defaults, task)
    uploads, outputs, count_terms = _counted(task)
    upload_seconds = one_upload_seconds * uploads
    margin = defaults.margin_seconds if task is None else _OSMO_LOG_BACKLOG_SECONDS
    total = ceil((step + write.seconds + upload_seconds) * defaults.safety + margin) + pre_stop
    terms = (
        step_term,
        *_share_terms(write.share),
        Term("write-throughput", f"{quantity.human_bytes(write.speed.bytes_per_second)}/s", write.speed.source),
        Term("write", f"{write.seconds:.2f} s", "checkpoint / write-throughput"),
        *upload_terms,
        *count_terms,
        Term("safety", f"x {defaults.safety:g}", "default"),
        Term("margin", f"{margin:g} s", "default" if task is None else "OSMO sends the rest of the log"),
        *_pre_stop_terms(pre_stop),
    )
    after = ceil(one_upload_seconds * outputs * defaults.safety) + _OSMO_LOG_BACKLOG_SECONDS
    share_of_uploads = ceil(upload_seconds * defaults.safety)
    return Need(total, terms, share_of_uploads, None if task is None else after, estimated=write.share.estimated)


def of_unknown_size(pod: Pod, evidence: str, defaults: Defaults) -> Need:
    """The need of a pod that saves, but does not tell how much: a default, and the preStop on top."""
    pre_stop = pod.trainer.pre_stop_seconds
    term = Term("unknown-size", f"{defaults.unknown_size_grace_seconds} s", f"default, as {evidence}")
    return Need(defaults.unknown_size_grace_seconds + pre_stop, (term, *_pre_stop_terms(pre_stop)))


def stated(grace: Statement, computed_need: Need | None = None) -> Need:
    """The need that the owner has named; of a computed one only the shares of an OSMO task's uploads count."""
    terms = (Term("grace-seconds", f"{grace.value} s", grace.origin),)
    if computed_need is None:
        return Need(grace.value, terms)
    return Need(grace.value, terms, computed_need.upload_share_seconds, computed_need.after_trainer_seconds)


def bounded(maximum: Amount, caps: Mapping[str, GraceCap], placement: Placement) -> Maximum:
    """Return the maximum, or the smallest cap that may bound and holds on every node that the pod asks for."""
    bounds = [(cap.seconds, name) for name, cap in caps.items() if cap.bound and placement.binds(cap.node_selector)]
    seconds, name = min(bounds, default=(int(maximum.value), ""))
    if seconds >= maximum.value:
        return Maximum(int(maximum.value), maximum.source)
    return Maximum(seconds, f"graceCaps {name}", cap=name)


def granted(pod: Pod, need: Need, maximum: Maximum) -> Grant:
    """`max(what the pod has, longest preStop of any container, min(need, maximum))`."""
    has = pod.grace_seconds
    longest = max((container.pre_stop_seconds for container in pod.all_containers), default=0)
    wanted = max(longest, min(need.seconds, maximum.seconds))
    terms = [Term("need", f"{need.seconds} s", "the sum of the terms above")]
    notes = []
    if need.seconds > maximum.seconds:
        name = "bound" if maximum.cap else "maximum"
        terms.append(Term(name, f"{maximum.seconds} s", maximum.source))
        if not need.estimated:
            notes.append(_note_on_maximum(need.seconds, maximum))
    if has > wanted:
        terms.append(Term("kept", f"{has} s", "the pod has more already"))
    return Grant(max(has, wanted), tuple(terms), tuple(notes))


def _note_on_maximum(need_seconds: int, maximum: Maximum) -> str:
    if not maximum.cap:
        return f"needs {need_seconds} s, the maximum is {maximum.seconds} s: a save may be cut"
    lost = need_seconds - maximum.seconds
    return f"needs {need_seconds} s, {maximum.cap} bounds it to {maximum.seconds} s: {lost} s do not fit, a save may be cut"


def notes_on_unknown_pre_stops(pod: Pod) -> tuple[str, ...]:
    """Return a note for each container whose preStop hook takes an unknown part of the grace."""
    return tuple(
        f"preStop of container {container.name} is of unknown length and comes out of the grace"
        for container in pod.containers
        if container.has_pre_stop_of_unknown_length
    )


def notes_on_lost_grace(pod: Pod) -> tuple[str, ...]:
    """Return a note where a label takes the whole grace away, and one where a scheduler gives the node away meanwhile."""
    label, value = marks.INTERRUPTIBLE_LABEL
    notes = []
    if pod.labels.get(label) == value:
        notes.append(
            f"CoreWeave ends a pod labelled interruptable without its grace: use {marks.GRACEFULLY_INTERRUPTIBLE_LABEL}"
        )
    if pod.scheduler_name == marks.SLURM_BRIDGE_SCHEDULER:
        notes.append("slurm-bridge gives the node to the next job while this pod still saves: save at intervals too")
    return tuple(notes)


def smallest_cap(caps: Mapping[str, GraceCap], placement: Placement) -> tuple[str, int] | None:
    """Return name and seconds of the smallest cap that holds on some node that the pod asks for; None where none does."""
    binding = [(name, cap.seconds) for name, cap in caps.items() if placement.may_bind(cap.node_selector)]
    return min(binding, key=lambda cap: cap[1], default=None)


def cut(granted_seconds: int, cap: tuple[str, int] | None) -> tuple[int, tuple[str, ...]]:
    """Seconds that are left of a grace where something in the cluster cuts it, and the note that says so."""
    if cap is None or cap[1] >= granted_seconds:
        return granted_seconds, ()
    name, seconds = cap
    return seconds, (f"{name} cuts the grace of {granted_seconds} s to {seconds} s: a save may be cut",)


def _step(statements: Statements, defaults: Defaults) -> tuple[float, Term]:
    stated_step = statements.get(keys.STEP_SECONDS)
    value = defaults.step_seconds if stated_step is None else stated_step.value
    return value, Term("step", f"{value:g} s", "default" if stated_step is None else stated_step.origin)


def _share_terms(share: Share) -> tuple[Term, ...]:
    """The checkpoint and, where it is divided, this pod's part of it."""
    size = Term("checkpoint", quantity.human_bytes(share.checkpoint.value), share.checkpoint.source)
    if share.divided_by is None:
        return (size,)
    return (
        size,
        Term("writers", str(int(share.divided_by.value)), share.divided_by.source),
        Term("share", quantity.human_bytes(share.own_bytes), "checkpoint / writers"),
    )


def _counted(task: OsmoTask | None) -> tuple[int, int, tuple[Term, ...]]:
    """How many uploads follow each other, how many of them when the trainer has ended, and the terms that say so."""
    if task is None:
        return 1, 0, ()
    checkpoints = _OSMO_CHECKPOINT_UPLOADS if task.checkpoint_uploads else 0
    return (
        checkpoints + task.output_uploads,
        task.output_uploads,
        (
            *(
                [Term("checkpoint-uploads", f"x {checkpoints}", "one under way and the last one")]
                if checkpoints
                else []
            ),
            Term("output-uploads", f"x {task.output_uploads}", "-outputs arguments of osmo-ctrl"),
        ),
    )


def _upload(
    statements: Statements, share: Share, defaults: Defaults, task: OsmoTask | None
) -> tuple[float, tuple[Term, ...]]:
    """Seconds of one upload: where its size is stated, or OSMO or a named container uploads what was saved."""
    size = statements.get(keys.UPLOAD_SIZE)
    if size is None and task is None and statements.get(keys.UPLOAD_CONTAINER) is None:
        return 0.0, ()
    amount = (
        Amount(share.own_bytes, f"as the checkpoint: {share.checkpoint.source}")
        if size is None
        else Amount(size.value, size.origin)
    )
    speed = statements.get(keys.UPLOAD_THROUGHPUT)
    rate = defaults.upload_bytes_per_second if speed is None else speed.value
    return amount.value / rate, (
        Term("upload-size", quantity.human_bytes(amount.value), amount.source),
        Term("upload-throughput", f"{quantity.human_bytes(rate)}/s", "default" if speed is None else speed.origin),
        Term("upload", f"{amount.value / rate:.2f} s", "upload-size / upload-throughput"),
    )


def _pre_stop_terms(seconds: int) -> tuple[Term, ...]:
    return (Term("pre-stop", f"{seconds} s", "preStop sleep of the trainer container"),) if seconds else ()
