"""What `helm install` says and knows when it returns: pods are patched, or why nobody could tell."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e import pods
from tools.cluster.steps import attempt
from tools.kube import eventually
from tools.release import CHART, Release
from webhook.api import ApiError

POD = pods.a_pod(annotations={"checkpoint-size": "9.2GB"})
SELECTED = {"e2e": "other"}
"""Labels of namespaces that the session's own release leaves to this file's."""
FIRST_PODS = 40
NAMESPACE = "first-second"
ALL_PATCHED = "API server: 8 of 8 dry-run pods patched"


@pytest.fixture
def fresh(kube, cluster, image, supervise_image) -> Iterator[Release]:
    """A release that is not installed yet, and a namespace `first-pods` that it alone selects."""
    values = {"webhook": {"namespaceSelector": {"matchLabels": SELECTED}}, "server": {"drainSeconds": 0}}
    installed = Release(kube, cluster.tool("helm4"), "fresh", NAMESPACE, image, supervise_image, values)
    kube.make_namespace("first-pods", SELECTED)
    kube.make_namespace(NAMESPACE, SELECTED)  # else the session's own release patches the dry-run pods
    yield installed
    installed.uninstall()
    kube.remove_namespaces(NAMESPACE, "first-pods")
    eventually(lambda: not kube.exists("namespace", NAMESPACE), f"no namespace {NAMESPACE}", 120)


def install(release: Release, helm: Path | None = None, **values: Any) -> str:
    """What `helm install --wait` prints; it writes the log of the check to standard error."""
    options = [f"--kubeconfig={release.kube.kubeconfig}", f"--namespace={NAMESPACE}", "--create-namespace"]
    command: list[str | Path] = [
        helm or release.helm,
        "install",
        release.name,
        CHART,
        "-f",
        "-",
        "--wait",
        "--timeout=180s",
        *options,
    ]
    done = attempt(command, text=release.all_values(**values), timeout_seconds=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def unpatched(kube) -> list[int]:
    created = [kube.create_pod("first-pods", POD) for _ in range(FIRST_PODS)]
    return [number for number, pod in enumerate(created) if not pods.is_patched(pod)]


@pytest.mark.parametrize("helm", ["helm3", "helm4"])
def test_when_an_installation_ends_then_the_very_first_pods_are_patched(kube, cluster, fresh, helm):
    printed = install(fresh, cluster.tool(helm))
    assert unpatched(kube) == []
    assert ALL_PATCHED in printed
    assert not kube.exists("job", "fresh-gracekeeper-check", NAMESPACE)


def test_given_audit_mode_then_the_installation_knows_that_the_webhook_is_called(kube, fresh):
    printed = install(fresh, mode="audit")
    assert "API server: it calls the webhook, which patches nothing in audit mode" in printed
    assert len(unpatched(kube)) == FIRST_PODS


def test_given_a_policy_that_refuses_the_dry_run_then_the_installation_succeeds_and_says_so(kube, fresh):
    kube.apply(*refuses_dry_run_pods())
    try:
        pod = {**POD, "metadata": {**POD["metadata"], "labels": {"app.kubernetes.io/component": "dry-run"}}}
        eventually(lambda: refused(kube, pod), "a policy that refuses dry-run pods")
        printed = install(fresh)
        assert "API server: not checked, it refuses the dry-run pod" in printed
        assert "no dry runs here" in printed
        eventually(lambda: unpatched(kube) == [], "patched all the same")
    finally:
        kube("delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", "no-dry-runs")


def test_given_one_replica_too_few_then_the_metrics_of_the_alert_say_so(release):
    both = release.metrics()
    assert (both["gracekeeper_ready"], both["gracekeeper_replicas_wanted"]) == (2, 2 * 2)  # of two replicas, added up
    release.scale(1)
    try:
        one = release.metrics()
        assert (one["gracekeeper_ready"], one["gracekeeper_replicas_wanted"]) == (1, 2)
    finally:
        release.scale(2)


def refused(kube, pod) -> bool:
    try:
        kube.api.post(f"/api/v1/namespaces/{NAMESPACE}/pods", pod, query={"dryRun": "All"}, timeout_seconds=10)
    except ApiError as error:
        return "no dry runs here" in str(error)
    return False


def refuses_dry_run_pods():
    group = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": "no-dry-runs"}}
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}},
            "objectSelector": {"matchLabels": {"app.kubernetes.io/component": "dry-run"}},
            "resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
            ],
        },
        "validations": [{"expression": "false", "message": "no dry runs here"}],
    }
    binding = {"policyName": "no-dry-runs", "validationActions": ["Deny"]}
    return (
        {**group, "kind": "ValidatingAdmissionPolicy", "spec": spec},
        {**group, "kind": "ValidatingAdmissionPolicyBinding", "spec": binding},
    )
