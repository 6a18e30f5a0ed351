"""The cluster that tests and the demo run on: made, known again, used, taken away.

Law: a cluster is used again only where its record still fits what runs; anything else of its name is made anew.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.cluster import cache as cached
from tools.cluster import (
    config,
    creation,
    daemon,
    images,
    kubernetes,
    lock,
    node_image,
    nodes,
    pod_network,
    programs,
    python_image,
    record,
    world,
)
from tools.cluster.settings import BIN, PYTHON_IMAGE, Settings
from tools.cluster.steps import StepError, attempt, run, step
from tools.cluster.world import World

_STILL_READY_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that is ready, and what goes with it."""

    settings: Settings
    world: World
    kubectl: Path
    base_image: str
    """For the Dockerfile's build argument: an image with Python 3.13 that Docker has."""
    nodes: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name that kind knows it by."""
        return self.settings.cluster

    @property
    def kubeconfig(self) -> Path:
        """Its own file."""
        return self.settings.kubeconfig

    @property
    def worker(self) -> str:
        """The node without the control plane, where trainers run."""
        return next(name for name in self.nodes if "control-plane" not in name)

    @property
    def control_plane(self) -> str:
        """The node that runs the API server."""
        return next(name for name in self.nodes if "control-plane" in name)

    def tool(self, name: str) -> Path:
        """kind, helm3 or helm4, built first where need be; a link in build/bin is left for people."""
        return _linked(name, programs.tool(self.settings, name))

    def load(self, image: str) -> None:
        """An image that Docker has is on every node."""
        load(self.settings, image)


@contextmanager
def running(settings: Settings) -> Iterator[Cluster]:
    """The cluster, held against other runs; it stays when the block ends."""
    with lock.held(settings.cache, settings.cluster):
        yield up(settings)


def up(settings: Settings) -> Cluster:
    """The cluster, made or used again; the caller holds its lock."""
    daemon.ensure(settings.cache)
    where = world.find(settings)
    image, base_image = _images(settings, where)
    kubectl = _linked("kubectl", kubernetes.kubectl(settings, server_version(settings, where)))
    cluster_key = cached.key(image, config.kind_config(where, settings.feature_gates), Path(pod_network.__file__))
    if not (record.fits(settings, nodes.of(settings.cluster), cluster_key) and _still_ready(settings, kubectl)):
        _remove_leftover(settings)
        kind = _linked("kind", programs.tool(settings, "kind"))
        creation.create(settings, where, kind, kubectl, image)
        creation.log_file(settings).unlink(missing_ok=True)
        record.write(settings, cluster_key, nodes.of(settings.cluster))
    return Cluster(settings, where, kubectl, base_image, tuple(node.name for node in nodes.of(settings.cluster)))


def down(settings: Settings) -> None:
    """No cluster of this name, none of its files, and no daemon that `up` started; the caller holds the lock."""
    if not daemon.answers() and record.file(settings).exists():
        daemon.ensure(settings.cache)  # its nodes would come back with the next daemon
    if daemon.answers():
        with step(f"Removing cluster {settings.cluster}", "3 s"):
            creation.remove(settings)
        daemon.stop_if_ours(settings.cache)
    settings.kubeconfig.unlink(missing_ok=True)
    creation.log_file(settings).unlink(missing_ok=True)


def load(settings: Settings, image: str) -> None:
    """Copies an image from Docker to every node."""
    if not images.there(image):
        raise StepError(f"Docker has no image {image}: build it first")
    if not nodes.of(settings.cluster):
        raise StepError(f"there is no cluster {settings.cluster}: python -m tools.cluster up")
    kind = programs.tool(settings, "kind")
    with step(f"Loading {image} into the nodes", "5 s"):
        command: list[str | Path] = [kind, "load", "docker-image", image, f"--name={settings.cluster}"]
        run(command, environment=creation.kind_environment(settings))


def status(settings: Settings) -> tuple[bool, str]:
    """Whether the cluster is as it was when it was ready, and what there is, for people."""
    if not daemon.answers():
        return False, "Docker does not answer"
    cluster_nodes = nodes.of(settings.cluster)
    if not cluster_nodes:
        return False, f"there is no cluster {settings.cluster}"
    ready = record.fits(settings, cluster_nodes)
    lines = [f"{node.name}  {'running' if node.running else 'ended'}  {node.address}" for node in cluster_nodes]
    verdict = "ready" if ready else "not as it was made: `up` makes it anew"
    return ready, "\n".join([f"cluster {settings.cluster}: {verdict}", *lines, f"kubeconfig {settings.kubeconfig}"])


def server_version(settings: Settings, where: World) -> str:
    """Of the API server."""
    tag = settings.node_image.partition("@")[0].rpartition(":v")[2]
    return tag if where is World.REGISTRY and tag.startswith("1.") else settings.kubernetes_version


def _images(settings: Settings, where: World) -> tuple[str, str]:
    """The nodes' image and the one that gracekeeper's is built on."""
    if where is World.REGISTRY:
        return images.pulled(settings.node_image), images.pulled(PYTHON_IMAGE)
    return node_image.loaded(settings), python_image.loaded(settings)


def _still_ready(settings: Settings, kubectl: Path) -> bool:
    wait = ["wait", "--for=condition=Ready", "nodes", "--all", f"--timeout={_STILL_READY_SECONDS}s"]
    command: list[str | Path] = [kubectl, f"--kubeconfig={settings.kubeconfig}", *wait]
    return attempt(command, timeout_seconds=2 * _STILL_READY_SECONDS).returncode == 0


def _remove_leftover(settings: Settings) -> None:
    if nodes.of(settings.cluster) or nodes.network_there(settings.cluster):
        with step(f"Removing a cluster {settings.cluster} that is broken, incomplete or of another kind", "3 s"):
            creation.remove(settings)


def _linked(name: str, path: Path) -> Path:
    """The same path; build/bin/NAME leads there, for people."""
    BIN.mkdir(parents=True, exist_ok=True)
    link = BIN / name
    if not link.is_symlink() or link.readlink() != path:
        link.unlink(missing_ok=True)
        link.symlink_to(path)
    return path
