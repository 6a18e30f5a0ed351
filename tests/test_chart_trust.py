"""What somebody who took a pod of the chart over could do: tokens."""

import pytest

from tests import chart

TOKEN_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"  # a folder


@pytest.fixture(params=chart.HELMS)
def helm(request):
    return request.param


@pytest.fixture(params=chart.CI_FILES)
def file(request):
    return request.param


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
