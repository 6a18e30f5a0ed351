"""GK109: what a cloud's cluster-autoscaler leaves in a cluster in, findings and what could not be looked at out."""

import pytest

from tests.doctor.objects import losses, node, report_on, trainer
from tests.doctor.test_autoscaler_maximum import autoscaler

STATUS = {"kind": "ConfigMap", "metadata": {"name": "cluster-autoscaler-status", "namespace": "kube-system"}}


@pytest.mark.parametrize(
    ("label", "unseen", "command", "cure"),
    [
        ("kubernetes.azure.com/agentpool", "600 s unless you changed it", "az aks show", "az aks update"),
        ("cloud.google.com/gke-nodepool", "600 s, which cannot be changed", "gcloud", "kubectl annotate pod a -n ml"),
        ("other", "600 s unless you changed it", "kubectl get configmap", "kubectl annotate pod a -n ml"),
    ],
)
def test_a_cap_that_only_the_cloud_knows_is_not_looked_at(label, unseen, command, cure):
    report = report_on(STATUS, node(**{label: "p"}), trainer("a"), trainer("b", grace=600), only="GK109")
    [not_seen] = report.unseen
    assert (not_seen.reason, unseen in not_seen.sentence) == ("not-readable", True)
    assert not_seen.command.startswith(command)
    [finding] = report.findings
    assert (finding.severity, losses(finding)) == ("info", {"a": 182})
    assert finding.cure.command.startswith(cure)


@pytest.mark.parametrize("objects", [[autoscaler()], [STATUS, autoscaler()], []], ids=["own", "own and status", "none"])
def test_an_autoscaler_of_the_cluster_itself_or_none_is_nothing_to_say(objects):
    report = report_on(*objects, trainer("a"), only="GK109")
    assert (report.findings, report.unseen) == ((), ())
