"""The policy's one door. `first_look` says which facts to look up, `decide` says what to do with the pod.

    look = first_look(read_pod(manifest), namespace, config)
    facts = ...                     # the caller gathers what `look.lookups` names
    decision = decide(look, facts)

The same input always gives the same decision.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from webhook.policy import brevity, report
from webhook.policy.checkpoint import estimate, writers
from webhook.policy.checkpoint.size import Amount, checkpoint_bytes
from webhook.policy.configuration import Config, Mode, OsmoMode, Profile, UnknownSize
from webhook.policy.decision import Decision, Outcome
from webhook.policy.facts import Facts, Lookups, Missing, Namespace
from webhook.policy.osmo.conversion import conversion_of
from webhook.policy.osmo.split import Split, split_of
from webhook.policy.osmo.treatment import treatment_of
from webhook.policy.pod import Pod
from webhook.policy.prefix import DECISION_ANNOTATION
from webhook.policy.recognition.evidence import evidence_of_saving, is_wanted
from webhook.policy.recognition.training import Recognition, Verdict, recognition_of
from webhook.policy.shutdown import clocks, forwarding, grace, learned, signal_notes, supervise_parts
from webhook.policy.statements import keys
from webhook.policy.statements.statements import Statements, statements_about
from webhook.policy.storage.lookups import lookups_for
from webhook.policy.storage.speed import Target, notes_on_losses, target_of
from webhook.policy.storage.throughput import Throughput
from webhook.policy.workload.labels import labels_for, with_earlier_runs

_LONGEST_NAME = 80
_LEFT_ALONE = {
    Verdict.NOT_TRAINING: Outcome.NOT_TRAINING,
    Verdict.OPTED_OUT: Outcome.OPTED_OUT,
    Verdict.EXCLUDED: Outcome.EXCLUDED,
}


@dataclass(frozen=True, slots=True)
class Look:
    """What is seen of a pod before anything but its Namespace was looked up."""

    pod: Pod
    namespace: Namespace
    config: Config
    profile: Profile | None
    statements: Statements
    recognition: Recognition
    lookups: Lookups
    """What to look up; nothing where no decision could change the pod."""
    labels: Mapping[str, str | None]
    """The labels of its workload; none where nobody observes. None: it is to have none of that name."""

    @property
    def mode(self) -> Mode:
        """Return whether the decision is carried out."""
        return self.config.mode if self.profile is None or self.profile.mode is None else self.profile.mode

    @property
    def unknown_size(self) -> UnknownSize:
        """Return the rule for this pod where nothing tells its size."""
        return self.config.unknown_size_for(self.profile)


def first_look(pod: Pod, namespace: Namespace, config: Config) -> Look:
    """Look at a pod that is about to be created in a namespace."""
    profile = config.profile_for(namespace.name, pod.labels, pod.owner_kinds)
    statements = statements_about(pod, namespace.manifest, profile)
    recognition = recognition_of(pod, namespace.manifest, statements, profile, config.compatibility)
    lookups, labels = Lookups(), dict[str, str | None]()
    if recognition.trains:
        labels |= labels_for(pod, statements) if config.observer.enabled else {}
        lookups = lookups_for(pod, statements, config.unknown_size_for(profile))
        lookups = with_earlier_runs(lookups, pod, labels, config.observer)
    return Look(pod, namespace, config, profile, statements, recognition, lookups, labels)


def decide(look: Look, facts: Facts) -> Decision:
    """Decide on a pod after the facts around it were gathered."""
    verdict, trains = look.recognition.verdict, look.recognition.trains
    task = look.pod.osmo_task if trains else None
    base = Decision(
        _LEFT_ALONE.get(verdict, Outcome.UNCHANGED),
        brevity.short(look.recognition.because),
        look.mode,
        profile=None if look.profile is None else look.profile.name,
        grace_before_seconds=look.pod.grace_seconds,
        trainer=brevity.short(look.pod.trainer.name, _LONGEST_NAME) or None if trains else None,
        ignored=look.statements.ignored_of_pod,
        osmo=None if task is None else treatment_of(look.pod, task, facts, look.statements, look.config),
        labels=_labels(look, facts),
        restored=look.pod.undone.lists if trains and look.pod.undone is not None else {},
    )
    if verdict in {Verdict.OPTED_OUT, Verdict.EXCLUDED}:
        return replace(base, ignored=())
    if not trains:
        return _finished(look.pod, base) if base.ignored else base
    return _of_training_pod(look, facts, base)


def _labels(look: Look, facts: Facts) -> Mapping[str, str | None]:
    """Return the labels of a training pod; in audit mode only where they are wanted, and none where wrapping is stopped."""
    writes_labels = look.mode is Mode.ENFORCE or look.config.audit_labels
    return look.labels if writes_labels and facts.wrapping_stop is None else {}


def _of_training_pod(look: Look, facts: Facts, base: Decision) -> Decision:
    treatment = base.osmo
    if treatment is not None and treatment.mode is OsmoMode.OFF:
        return replace(base, outcome=Outcome.OPTED_OUT, because=f"{treatment.why} osmo-mode=off", ignored=(), labels={})
    if treatment is not None and treatment.impossible:
        note = f"not converted: {treatment.impossible}"
        return _finished(look.pod, replace(base, outcome=Outcome.UNSUPPORTED, notes=(note,)))
    return _with_grace(look, facts, base)


def _with_grace(look: Look, facts: Facts, base: Decision) -> Decision:
    pod, config = look.pod, look.config
    ignored, missing = look.statements.ignored, (*look.namespace.missing, *facts.missing)
    need, target = _need(look, facts)
    lesson = _learned(look, facts, need)
    need = need if lesson is None else lesson.need
    if need is None:
        return _of_unknown_size(look, facts, replace(base, ignored=ignored, missing=missing, notes=target.notes))
    grant = grace.granted(pod, need, _maximum(look))
    left_seconds, cut_notes = grace.cut(grant.seconds, grace.smallest_cap(config.grace_caps, pod.placement))
    converts = base.osmo is not None and base.osmo.converts
    split = split_of(left_seconds, need)
    uploads_beside = clocks.uploads_beside(pod) or look.statements.get(keys.UPLOAD_CONTAINER) is not None
    upload_seconds = need.upload_share_seconds if uploads_beside else 0
    trainer_seconds = split.limit_seconds if converts else grant.seconds - upload_seconds
    inner = clocks.clocks_of(pod, grant.seconds, trainer_seconds)
    forwarded = _forwarded(look, facts, base, split, grant.seconds)
    decided = replace(
        base,
        grace_seconds=grant.seconds,
        terms=(*need.terms, *grant.terms, *((split.term,) if converts else ()), *forwarded.terms),
        ignored=(*ignored, *target.ignored),
        missing=missing,
        environment=inner.edits,
        changes=forwarded.changes,
        notes=(
            *target.notes,
            *grant.notes,
            *cut_notes,
            *grace.notes_on_lost_grace(pod),
            *grace.notes_on_unknown_pre_stops(pod),
            *(() if lesson is None else lesson.notes),
            *inner.notes,
            *forwarded.notes,
            *_notes_on_uploaders(look),
        ),
    )
    return _finished(pod, decided)


def _of_unknown_size(look: Look, facts: Facts, base: Decision) -> Decision:
    """Decide on a pod that keeps its grace. What loses its save is told and, where that is wanted, cured all the same."""
    if look.pod.osmo_task is not None:
        return _brief(replace(base, outcome=Outcome.SIZE_UNKNOWN))
    forwarded = forwarding.forwarding_of(look.pod, facts, _wish(look), _config_in(look), look.pod.grace_seconds)
    outcome = Outcome.SIZE_UNKNOWN if forwarded.changes is None else base.outcome
    notes = (*base.notes, *grace.notes_on_lost_grace(look.pod), *forwarded.notes)
    decided = replace(base, outcome=outcome, terms=forwarded.terms, changes=forwarded.changes, notes=notes)
    return _finished(look.pod, decided) if decided.terms or decided.notes else _brief(decided)


def _forwarded(look: Look, facts: Facts, base: Decision, split: Split, grace_seconds: int) -> forwarding.Forwarding:
    """Return the changes by which SIGTERM reaches the trainer: of an OSMO task its conversion."""
    if look.pod.osmo_task is None:
        return forwarding.forwarding_of(look.pod, facts, _wish(look), _config_in(look), grace_seconds)
    if base.osmo is None or not base.osmo.converts:
        return forwarding.Forwarding()
    return forwarding.Forwarding(conversion_of(look.pod, base.osmo.mode, split, _config_in(look), facts))


def _notes_on_uploaders(look: Look) -> Iterator[str]:
    """Yield notes on containers that may upload, where an upload is stated and nobody names its container."""
    is_named = look.pod.osmo_task is not None or look.statements.get(keys.UPLOAD_CONTAINER) is not None
    if not is_named and look.statements.get(keys.UPLOAD_SIZE) is not None:
        yield from signal_notes.notes_on_uploaders(look.pod)


def _wish(look: Look) -> forwarding.Wish:
    """Return what is said about forwarding SIGTERM, the configuration last, and whether somebody wants the checkpoint."""
    stated = look.statements.get(keys.FORWARD_SIGTERM)
    wanted = is_wanted(look.statements, look.namespace.manifest, has_profile=look.profile is not None)
    return forwarding.Wish(look.config.forward_sigterm if stated is None else stated.value, wanted, look.statements)


def _config_in(look: Look) -> Config:
    """Return the configuration, with supervise as the pod's Namespace allows it."""
    supervise = supervise_parts.supervise_in(look.namespace.manifest, look.config.supervise)
    return look.config if supervise is look.config.supervise else replace(look.config, supervise=supervise)


def _need(look: Look, facts: Facts) -> tuple[grace.Need | None, Target]:
    """Return the seconds that the pod needs, or None where nothing tells them, and where its checkpoint goes."""
    defaults = look.config.defaults
    stated_grace = look.statements.get(keys.GRACE_SECONDS)
    share = _share(look, facts, may_estimate=stated_grace is None)
    if share is not None and (stated_grace is None or look.pod.osmo_task is not None):
        target = target_of(look.pod, facts, look.statements, look.config, share)
        need = grace.computed(look.pod, look.statements, grace.Write(share, target.throughput), defaults)
        return (need if stated_grace is None else grace.stated(stated_grace, need)), target
    reason = None if stated_grace is not None else _reason_for_default(look)
    # A pod that shows nothing names no path, so its words are not read again.
    may_save = stated_grace is not None or reason is not None or look.unknown_size is UnknownSize.SKIP
    notes = notes_on_losses(look.pod, look.statements) if may_save else ()
    target = Target(Throughput(defaults.write_bytes_per_second, "default"), notes=notes)
    if stated_grace is not None:
        return grace.stated(stated_grace), target
    return (None if reason is None else grace.of_unknown_size(look.pod, reason, defaults)), target


def _learned(look: Look, facts: Facts, need: grace.Need | None) -> learned.LearnedNeed | None:
    """Return what earlier runs of the workload teach; None where none was seen, or the pod speaks for itself."""
    pod, defaults = look.pod, look.config.defaults
    if not (facts.exact_runs or facts.coarse_runs) or not learned.may_learn(pod, look.statements):
        return None
    bounds = learned.bounds_of(pod, look.statements, need, defaults, _maximum(look).seconds)
    grace_seconds = max(pod.grace_seconds, defaults.unknown_size_grace_seconds)
    is_cured = forwarding.wraps_unasked(pod, facts, _wish(look), _config_in(look), grace_seconds)
    return learned.learned_need(facts, need, bounds, is_cured=is_cured)


def _share(look: Look, facts: Facts, *, may_estimate: bool) -> writers.Share | None:
    """Return the bytes that the pod writes: its share of a stated size, or the most that it can have."""
    checkpoint = checkpoint_bytes(look.statements, look.config.defaults)
    if checkpoint is not None:
        return writers.share_of_job(look.pod, look.statements, checkpoint, facts.job, facts.replicas)
    if not may_estimate or look.unknown_size is not UnknownSize.ESTIMATE:
        return None
    most = estimate.most_bytes(look.pod, facts)
    return None if most is None else writers.own_share(look.pod, look.statements, most, facts.job, facts.replicas)


def _reason_for_default(look: Look) -> str | None:
    """Return the reason to give the default grace, or None. In estimate mode, a pod without estimate follows evidence mode."""
    if look.unknown_size is UnknownSize.SKIP:
        return None
    if look.unknown_size is UnknownSize.DEFAULT:
        return "unknownSize is default"
    has_profile, compatibility = look.profile is not None, look.config.compatibility
    return evidence_of_saving(look.pod, look.statements, has_profile=has_profile, compatibility=compatibility)


def _maximum(look: Look) -> grace.Maximum:
    """Return the most that may be asked for: the profile's or the default; a Namespace and a cap can only lower it."""
    if look.profile is not None and look.profile.maximum_grace_seconds is not None:
        admin = Amount(look.profile.maximum_grace_seconds, f"profile {look.profile.name}")
    else:
        admin = Amount(look.config.defaults.maximum_grace_seconds, "default")
    lowered = look.statements.get(keys.MAXIMUM_GRACE_SECONDS)
    if lowered is not None and lowered.value < admin.value:
        admin = Amount(lowered.value, lowered.origin)
    return grace.bounded(admin, look.config.grace_caps, look.pod.placement)


def _finished(pod: Pod, decision: Decision) -> Decision:
    """Return the decision with its outcome and, where one is due, its annotation."""
    decision = _brief(decision)
    sets_grace = decision.grace_seconds is not None and not (
        pod.states_grace and decision.grace_seconds == pod.grace_seconds
    )
    written = pod.annotations.get(DECISION_ANNOTATION)
    changes = sets_grace or decision.environment or decision.changes or decision.restored
    worth_a_word = (
        decision.ignored
        or decision.missing
        or decision.outcome in {Outcome.UNSUPPORTED, Outcome.SIZE_UNKNOWN}
        or any(term.name == learned.TERM for term in decision.terms)
    )
    text = report.annotation(decision, pod) if changes or worth_a_word or written is not None else None
    if decision.outcome is not Outcome.UNCHANGED:
        return replace(decision, annotation=text)
    if decision.mode is Mode.AUDIT:
        return replace(decision, outcome=Outcome.AUDITED, annotation=text)
    changed = changes or text not in {None, written}
    return replace(decision, outcome=Outcome.PATCHED if changed else Outcome.UNCHANGED, annotation=text)


def _brief(decision: Decision) -> Decision:
    """Return the decision with at most 32 ignored values, missing objects and notes, each of them short."""
    notes = brevity.few([brevity.short(note) for note in decision.notes])
    ignored, missing = decision.ignored, decision.missing
    if len(ignored) > brevity.MOST:
        notes = (*notes, f"{len(ignored) - brevity.MOST} more values were ignored")
        ignored = ignored[: brevity.MOST]
    if len(missing) > brevity.MOST:
        beyond = missing[brevity.MOST :]
        worst = next((each for each in beyond if each.is_fault), beyond[0])
        missing = (*missing[: brevity.MOST], Missing(f"{len(beyond)} more objects", worst.reason))
    missing = tuple(Missing(brevity.short(each.name), each.reason) for each in missing)
    if (ignored, missing, notes) == (decision.ignored, decision.missing, decision.notes):
        return decision
    return replace(decision, ignored=ignored, missing=missing, notes=notes)
