"""GK102: evicted pods and the versions of kubelets in, findings out."""

import pytest

from tests.doctor.objects import findings_of, losses, node, trainer


def evicted(name="a", message="The node was low on resource: memory.", on="n1", **more):
    status = {"phase": "Failed", "reason": "Evicted", "message": message}
    return trainer(name, on=on, status=status, **more)


@pytest.mark.parametrize(
    ("message", "cause", "cure"),
    [
        ("The node was low on resource: memory. Threshold quantity: 100Mi.", "ran out of memory", "Guaranteed"),
        ("The node was low on resource: ephemeral-storage.", "disk ran full", "claim"),
        (
            "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi.",
            "more than its limits",
            "claim",
        ),
        ("Container main exceeded its local ephemeral storage limit 1Gi.", "a container wrote more", "claim"),
        ('Usage of EmptyDir volume "v" exceeds the limit "1Gi".', "outgrew its sizeLimit", "claim"),
        ("The node had condition: [DiskPressure].", "under pressure", "claim"),
    ],
)
def test_an_evicted_pod_that_still_exists_tells_the_cause(message, cause, cure):
    [finding] = findings_of("GK102", node(), evicted(message=message))
    assert (finding.severity, losses(finding)) == ("error", {"a": 780})
    assert cause in finding.sentence
    assert cure in finding.cure.note
    assert finding.evidence[0].value == f"Evicted: {message}"


def test_pods_of_one_cause_are_one_finding():
    [finding] = findings_of("GK102", node(), evicted("a"), evicted("b", grace=30))
    assert losses(finding) == {"a": 780, "b": 28}
    assert "2 training pods" in finding.sentence


def test_other_pods_that_were_evicted_or_have_failed_are_left_out():
    web = evicted("web")
    web["metadata"]["labels"] = {}
    assert findings_of("GK102", node(), web, trainer("b", status={"phase": "Failed", "reason": "Error"})) == []


@pytest.mark.parametrize(
    ("versions", "severity"),
    [
        (("v1.30.9", "v1.34.4"), "warning"),
        (("v1.34.4", "v1.29.0-eks-1"), "info"),  # the trainer is on the first
        (("v1.31.0", "v2.0.0"), None),
        (("", "odd"), None),
    ],
)
def test_kubelets_before_1_31_are_told_before_their_upgrade(versions, severity):
    nodes = [node("n1", versions[0]), node("n2", versions[1])]
    findings = findings_of("GK102", *nodes, trainer("a"))
    assert [each.severity for each in findings] == ([severity] if severity else [])
    assert all("1 of 2 nodes run a kubelet before 1.31" in each.sentence for each in findings)


def test_an_old_kubelet_gave_the_grace_so_that_no_second_is_named_as_lost():
    by_severity = {str(each.severity): each for each in findings_of("GK102", node("n1", "v1.30.1"), evicted())}
    assert (by_severity["error"].losses, by_severity["error"].pods) == ((), ("ml/a",))
