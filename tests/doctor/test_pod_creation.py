"""GK204: the API server's answers to the probe in, findings out."""

import copy

import pytest

from tests.doctor.objects import ML, losses, report_on, trainer
from webhook.doctor import probe
from webhook.doctor.finding import UnseenReason
from webhook.doctor.probe import PodRefusal
from webhook.policy.configuration import Config, Mode

SHOWN = probe.probe_pod("a")
REFUSALS = {
    "no right": (403, "Forbidden", 'pods is forbidden: User "ann" cannot create resource "pods" in API group ""'),
    "no namespace": (404, "NotFound", 'namespaces "ml" not found'),
    "no dry run": (400, "BadRequest", 'admission webhook "w.example" does not support dry run'),
    "no answer": (0, "Timeout", "read timed out"),
    "quota": (403, "Forbidden", "pods is forbidden: exceeded quota: small, requested: pods=1"),
}


def created(grace=probe.STATED_SECONDS, *, called=True, restart_policy="Always"):
    """The pod as the API server would create it."""
    pod = copy.deepcopy(SHOWN)
    pod["spec"]["terminationGracePeriodSeconds"] = grace
    pod["spec"]["initContainers"][0]["restartPolicy"] = restart_policy
    if called:
        pod["metadata"]["annotations"]["gracekeeper.dev/decision"] = "{}"
    return pod


def answer(pod, refusal=None, shown=SHOWN):
    return probe.answer_object(ML, shown, pod, refusal)


def findings_and_unseen(*objects, config=None):
    report = report_on(*objects, only="GK204", config=config)
    return list(report.findings), [each for each in report.unseen if each.what.startswith("what becomes")]


def test_a_pod_that_is_created_as_gracekeeper_wants_it_is_no_finding():
    assert findings_and_unseen(answer(created()), trainer("a")) == ([], [])


def test_a_namespace_that_was_not_asked_is_not_fine():
    [unseen] = findings_and_unseen(trainer("a"))[1]
    assert (unseen.reason, unseen.command) == (UnseenReason.NOT_ASKED, "gracekeeper doctor --probe ml")


def test_a_policy_that_sets_50_s_takes_the_rest_of_what_training_pods_ask_for():
    # given a pod that asked for 902 s and came out with 50 s
    [finding] = findings_and_unseen(answer(created(50)), trainer("a"), trainer("short", grace=40))[0]
    # then the pods of the namespace that ask for more lose the rest
    assert (finding.severity, finding.subject, losses(finding)) == ("error", "Namespace ml", {"a": 732})
    assert "asks for 902 s in namespace ml is created with 50 s" in finding.sentence


@pytest.mark.parametrize(("grace", "is_cut"), [(600, True), (601, False), (902, False), (5000, False)])
def test_what_was_asked_for_is_that_of_the_pod_where_gracekeeper_is_not_called(grace, is_cut):
    findings = findings_and_unseen(answer(created(grace, called=False)), config=Config(mode=Mode.AUDIT))[0]
    assert ["is created with" in each.sentence for each in findings] == [True] * is_cut


def test_a_grace_that_the_owner_chose_may_be_lost_although_gracekeeper_has_the_last_word_on_its_own():
    given = {**answer(created()), "ownersPod": {"spec": {"terminationGracePeriodSeconds": 50}}}
    [finding] = findings_and_unseen(given, trainer("a"))[0]
    assert (finding.severity, finding.subject) == ("error", "Namespace ml")
    assert "whose owner gives it 601 s in namespace ml is created with 50 s" in finding.sentence
    assert "a pod whose size nobody states loses 551 s" in finding.sentence


def test_a_webhook_that_is_not_called_is_named_with_the_pods_that_it_left_short():
    # given a training pod with 30 s, whose owner asked gracekeeper for 900 s
    short = trainer("a", grace=30, metadata={"annotations": {"gracekeeper.dev/grace-seconds": "900"}})
    [finding] = findings_and_unseen(answer(created(601, called=False)), short)[0]
    assert (finding.severity, losses(finding)) == ("error", {"a": 870})
    assert "did not call gracekeeper" in finding.sentence


@pytest.mark.parametrize(
    "left_alone",
    [
        {"config": Config(mode=Mode.AUDIT)},
        {"namespace": {"labels": {"gracekeeper.dev/enabled": "false"}}},
    ],
    ids=lambda given: next(iter(given)),
)
def test_a_namespace_that_gracekeeper_leaves_alone_need_not_call_it(left_alone):
    namespace = {"kind": "Namespace", "metadata": {"name": ML, **left_alone.get("namespace", {})}}
    assert findings_and_unseen(answer(created(601, called=False)), namespace, config=left_alone.get("config"))[0] == []


def test_a_sidecar_that_loses_its_restart_policy_is_an_error():
    [finding] = findings_and_unseen(answer(created(restart_policy=None)), trainer("a"))[0]
    assert finding.severity == "error"
    assert "loses its `restartPolicy: Always` in namespace ml" in finding.sentence


def test_a_pod_that_is_taken_only_without_the_sidecar_is_a_warning_and_the_rest_is_seen():
    # given a LimitRange that refuses small containers, and a policy beside it
    plain = probe.probe_pod("a", has_sidecar=False)
    cut = copy.deepcopy(plain)
    cut["metadata"]["annotations"]["gracekeeper.dev/decision"] = "{}"
    cut["spec"]["terminationGracePeriodSeconds"] = 50
    refusal = PodRefusal(403, "Forbidden", "minimum cpu usage per Container is 50m, but request is 10m")
    # then both are told, and the missing sidecar is not a lost restartPolicy
    cut_finding, refused = findings_and_unseen(answer(cut, refusal, plain))[0]
    assert [cut_finding.severity, refused.severity] == ["error", "warning"]
    assert "minimum cpu usage per Container is 50m" in refused.sentence
    assert refused.cure.command == "kubectl describe limits,quota -n ml"


@pytest.mark.parametrize(
    ("which", "reason", "word", "command"),
    [
        ("no right", UnseenReason.FORBIDDEN, "you may not create pods", "kubectl auth can-i create pods -n ml"),
        ("no namespace", UnseenReason.ERROR, "no such namespace", "kubectl get namespaces"),
        ("no dry run", UnseenReason.ERROR, 'webhook "w.example" does not support dry run', "SIDE-EFFECTS"),
        ("no answer", UnseenReason.TIMEOUT, "gave no answer", "gracekeeper doctor --probe ml --only GK204"),
        ("quota", UnseenReason.ERROR, "exceeded quota: small", "kubectl describe quota -n ml"),
    ],
)
def test_a_pod_that_could_not_be_shown_tells_nothing(which, reason, word, command):
    findings, [unseen] = findings_and_unseen(answer(None, PodRefusal(*REFUSALS[which])), trainer("a"))
    assert findings == []
    assert unseen.reason is reason
    assert word in unseen.sentence
    assert command in unseen.command
