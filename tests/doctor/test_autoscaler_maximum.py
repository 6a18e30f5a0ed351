"""GK108: Deployments of cluster-autoscaler in, findings out."""

import json
import shlex

import pytest

from tests.doctor.objects import findings_of, losses, node, report_on, trainer

IMAGE = "registry.example/autoscaling/cluster-autoscaler:v1.34.0"


def autoscaler(command=(), args=(), image=IMAGE, kind="Deployment"):
    container = {"name": "a", "image": image, "command": list(command), "args": list(args)}
    metadata = {"name": "ca", "namespace": "kube-system"}
    return {"kind": kind, "metadata": metadata, "spec": {"template": {"spec": {"containers": [container]}}}}


@pytest.mark.parametrize(
    ("command", "args", "lost"),
    [
        (["./cluster-autoscaler"], [], {"long": 182}),  # 600 s
        (["./cluster-autoscaler", "--max-graceful-termination-sec=300"], [], {"long": 482}),
        (["./cluster-autoscaler", "-max-graceful-termination-sec=300"], [], {"long": 482}),
        ([], ["--v=4", "--max-graceful-termination-sec", "300"], {"long": 482}),
        (
            ["/bin/sh", "-c", "exec ./cluster-autoscaler --v=4 --max-graceful-termination-sec=300 >&2"],
            [],
            {"long": 482},
        ),
        (["/bin/sh", "-c", "it's broken --max-graceful-termination-sec=300"], [], {"long": 482}),
        ([], ["--max-graceful-termination-sec=soon"], {"long": 182}),
        ([], ["--max-graceful-termination-sec=900"], {}),
        ([], ["--drain-priority-config=10000:20,1000:100,0:60"], {"long": 722}),
    ],
)
def test_the_argument_is_read_in_every_spelling(command, args, lost):
    [finding] = findings_of("GK108", autoscaler(command, args), node(), trainer("long"))
    assert losses(finding) == lost
    assert finding.severity == ("warning" if lost else "info")


def test_without_an_autoscaler_there_is_no_finding():
    assert findings_of("GK108", autoscaler(image="web:1"), trainer("long")) == []


def test_a_group_of_priorities_counts_for_its_pods():
    groups = autoscaler(args=["--drain-priority-config=1000:100,0:60"])
    high = trainer("high", spec={"priority": 2000})
    low = trainer("low", spec={"priority": -5})
    by_seconds = {each.cap.seconds: losses(each) for each in findings_of("GK108", groups, high, low) if each.cap}
    assert by_seconds == {60: {"low": 722}, 100: {"high": 682}}


def test_nodes_of_karpenter_are_not_its_nodes():
    report = report_on(
        autoscaler(),
        node("n1", **{"karpenter.sh/nodepool": "k"}),
        node("n2", **{"eks.amazonaws.com/nodegroup": "g"}),
        trainer("a"),
        trainer("b", on="n2"),
    )
    assert {each.name: each.cut for each in report.pools} == {"k": 0, "g": 1}
    assert {each.name: each.cap and each.cap.seconds for each in report.pools} == {"k": None, "g": 600}


def patched(manifest, command):
    """The manifest after a JSON patch as kubectl would apply it."""
    [operation] = json.loads(shlex.split(command)[-1])
    *parts, last = operation["path"].strip("/").split("/")
    target = manifest
    for part in parts:
        target = target[int(part)] if isinstance(target, list) else target[part]
    if last == "-":
        target.append(operation["value"])
    else:
        target[int(last)] = operation["value"]
    return manifest


@pytest.mark.parametrize(
    ("command", "args"),
    [
        (["./cluster-autoscaler"], []),
        (["./cluster-autoscaler"], ["--v=4"]),
        (["./cluster-autoscaler", "--max-graceful-termination-sec=300"], ["--v=4"]),
        ([], ["--max-graceful-termination-sec", "300", "--v=4"]),
    ],
)
def test_the_patch_takes_the_finding_away(command, args):
    [finding] = findings_of("GK108", autoscaler(command, args), trainer("long"))
    assert finding.cure.command.startswith("kubectl patch deployment ca -n kube-system --type json")
    cured = patched(autoscaler(command, args), finding.cure.command)
    assert [each.severity for each in findings_of("GK108", cured, trainer("long"))] == ["info"]


@pytest.mark.parametrize(
    ("command", "args"),
    [
        (["/bin/sh", "-c", "./cluster-autoscaler --max-graceful-termination-sec=300"], []),
        (["/bin/sh", "-c", "./cluster-autoscaler --v=4"], []),
        ([], ["--drain-priority-config=0:60"]),
    ],
)
def test_what_no_patch_can_reach_is_edited(command, args):
    [finding] = findings_of("GK108", autoscaler(command, args, kind="StatefulSet"), trainer("long"))
    assert finding.cure.command == "kubectl edit statefulset ca -n kube-system"
    assert "782" in finding.cure.note
