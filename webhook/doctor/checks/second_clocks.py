"""GK310: a clock inside the pod kills the trainer's ranks before the pod's grace has passed.

torchrun and accelerate kill their workers 30 s after SIGTERM, unless torch is 2.12 or newer and a variable says otherwise.
Argo's executor and hf-mount have such clocks, too. Admission sets these variables, so a pod that was admitted has them.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from webhook.doctor.finding import Cure, Evidence, Finding, PodLoss, Severity, longest_loss_first
from webhook.doctor.lists import ClusterLists
from webhook.doctor.recreation import recreated
from webhook.doctor.trainers import TrainingPod
from webhook.policy.pod.launchers import Launcher
from webhook.policy.prefix import PREFIX
from webhook.policy.shutdown.clocks import CLOCKS, TORCH_DEFAULT_SECONDS, TORCH_VARIABLE
from webhook.policy.shutdown.signal_notes import notes_on_losses

ID = "GK310"
_READERS = {clock.variable: clock.reader.partition(":")[0] for clock in CLOCKS}
_LAUNCHERS = frozenset({Launcher.TORCHRUN, Launcher.ACCELERATE})


def findings(lists: ClusterLists) -> Iterator[Finding]:
    """Yield findings on launchers whose clock nobody can set, and on variables that are missing or too small."""
    launchers: dict[tuple[str, str], list[TrainingPod]] = defaultdict(list)
    variables: dict[tuple[str, str], list[PodLoss]] = defaultdict(list)
    for trainer in lists.trainers:
        pod = trainer.look.pod
        if pod.osmo_task is not None or pod.trainer.is_wrapped or not trainer.asks_for_time:
            continue
        notes = [note for note in notes_on_losses(pod, trainer.asked_seconds) if note not in notes_on_losses(pod, 0)]
        for note in notes:
            launchers[trainer.namespace, note].append(trainer)
        if not notes:
            for variable, seconds in _short_variables(trainer):
                loss = PodLoss(trainer.namespace, trainer.name, trainer.asked_seconds, seconds)
                if loss.lost_seconds > 0:
                    variables[trainer.namespace, variable].append(loss)
    for (namespace, note), trainers in sorted(launchers.items()):
        yield from _of_launchers(namespace, note, trainers)
    for (namespace, variable), losses in sorted(variables.items()):
        yield _of_variable(namespace, variable, longest_loss_first(losses))


def _short_variables(trainer: TrainingPod) -> Iterator[tuple[str, int]]:
    """Yield the variables that admission would set or raise in this pod today, and the seconds that hold until then."""
    pod = trainer.look.pod
    containers = {container.position: container for container in pod.all_containers}
    for edit in trainer.decision.environment:
        if edit.entry_index is None:
            if edit.name == TORCH_VARIABLE and pod.start.launcher in _LAUNCHERS:
                yield edit.name, TORCH_DEFAULT_SECONDS
        else:
            entries = dict(containers[edit.position].entries_of(edit.name))
            yield edit.name, int(entries[edit.entry_index]["value"])


def _of_launchers(namespace: str, note: str, trainers: Sequence[TrainingPod]) -> Iterator[Finding]:
    """Yield a finding on the pods that gracekeeper cures when they are created anew, and one on the others."""
    what, _, advice = note.partition(": ")
    for is_wrapped in (False, True):
        of_kind = [each for each in trainers if (each.decision.changes is not None) is is_wrapped]
        if of_kind:
            cure = recreated(namespace, of_kind) if is_wrapped else _forwarded(namespace, advice)
            yield _of_launcher(namespace, what, of_kind, cure)


def _of_launcher(namespace: str, what: str, trainers: Sequence[TrainingPod], cure: Cure) -> Finding:
    first = trainers[0]
    losses = [PodLoss(each.namespace, each.name, each.asked_seconds, TORCH_DEFAULT_SECONDS) for each in trainers]
    path = f'{{.spec.containers[?(@.name=="{first.look.pod.trainer.name}")].image}}'
    return Finding(
        check=ID,
        severity=Severity.WARNING,
        subject=f"training pods of namespace {namespace}",
        sentence=f"In namespace {namespace}, {what}. The rest of the grace is of no use.",
        cure=cure,
        evidence=(
            Evidence(
                f"kubectl get pod {first.name} -n {namespace} -o jsonpath='{path}'",
                f"image of container {first.look.pod.trainer.name}",
                str(first.look.pod.trainer.manifest.get("image")),
            ),
        ),
        losses=longest_loss_first(losses),
    )


def _forwarded(namespace: str, advice: str) -> Cure:
    return Cure(
        f"kubectl annotate namespace {namespace} {PREFIX}forward-sigterm=true",
        f"It makes supervise PID 1 of every training pod of the namespace that names its command, from its next start on: "
        f"supervise signals the ranks past their launcher. For one workload, write the annotation "
        f'{PREFIX}forward-sigterm: "true" into its pod template instead. In the workload itself: {advice}.',
        "It restarts nothing. A pod that runs loses its save until it is created anew.",
    )


def _of_variable(namespace: str, variable: str, losses: Sequence[PodLoss]) -> Finding:
    first = losses[0]
    them = "it" if len(losses) == 1 else "them"
    return Finding(
        check=ID,
        severity=Severity.WARNING,
        subject=f"training pods of namespace {namespace}",
        sentence=f"In namespace {namespace}, {variable} is too small, or not set, in {len(losses)} "
        f"{'pod' if len(losses) == 1 else 'pods'}. {_READERS[variable]} ends the save after {first.given_seconds} s. "
        f"gracekeeper sets it when a pod is created. Recreate {them} after the next checkpoint, not before.",
        cure=Cure(
            f"kubectl delete pod -n {namespace} {' '.join(loss.name for loss in losses)}",
            "Wait for the next checkpoint. The pods' controller creates them anew. Or set the variable in the workload.",
            "It restarts these pods.",
        ),
        evidence=(
            Evidence(
                f"kubectl get pod {first.name} -n {namespace} -o jsonpath='{{.spec.containers[*].env}}'",
                f".spec.containers[*].env, {variable}",
                f"{first.given_seconds} s" if first.given_seconds != TORCH_DEFAULT_SECONDS else "30 s, or not set",
            ),
        ),
        losses=tuple(losses),
    )
