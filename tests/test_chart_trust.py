"""What somebody who took a pod of the chart over could do: tokens, and the policies that narrow the server's rights."""

import re

import pytest

from tests import chart

POLICY_API = "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy"
SERVED = ("--api-versions", POLICY_API)
TOKEN_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"  # a folder
SERVER = f"system:serviceaccount:{chart.NAMESPACE}:gk-gracekeeper"
WEBHOOK_FIELDS = {
    "name",
    "clientConfig",
    "rules",
    "failurePolicy",
    "matchPolicy",
    "namespaceSelector",
    "objectSelector",
    "sideEffects",
    "timeoutSeconds",
    "admissionReviewVersions",
    "reinvocationPolicy",
    "matchConditions",
}
"""Of an entry of a MutatingWebhookConfiguration, Kubernetes 1.37; e2e/test_trust.py compares it with a real API server."""


@pytest.fixture(params=chart.HELMS)
def helm(request):
    return request.param


@pytest.fixture(params=chart.CI_FILES)
def file(request):
    return request.param


def names(manifests, kind: str) -> list[str]:
    return [each["metadata"]["name"] for each in chart.of_kind(manifests, kind)]


def test_the_token_is_in_the_container_of_the_server_alone(helm, file):
    pod = chart.the(chart.rendered(helm, file), "Deployment")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    holders = {
        container["name"]
        for container in chart.containers(pod)
        for mount in container.get("volumeMounts", ())
        if mount["mountPath"] == TOKEN_FOLDER
    }
    assert holders == {"gracekeeper"}


def test_the_token_comes_as_kubernetes_itself_would_mount_it(file):
    pod = chart.the(chart.rendered("helm4", file), "Deployment")["spec"]["template"]["spec"]
    (projected,) = [volume["projected"] for volume in pod["volumes"] if "projected" in volume]
    token, authority, namespace = projected["sources"]
    assert token == {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}}
    assert authority == {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}
    (item,) = namespace["downwardAPI"]["items"]
    assert (item["path"], item["fieldRef"]["fieldPath"]) == ("namespace", "metadata.namespace")


def test_no_other_pod_mounts_a_token_by_default(file):
    for pod in chart.pod_specs(chart.rendered("helm4", file)):
        assert pod["automountServiceAccountToken"] is False


def test_the_policies_are_there_where_the_api_server_has_them(helm):
    assert names(chart.rendered(helm), "ValidatingAdmissionPolicy") == []
    manifests = chart.objects(helm, *SERVED)
    full = f"{chart.NAMESPACE}.gk-gracekeeper"
    assert sorted(names(manifests, "ValidatingAdmissionPolicy")) == [f"{full}-pods", f"{full}-webhook"]
    for binding in chart.of_kind(manifests, "ValidatingAdmissionPolicyBinding"):
        assert binding["spec"] == {"policyName": binding["metadata"]["name"], "validationActions": ["Deny"]}


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (("--set", "admissionPolicy.enabled=true"), 2),
        ((*SERVED, "--set", "admissionPolicy.enabled=false"), 0),
        ((*SERVED, "--set", "serviceAccount.create=false"), 0),
        (("--set", "admissionPolicy.enabled=true,serviceAccount.create=false"), 2),
        ((*SERVED, *chart.ci("files")), 1),
        ((*SERVED, *chart.ci("cert-manager")), 1),
    ],
)
def test_the_policies_can_be_forced_on_and_off(helm, arguments, count):
    """An account that the chart does not make may be somebody else's too, and that somebody may create pods."""
    manifests = chart.objects(helm, *arguments)
    assert len(names(manifests, "ValidatingAdmissionPolicy")) == count
    assert len(names(manifests, "ValidatingAdmissionPolicyBinding")) == count


def test_a_policy_matches_our_accounts_on_our_objects_alone(helm):
    manifests = chart.objects(helm, *SERVED)
    webhook = chart.the(manifests, "ValidatingAdmissionPolicy", "-webhook")["spec"]
    pods = chart.the(manifests, "ValidatingAdmissionPolicy", "-pods")["spec"]
    (rule,) = webhook["matchConstraints"]["resourceRules"]
    assert rule["resourceNames"] == names(manifests, "MutatingWebhookConfiguration")
    assert rule["operations"] == ["UPDATE"]
    (condition,) = webhook["matchConditions"]
    assert accounts(condition["expression"]) == {SERVER}
    selector = pods["matchConstraints"]["namespaceSelector"]
    assert selector == {"matchLabels": {"kubernetes.io/metadata.name": chart.NAMESPACE}}
    (condition,) = pods["matchConditions"]
    assert accounts(condition["expression"]) == {SERVER, f"{SERVER}-check"}


def accounts(expression: str) -> set[str]:
    return set(re.findall(r"system:serviceaccount:[a-z0-9:-]+", expression))


def test_whoever_may_create_pods_may_do_so_as_a_dry_run_only(helm):
    """Every account that a role of the chart lets create pods is one that the policy matches."""
    manifests = chart.objects(helm, *SERVED)
    creators = {
        role["metadata"]["name"]
        for role in (*chart.of_kind(manifests, "Role"), *chart.of_kind(manifests, "ClusterRole"))
        for rule in role["rules"]
        if "pods" in rule["resources"] and "create" in rule["verbs"]
    }
    bindings = (*chart.of_kind(manifests, "RoleBinding"), *chart.of_kind(manifests, "ClusterRoleBinding"))
    subjects = [subject for each in bindings if each["roleRef"]["name"] in creators for subject in each["subjects"]]
    matched = chart.the(manifests, "ValidatingAdmissionPolicy", "-pods")["spec"]["matchConditions"][0]["expression"]
    assert subjects
    for subject in subjects:
        assert f"system:serviceaccount:{subject['namespace']}:{subject['name']}" in accounts(matched)


def test_the_policy_compares_every_field_of_an_entry_but_ca_bundle(helm):
    validations = chart.the(chart.objects(helm, *SERVED), "ValidatingAdmissionPolicy", "-webhook")["spec"][
        "validations"
    ]
    compared = set(re.findall(r"new\.\??([A-Za-z]+)", validations[0]["expression"]))
    assert compared == WEBHOOK_FIELDS
    assert set(re.findall(r"new\.clientConfig\.\??([A-Za-z]+)", validations[0]["expression"])) == {"service", "url"}
