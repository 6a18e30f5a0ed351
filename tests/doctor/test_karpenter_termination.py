"""GK105: NodePools and NodeClaims in, findings out."""

import json
import shlex

import pytest

from tests.doctor.objects import findings_of, losses, node, report_on, trainer

LABEL = {"karpenter.sh/nodepool": "h100"}


def pool(time=None, name="h100", **spec):
    template = {} if time is None else {"terminationGracePeriod": time}
    return {"kind": "NodePool", "metadata": {"name": name}, "spec": {"template": {"spec": template}, **spec}}


def claim(time, node_name="n1", pool_name="h100"):
    return {
        "kind": "NodeClaim",
        "metadata": {"name": f"{pool_name}-{node_name}", "labels": {"karpenter.sh/nodepool": pool_name}},
        "spec": {} if time is None else {"terminationGracePeriod": time},
        "status": {"nodeName": node_name},
    }


def test_a_pod_that_asks_for_more_than_its_nodes_have_loses_the_rest():
    # given a pool whose nodes end after 5 min, a pod that needs 782 s and one that needs less
    objects = [pool("5m"), claim("5m"), node(**LABEL), trainer("long"), trainer("short", grace=300)]
    # when the check looks
    [finding] = findings_of("GK105", *objects)
    # then the long one loses 482 s, and the sentence says when
    assert (finding.severity, finding.subject, losses(finding)) == ("error", "NodePool h100", {"long": 482})
    assert "5m after their drain starts" in finding.sentence
    assert finding.cap is not None
    assert (finding.cap.seconds, finding.cap.node_selector) == (300, LABEL)


@pytest.mark.parametrize(
    ("time", "severities"),
    [
        (None, []),  # it waits for the pods
        ("Never", []),
        ("30m", ["info"]),  # a cap that cuts nobody today
        ("13m2s", ["info"]),  # 782 s exactly
        ("13m1s", ["error"]),
        ("1h0m0s", ["info"]),
        ("0s", ["error"]),
        ("soon", []),
        (5, []),
    ],
)
def test_a_time_is_read_as_go_writes_it(time, severities):
    assert [each.severity for each in findings_of("GK105", pool(time), node(**LABEL), trainer("a"))] == severities


def test_the_nodeclaim_counts_where_the_pool_was_changed_since():
    # given a pool that was raised, and a node that it made before
    objects = [pool("30m"), claim("5m"), node(**LABEL), trainer("a")]
    # when the check looks
    by_severity = {str(each.severity): each for each in findings_of("GK105", *objects)}
    # then the old node is the finding, and the cure is not the pool's
    assert losses(by_severity["error"]) == {"a": 482}
    assert "nodes that it made before still end 5m" in by_severity["error"].sentence
    assert "patch" not in by_severity["error"].cure.command
    assert by_severity["info"].cap is not None
    assert by_severity["info"].cap.seconds == 1800


def test_a_pending_pod_counts_where_it_asks_for_the_pool():
    pending = trainer("a", on=None, spec={"nodeSelector": LABEL})
    anywhere = trainer("b", on=None)
    [finding] = findings_of("GK105", pool("5m"), pending, anywhere)
    assert losses(finding) == {"a": 482}


def test_pods_of_other_pools_and_other_work_are_not_named():
    elsewhere = node("n2", **{"karpenter.sh/nodepool": "cpu"})
    web = {**trainer("web"), "metadata": {"name": "web", "namespace": "ml"}}
    [finding] = findings_of("GK105", pool("5m"), node(**LABEL), elsewhere, trainer("a", on="n2"), web)
    assert (finding.severity, losses(finding)) == ("info", {})


def test_the_patch_is_longer_than_the_longest_pod_and_keeps_the_budgets():
    # given a pool with a budget of its own
    budgets = [{"nodes": "5%"}]
    [finding] = findings_of(
        "GK105", pool("5m", disruption={"budgets": budgets}), node(**LABEL), trainer("a"), trainer("b", grace=3000)
    )
    # when its cure is pasted into a shell
    words = shlex.split(finding.cure.command)
    # then kubectl gets one patch that raises the time, and stops the drift that it causes
    assert words[:3] == ["kubectl", "patch", "nodepools.karpenter.sh"]
    spec = json.loads(words[words.index("-p") + 1])["spec"]
    assert spec["template"]["spec"] == {"terminationGracePeriod": "55m"}
    assert spec["disruption"]["budgets"] == [*budgets, {"nodes": "0", "reasons": ["Drifted"]}]
    assert "Drifted" in finding.cure.restarts


def test_the_cure_takes_the_finding_away():
    [finding] = findings_of("GK105", pool("5m"), node(**LABEL), trainer("a"))
    words = shlex.split(finding.cure.command)
    spec = json.loads(words[words.index("-p") + 1])["spec"]
    cured = {"kind": "NodePool", "metadata": {"name": "h100"}, "spec": spec}
    assert [each.severity for each in findings_of("GK105", cured, node(**LABEL), trainer("a"))] == ["info"]


def test_a_grace_is_better_bound_where_every_pod_keeps_its_node_from_disruption():
    kept = {"annotations": {"karpenter.sh/do-not-disrupt": "true"}}
    for others, may_bound in (([], True), ([trainer("b")], False)):
        [finding] = findings_of("GK105", pool("5m"), node(**LABEL), trainer("a", metadata=kept), *others)
        assert finding.cap is not None
        assert finding.cap.may_bound is may_bound


def test_the_pool_table_names_what_is_shortest_and_whom_it_cuts():
    report = report_on(pool("5m"), node(**LABEL), node("n2", **LABEL), trainer("a"), trainer("b", grace=200))
    [row] = report.pools
    assert (row.name, row.nodes, row.kubelets, row.check) == ("h100", 2, ("1.34.4",), "GK105")
    assert (row.cap and row.cap.seconds, row.cut, row.trainers, row.longest_seconds) == (300, 1, 2, 782)


def test_a_pool_that_says_so_is_skipped():
    silent = pool("5m")
    silent["metadata"]["annotations"] = {"gracekeeper.dev/doctor-skip": "GK302, GK1"}
    assert findings_of("GK105", silent, node(**LABEL), trainer("a")) == []
