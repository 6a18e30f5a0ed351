"""GK309: SIGTERM does not reach the process that saves, so nothing is saved, however long the grace.

The reading of a trainer's start is the product's own: the note is the one that its owner gets at admission. What an image starts
by itself cannot be seen.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from webhook.doctor.finding import Cure, Evidence, Finding, PodLoss, Severity, longest_loss_first
from webhook.doctor.lists import ClusterLists
from webhook.doctor.recreation import recreated
from webhook.doctor.trainers import TrainingPod
from webhook.policy.prefix import PREFIX
from webhook.policy.shutdown.signal_notes import notes_on_losses, notes_on_the_incurable

ID = "GK309"


def findings(lists: ClusterLists) -> Iterator[Finding]:
    """Yield one finding for each namespace and each way in which its training pods lose the signal."""
    by_note: dict[tuple[str, str, bool], list[TrainingPod]] = defaultdict(list)
    for trainer in lists.trainers:
        pod = trainer.look.pod
        if pod.osmo_task is None and trainer.asks_for_time:
            curable = () if pod.trainer.is_wrapped else notes_on_losses(pod, 0)
            for note in curable:
                by_note[trainer.namespace, note, True].append(trainer)
            for note in notes_on_the_incurable(pod):
                by_note[trainer.namespace, note, False].append(trainer)
    for (namespace, note, is_curable), trainers in sorted(by_note.items()):
        for is_wrapped in (False, True):  # whether gracekeeper cures it when the pod is created anew
            of_kind = [each for each in trainers if (each.decision.changes is not None) is is_wrapped]
            if of_kind:
                what, advice = _parts(note)
                cure = _cure(namespace, advice) if is_curable else Cure(f"{advice[:1].upper()}{advice[1:]}.")
                cure = recreated(namespace, of_kind) if is_curable and is_wrapped else cure
                yield _finding(namespace, what, of_kind, cure)


def _finding(namespace: str, what: str, trainers: Sequence[TrainingPod], cure: Cure) -> Finding:
    first = trainers[0]
    may_trap = all(each.look.pod.start.traps_sigterm for each in trainers)
    path = f'{{.spec.containers[?(@.name=="{first.look.pod.trainer.name}")].command}}'
    told = (
        "Whether it saves is up to that trap." if may_trap else "Nothing is saved on SIGTERM, however long the grace."
    )
    return Finding(
        check=ID,
        severity=Severity.INFO if may_trap else Severity.WARNING,
        subject=f"training pods of namespace {namespace}",
        sentence=f"In namespace {namespace}, {what}. {told}",
        cure=cure,
        evidence=(
            Evidence(
                f"kubectl get pod {first.name} -n {namespace} -o jsonpath='{path}'",
                f"command of container {first.look.pod.trainer.name}",
                " ".join(map(str, first.look.pod.trainer.command))[:80] or "(the image's)",
            ),
        ),
        losses=() if may_trap else _losses(trainers),
        pods=tuple(sorted(each.full_name for each in trainers)) if may_trap else (),
    )


def _parts(note: str) -> tuple[str, str]:
    """Return what is wrong, and what to do, of a note that says both."""
    what, _, advice = note.partition(": ")
    return what, advice or note.partition(" only if you ")[2] or note


def _losses(trainers: Sequence[TrainingPod]) -> tuple[PodLoss, ...]:
    return longest_loss_first([PodLoss(each.namespace, each.name, each.asked_seconds, 0) for each in trainers])


def _cure(namespace: str, advice: str) -> Cure:
    return Cure(
        f"kubectl annotate namespace {namespace} {PREFIX}forward-sigterm=true",
        f"It makes supervise PID 1 of every training pod of the namespace that names its command, from its next start on. For "
        f'one workload, write the annotation {PREFIX}forward-sigterm: "true" into its pod template instead. In the '
        f"workload itself: {advice}.",
        "It restarts nothing. A pod that runs loses its save until it is created anew.",
    )
