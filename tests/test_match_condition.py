"""Which pods the API server asks about: the rendered selectors and match conditions, evaluated as it does."""

import copy
from functools import cache
from typing import Any

import celpy
import pytest
from celpy.adapter import json_to_cel

from tests import chart
from webhook.policy.pod.marks import SUPERVISE_BINARY
from webhook.policy.recognition.match_condition import match_condition

PODS, NAMESPACES, CHECK = "pods.gracekeeper.dev", "namespaces.gracekeeper.dev", "check.gracekeeper.dev"
LAST = "last.gracekeeper.dev"
TRAINER = {"labels": {"batch.kubernetes.io/job-name": "train"}}
PLAIN = {"labels": {"app": "web"}}


@pytest.fixture(params=chart.HELMS)
def entries(request):
    return the_entries(chart.rendered(request.param))


def the_entries(manifests) -> dict[str, dict[str, Any]]:
    configurations = chart.of_kind(manifests, "MutatingWebhookConfiguration")
    return {entry["name"]: entry for configuration in configurations for entry in configuration["webhooks"]}


def a_pod(metadata: dict[str, Any], **spec) -> dict[str, Any]:
    return {"metadata": metadata, "spec": {"containers": [{"name": "main"}], **spec}}


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    holds = {
        "In": lambda e: labels.get(e["key"]) in e["values"],
        "NotIn": lambda e: labels.get(e["key"]) not in e["values"],
        "Exists": lambda e: e["key"] in labels,
        "DoesNotExist": lambda e: e["key"] not in labels,
    }
    wanted = selector.get("matchLabels", {}).items() <= labels.items()
    return wanted and all(holds[e["operator"]](e) for e in selector.get("matchExpressions", ()))


@cache
def program(expression: str) -> celpy.Runner:
    environment = celpy.Environment()
    return environment.program(environment.compile(expression))


def true_of(expression: str, pod: dict[str, Any], *, dry_run: bool) -> bool:
    request = json_to_cel({"dryRun": True} if dry_run else {})
    return bool(program(expression).evaluate({"object": json_to_cel(pod), "request": request}))


def matching_entries(
    entries, pod: dict[str, Any], namespace: str = "team-a", *, dry_run: bool = False, **labels
) -> list[str]:
    """The entries by which the webhook would be called for a pod of a Namespace with these labels."""
    on_namespace = {"kubernetes.io/metadata.name": namespace, **{f"gracekeeper.dev/{k}": v for k, v in labels.items()}}
    return [
        name
        for name, entry in entries.items()
        if selects(entry["namespaceSelector"], on_namespace)
        and selects(entry["objectSelector"], pod["metadata"].get("labels", {}))
        and all(true_of(each["expression"], pod, dry_run=dry_run) for each in entry["matchConditions"])
    ]


def test_the_chart_s_condition_is_the_one_that_the_marks_give(entries):
    file = (chart.FOLDER / "files" / "match-condition.cel").read_text()
    assert file == match_condition() + "\n", (
        "run gracekeeper match-condition > charts/gracekeeper/files/match-condition.cel"
    )
    conditions = {c["name"]: c["expression"] for c in entries[PODS]["matchConditions"]}
    assert conditions["could-be-training"] == match_condition()


def test_the_names_of_the_entries_are_for_ever(entries):
    # A renamed entry leaves its caBundle behind under Helm 4, and with it an entry that the API server refuses.
    assert list(entries) == [PODS, NAMESPACES, CHECK, LAST]


def test_every_entry_fails_open_on_creation_of_pods_only(entries):
    for entry in entries.values():
        assert entry["failurePolicy"] == "Ignore"
        assert entry["reinvocationPolicy"] == "IfNeeded"
        assert entry["sideEffects"] == "None"
        assert entry["matchPolicy"] == "Equivalent"
        assert entry["timeoutSeconds"] == 3
        assert entry["admissionReviewVersions"] == ["v1"]
        pods = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "scope": "Namespaced"}
        assert entry["rules"] == [{**pods, "operations": ["CREATE"]}]
        service = {"namespace": chart.NAMESPACE, "name": "gk-gracekeeper", "path": "/mutate", "port": 443}
        assert entry["clientConfig"] == {"service": service}


@pytest.mark.parametrize(
    ("pod", "namespace", "namespace_labels", "entry_names"),
    [
        (TRAINER, "team-a", {}, [PODS]),
        (PLAIN, "team-a", {}, []),
        ({}, "team-a", {}, []),
        ({"annotations": {"gracekeeper.dev/checkpoint-size": "1Gi"}}, "team-a", {}, [PODS]),
        ({"labels": {"gracekeeper.dev/enabled": "true"}}, "team-a", {}, [PODS]),
        (TRAINER, "team-a", {"enabled": "true"}, [NAMESPACES]),
        (PLAIN, "team-a", {"enabled": "true"}, [NAMESPACES]),
        ({}, "team-a", {"enabled": "true"}, [NAMESPACES]),
        (TRAINER, "team-a", {"enabled": "false"}, []),
        (TRAINER, "team-a", {"enabled": "perhaps"}, [PODS]),
        ({"labels": {**TRAINER["labels"], "gracekeeper.dev/enabled": "false"}}, "team-a", {}, []),
        ({"labels": {"gracekeeper.dev/enabled": "false"}}, "team-a", {"enabled": "true"}, []),
        (TRAINER, "kube-system", {}, []),
        (TRAINER, "kube-public", {}, []),
        (TRAINER, "kube-node-lease", {}, []),
        (TRAINER, chart.NAMESPACE, {}, []),
        (PLAIN, "kube-system", {"enabled": "true"}, []),
        (PLAIN, chart.NAMESPACE, {"enabled": "true"}, []),
        ({**TRAINER, "annotations": {"kubernetes.io/config.mirror": "0"}}, "team-a", {}, []),
        ({"annotations": {"kubernetes.io/config.mirror": "0"}}, "team-a", {"enabled": "true"}, []),
    ],
)
def test_a_pod_is_asked_about_once_or_not_at_all(entries, pod, namespace, namespace_labels, entry_names):
    assert matching_entries(entries, a_pod(pod), namespace, **namespace_labels) == entry_names


@pytest.mark.parametrize(
    ("component", "namespace", "dry_run", "entry_names"),
    [
        ("dry-run", chart.NAMESPACE, True, [CHECK]),
        ("dry-run", chart.NAMESPACE, False, []),
        ("dry-run", "team-a", True, []),
        ("webhook", chart.NAMESPACE, True, []),
        ("webhook", chart.NAMESPACE, False, []),
        ("check", chart.NAMESPACE, False, []),
    ],
)
def test_of_its_own_namespace_it_is_asked_about_the_check_s_dry_runs_alone(
    entries, component, namespace, dry_run, entry_names
):
    labels = {"app.kubernetes.io/component": component, "app.kubernetes.io/instance": chart.RELEASE}
    assert matching_entries(entries, a_pod({"labels": labels}), namespace, dry_run=dry_run) == entry_names


def test_the_environment_is_looked_at_too(entries):
    containers = [{"name": "a"}, {"name": "b", "env": [{"name": "MASTER_ADDR", "value": "x"}]}]
    assert matching_entries(entries, a_pod({}, containers=containers)) == [PODS]


WRAPPED = {"name": "main", "command": [SUPERVISE_BINARY, "forward", "--", "python", "train.py"]}


@pytest.mark.parametrize("group", ["containers", "initContainers"])
@pytest.mark.parametrize("namespace_labels", [{}, {"enabled": "true"}])
def test_given_a_pod_with_supervise_then_it_is_asked_about_once_more_after_all_other_webhooks(
    entries, group, namespace_labels
):
    first = [NAMESPACES] if namespace_labels else [PODS]
    pod = a_pod(TRAINER, **{"containers": [{"name": "main"}], group: [{"name": "plain", "command": ["sh"]}, WRAPPED]})
    assert matching_entries(entries, pod, **namespace_labels) == [*first, LAST]


@pytest.mark.parametrize(
    ("metadata", "namespace", "namespace_labels"),
    [
        ({"labels": {"gracekeeper.dev/enabled": "false"}}, "team-a", {}),
        ({}, "team-a", {"enabled": "false"}),
        ({}, "kube-system", {}),
        ({}, chart.NAMESPACE, {}),
    ],
)
def test_given_a_pod_with_supervise_that_is_opted_out_then_nobody_is_asked(
    entries, metadata, namespace, namespace_labels
):
    assert matching_entries(entries, a_pod(metadata, containers=[WRAPPED]), namespace, **namespace_labels) == []


@pytest.mark.parametrize("other", ["kyverno-resource-mutating-webhook-cfg", "zz-stripper", "vpa-webhook-config"])
def test_the_last_configuration_sorts_behind_the_others(other):
    names = [
        each["metadata"]["name"] for each in chart.of_kind(chart.rendered("helm4"), "MutatingWebhookConfiguration")
    ]
    assert max(*names, other) == f"zzz.{names[0]}"


@pytest.mark.parametrize(
    ("owners", "volume", "resources", "is_asked"),
    [
        (None, {"persistentVolumeClaim": {"claimName": "c"}}, {"limits": {"nvidia.com/gpu": "1"}}, True),
        (None, {"csi": {"driver": "d"}}, {"limits": {"nvidia.com/mig-1g.5gb": "1"}}, True),
        (None, {"hostPath": {"path": "/x"}}, {"limits": {"google.com/tpu": "4"}}, True),
        (None, {"nfs": {"server": "s"}}, {"limits": {"amd.com/gpu": "1"}}, True),
        (None, {"projected": {}}, {"limits": {"nvidia.com/gpu": "1"}}, False),
        (None, {"emptyDir": {}}, {"limits": {"nvidia.com/gpu": "1"}}, False),
        (None, {"persistentVolumeClaim": {"claimName": "c"}}, {"limits": {"cpu": "1"}}, False),
        (None, {"persistentVolumeClaim": {"claimName": "c"}}, {}, False),
        (["ReplicaSet"], {"persistentVolumeClaim": {"claimName": "c"}}, {"limits": {"nvidia.com/gpu": "1"}}, False),
    ],
)
def test_a_pod_without_owner_is_asked_about_with_an_accelerator_and_a_volume_that_may_last(
    entries, owners, volume, resources, is_asked
):
    references = [{"apiVersion": "apps/v1", "kind": kind} for kind in owners or ()]
    metadata = {"ownerReferences": references} if references else {}
    container = {"name": "main", "resources": resources}
    pod = a_pod(metadata, containers=[container], volumes=[{"name": "v", **volume}])
    assert matching_entries(entries, pod) == ([PODS] if is_asked else [])


def test_a_pod_without_owner_is_asked_about_with_a_resource_claim(entries):
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]
    pod = a_pod({}, containers=[{"name": "main"}], volumes=volumes, resourceClaims=[{"name": "gpus"}])
    assert matching_entries(entries, pod) == [PODS]


@pytest.fixture
def narrowed():
    return the_entries(copy.deepcopy(chart.rendered("helm4", "everything")))


LABELS = {"managed": "yes"}
JOB = {**TRAINER["labels"], **LABELS}


@pytest.mark.parametrize(
    ("labels", "entry_names"),
    [
        (JOB, [PODS]),
        ({**LABELS, "app": "trainer"}, [PODS]),
        ({**LABELS, "app": "web"}, []),
        ({**JOB, "small": "yes"}, []),
        ({**JOB, "canary": "yes"}, []),
        (TRAINER["labels"], []),
    ],
)
def test_an_admin_s_conditions_narrow_and_also_match_widens(narrowed, labels, entry_names):
    for entry in narrowed.values():
        entry["namespaceSelector"] = {}
    del narrowed[NAMESPACES], narrowed[CHECK], narrowed[LAST]
    assert matching_entries(narrowed, a_pod({"labels": labels})) == entry_names


def test_an_admin_s_selectors_hold_for_all_entries_but_the_check_s(narrowed):
    del narrowed[CHECK]
    for entry in narrowed.values():
        by_hand = {"owner": "x", "tier": "research"}
        own = {"gracekeeper.dev/enabled": "true"} if entry["name"] == NAMESPACES else {}
        assert selects(entry["namespaceSelector"], {**by_hand, **own})
        assert not selects(entry["namespaceSelector"], own)
        assert not selects(entry["namespaceSelector"], {**by_hand, **own, "kubernetes.io/metadata.name": "monitoring"})
        assert "not-small" in [condition["name"] for condition in entry["matchConditions"]]


def test_the_condition_fits_into_an_api_server(entries):
    # 64 conditions an entry; the schema leaves two for ours.
    assert all(len(entry["matchConditions"]) <= 2 for entry in entries.values())
    assert len(match_condition()) < 10_000
