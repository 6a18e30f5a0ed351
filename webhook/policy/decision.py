"""Runs every rule over a pod and collects what was decided, with every term and its source."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from webhook import __version__
from webhook.policy import brevity, estimate, evidence, grace, keys, recognise, signals, size, speed, writers
from webhook.policy import pod as pods
from webhook.policy.config import Config, Mode, OsmoMode, Profile, UnknownSize
from webhook.policy.facts import Facts, JsonObject, Missing, MissingReason
from webhook.policy.forwarding import Forwarding, forwarding
from webhook.policy.osmo import task as tasks
from webhook.policy.osmo.conversion import conversion
from webhook.policy.osmo.treatment import Treatment, treatment
from webhook.policy.prefix import DECISION_ANNOTATION
from webhook.policy.supervise.change import Conversion
from webhook.policy.throughput import Throughput

_LONGEST_WARNING = 120
_LONGEST_NAME = 80
_MOST_WARNINGS = 10
"""Of each kind: API servers show the first 4 KiB of all warnings."""
_LARGEST_ANNOTATION_BYTES = 16 * 1024
_LARGEST_ANNOTATIONS_BYTES = 256 * 1024
"""Of a whole object, by Kubernetes' own rule."""


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
        """The outcome in words."""
        return _SENTENCES[self]


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
_LEFT_ALONE = {
    recognise.Verdict.NOT_TRAINING: Outcome.NOT_TRAINING,
    recognise.Verdict.OPTED_OUT: Outcome.OPTED_OUT,
    recognise.Verdict.EXCLUDED: Outcome.EXCLUDED,
}


@dataclass(frozen=True, slots=True)
class Decision:
    """What to change in a pod, and why; `patch.operations` renders it."""

    outcome: Outcome
    because: str
    mode: Mode = Mode.ENFORCE
    profile: str | None = None
    grace_seconds: int | None = None
    trainer: str | None = None
    terms: tuple[grace.Term, ...] = ()
    ignored: tuple[keys.Ignored, ...] = ()
    missing: tuple[Missing, ...] = ()
    notes: tuple[str, ...] = ()
    environment: tuple[signals.VariableEdit, ...] = ()
    osmo: Treatment | None = None
    """How the pod of an OSMO task is treated; None for any other pod."""
    conversion: Conversion | None = None
    annotation: str | None = None
    """The text of gracekeeper.dev/decision; None where nothing is to be written."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Admission warnings: what its owner should mend, each at most 120 characters."""
        passed = [passed.warning for passed in self.ignored]
        lost = [f"decided without {missing}" for missing in self.missing if _is_a_fault(missing)]
        texts = (text for kind in (passed, self.notes, lost) for text in brevity.few(kind, _MOST_WARNINGS))
        return tuple(dict.fromkeys(f"gracekeeper: {text}"[:_LONGEST_WARNING] for text in texts))


@dataclass(frozen=True, slots=True)
class _Case:
    """What every rule is handed: the pod, what surrounds it, and what was said about it."""

    pod: JsonObject
    facts: Facts
    config: Config
    profile: Profile | None
    said: keys.Statements
    task: tasks.Task | None


def decide(pod: JsonObject, facts: Facts, config: Config, namespace_name: str) -> Decision:
    """The decision for a pod about to be created in a namespace; the same input always gives the same decision."""
    return conclude(recognise.look_at(pod, facts.namespace, namespace_name, config), pod, facts, config)


def conclude(look: recognise.Look, pod: JsonObject, facts: Facts, config: Config) -> Decision:
    """The decision for a pod that was looked at before the facts about its volumes were gathered."""
    profile, said, found = look.profile, look.said, look.found
    trains = found.verdict is recognise.Verdict.TRAINING
    task = tasks.read(pod) if trains else None
    base = Decision(
        _LEFT_ALONE.get(found.verdict, Outcome.UNCHANGED),
        brevity.short(found.because),
        config.mode if profile is None or profile.mode is None else profile.mode,
        profile=None if profile is None else profile.name,
        trainer=_trainer_name(pod) if trains else None,
        ignored=_of_this_pod(said),
        osmo=None if task is None else treatment(task, facts, said, config),
    )
    if found.verdict in {recognise.Verdict.OPTED_OUT, recognise.Verdict.EXCLUDED}:
        return replace(base, ignored=())
    if not trains:
        return _finished(pod, base) if base.ignored else base
    return _of_training_pod(_Case(pod, facts, config, profile, said, task), base)


def _of_training_pod(case: _Case, base: Decision) -> Decision:
    treated = base.osmo
    if treated is not None and treated.mode is OsmoMode.OFF:
        return replace(base, outcome=Outcome.OPTED_OUT, because=f"{treated.why} osmo-mode=off", ignored=())
    if treated is not None and treated.impossible:
        note = f"not converted: {treated.impossible}"
        return _finished(case.pod, replace(base, outcome=Outcome.UNSUPPORTED, notes=(note,)))
    return _with_grace(case, base)


def _with_grace(case: _Case, base: Decision) -> Decision:
    pod = case.pod
    ignored, missing = case.said.ignored, case.facts.missing
    need, target = _need(case)
    if need is None:
        return _brief(replace(base, outcome=Outcome.SIZE_UNKNOWN, ignored=ignored, missing=missing))
    grant = grace.granted(pod, need, _maximum(case))
    left_seconds, cut_notes = grace.cut(grant.seconds, case.config.cap_of(pod.get("spec") or {}))
    converts = base.osmo is not None and base.osmo.converts
    split = grace.split(left_seconds, need)
    clocks = signals.clocks(
        pod, grant.seconds, split.limit_seconds if converts else grant.seconds - need.upload_share_seconds
    )
    if case.task is None:
        changes = forwarding(pod, case.facts, case.said, case.config)
    else:
        changes = Forwarding(_converted(case, base.osmo, case.task, split))
    decided = replace(
        base,
        grace_seconds=grant.seconds,
        terms=(*need.terms, *grant.terms, *((split.term,) if converts else ())),
        ignored=(*ignored, *target.ignored),
        missing=missing,
        environment=clocks.edits,
        conversion=changes.conversion,
        notes=(
            *(*target.notes, *grant.notes, *cut_notes, *_unknown_pre_stops(pod)),
            *(*clocks.notes, *changes.notes),
        ),
    )
    return _finished(pod, decided)


def _converted(case: _Case, treated: Treatment | None, task: tasks.Task, split: grace.Split) -> Conversion | None:
    """The conversion of an OSMO task; None where none is wanted or it was done before."""
    if treated is None or not treated.converts or task.converted:
        return None
    return conversion(task, treated.mode, split, case.config, case.facts)


def _need(case: _Case) -> tuple[grace.Need | None, speed.Target]:
    """The seconds that the pod needs and where its checkpoint goes; None where nothing tells them."""
    defaults = case.config.defaults
    target = speed.Target(Throughput(defaults.write_bytes_per_second, "default"))
    stated_grace = case.said.get(keys.GRACE_SECONDS)
    share = _share(case, may_estimate=stated_grace is None)
    if share is not None and (stated_grace is None or case.task is not None):
        target = speed.target(case.pod, case.facts, case.said, case.config, share)
        need = grace.computed(case.pod, case.task, case.said, grace.Write(share, target.throughput), defaults)
        return (need if stated_grace is None else grace.stated(stated_grace, need)), target
    if stated_grace is not None:
        return grace.stated(stated_grace), target
    shown = _worth_a_default(case)
    return (None if shown is None else grace.of_unknown_size(case.pod, shown, defaults)), target


def _share(case: _Case, *, may_estimate: bool) -> writers.Share | None:
    """The bytes that the pod writes: its share of a stated size, or the most that it can have; None where neither is known."""
    checkpoint = size.checkpoint_bytes(case.said, case.config.defaults)
    if checkpoint is not None:
        return writers.share_of_job(case.pod, case.said, checkpoint, case.facts.job)
    if not may_estimate or case.config.unknown_size_for(case.profile) is not UnknownSize.ESTIMATE:
        return None
    most = estimate.most_bytes(case.pod, case.facts)
    return None if most is None else writers.own_share(case.pod, case.said, most, case.facts.job)


def _finished(pod: JsonObject, decided: Decision) -> Decision:
    """The decision with its outcome and, where one is due, its annotation."""
    decided = _brief(decided)
    new_grace = decided.grace_seconds not in {None, pods.grace_seconds(pod)} or (
        decided.grace_seconds is not None and "terminationGracePeriodSeconds" not in (pod.get("spec") or {})
    )
    written = pods.annotations(pod).get(DECISION_ANNOTATION)
    changes = new_grace or decided.environment or decided.conversion
    worth_a_word = decided.ignored or decided.missing or decided.outcome is Outcome.UNSUPPORTED
    due = changes or worth_a_word or written is not None
    text = _annotation(decided, _room_bytes(pod)) if due else None
    if decided.outcome is not Outcome.UNCHANGED:
        return replace(decided, annotation=text)
    if decided.mode is Mode.AUDIT:
        return replace(decided, outcome=Outcome.AUDITED, annotation=text)
    changed = changes or text not in {None, written}
    return replace(decided, outcome=Outcome.PATCHED if changed else Outcome.UNCHANGED, annotation=text)


def _brief(decided: Decision) -> Decision:
    """The decision with as many ignored values, missing objects and notes as anybody reads, each of them short."""
    notes = brevity.few([brevity.short(note) for note in decided.notes])
    passed, missing = decided.ignored, decided.missing
    if len(passed) > brevity.MOST:
        passed, notes = passed[: brevity.MOST], (*notes, f"{len(passed) - brevity.MOST} more values were ignored")
    if len(missing) > brevity.MOST:
        beyond = missing[brevity.MOST :]
        worst = next(filter(_is_a_fault, beyond), beyond[0])
        missing = (*missing[: brevity.MOST], Missing(f"{len(beyond)} more objects", worst.reason))
    told = tuple(Missing(brevity.short(each.what), each.reason) for each in missing)
    if (passed, told, notes) == (decided.ignored, decided.missing, decided.notes):
        return decided
    return replace(decided, ignored=passed, missing=told, notes=notes)


def _annotation(decided: Decision, room_bytes: int) -> str | None:
    """One line of JSON that explains the pod; nothing in it depends on what the pod had before, so a second pass agrees.

    In few words where it would be too long in all of them, and none where the pod's own annotations leave no room: its
    grace does not depend on what is told about it.
    """
    stories = (json.dumps(_story(decided, most, longest)) for most, longest in ((brevity.MOST, 400), (3, 60)))
    return next((text for text in stories if len(text) <= min(_LARGEST_ANNOTATION_BYTES, room_bytes)), None)


def _story(decided: Decision, most: int, longest: int) -> dict[str, Any]:
    def short(text: str) -> str:
        return brevity.short(text, longest)

    def few(texts: Iterable[object]) -> tuple[str, ...]:
        return brevity.few([short(str(text)) for text in texts], most)

    story = {
        "version": __version__,
        "mode": decided.mode,
        "because": short(decided.because),
        "profile": decided.profile,
        "grace": decided.grace_seconds,
        "trainer": decided.trainer,
        "osmo": None if decided.osmo is None else short(f"{decided.osmo.mode} ({decided.osmo.why})"),
        "terms": {term.name: short(f"{term.value} ({term.source})") for term in decided.terms},
        "ignored": few(decided.ignored),
        "missing": few(decided.missing),
        "notes": few(decided.notes),
    }
    return {key: value for key, value in story.items() if value not in (None, (), {})}


def _room_bytes(pod: JsonObject) -> int:
    """What is left for the decision's text beside the pod's other annotations."""
    others = ((key, text) for key, text in pods.annotations(pod).items() if key != DECISION_ANNOTATION)
    taken = sum(len(key.encode()) + len(str(text).encode()) for key, text in others)
    return _LARGEST_ANNOTATIONS_BYTES - taken - len(DECISION_ANNOTATION)


def _trainer_name(pod: JsonObject) -> str | None:
    name = pods.trainer(pod).get("name")
    return None if name is None else brevity.short(name, _LONGEST_NAME)


def _of_this_pod(said: keys.Statements) -> tuple[keys.Ignored, ...]:
    """What was ignored of the pod's own words; a Namespace's mistake is not told to pods that are none of ours."""
    outside = (keys.Place.NAMESPACE, keys.Place.PROFILE)
    return tuple(passed for passed in said.ignored if not passed.place.startswith(outside))


def _worth_a_default(case: _Case) -> str | None:
    """Why an unknown size is worth a default grace; what cannot be estimated needs evidence, as without an estimate."""
    rule = case.config.unknown_size_for(case.profile)
    if rule is UnknownSize.SKIP:
        return None
    if rule is UnknownSize.DEFAULT:
        return "unknownSize is default"
    return evidence.saves_when_told_to_stop(case.pod, case.said, has_profile=case.profile is not None)


def _maximum(case: _Case) -> size.Amount:
    """The most that may be asked for: the profile's or the default, and a Namespace can only lower it."""
    if case.profile is not None and case.profile.maximum_grace_seconds is not None:
        admin = size.Amount(case.profile.maximum_grace_seconds, f"profile {case.profile.name}")
    else:
        admin = size.Amount(case.config.defaults.maximum_grace_seconds, "default")
    lowered = case.said.get(keys.MAXIMUM_GRACE_SECONDS)
    return admin if lowered is None or lowered.value >= admin.value else size.Amount(lowered.value, lowered.source)


def _unknown_pre_stops(pod: JsonObject) -> tuple[str, ...]:
    return tuple(
        f"preStop of container {container.get('name')} is of unknown length and comes out of the grace"
        for container in pods.containers(pod)
        if pods.has_pre_stop_of_unknown_length(container)
    )


def _is_a_fault(missing: Missing) -> bool:
    """A claim that does not exist yet is normal; an API server that does not answer is not."""
    return missing.reason is not MissingReason.NOT_FOUND
