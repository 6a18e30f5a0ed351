"""GK104: nodes of four clouds in, findings out."""

import pytest

from tests.doctor.objects import findings_of, losses, node, report_on, trainer


@pytest.mark.parametrize(
    ("label", "value", "provider", "seconds"),
    [
        ("cloud.google.com/gke-spot", "true", "", 15),
        ("cloud.google.com/gke-preemptible", "true", "", 15),
        ("eks.amazonaws.com/capacityType", "SPOT", "", 120),
        ("kubernetes.azure.com/scalesetpriority", "spot", "", 30),
        ("karpenter.sh/capacity-type", "spot", "aws:///eu-west-1a/i-1", 120),
        ("karpenter.sh/capacity-type", "spot", "azure:///subscriptions/1", 30),
        ("karpenter.sh/capacity-type", "spot", "", 120),
    ],
)
def test_a_pod_on_a_spot_node_loses_what_the_notice_is_shorter(label, value, provider, seconds):
    spot = {**node("n1", **{label: value}), "spec": {"providerID": provider}}
    [finding] = findings_of("GK104", spot, trainer("a"), trainer("b", grace=seconds))
    assert (finding.severity, losses(finding)) == ("warning", {"a": 782 - seconds})
    assert finding.cap is not None
    assert (finding.cap.seconds, finding.cap.node_selector) == (seconds, {label: value})


@pytest.mark.parametrize(
    ("label", "value"), [("eks.amazonaws.com/capacityType", "ON_DEMAND"), ("karpenter.sh/capacity-type", "on-demand")]
)
def test_other_nodes_are_no_finding(label, value):
    assert findings_of("GK104", node(**{label: value}), trainer("a")) == []


def test_a_pod_that_waits_for_spot_nodes_counts_and_one_that_nobody_wants_time_for_does_not():
    spot = {"cloud.google.com/gke-spot": "true"}
    pending = trainer("a", on=None, spec={"nodeSelector": spot})
    unsized = trainer("b", grace=30)
    [finding] = findings_of("GK104", node(**spot), pending, unsized)
    assert losses(finding) == {"a": 767}


def test_spot_nodes_without_such_a_pod_are_shown_in_the_pool_table_only():
    report = report_on(node(**{"cloud.google.com/gke-spot": "true", "cloud.google.com/gke-nodepool": "p"}))
    assert [each.severity for each in report.findings] == ["info"]
    [row] = report.pools
    assert (row.name, row.spot, row.cap and row.cap.seconds, row.check, row.cut) == ("p", True, 15, "GK104", 0)


def test_two_labels_of_one_cloud_are_two_caps():
    managed = node("n1", **{"eks.amazonaws.com/capacityType": "SPOT"})
    karpenter = node("n2", **{"karpenter.sh/capacity-type": "spot"})
    caps = report_on(managed, karpenter, only="GK104").caps
    assert [dict(each.node_selector) for each in caps] == [
        {"eks.amazonaws.com/capacityType": "SPOT"},
        {"karpenter.sh/capacity-type": "spot"},
    ]
