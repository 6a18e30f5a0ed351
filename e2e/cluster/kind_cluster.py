"""Making the cluster, knowing it again, and taking it away.

Law: a cluster is used again only where its record, written when all was ready, still fits what runs; else it is made anew.
"""

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster import cache as cached
from e2e.cluster import (
    config,
    daemon,
    images,
    kubernetes,
    lock,
    node_image,
    nodes,
    pod_network,
    python_image,
    tools,
    world,
)
from e2e.cluster.settings import BIN, PYTHON_IMAGE, Settings
from e2e.cluster.steps import StepError, attempt, run, say, step
from e2e.cluster.world import World

_CREATE_SECONDS = 600
_READY = "180s"
_REUSE_SECONDS = 20
_REPROBE_SECONDS = 0.3


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

    def tool(self, name: str) -> Path:
        """kind, helm3 or helm4, built first where need be; a link in build/bin is left for people."""
        return _linked(name, tools.tool(self.settings, name))

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
    cluster_key = cached.key(image, config.kind_config(where), Path(pod_network.__file__))
    if not _fits(settings, kubectl, cluster_key):
        _remove_leftover(settings)
        _create(settings, where, kubectl, image)
        _record(settings, cluster_key)
    return Cluster(settings, where, kubectl, base_image, tuple(node.name for node in nodes.of(settings.cluster)))


def down(settings: Settings) -> None:
    """No cluster of this name, none of its files, and no daemon that `up` started; the caller holds the lock."""
    if not daemon.answers():
        if not _record_file(settings).exists():
            settings.kubeconfig.unlink(missing_ok=True)
            return
        daemon.ensure(settings.cache)
    with step(f"Removing cluster {settings.cluster}", "3 s"):
        _remove(settings)
    daemon.stop_if_ours(settings.cache)


def load(settings: Settings, image: str) -> None:
    """Copies an image from Docker to every node."""
    if not images.there(image):
        raise StepError(f"Docker has no image {image}: build it first")
    if not nodes.of(settings.cluster):
        raise StepError(f"there is no cluster {settings.cluster}: python -m e2e.cluster up")
    with step(f"Loading {image} into the nodes", "5 s"):
        kind = tools.tool(settings, "kind")
        run([kind, "load", "docker-image", image, "--name", settings.cluster], environment=_environment(settings))


def status(settings: Settings) -> tuple[bool, str]:
    """Whether the cluster is ready, and a line for each of its nodes."""
    if not daemon.answers():
        return False, "Docker does not answer"
    found = nodes.of(settings.cluster)
    if not found:
        return False, f"there is no cluster {settings.cluster}"
    recorded = _recorded(settings).get("nodes") == {node.name: node.incarnation for node in found}
    lines = [f"{node.name}  {'running' if node.running else 'ended'}  {node.address}" for node in found]
    verdict = "ready" if recorded else "not as it was made: `up` makes it anew"
    return recorded, "\n".join([f"cluster {settings.cluster}: {verdict}", *lines, f"kubeconfig {settings.kubeconfig}"])


def _images(settings: Settings, where: World) -> tuple[str, str]:
    """The nodes' image and the one that gracekeeper's is built on."""
    if where is World.REGISTRY:
        return images.pulled(settings.node_image), images.pulled(PYTHON_IMAGE)
    say("  No container registry answers: images come from Debian packages and Go modules, once, then from the cache")
    return node_image.loaded(settings), python_image.loaded(settings)


def server_version(settings: Settings, where: World) -> str:
    """Of the API server."""
    tag = settings.node_image.partition("@")[0].rpartition(":v")[2]
    return tag if where is World.REGISTRY and tag.startswith("1.") else settings.kubernetes_version


def _fits(settings: Settings, kubectl: Path, cluster_key: str) -> bool:
    """Whether what runs is what was recorded, and its nodes are ready."""
    found = nodes.of(settings.cluster)
    seen = {"key": cluster_key, "nodes": {node.name: node.incarnation for node in found}}
    if not found or _recorded(settings) != seen or not settings.kubeconfig.exists():
        return False
    if not all(node.running for node in found):
        return False
    wait = ["wait", "--for=condition=Ready", "nodes", "--all", f"--timeout={_REUSE_SECONDS}s"]
    return attempt([*_kubectl(settings, kubectl), *wait], timeout_seconds=2 * _REUSE_SECONDS).returncode == 0


def _remove_leftover(settings: Settings) -> None:
    if nodes.of(settings.cluster) or nodes.network_there(settings.cluster):
        with step(f"Removing a cluster {settings.cluster} that is broken, incomplete or of another kind", "3 s"):
            _remove(settings)


def _create(settings: Settings, where: World, kubectl: Path, image: str) -> None:
    kind = _linked("kind", tools.tool(settings, "kind"))
    settings.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
    command: list[str | Path] = [
        kind,
        "create",
        "cluster",
        "--name",
        settings.cluster,
        "--config",
        "-",
        "--image",
        image,
    ]
    command += ["--kubeconfig", settings.kubeconfig, "--quiet"]
    try:
        with step(f"Creating cluster {settings.cluster}", "25 s"):
            run(
                command,
                text=config.kind_config(where),
                environment=_environment(settings),
                timeout_seconds=_CREATE_SECONDS,
            )
        with step("Waiting for its nodes and system pods", "15 s"):
            if where is World.OFFLINE:
                pod_network.connect(_kubectl(settings, kubectl), nodes.of(settings.cluster))
            _wait_until_ready(_kubectl(settings, kubectl))
    except BaseException as error:
        state = _state(settings, kubectl) if isinstance(error, StepError) else ""
        say(f"  Removing what there is of cluster {settings.cluster} ...")
        _remove(settings)
        if isinstance(error, StepError):
            raise StepError(f"cluster {settings.cluster} did not become ready: {error}\n{state}{_advice()}") from error
        raise


def _wait_until_ready(kubectl: Sequence[str | Path]) -> None:
    system = [*kubectl, "--namespace", "kube-system"]
    run([*kubectl, "wait", "--for=condition=Ready", "nodes", "--all", f"--timeout={_READY}"])
    for workload in run([*kubectl, "get", "daemonsets,deployments", "-A", "-o", _WORKLOADS]).split():
        namespace, kind, name = workload.split("/")
        run([*kubectl, "--namespace", namespace, "rollout", "status", f"{kind}/{name}", f"--timeout={_READY}"])
    run([*system, "wait", "--for=condition=Ready", "pods", "--all", f"--timeout={_READY}"])
    deadline = time.monotonic() + _REUSE_SECONDS
    while attempt([*kubectl, "--namespace", "default", "get", "serviceaccount", "default"]).returncode:
        if time.monotonic() > deadline:
            raise StepError("the namespace default has no ServiceAccount: the controller manager does not work")
        time.sleep(_REPROBE_SECONDS)


_WORKLOADS = 'jsonpath={range .items[*]}{.metadata.namespace}/{.kind}/{.metadata.name}{"\\n"}{end}'


def _state(settings: Settings, kubectl: Path) -> str:
    """The nodes and those pods that do not run, if anybody answers."""
    if not settings.kubeconfig.exists():
        return ""
    pods = ["--field-selector=status.phase!=Running", "pods"]
    asked = [
        attempt([*_kubectl(settings, kubectl), "get", "-A", *words], timeout_seconds=20) for words in (["nodes"], pods)
    ]
    return "".join(answer.stdout for answer in asked)


def _advice() -> str:
    return (
        "Docker's log may say more (journalctl -u docker, or /var/log/dockerd.log where it was started here). "
        "Known causes: a full disk, too little memory (4 GiB are needed), fs.inotify.max_user_instances below 512."
    )


def _remove(settings: Settings) -> None:
    _record_file(settings).unlink(missing_ok=True)
    nodes.remove(settings.cluster)
    settings.kubeconfig.unlink(missing_ok=True)
    settings.kubeconfig.with_name(f"{settings.kubeconfig.name}.lock").unlink(missing_ok=True)


def _environment(settings: Settings) -> dict[str, str]:
    """For kind: Docker, and a network of the cluster's own, which can be removed with it."""
    own = {"KIND_EXPERIMENTAL_PROVIDER": "docker", "KIND_EXPERIMENTAL_DOCKER_NETWORK": settings.cluster}
    return {**os.environ, **own, "KUBECONFIG": str(settings.kubeconfig)}


def _kubectl(settings: Settings, kubectl: Path) -> list[str | Path]:
    return [kubectl, f"--kubeconfig={settings.kubeconfig}"]


def _record_file(settings: Settings) -> Path:
    return settings.kubeconfig.with_name(f"cluster-{settings.cluster}.json")


def _record(settings: Settings, cluster_key: str) -> None:
    incarnations = {node.name: node.incarnation for node in nodes.of(settings.cluster)}
    _record_file(settings).write_text(json.dumps({"key": cluster_key, "nodes": incarnations}))


def _recorded(settings: Settings) -> dict[str, object]:
    try:
        record: dict[str, object] = json.loads(_record_file(settings).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return record


def _linked(name: str, path: Path) -> Path:
    """The same path; build/bin/NAME leads there, for people."""
    BIN.mkdir(parents=True, exist_ok=True)
    link = BIN / name
    if not link.is_symlink() or link.readlink() != path:
        link.unlink(missing_ok=True)
        link.symlink_to(path)
    return path
