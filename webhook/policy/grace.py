"""The number: `need = ceil((step + write + upload) x safety + margin) + preStop`, bounded, never below what the pod has.

Phases add up: the upload begins when the training has ended, and the kubelet takes preStop time out of the same grace.
"""

from dataclasses import dataclass
from math import ceil

from webhook.policy import keys, quantity
from webhook.policy import pod as pods
from webhook.policy.config import Defaults
from webhook.policy.facts import JsonObject
from webhook.policy.size import Amount
from webhook.policy.throughput import Throughput


@dataclass(frozen=True, slots=True)
class Term:
    """One term of the sum: its name, its value in words, and where it comes from."""

    name: str
    value: str
    source: str


@dataclass(frozen=True, slots=True)
class Need:
    """Seconds that the pod needs to stop well, the share of its upload in them, and the terms that say why."""

    seconds: int
    terms: tuple[Term, ...]
    upload_share_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Grant:
    """The grace after its bounds: what the pod will have, what bounded it, and the terms that say so."""

    seconds: int
    terms: tuple[Term, ...]
    notes: tuple[str, ...] = ()


def computed(pod: JsonObject, said: keys.Statements, checkpoint: Amount, speed: Throughput, defaults: Defaults) -> Need:
    """The need of a pod whose checkpoint size is known.

    `checkpoint` is in bytes for the whole job; this pod writes its share of it.
    """
    step, step_term = _step(said, defaults)
    mine, size_terms = _share(said, checkpoint)
    write_seconds = mine / speed.bytes_per_second
    upload_seconds, upload_terms = _upload(pod, said, checkpoint, mine, defaults)
    pre_stop = trainer_pre_stop_seconds(pod)
    total = ceil((step + write_seconds + upload_seconds) * defaults.safety + defaults.margin_seconds) + pre_stop
    terms = (
        step_term,
        *size_terms,
        Term("write-throughput", f"{quantity.human_bytes(speed.bytes_per_second)}/s", speed.source),
        Term("write", f"{write_seconds:.2f} s", "checkpoint / write-throughput"),
        *upload_terms,
        Term("safety", f"x {defaults.safety:g}", "default"),
        Term("margin", f"{defaults.margin_seconds:g} s", "default"),
        *_pre_stop_terms(pre_stop),
    )
    return Need(total, terms, ceil(upload_seconds * defaults.safety))


def of_unknown_size(pod: JsonObject, evidence: str, defaults: Defaults) -> Need:
    """The need of a pod that saves, but does not tell how much: a default, and the preStop on top."""
    pre_stop = trainer_pre_stop_seconds(pod)
    term = Term("unknown-size", f"{defaults.unknown_size_grace_seconds} s", f"default, as {evidence}")
    return Need(defaults.unknown_size_grace_seconds + pre_stop, (term, *_pre_stop_terms(pre_stop)))


def stated(grace: keys.Stated) -> Need:
    """The need that the owner has named; nothing is computed."""
    return Need(grace.value, (Term("grace-seconds", f"{grace.value} s", grace.source),))


def granted(pod: JsonObject, need: Need, maximum: Amount) -> Grant:
    """`max(what the pod has, longest preStop of any container, min(need, maximum))`."""
    has, longest = pods.grace_seconds(pod), longest_pre_stop_seconds(pod)
    wanted = max(longest, min(need.seconds, int(maximum.value)))
    terms = [Term("need", f"{need.seconds} s", "the sum of the terms above")]
    notes = []
    if need.seconds > maximum.value:
        terms.append(Term("maximum", f"{int(maximum.value)} s", maximum.source))
        notes.append(f"needs {need.seconds} s, the maximum is {int(maximum.value)} s: a save may be cut")
    if has > wanted:
        terms.append(Term("kept", f"{has} s", "the pod has more already"))
    return Grant(max(has, wanted), tuple(terms), tuple(notes))


def trainer_pre_stop_seconds(pod: JsonObject) -> int:
    """The preStop sleep of the trainer container."""
    containers = pods.containers(pod)
    return pods.pre_stop_seconds(containers[pods.trainer_index(pod)]) if containers else 0


def longest_pre_stop_seconds(pod: JsonObject) -> int:
    """The longest preStop sleep of any container, native sidecars among them."""
    return max(map(pods.pre_stop_seconds, (*pods.containers(pod), *pods.init_containers(pod))), default=0)


def _step(said: keys.Statements, defaults: Defaults) -> tuple[float, Term]:
    stated_step = said.get(keys.STEP_SECONDS)
    value = defaults.step_seconds if stated_step is None else stated_step.value
    return value, Term("step", f"{value:g} s", "default" if stated_step is None else stated_step.source)


def _share(said: keys.Statements, checkpoint: Amount) -> tuple[float, tuple[Term, ...]]:
    """Bytes that this pod writes: all of them, or its part of a sharded checkpoint."""
    size = Term("checkpoint", quantity.human_bytes(checkpoint.value), checkpoint.source)
    writers = said.get(keys.CHECKPOINT_WRITERS)
    if writers is None:
        return checkpoint.value, (size,)
    mine = checkpoint.value / writers.value
    return mine, (
        size,
        Term("writers", str(writers.value), writers.source),
        Term("share", quantity.human_bytes(mine), "checkpoint / writers"),
    )


def _upload(
    pod: JsonObject, said: keys.Statements, checkpoint: Amount, mine: float, defaults: Defaults
) -> tuple[float, tuple[Term, ...]]:
    """Seconds of upload: where an upload size is stated, or an OSMO uploader is there to send what was saved."""
    size = said.get(keys.UPLOAD_SIZE)
    if size is None and not pods.is_osmo_task(pod):
        return 0.0, ()
    amount = (
        Amount(mine, f"as the checkpoint: {checkpoint.source}") if size is None else Amount(size.value, size.source)
    )
    speed = said.get(keys.UPLOAD_THROUGHPUT)
    rate = defaults.upload_bytes_per_second if speed is None else speed.value
    return amount.value / rate, (
        Term("upload-size", quantity.human_bytes(amount.value), amount.source),
        Term("upload-throughput", f"{quantity.human_bytes(rate)}/s", "default" if speed is None else speed.source),
        Term("upload", f"{amount.value / rate:.2f} s", "upload-size / upload-throughput"),
    )


def _pre_stop_terms(seconds: int) -> tuple[Term, ...]:
    return (Term("pre-stop", f"{seconds} s", "preStop sleep of the trainer container"),) if seconds else ()
