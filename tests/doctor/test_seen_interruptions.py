"""GK118: what the observer wrote down in, findings out."""

import pytest

from tests.doctor.objects import Json, findings_of, losses, report_on, trainer
from webhook.doctor.finding import UnseenReason
from webhook.policy.observed.interruptions import EndedPod, Tallies, counted, text_of
from webhook.policy.observed.termination import Termination, TerminationClass

NOON = 1_795_867_200
DEPLOYMENT: Json = {
    "kind": "Deployment",
    "metadata": {"name": "gk", "namespace": "gk", "labels": {"app.kubernetes.io/part-of": "gracekeeper"}},
    "spec": {
        "template": {
            "spec": {"containers": [{"env": [{"name": "GRACEKEEPER_SERVER_MEMORY_NAME", "value": "gk-terminations"}]}]}
        }
    },
}


def memory(*terminations: Termination, **more: object) -> Json:
    tallies: Tallies = {}
    for number, termination in enumerate(terminations):
        tallies = counted(tallies, EndedPod("ml", f"llama-{number}", 600), termination, NOON)
    metadata = {"name": "gk-terminations", "namespace": "gk"}
    return {"kind": "ConfigMap", "metadata": metadata, "data": {"interruptions": text_of(tallies, NOON)}, **more}


def overridden(seconds: int) -> Termination:
    return Termination(TerminationClass.OVERRIDDEN, granted_seconds=seconds, cause="EvictionByEvictionAPI")


def test_graces_that_were_overridden_are_counted_with_the_pods_that_would_lose_today():
    seen = memory(*[overridden(60)] * 14, overridden(5))
    first, second = findings_of("GK118", DEPLOYMENT, seen, trainer("a"))
    by_seconds = {each.subject: each for each in (first, second)}
    often = by_seconds["overridden pods of namespace ml (60 s)"]
    assert often.sentence == (
        "14 training pods of namespace ml were given 60 s in the last 30 days, although up to 600 s were asked for, "
        "by EvictionByEvictionAPI. The last was pod llama-13."
    )
    assert (often.severity, losses(often)) == ("warning", {"a": 722})
    assert often.cure.command == "kubectl events -n ml --for pod/llama-13"


@pytest.mark.parametrize(
    ("termination", "word"),
    [
        (Termination(TerminationClass.EVICTED, cause="emptydir-limit"), "beyond the sizeLimit of an emptyDir"),
        (Termination(TerminationClass.EVICTED, cause="other"), "by their kubelet"),
        (Termination(TerminationClass.SHUTDOWN, cause="node-shutdown"), "by the shutdown of their node"),
    ],
)
def test_evictions_and_shutdowns_name_the_pods_that_train_there(termination, word):
    [finding] = findings_of("GK118", DEPLOYMENT, memory(termination), trainer("a"))
    assert (finding.severity, finding.losses, finding.pods) == ("warning", (), ("ml/a",))
    assert word in finding.sentence


def test_without_an_observer_or_an_interruption_there_is_nothing_to_tell():
    without = {**DEPLOYMENT, "spec": {"template": {"spec": {"containers": [{"name": "server"}]}}}}
    for objects in ([without, memory(overridden(5))], [DEPLOYMENT, memory()], []):
        assert findings_of("GK118", *objects) == []


@pytest.mark.parametrize(
    ("objects", "reason"),
    [
        ([DEPLOYMENT], UnseenReason.NOT_IN_DUMP),
        ([DEPLOYMENT, memory(unseen={"reason": "forbidden", "message": "no"})], UnseenReason.FORBIDDEN),
    ],
)
def test_a_memory_that_cannot_be_read_is_not_fine(objects, reason):
    [unseen] = report_on(*objects, only="GK118").unseen
    assert (unseen.what, unseen.reason) == (
        "what the observer has seen (ConfigMap gk/gk-terminations)",
        reason,
    )
