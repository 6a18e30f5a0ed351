"""The images of this checkout on every node of a cluster; tags name the content, so that no older one can be run instead."""

from tools import image
from tools.cluster import cache
from tools.cluster.kind_cluster import Cluster
from tools.cluster.settings import ROOT
from tools.cluster.steps import run


def gracekeeper(cluster: Cluster) -> str:
    """The server's image, by its name."""
    tag = f"{image.REPOSITORY}:e2e-{image.content_key()}"
    image.build(cluster.base_image, tag)
    cluster.load(tag)
    return tag


def supervise(cluster: Cluster) -> str:
    """The image of supervise, by its name."""
    tag = f"{image.SUPERVISE_REPOSITORY}:e2e-{image.supervise_content_key()}"
    image.build_supervise(tag)
    cluster.load(tag)
    return tag


def trainer(cluster: Cluster) -> str:
    """The image of a trainer that saves when it is told to stop (tools/trainer), by its name."""
    folder = ROOT / "tools" / "trainer"
    tag = f"gracekeeper/e2e-trainer:{cache.key(folder, cluster.base_image)}"
    run(["docker", "build", "-q", "-t", tag, "--build-arg", f"BASE={cluster.base_image}", folder])
    cluster.load(tag)
    return tag
