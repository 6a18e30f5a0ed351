"""Objects of an invented cluster for the doctor's tests, and one check run over them."""

from collections import defaultdict
from typing import Any

from webhook.doctor.examination import Report, examined
from webhook.doctor.finding import Finding
from webhook.doctor.lists import KindUnseen
from webhook.doctor.table import CHECKS
from webhook.policy.configuration import Config

Json = dict[str, Any]
ML = "ml"


def node(name: str = "n1", kubelet: str = "v1.34.4", **labels: str) -> Json:
    return {
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "status": {"nodeInfo": {"kubeletVersion": kubelet}},
    }


def trainer(name: str, grace: int = 782, on: str | None = "n1", **more: Any) -> Json:
    """A pod that trains, and has so many seconds; `spec` and `metadata` are added to its own."""
    metadata: Json = {"name": name, "namespace": ML, "labels": {"training.kubeflow.org/job-name": "llama"}}
    spec: Json = {"containers": [{"name": "pytorch", "image": "a"}], "terminationGracePeriodSeconds": grace}
    if on is not None:
        spec["nodeName"] = on
    return {
        "kind": "Pod",
        "metadata": metadata | more.get("metadata", {}),
        "spec": spec | more.get("spec", {}),
        "status": {"phase": "Running"} | more.get("status", {}),
    }


def configz(name: str = "n1", **settings: Any) -> Json:
    """What the kubelet of a node says; by default nothing that cuts a grace of less than an hour."""
    config = {"shutdownGracePeriod": "1h", "shutdownGracePeriodCriticalPods": "1m"} | settings
    return {"kind": "KubeletConfigz", "metadata": {"name": name}, "kubeletconfig": config}


def owned_by(kind: str, name: str, version: str = "batch/v1") -> Json:
    return {"ownerReferences": [{"apiVersion": version, "kind": kind, "name": name, "controller": True}]}


def lists_of(*objects: Json) -> dict[str, list[Json]]:
    by_kind: dict[str, list[Json]] = defaultdict(list)
    for each in objects:
        by_kind[each["kind"]].append(each)
    return dict(by_kind)


def report_on(
    *objects: Json,
    only: str = "GK",
    config: Config | None = None,
    unseen: dict[str, KindUnseen] | None = None,
) -> Report:
    checks = [check for check in CHECKS if check.id.startswith(only)]
    return examined(lists_of(*objects), unseen or {}, config or Config(), checks)


def findings_of(check_id: str, *objects: Json, config: Config | None = None) -> list[Finding]:
    """What one check finds in these objects; what it finds carries its id."""
    findings = list(report_on(*objects, only=check_id, config=config).findings)
    assert {each.check for each in findings} <= {check_id}
    return findings


def losses(finding: Finding) -> dict[str, int]:
    """Seconds that pods lose, by name."""
    return {each.name: each.lost_seconds for each in finding.losses}
