"""Installed, upgraded by two generations of Helm after a rotation, tested and removed without a trace."""

import json

import pytest
import yaml

from e2e import pods
from tools.cluster.steps import run
from tools.kube import eventually
from tools.release import CHART, Release

POD = pods.a_pod(annotations={"checkpoint-size": "9.2GB"})
pytestmark = pytest.mark.usefixtures("release")
CI_VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
NEEDS_OTHER_OPERATORS = {"cert-manager.io/v1", "monitoring.coreos.com/v1"}


def everything(kube) -> set[str]:
    """Kind, namespace and name of every object of the cluster but what comes and goes by itself."""
    fleeting = {"events", "events.events.k8s.io", "leases.coordination.k8s.io"}
    kinds = set(kube("api-resources", "--verbs=list", "-oname").split()) - fleeting
    columns = "custom-columns=K:.kind,NS:.metadata.namespace,N:.metadata.name"
    return set(kube("get", ",".join(sorted(kinds)), "-A", "--no-headers", f"-o{columns}").splitlines())


def of(lines: set[str], name: str) -> set[str]:
    return {" ".join(line.split()) for line in lines if name in line}


def test_helm_test_passes(release):
    printed = release.test()
    assert "/mutate: allowed, with a patch, certificate verified" in printed
    assert "/readyz: ready" in printed


def test_upgrades_after_a_rotation_keep_the_certificate(kube, cluster, release, namespace):
    old = release.ca_bundles[0]
    release.rotate_certificate()
    eventually(lambda: release.ca_bundles[0] != old, "the new CA beside the old one", 120)
    leaf = release.secret["data"]["tls.crt"]
    eventually(lambda: release.secret["data"]["tls.crt"] != leaf, "a new certificate", 120)
    bundles, data = release.ca_bundles, release.secret["data"]
    upgrades = [
        (cluster.tool("helm4"), "1"),
        (cluster.tool("helm4"), "2"),
        (cluster.tool("helm3"), "3"),
        (cluster.tool("helm4"), "4"),
    ]
    for helm, note in upgrades:
        release.upgrade(helm=helm, podAnnotations={"e2e/upgrade": note})
        assert release.ca_bundles == bundles
        assert release.secret["data"] == data
        assert pods.is_patched(kube.create_pod(namespace, POD))


def test_the_image_of_supervise_is_kept_on_every_node_where_asked(kube, release, supervise_image):
    """Ready only where the image ran, and without a restart: what keeps it there uses nothing and ends when told to."""
    name, namespace = f"{release.name}-prepull", release.namespace
    release.upgrade("--set=supervise.prePull.enabled=true")
    try:
        kube("rollout", "status", f"-n{namespace}", f"daemonset/{name}", "--timeout=60s")
        keeping = kube.get("pods", namespace=namespace, selector="app.kubernetes.io/component=prepull")["items"]
        statuses = [status for pod in keeping for status in pod["status"]["containerStatuses"]]
        assert {pod["spec"]["nodeName"] for pod in keeping} == {
            node["metadata"]["name"] for node in kube.get("nodes")["items"]
        }
        assert all(status["ready"] and status["restartCount"] == 0 for status in statuses)
        assert {status["image"].removeprefix("docker.io/") for status in statuses} == {supervise_image}
    finally:
        release.upgrade()
    eventually(lambda: not kube.exists("daemonset", name, namespace), "the DaemonSet is gone")


def test_uninstall_leaves_nothing(kube, cluster, image, supervise_image):
    before = everything(kube)
    values = {"webhook": {"namespaceSelector": {"matchLabels": {"e2e": "other"}}}, "replicas": 1}
    short_lived = Release(kube, cluster.tool("helm4"), "short-lived", "for-a-moment", image, supervise_image, values)
    short_lived.upgrade()
    assert len(of(everything(kube), "short-lived")) > 8
    short_lived.uninstall()
    kube("delete", "namespace", "for-a-moment")
    eventually(lambda: of(everything(kube) - before, "short-lived") == set(), "nothing left")
    assert of(everything(kube), "for-a-moment") == set()


@pytest.mark.parametrize("path", CI_VALUES, ids=[path.stem for path in CI_VALUES])
def test_the_api_server_accepts_what_the_chart_renders(kube, cluster, path):
    rendered = run(
        [cluster.tool("helm4"), "template", "dry", CHART, "-f", path, "--namespace", "default", "--no-hooks"]
    )
    objects = [each for each in yaml.safe_load_all(rendered) if each]
    known = [each for each in objects if each["apiVersion"] not in NEEDS_OTHER_OPERATORS]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": known})
    printed = kube("apply", "--dry-run=server", "-f", "-", "--namespace=default", text=text)
    assert len(printed.splitlines()) == len(known)
    assert "Warning" not in printed
