"""GK101: settings of kubelets from three sources in, findings and what could not be looked at out."""

import json
import shlex

import pytest

from tests.doctor.objects import Json, configz, findings_of, losses, node, report_on, trainer
from webhook.doctor.finding import UnseenReason
from webhook.doctor.kubelet_configs import with_config_of_kubeadm
from webhook.doctor.lists import KindUnseen

SOFT: Json = {"evictionSoft": {"memory.available": "5%"}}
POOL = {"eks.amazonaws.com/nodegroup": "g"}


def node_class(**kubelet):
    return {"kind": "EC2NodeClass", "metadata": {"name": "gpu"}, "spec": {"kubelet": kubelet}}


@pytest.mark.parametrize(
    ("settings", "lost"),
    [
        ({**SOFT, "evictionMaxPodGracePeriod": 60}, {"a": 722}),
        ({**SOFT, "evictionMaxPodGracePeriod": 900}, {}),
        ({**SOFT, "evictionMaxPodGracePeriod": -1}, {"a": 781}),
        (SOFT, {"a": 782}),
    ],
)
def test_a_pod_gets_the_maximum_of_soft_eviction(settings, lost):
    [finding] = findings_of("GK101", node(**POOL), configz(**settings), trainer("a"))
    assert (finding.severity, losses(finding)) == ("warning" if lost else "info", lost)
    assert finding.cap is not None
    assert finding.cap.node_selector == POOL
    assert finding.evidence[0].command == "kubectl get --raw /api/v1/nodes/n1/proxy/configz"


def test_without_soft_thresholds_there_is_no_finding():
    assert report_on(node(), configz(evictionMaxPodGracePeriod=5), trainer("a"), only="GK101").findings == ()


def test_one_kubelet_stands_for_those_of_its_pool_and_version():
    nodes = [node("n1", **POOL), node("n2", **POOL), node("n3", "v1.30.1", **POOL), node("n4")]
    pods = [trainer(f"on-{each['metadata']['name']}", on=each["metadata"]["name"]) for each in nodes]
    report = report_on(*nodes, *pods, configz(**SOFT), only="GK101")
    [finding] = report.findings
    assert losses(finding) == {"on-n1": 782, "on-n2": 782}
    [unseen] = report.unseen
    assert (unseen.what, unseen.reason, unseen.command) == (
        "kubelet settings of 2 nodes",
        "not-asked",
        "gracekeeper doctor --kubelet",
    )
    assert "run commands in every container" in unseen.sentence


def test_a_node_class_of_karpenter_tells_it_without_the_kubelet_and_can_be_patched():
    of_class = node_class(**SOFT, evictionMaxPodGracePeriod=60)
    of_node = node(**{"karpenter.sh/nodepool": "p", "karpenter.k8s.aws/ec2nodeclass": "gpu"})
    report = report_on(of_node, of_class, trainer("a"), only="GK101")
    [finding] = report.findings
    assert (losses(finding), report.unseen) == ({"a": 722}, ())
    words = shlex.split(finding.cure.command)
    assert words[:4] == ["kubectl", "patch", "ec2nodeclasses.karpenter.k8s.aws", "gpu"]
    patch = json.loads(words[-1])
    assert patch == {"spec": {"kubelet": {"evictionMaxPodGracePeriod": 782}}}
    cured = node_class(**SOFT, **patch["spec"]["kubelet"])
    assert [each.severity for each in findings_of("GK101", of_node, cured, trainer("a"))] == ["info"]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("kind: KubeletConfiguration\nevictionSoft: {memory.available: 5%}\nevictionMaxPodGracePeriod: 60\n", 1),
        ("{", 0),
        (None, 0),
        ("[]", 0),
    ],
)
def test_kubeadm_s_configmap_tells_it_for_all_nodes(text, count):
    metadata = {"name": "kubelet-config", "namespace": "kube-system"}
    config_map = {"kind": "ConfigMap", "metadata": metadata, "data": {"kubelet": text}}
    objects = with_config_of_kubeadm({"ConfigMap": [config_map], "Node": [node()], "Pod": [trainer("a")]})
    report = report_on(*(dict(each) for of_kind in objects.values() for each in of_kind), only="GK101")
    assert [losses(each) for each in report.findings] == [{"a": 722}] * count
    assert len(report.unseen) == 1 - count
    assert all("a node may differ" in each.sentence for each in report.findings)


def test_a_kubelet_that_could_not_be_asked_is_told_with_its_reason():
    unseen = {"KubeletConfigz": KindUnseen(UnseenReason.FORBIDDEN, "nodes is forbidden")}
    [result] = report_on(node(), only="GK101", unseen=unseen).unseen
    assert (result.reason, "forbidden (nodes is forbidden)" in result.sentence) == ("forbidden", True)


def test_a_pool_without_a_label_caps_no_other_pool():
    # given soft eviction on nodes that no label names, and a pool beside them
    report = report_on(node("n1"), node("n2", **POOL), configz("n1", **SOFT), trainer("a", on="n2"), only="GK101")
    # then the cap is theirs alone, and no graceCap can name them
    assert {row.name: row.cap and row.cap.seconds for row in report.pools} == {"(other nodes)": 0, "g": None}
    assert report.caps == ()
    # and where all nodes are alike, it holds for every pod
    [cap] = report_on(node("n1"), configz("n1", **SOFT), only="GK101").caps
    assert (cap.seconds, cap.node_selector) == (0, {})


def test_a_pending_pod_counts_where_it_asks_for_the_pool():
    pending = trainer("a", on=None, spec={"nodeSelector": POOL})
    [finding] = findings_of("GK101", node(**POOL), configz(**SOFT), pending, trainer("b", on=None))
    assert losses(finding) == {"a": 782}
