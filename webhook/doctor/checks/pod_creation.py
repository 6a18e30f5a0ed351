"""GK204: what the API server, with all its policies and webhooks, makes of a training pod: the probe's answer.

Nobody's configuration is parsed for it. The other checks of this group name who did what the probe shows. A pod that could
not be shown tells nothing: that is reported as not looked at.
"""

from collections.abc import Iterator

from webhook.doctor import probe
from webhook.doctor.effects import ShownPod, shown_pod
from webhook.doctor.finding import Cure, Evidence, Finding, Severity, Unseen, UnseenReason
from webhook.doctor.lists import ClusterLists
from webhook.doctor.probe import PodRefusal
from webhook.doctor.trainers import losses_of, losses_of_unpatched
from webhook.policy.prefix import DECISION_ANNOTATION

ID = "GK204"
_GRACE = ".spec.terminationGracePeriodSeconds"
_MUTATORS = (
    "kubectl get mutatingwebhookconfigurations,mutatingadmissionpolicies "
    "-o custom-columns=KIND:.kind,NAME:.metadata.name --sort-by=.metadata.name"
)
_NO_DRY_RUN = "does not support dry run"
_SIDE_EFFECTS = (
    "kubectl get mutatingwebhookconfigurations,validatingwebhookconfigurations "
    "-o custom-columns='NAME:.metadata.name,WEBHOOKS:.webhooks[*].name,SIDE-EFFECTS:.webhooks[*].sideEffects'"
)
_NO_ANSWER, _FORBIDDEN, _NOT_FOUND = 0, 403, 404
_DESCRIBE = (("quota", "kubectl describe quota -n {}"), ("PodSecurity", "kubectl get namespace {} --show-labels"))


def findings(lists: ClusterLists) -> Iterator[Finding | Unseen]:
    """Yield what each answer shows, and the namespaces of training pods in which nobody asked."""
    answers = [probe.read_probe(each) for each in lists.of(probe.KIND)]
    yield from _unasked(lists, {answer.namespace for answer in answers})
    for answer in answers:
        if answer.pod is None:
            yield _unseen(answer.namespace, answer.refusal or PodRefusal(_NOT_FOUND, "", ""))
            continue
        shown = shown_pod(lists, answer, answer.pod)
        yield from _refused_sidecar(shown)
        if shown.is_wanted and not shown.was_called:
            yield _not_called(shown)
        if shown.given_seconds < shown.asked_seconds:
            yield _other_grace(shown)
        elif shown.owners_seconds < probe.GRACE_SECONDS:
            yield _owners_grace(shown)
        if shown.lost_restart_policy:
            yield _no_restart_policy(shown)


def _unasked(lists: ClusterLists, asked: set[str]) -> Iterator[Unseen]:
    namespaces = sorted({trainer.namespace for trainer in lists.trainers} - asked)
    if namespaces:
        command = "gracekeeper doctor " + " ".join(f"--probe {namespace}" for namespace in namespaces)
        yield Unseen(
            ID,
            f"what becomes of a new training pod in {', '.join(namespaces)}",
            UnseenReason.NOT_ASKED,
            "nobody asked the API server. A dry run stores nothing, and needs the right to create pods.",
            command,
        )


def _unseen(namespace: str, refusal: PodRefusal) -> Unseen:
    what = f"what becomes of a new training pod in {namespace}"
    if _NO_DRY_RUN in refusal.message:
        return Unseen(
            ID,
            what,
            UnseenReason.ERROR,
            f"a webhook refuses dry runs ({refusal.message}). Its `sideEffects` has to be None or NoneOnDryRun.",
            _SIDE_EFFECTS,
        )
    if refusal.status == _NOT_FOUND:
        return Unseen(ID, what, UnseenReason.ERROR, "there is no such namespace.", "kubectl get namespaces")
    if refusal.status == _NO_ANSWER:
        reason = UnseenReason.TIMEOUT if refusal.reason == "Timeout" else UnseenReason.ERROR
        again = f"gracekeeper doctor --probe {namespace} --only {ID}"
        return Unseen(ID, what, reason, f"the API server gave no answer ({refusal.reason}).", again)
    if refusal.status == _FORBIDDEN and "cannot create resource" in refusal.message:
        sentence = "you may not create pods there, which a dry run needs as well."
        return Unseen(ID, what, UnseenReason.FORBIDDEN, sentence, f"kubectl auth can-i create pods -n {namespace}")
    sentence = f"the namespace takes no such pod now ({refusal.message})."
    return Unseen(ID, what, UnseenReason.ERROR, sentence, _describe(namespace, refusal))


def _describe(namespace: str, refusal: PodRefusal) -> str:
    """Return the command that shows the rule by which a pod was refused."""
    by_word = (command for word, command in _DESCRIBE if word in refusal.message)
    return next(by_word, "kubectl describe limits,quota -n {}").format(namespace)


def _refused_sidecar(shown: ShownPod) -> Iterator[Finding]:
    refusal, namespace = shown.probe.refusal, shown.probe.namespace
    if refusal is not None:
        yield Finding(
            check=ID,
            severity=Severity.WARNING,
            subject=f"Namespace {namespace}",
            sentence=f"Namespace {namespace} takes a training pod, but refuses it with a native sidecar of 10m CPU and "
            f"16Mi memory: {refusal.message}. gracekeeper adds a container to pods that lose SIGTERM.",
            cure=Cure(
                _describe(namespace, refusal),
                note="Allow such a container, or exclude the namespace from wrapping with the annotation "
                'gracekeeper.dev/forward-sigterm: "false" on it.',
            ),
            evidence=(_evidence(namespace, "the API server's answer", refusal.reason or str(refusal.status)),),
            pods=_wrapped(shown),
        )


def _wrapped(shown: ShownPod) -> tuple[str, ...]:
    return tuple(sorted(each.full_name for each in shown.trainers if each.decision.changes is not None))


def _not_called(shown: ShownPod) -> Finding:
    namespace = shown.probe.namespace
    return Finding(
        check=ID,
        severity=Severity.ERROR,
        subject=f"Namespace {namespace}",
        sentence=f"The API server did not call gracekeeper for a training pod in namespace {namespace}: the pod asked for "
        f"{shown.wanted_seconds} s and kept its {shown.given_seconds} s.",
        cure=Cure(
            "gracekeeper doctor --only GK206 -o wide",
            note="That says whether gracekeeper is installed, and whether the API server reaches it. If it does, look at "
            "`webhook.namespaceSelector` and `webhook.excludedNamespaces` of the chart.",
            restarts="It restarts nothing. Pods keep the grace that they were created with.",
        ),
        evidence=(_evidence(namespace, f"annotation {DECISION_ANNOTATION}", "(not set)"),),
        losses=losses_of_unpatched(shown.trainers),
    )


def _other_grace(shown: ShownPod) -> Finding:
    namespace, given = shown.probe.namespace, shown.given_seconds
    return Finding(
        check=ID,
        severity=Severity.ERROR,
        subject=f"Namespace {namespace}",
        sentence=f"A training pod that asks for {shown.asked_seconds} s in namespace {namespace} is created with {given} s: "
        "a policy or another webhook sets the grace after gracekeeper. GK201 to GK205 name who it may be.",
        cure=Cure(
            _MUTATORS,
            note="GK201, GK202, GK203 and GK205 name who may have done it, and print the line that exempts training pods.",
        ),
        evidence=(_evidence(namespace, _GRACE, str(given)),),
        losses=losses_of(shown.trainers, given),
    )


def _owners_grace(shown: ShownPod) -> Finding:
    namespace, given = shown.probe.namespace, shown.owners_seconds
    return Finding(
        check=ID,
        severity=Severity.ERROR,
        subject=f"Namespace {namespace}",
        sentence=f"A training pod whose owner gives it {probe.GRACE_SECONDS} s in namespace {namespace} is created with "
        f"{given} s. gracekeeper gives back what it knows that a pod needs, and no more: a pod whose size nobody states loses "
        f"{probe.GRACE_SECONDS - given} s. GK201 to GK205 name who it may be.",
        cure=Cure(
            _MUTATORS,
            note="GK201, GK202, GK203 and GK205 print the line that exempts training pods. Or state `checkpoint-size` or "
            "`grace-seconds` on every training pod.",
        ),
        evidence=(_evidence(namespace, _GRACE, str(given)),),
    )


def _no_restart_policy(shown: ShownPod) -> Finding:
    namespace = shown.probe.namespace
    tasks = tuple(sorted(each.full_name for each in shown.trainers if each.look.pod.osmo_task is not None))
    return Finding(
        check=ID,
        severity=Severity.ERROR,
        subject=f"Namespace {namespace}",
        sentence=f"A native sidecar loses its `restartPolicy: Always` in namespace {namespace}. Without it the sidecar is an "
        "init container that never ends, and its pod never starts. gracekeeper therefore converts OSMO tasks there without a "
        "native sidecar.",
        cure=Cure(
            _MUTATORS,
            note="GK205 names the webhooks that are called after gracekeeper. Upgrade the one that drops the field: it was "
            "built for a Kubernetes without native sidecars.",
        ),
        evidence=(_evidence(namespace, f".spec.initContainers[{probe.SIDECAR}].restartPolicy", "(not set)"),),
        pods=tasks,
    )


def _evidence(namespace: str, path: str, value: str) -> Evidence:
    return Evidence(f"gracekeeper doctor --probe {namespace} --only {ID}", path, value)
