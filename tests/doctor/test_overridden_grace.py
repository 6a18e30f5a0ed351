"""GK117: pods that are being deleted in, findings out."""

import pytest

from tests.doctor.objects import findings_of, losses, trainer

NOW = "2026-11-28T20:00:00Z"


def dying(name="a", granted=60, grace=600, **more):
    metadata = {"deletionTimestamp": NOW, "deletionGracePeriodSeconds": granted}
    pod = trainer(name, grace, **more)
    return {**pod, "metadata": pod["metadata"] | metadata}


def test_pods_that_were_given_less_than_they_have_are_named_by_the_seconds():
    [second, first] = findings_of("GK117", dying("a"), dying("b"), dying("c", granted=30), trainer("runs"))
    assert (losses(first), losses(second)) == ({"c": 570}, {"a": 540, "b": 540})
    assert {first.severity, second.severity} == {"warning"}
    assert "2 pods are being deleted with 60 s" in second.sentence
    assert "NVSentinel" in second.sentence
    assert second.cure.command == "kubectl events -n ml --for pod/a"


def test_the_condition_names_who_asked():
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    [finding] = findings_of("GK117", dying(status={"conditions": [condition]}))
    assert "EvictionByEvictionAPI" in finding.sentence


@pytest.mark.parametrize(
    "pod",
    [
        dying(granted=600),
        dying(granted=0, on=None),  # the API server deletes a pod without a node at once
        dying(granted=0, status={"phase": "Succeeded"}),  # the kubelet's last delete, a finalizer keeps the pod
        {**trainer("a"), "metadata": {**trainer("a")["metadata"], "deletionGracePeriodSeconds": 0}},
    ],
    ids=["its own grace", "no node", "ended", "not deleted"],
)
def test_what_cuts_nothing_is_no_finding(pod):
    assert findings_of("GK117", pod) == []


def test_other_pods_prove_a_cap_too_but_lose_no_save():
    web = dying("web")
    web["metadata"]["labels"] = {}
    [finding] = findings_of("GK117", web)
    assert (finding.severity, losses(finding)) == ("info", {"web": 540})
    [with_trainer] = findings_of("GK117", web, dying("a"))
    assert (with_trainer.severity, losses(with_trainer)) == ("warning", {"a": 540})
    assert "2 pods are" in with_trainer.sentence
