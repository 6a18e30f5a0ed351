"""Which pods train.

The rules, in this order:
1. A mirror pod, a pod of an excluded Namespace and a pod whose owner opted out are left alone.
2. A pod whose owner, profile or Namespace opted in trains.
3. A serving or interactive workload does not train.
4. A pod with a mark of a training system trains, unless it is a server.
5. A pod that asks for an accelerator and has a batch owner trains.
6. A pod with a batch owner that starts a launcher of ranks and names a path to save to trains.
7. A pod without owner trains that asks for an accelerator, mounts a volume that lasts, and shows that it saves.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from webhook.policy.configuration import Compatibility, Profile
from webhook.policy.names import shown
from webhook.policy.pod import Pod, marks
from webhook.policy.pod.launchers import Launcher
from webhook.policy.pod.metadata import JsonObject, labels_of
from webhook.policy.pod.other_work import server_of
from webhook.policy.prefix import ENABLED_LABEL
from webhook.policy.recognition import version_0_1_0
from webhook.policy.recognition.pod_marks import batch_of, marks_of_serving, marks_of_training
from webhook.policy.recognition.signs import accelerator_of, has_lasting_volume, sign_of_saving
from webhook.policy.statements.keys import ENABLED
from webhook.policy.statements.statements import Statements
from webhook.policy.storage.save_paths import names_a_path


class Verdict(StrEnum):
    """What recognition says of a pod."""

    TRAINING = "training"
    NOT_TRAINING = "not-training"
    OPTED_OUT = "opted-out"
    EXCLUDED = "excluded"


@dataclass(frozen=True, slots=True)
class Recognition:
    """The verdict and what it rests on, in words for the decision."""

    verdict: Verdict
    because: str

    @property
    def trains(self) -> bool:
        """Whether a decision could change this pod."""
        return self.verdict is Verdict.TRAINING


def recognition_of(
    pod: Pod,
    namespace: JsonObject | None,
    statements: Statements,
    profile: Profile | None,
    compatibility: Compatibility = Compatibility.NEWEST,
) -> Recognition:
    """Return whether the pod trains, and the mark by which it is known."""
    by_choice = _left_out(pod, namespace, statements) or _opted_in(namespace, statements, profile)
    if by_choice is not None:
        return by_choice
    is_newest = compatibility is Compatibility.NEWEST
    serving = next(_marks_of_serving(pod) if is_newest else marks_of_serving(pod), None)
    if serving is not None:
        return Recognition(Verdict.NOT_TRAINING, serving)
    if is_newest:
        mark = next(marks_of_training(pod), None) or _in_a_batch(pod) or _by_itself(pod)
    else:
        mark = version_0_1_0.mark_of_training(pod)
    if mark is None:
        return Recognition(Verdict.NOT_TRAINING, "no mark of a training system")
    return Recognition(Verdict.TRAINING, mark)


def _left_out(pod: Pod, namespace: JsonObject | None, statements: Statements) -> Recognition | None:
    if marks.MIRROR_ANNOTATION in pod.annotations:
        return Recognition(Verdict.EXCLUDED, "a mirror pod of a kubelet")
    if labels_of(namespace).get(ENABLED_LABEL) == "false":
        return Recognition(Verdict.EXCLUDED, f"the Namespace is labelled {ENABLED_LABEL}=false")
    enabled = statements.of_pod(ENABLED)
    if enabled is not None and enabled.value is False:
        return Recognition(Verdict.OPTED_OUT, f"{enabled.origin} {ENABLED_LABEL}=false")
    return None


def _opted_in(namespace: JsonObject | None, statements: Statements, profile: Profile | None) -> Recognition | None:
    enabled = statements.of_pod(ENABLED)
    if enabled is not None:
        return Recognition(Verdict.TRAINING, f"{enabled.origin} {ENABLED_LABEL}=true")
    if statements.by_owner:
        return Recognition(Verdict.TRAINING, "the pod carries a gracekeeper key")
    if profile is not None and profile.enabled is not None:
        verdict = Verdict.TRAINING if profile.enabled else Verdict.NOT_TRAINING
        return Recognition(verdict, f"profile {profile.name} enabled={str(profile.enabled).lower()}")
    if labels_of(namespace).get(ENABLED_LABEL) == "true":
        return Recognition(Verdict.TRAINING, f"the Namespace is labelled {ENABLED_LABEL}=true")
    return None


def _marks_of_serving(pod: Pod) -> Iterator[str]:
    yield from marks_of_serving(pod)
    label = marks.REPLICATED_JOB_LABEL
    yield from (f"label {label}={job}" for job in marks.INITIALIZER_JOBS if pod.labels.get(label) == job)
    server = server_of(pod.start)
    if server is not None:
        yield f"it runs {server}"
    if _is_probed_server(pod):
        yield f"a readiness probe asks container {shown(pod.trainer.name)}"


def _is_probed_server(pod: Pod) -> bool:
    """Return whether a pod of a JobSet or of Ray answers requests, and starts no ranks."""
    may_serve = marks.first_match(pod.labels, marks.JOBSET_OR_RAY_LABELS) is not None
    return may_serve and pod.trainer.answers_requests and pod.start.launcher in {None, Launcher.RAY}


def _in_a_batch(pod: Pod) -> str | None:
    """Return what shows training in a batch: an accelerator, or a launcher of ranks beside a path to save to."""
    batch = batch_of(pod)
    if batch is None:
        return None
    accelerator, launcher = accelerator_of(pod), pod.start.launcher
    if accelerator is not None:
        return f"{accelerator} in {batch}"
    if launcher in {None, Launcher.RAY} or not names_a_path(pod):
        return None
    return f"{launcher} with a path to save to in {batch}"


def _by_itself(pod: Pod) -> str | None:
    """Return what shows that a pod without owner trains. One that waits, serves or evaluates does not."""
    if pod.owners or pod.other_work or pod.trainer.listens:
        return None
    accelerator = _accelerator_in_limits(pod)
    if accelerator is None or not has_lasting_volume(pod):
        return None
    sign = sign_of_saving(pod)
    return sign and f"{accelerator}, a volume that lasts, and {sign}"


def _accelerator_in_limits(pod: Pod) -> str | None:
    """Return the accelerator of a regular container's limits, which the match condition reads, or a DRA claim."""
    if pod.has_resource_claims:
        return "a DRA claim"
    resources = (marks.first_match(container.limits, marks.ACCELERATORS) for container in pod.containers)
    return next((shown(resource) for resource in resources if resource is not None), None)
