"""What the tests share: one cluster, the images of this checkout, and gracekeeper installed as its README says."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from e2e import targets
from e2e.osmo import images as osmo_images
from e2e.osmo.pods import Images
from e2e.recorder import Recorder
from tools import cluster_images
from tools.cluster import kind_cluster, lock
from tools.cluster.settings import Settings
from tools.cluster.steps import say
from tools.kube import Kube
from tools.release import Release
from webhook.api import Api

Shown = Callable[[], AbstractContextManager[None]]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--target", choices=targets.TARGETS, help="run only the tests of this target (e2e/targets.py)")


def pytest_configure(config: pytest.Config) -> None:
    for name, meaning in targets.MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")
    target = config.getoption("--target")
    if target and not config.option.collectonly:
        config.pluginmanager.register(Recorder(target), "recorder")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        targets.target_of(item)  # refuses two markers
    target = config.getoption("--target")
    if target:
        config.hook.pytest_deselected(items=targets.select(target, items))


@pytest.fixture(scope="session")
def settings() -> Settings:
    return Settings.from_environment(os.environ)


@pytest.fixture(scope="session")
def shown(pytestconfig) -> Shown:
    """What is made in such a block tells of its progress, which pytest would keep to itself."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    @contextmanager
    def shown() -> Iterator[None]:
        with capture.global_and_fixture_disabled():
            say("")
            yield

    return shown


@pytest.fixture(scope="session")
def cluster(settings, shown) -> Iterator[kind_cluster.Cluster]:
    """The cluster; one that was there before stays, one that was made for the tests goes (GRACEKEEPER_KEEP=1: stays)."""
    with lock.held(settings.cache, settings.cluster):
        stays = kind_cluster.status(settings)[0] or os.environ.get("GRACEKEEPER_KEEP") == "1"
        try:
            with shown():
                cluster = kind_cluster.up(settings)
                cluster.tool("helm4")
            yield cluster
        finally:
            if not stays:
                with shown():
                    kind_cluster.down(settings)


@pytest.fixture(scope="session")
def worker(cluster) -> str:
    name: str = cluster.worker
    return name


@pytest.fixture(scope="session")
def kube(cluster) -> Iterator[Kube]:
    api = Api.from_kubeconfig(str(cluster.kubeconfig))
    yield Kube(cluster.kubectl, cluster.kubeconfig, api)
    api.close()


@pytest.fixture(scope="session")
def image(cluster, shown) -> str:
    with shown():
        return cluster_images.gracekeeper(cluster)


@pytest.fixture(scope="session")
def supervise_image(cluster, shown) -> str:
    with shown():
        return cluster_images.supervise(cluster)


@pytest.fixture(scope="session")
def trainer_image(cluster, shown) -> str:
    with shown():
        return cluster_images.trainer(cluster)


@pytest.fixture(scope="session")
def launchers_image(cluster, shown) -> str:
    with shown():
        return cluster_images.launchers(cluster)


@pytest.fixture(scope="session")
def stand_ins(cluster, shown) -> Images:
    with shown():
        return osmo_images.loaded(cluster)


@pytest.fixture(scope="session")
def release(kube, cluster, image, supervise_image) -> Iterator[Release]:
    """The chart as it is by default; a new CA settles in seconds here, for tests that rotate."""
    values = {
        "certificate": {"settleSeconds": 5},
        "webhook": {
            "excludedNamespaces": ["left-alone"],
            "namespaceSelector": {"matchExpressions": [{"key": "e2e", "operator": "NotIn", "values": ["other"]}]},
        },
    }
    release = Release(kube, cluster.tool("helm4"), "gracekeeper", "gracekeeper", image, supervise_image, values)
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
