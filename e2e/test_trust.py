"""What somebody who took the server over could do with its token, on a real API server."""

import base64
import copy
import json
import re
from collections.abc import Callable
from functools import partial

import pytest
import yaml

from e2e import pods
from tools.kube import Json, eventually
from webhook.api import Api, ApiError

TOKEN_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
CALL_SECONDS = 10.0
REFUSED = {403, 422}
ENTRY: Json = {
    "name": "everything.example.com",
    "clientConfig": {"url": "https://intruder.example.com/"},
    "rules": [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"]}],
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
}
OWNER = {"apiVersion": "v1", "kind": "Namespace", "name": "default", "uid": "00000000-0000-0000-0000-000000000000"}
IN_AN_ENTRY: dict[str, Json] = {
    "a rule for every object": {"rules": ENTRY["rules"]},
    "a rule for another operation": {
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["pods"]}]
    },
    "no rule": {"rules": []},
    "a URL instead of the Service": {"clientConfig": ENTRY["clientConfig"]},
    "another Service": {"clientConfig": {"service": {"namespace": "default", "name": "kubernetes", "port": 443}}},
    "every namespace": {"namespaceSelector": {}},
    "every label": {"objectSelector": {}},
    "no condition": {"matchConditions": []},
    "another condition": {"matchConditions": [{"name": "every-pod", "expression": "true"}]},
    "a webhook that blocks": {"failurePolicy": "Fail"},
    "a webhook that hangs": {"timeoutSeconds": 30},
    "one call only": {"reinvocationPolicy": "Never"},
    "this version alone": {"matchPolicy": "Exact"},
    "no dry run": {"sideEffects": "NoneOnDryRun"},
    "another review": {"admissionReviewVersions": ["v1", "v1beta1"]},
    "another name": {"name": "other.gracekeeper.dev"},
}
"""What somebody changes, and the fields of an entry that say so."""
IN_METADATA: dict[str, Json] = {
    "an annotation": {"annotations": {"cert-manager.io/inject-ca-from": "default/intruder"}},
    "a label": {"labels": {"app.kubernetes.io/managed-by": "intruder"}},
    "an owner": {"ownerReferences": [OWNER]},
    "a finalizer": {"finalizers": ["example.com/never"]},
}


@pytest.fixture(scope="module")
def account(kube, cluster, release, tmp_path_factory):
    """The API as the server's ServiceAccount calls it, with a token of its own; the policies hold already."""
    configured = yaml.safe_load(cluster.kubeconfig.read_text())["clusters"][0]["cluster"]
    authority = tmp_path_factory.mktemp("account") / "ca.crt"
    authority.write_bytes(base64.b64decode(configured["certificate-authority-data"]))
    token = kube("create", "token", release.name, f"-n{release.namespace}").strip()
    api = Api.from_address(configured["server"], ca_file=str(authority), token=token)
    eventually(lambda: refusal_of_a_pod(api, release.namespace), "a policy that refuses the account's pods")
    yield api
    api.close()


@pytest.fixture(scope="module")
def path(release):
    return f"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{release.namespace}.{release.name}"


def refusal_of_a_pod(api: Api, namespace: str) -> str:
    """Why the API server refuses a pod that would never run; empty if it creates it."""
    return refusal(lambda: api.post(f"/api/v1/namespaces/{namespace}/pods", pods.a_pod(), timeout_seconds=CALL_SECONDS))


def refusal(call: Callable[[], object]) -> str:
    """Why the API server refuses; empty if it does not, or fails otherwise, so that no test takes that for a refusal."""
    try:
        call()
    except ApiError as error:
        return str(error) if error.status in REFUSED else ""
    return ""


def put(api: Api, path: str, content, *, dry_run: bool = False) -> None:
    api.put(f"{path}?dryRun=All" if dry_run else path, content, timeout_seconds=CALL_SECONDS)


def spec_of(content):
    return content["webhooks"], {key: content["metadata"].get(key) for key in ("labels", "annotations")}


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("change", IN_AN_ENTRY)
def test_when_the_account_changes_an_entry_then_the_api_server_refuses(account, path, change, number):
    before = account.get(path, timeout_seconds=CALL_SECONDS)
    content = copy.deepcopy(before)
    entry = content["webhooks"][number]
    assert not IN_AN_ENTRY[change].items() <= entry.items()
    entry.update(copy.deepcopy(IN_AN_ENTRY[change]))
    assert "may change nothing but caBundle" in refusal(lambda: put(account, path, content))
    assert spec_of(account.get(path, timeout_seconds=CALL_SECONDS)) == spec_of(before)


def test_when_the_account_adds_or_removes_an_entry_then_the_api_server_refuses(account, path):
    before = account.get(path, timeout_seconds=CALL_SECONDS)
    for entries in ([*before["webhooks"], ENTRY], before["webhooks"][1:], []):
        content = {**before, "webhooks": entries}
        assert refusal(partial(put, account, path, content))
    assert spec_of(account.get(path, timeout_seconds=CALL_SECONDS)) == spec_of(before)


@pytest.mark.parametrize("change", IN_METADATA)
def test_when_the_account_changes_metadata_then_the_api_server_refuses(account, path, change):
    before = account.get(path, timeout_seconds=CALL_SECONDS)
    content = {**before, "metadata": {**before["metadata"], **IN_METADATA[change]}}
    assert "may change no metadata" in refusal(lambda: put(account, path, content))
    assert spec_of(account.get(path, timeout_seconds=CALL_SECONDS)) == spec_of(before)


def test_when_the_account_changes_ca_bundle_then_the_api_server_takes_it(account, path):
    content = account.get(path, timeout_seconds=CALL_SECONDS)
    for entry in content["webhooks"]:
        bundle = base64.b64decode(entry["clientConfig"]["caBundle"])
        entry["clientConfig"]["caBundle"] = base64.b64encode(bundle * 2).decode()
    put(account, path, content, dry_run=True)


@pytest.mark.usefixtures("account")
def test_when_an_emptied_ca_bundle_is_mended_then_the_policy_lets_the_server_do_it(kube, path, release):
    """By the server's own hand, with its own token: row 6 and the policy go together."""
    content = kube.api.get(path, timeout_seconds=CALL_SECONDS)
    for entry in content["webhooks"]:
        entry["clientConfig"].pop("caBundle")
    put(kube.api, path, content)
    eventually(lambda: all(release.ca_bundles), "the caBundle is back", 120)  # without the CAs that had retired


def test_when_the_account_changes_the_configuration_that_is_called_last_then_the_api_server_refuses(account, release):
    name = release.last_webhook_configuration["metadata"]["name"]
    path = f"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{name}"
    before = account.get(path, timeout_seconds=CALL_SECONDS)
    for change in IN_AN_ENTRY.values():
        content = {**before, "webhooks": [{**before["webhooks"][0], **copy.deepcopy(change)}]}
        assert "may change nothing but caBundle" in refusal(partial(put, account, path, content))
    assert refusal(partial(put, account, path, {**before, "webhooks": [*before["webhooks"], ENTRY]}))
    assert spec_of(account.get(path, timeout_seconds=CALL_SECONDS)) == spec_of(before)


@pytest.mark.usefixtures("account")
def test_when_an_emptied_ca_bundle_of_the_last_configuration_is_mended_then_the_policy_lets_the_server_do_it(
    kube, release
):
    content = release.last_webhook_configuration
    name = content["metadata"]["name"]
    content["webhooks"][0]["clientConfig"].pop("caBundle")
    put(kube.api, f"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{name}", content)
    eventually(lambda: all(release.ca_bundles), "the caBundle is back", 120)


@pytest.mark.usefixtures("account")
def test_when_an_admin_changes_an_entry_then_the_policy_does_not_concern_them(kube, path):
    content = kube.api.get(path, timeout_seconds=CALL_SECONDS)
    content["webhooks"][0]["timeoutSeconds"] = 4
    put(kube.api, path, content, dry_run=True)


def test_when_the_account_creates_a_pod_then_the_api_server_takes_a_dry_run_alone(kube, release, account):
    pods_path = f"/api/v1/namespaces/{release.namespace}/pods"
    before = {pod["metadata"]["name"] for pod in kube.get("pods", namespace=release.namespace)["items"]}
    assert "may create a pod as a dry run only" in refusal_of_a_pod(account, release.namespace)
    account.post(pods_path, pods.a_pod(), query={"dryRun": "All"}, timeout_seconds=CALL_SECONDS)
    after = {pod["metadata"]["name"] for pod in kube.get("pods", namespace=release.namespace)["items"]}
    assert not [name for name in after - before if name.startswith("train-")]


@pytest.mark.usefixtures("account")
def test_when_somebody_else_creates_a_pod_there_then_the_policy_does_not_concern_them(kube, release):
    name = kube.create_pod(release.namespace, pods.a_pod())["metadata"]["name"]
    kube("delete", "pod", name, f"-n{release.namespace}", "--wait=false")


def test_given_the_api_server_s_own_schema_then_the_policy_compares_every_field(kube, release):
    """A field that a newer Kubernetes adds to an entry is one that the policy does not compare yet."""
    schemas = json.loads(kube("get", "--raw", "/openapi/v3/apis/admissionregistration.k8s.io/v1"))["components"][
        "schemas"
    ]
    prefix = "io.k8s.api.admissionregistration.v1."
    policy = kube.get("validatingadmissionpolicy", f"{release.namespace}.{release.name}-webhook")
    expression = policy["spec"]["validations"][0]["expression"]
    compared = set(re.findall(r"new\.\??([A-Za-z]+)", expression))
    assert compared == schemas[f"{prefix}MutatingWebhook"]["properties"].keys()
    in_client_config = set(re.findall(r"new\.clientConfig\.\??([A-Za-z]+)", expression))
    assert in_client_config | {"caBundle"} == schemas[f"{prefix}WebhookClientConfig"]["properties"].keys()


def test_given_running_pods_then_the_token_is_in_the_server_s_container_alone(release):
    for pod in release.pods():
        containers = [*pod["spec"]["initContainers"], *pod["spec"]["containers"]]
        mounts = {
            each["name"]: [m["mountPath"] for m in each["volumeMounts"] if m["mountPath"] == TOKEN_FOLDER]
            for each in containers
            if "volumeMounts" in each
        }
        holders = [name for name, paths in mounts.items() if paths]
        assert holders == ["gracekeeper"]
