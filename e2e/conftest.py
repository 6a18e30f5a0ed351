"""What the tests share: one cluster, the images of this checkout, and gracekeeper installed as its README says."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from e2e.cluster import cache, kind_cluster, lock
from e2e.cluster.settings import ROOT, Settings
from e2e.kube import Kube
from e2e.release import Release
from scripts import image as images
from webhook.api import Api

TRAINER_IMAGE = "gracekeeper/e2e-trainer"


@pytest.fixture(scope="session")
def settings() -> Settings:
    return Settings.from_environment(os.environ)


@pytest.fixture(scope="session")
def cluster(settings) -> Iterator[kind_cluster.Cluster]:
    """The cluster; one that was there before stays, one that was made for the tests goes (GRACEKEEPER_KEEP=1: stays)."""
    with lock.held(settings.cache, settings.cluster):
        stays = kind_cluster.status(settings)[0] or os.environ.get("GRACEKEEPER_KEEP") == "1"
        try:
            yield kind_cluster.up(settings)
        finally:
            if not stays:
                kind_cluster.down(settings)


@pytest.fixture(scope="session")
def worker(cluster) -> str:
    """The node that trainers run on."""
    name: str = next(name for name in cluster.nodes if "control-plane" not in name)
    return name


@pytest.fixture(scope="session")
def kube(cluster) -> Iterator[Kube]:
    api = Api.from_kubeconfig(str(cluster.kubeconfig))
    yield Kube(cluster.kubectl, cluster.kubeconfig, api)
    api.close()


@pytest.fixture(scope="session")
def image(cluster) -> str:
    """The image of this checkout, on every node; its tag names its content, so that no older one can be run instead."""
    tag = f"{images.REPOSITORY}:e2e-{images.content_key()}"
    images.build(cluster.base_image, tag)
    cluster.load(tag)
    return tag


@pytest.fixture(scope="session")
def trainer_image(cluster) -> str:
    folder = ROOT / "e2e" / "trainer"
    tag = f"{TRAINER_IMAGE}:{cache.key(folder, cluster.base_image)}"
    subprocess.run(
        ["docker", "build", "-q", "-t", tag, "--build-arg", f"BASE={cluster.base_image}", str(folder)], check=True
    )
    cluster.load(tag)
    return tag


@pytest.fixture(scope="session")
def release(kube, cluster, image) -> Iterator[Release]:
    """The chart as it is by default; a new CA settles in seconds here, for tests that rotate."""
    values = {
        "certificate": {"settleSeconds": 5},
        "webhook": {
            "excludedNamespaces": ["left-alone"],
            "namespaceSelector": {"matchExpressions": [{"key": "e2e", "operator": "NotIn", "values": ["other"]}]},
        },
    }
    release = Release(kube, cluster.tool("helm4"), "gracekeeper", "gracekeeper", image, values)
    release.upgrade()
    yield release
    release.uninstall()


@pytest.fixture
def namespace(kube, request) -> Iterator[str]:
    """A namespace of the test's own."""
    name = request.node.originalname.removeprefix("test_").replace("_", "-")[:50].strip("-")
    kube.make_namespace(name)
    yield name
    kube.remove_namespaces(name)
