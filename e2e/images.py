"""The images of this checkout on every node of a cluster; tags name the content, so that no older one can be run instead."""

from e2e.cluster import cache
from e2e.cluster.kind_cluster import Cluster
from e2e.cluster.settings import ROOT
from e2e.cluster.steps import run
from scripts import image as images


def gracekeeper(cluster: Cluster) -> str:
    """The server's image, by its name."""
    tag = f"{images.REPOSITORY}:e2e-{images.content_key()}"
    images.build(cluster.base_image, tag)
    cluster.load(tag)
    return tag


def supervise(cluster: Cluster) -> str:
    """The image of supervise, by its name."""
    tag = f"{images.SUPERVISE_REPOSITORY}:e2e-{images.supervise_content_key()}"
    images.build_supervise(tag)
    cluster.load(tag)
    return tag


def trainer(cluster: Cluster) -> str:
    """The image of a trainer that saves when it is told to stop (e2e/trainer), by its name."""
    folder = ROOT / "e2e" / "trainer"
    tag = f"gracekeeper/e2e-trainer:{cache.key(folder, cluster.base_image)}"
    run(["docker", "build", "-q", "-t", tag, "--build-arg", f"BASE={cluster.base_image}", folder])
    cluster.load(tag)
    return tag
