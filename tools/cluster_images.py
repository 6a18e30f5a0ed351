"""The images of this checkout on every node of a cluster.

Law: a tag names everything that its image was made from. One that Docker has under the tag is right, and is not built again.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

from tools import image
from tools import launchers as launchers_root
from tools.cluster import cache, images
from tools.cluster.kind_cluster import Cluster
from tools.cluster.settings import ROOT
from tools.cluster.steps import run, step

_NOT_NEEDED = (
    "packages",
    "root/.cache",
    "usr/lib/libtorch-test",
    "usr/share/doc",
    "usr/share/locale",
    "usr/share/man",
    "var/cache",
    "var/lib/apt",
)
"""Folders that no launcher reads: a third of the file system."""


def gracekeeper(cluster: Cluster) -> str:
    """The server's image, by its name."""
    tag = f"{image.REPOSITORY}:e2e-{cache.key(image.content_key(), cluster.base_image)}"
    return on_the_nodes(cluster, tag, lambda: image.build(cluster.base_image, tag))


def supervise(cluster: Cluster) -> str:
    """The image of supervise, by its name."""
    tag = f"{image.SUPERVISE_REPOSITORY}:e2e-{image.supervise_content_key()}"
    return on_the_nodes(cluster, tag, lambda: image.build_supervise(tag))


def trainer(cluster: Cluster) -> str:
    """The image of a trainer that saves when it is told to stop (tools/trainer), by its name."""
    folder = ROOT / "tools" / "trainer"
    tag = f"gracekeeper/e2e-trainer:{cache.key(folder, cluster.base_image)}"
    base = f"BASE={cluster.base_image}"
    return on_the_nodes(cluster, tag, lambda: run(["docker", "build", "-q", "-t", tag, "--build-arg", base, folder]))


def launchers(cluster: Cluster) -> str:
    """The image of Debian's torch with torchrun and other launchers (tools/launchers.py), by its name."""
    root = launchers_root.root(cluster.settings.cache)
    tag = f"gracekeeper/e2e-launchers:{root.name.rpartition('-')[2]}"
    return on_the_nodes(cluster, tag, lambda: _import(root, tag))


def on_the_nodes(cluster: Cluster, tag: str, build: Callable[[], object]) -> str:
    """The same tag, once every node has its image; `build` makes it where Docker has none under the tag."""
    if not images.there(tag):
        with step(f"Building {tag}", "20 s"):
            build()
    cluster.load(tag)
    return tag


def _import(root: Path, tag: str) -> None:
    """An image of one layer, made of a file system."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "root.tar"
        without = [f"--exclude=./{name}/*" for name in _NOT_NEEDED]
        run(["tar", "--create", f"--file={archive}", f"--directory={root}", *without, "."])
        path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        run(["docker", "import", "--change", path, archive, tag])
