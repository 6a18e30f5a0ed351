"""Kubernetes' own programs, and etcd, containerd and the pause program that a node needs, from Go modules."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from tools.cluster import cache as cached
from tools.cluster import go
from tools.cluster.settings import CONTAINERD_VERSION, ETCD_VERSION, Settings
from tools.cluster.steps import attempt, step

NODE = Path(__file__).with_name("node")
COMMANDS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubeadm",
    "kubectl",
)
_TAGS = "providerless"
"""Up to 1.30 the in-tree cloud providers need modules that are no longer served."""
_ETCD = "go.etcd.io/etcd/server/v3"
_CONTAINERD = "github.com/containerd/containerd/v2"
_CONTAINERD_COMMANDS = ("containerd", "ctr", "containerd-shim-runc-v2")
_CONTAINERD_TAGS = "no_btrfs,no_zfs,no_devmapper"
_LANGUAGE = "go 1.24"


def binaries(settings: Settings) -> Path:
    """The folder with all of COMMANDS."""
    version = settings.kubernetes_version

    def build(target: Path) -> None:
        with step(f"Building Kubernetes {version} from its Go modules", "6 min; 1 min where Go has compiled it before"):
            go.build(settings.cache, _kubernetes(settings.cache, version, COMMANDS), target)

    return cached.kept(settings.cache, "kubernetes", kubernetes_key(version), build)


def kubernetes_key(version: str) -> str:
    """Of the programs of one version."""
    return cached.key("kubernetes", version, _TAGS, _stamp(version), *COMMANDS)


def kubectl(settings: Settings, version: str) -> Path:
    """A kubectl that may talk to servers of this version: at most one minor version away, or else our own."""
    built = settings.cache / f"kubernetes-{kubernetes_key(version)}" / "kubectl"
    if built.exists():
        return built
    path = shutil.which("kubectl")
    if path and close(attempt([path, "version", "--client"]).stdout, version):
        return Path(path)

    def build(target: Path) -> None:
        with step(f"Building kubectl {version} from its Go modules: none on PATH is within one minor version", "2 min"):
            go.build(settings.cache, _kubernetes(settings.cache, version, ["kubectl"]), target)

    return cached.kept(settings.cache, "kubectl", cached.key(version, _stamp(version)), build) / "kubectl"


def etcd(cache: Path) -> Path:
    """The etcd program."""

    def build(target: Path) -> None:
        with step(f"Building etcd {ETCD_VERSION} from its Go module", "1 min"):
            go.build(cache, _commands("etcd", _ETCD, ETCD_VERSION, [_ETCD]), target)
            (target / "server").rename(target / "etcd")

    return cached.kept(cache, "etcd", cached.key(_ETCD, ETCD_VERSION), build) / "etcd"


def containerd(cache: Path) -> Path:
    """The folder with containerd, its shim and ctr."""
    packages = [f"{_CONTAINERD}/cmd/{command}" for command in _CONTAINERD_COMMANDS]

    def build(target: Path) -> None:
        with step(f"Building containerd {CONTAINERD_VERSION} from its Go module", "1 min"):
            go.build(
                cache, _commands("containerd", _CONTAINERD, CONTAINERD_VERSION, packages, _CONTAINERD_TAGS), target
            )

    return cached.kept(cache, "containerd", cached.key(CONTAINERD_VERSION, _CONTAINERD_TAGS, *packages), build)


def pause(cache: Path) -> Path:
    """The program that holds a pod's namespaces."""
    source = NODE / "pause.go"

    def build(target: Path) -> None:
        go.build(cache, go.Build(f"module pause\n{_LANGUAGE}\n", [str(source)]), target)

    return cached.kept(cache, "pause", cached.key(source), build) / "pause"


def _kubernetes(cache: Path, version: str, commands: Sequence[str]) -> go.Build:
    """The staging repositories, which k8s.io/kubernetes holds as v0.0.0, are published as v0.MINOR.PATCH."""
    minor_and_patch = version.removeprefix("1.")
    staged = sorted(set(re.findall(r"(k8s\.io/\S+) v0\.0\.0\s", go.module(cache, "k8s.io/kubernetes", version))))
    lines = ["module kubernetes-binaries", _LANGUAGE, f"require k8s.io/kubernetes v{version}"]
    lines += [f"replace {module} => {module} v0.{minor_and_patch}" for module in staged]
    packages = [f"k8s.io/kubernetes/cmd/{command}" for command in commands]
    return go.Build("\n".join(lines) + "\n", packages, _TAGS, _stamp(version))


def _commands(name: str, module: str, version: str, packages: list[str], tags: str = "") -> go.Build:
    return go.Build(f"module {name}-binaries\n{_LANGUAGE}\nrequire {module} v{version}\n", packages, tags)


def _stamp(version: str) -> str:
    """What a release build links in, so that the programs know their version."""
    stamped = {
        "gitVersion": f"v{version}",
        "gitMajor": "1",
        "gitMinor": version.split(".")[1],
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
    }
    flags = [f"-X k8s.io/component-base/version.{name}={value}" for name, value in stamped.items()]
    return " ".join([*flags, f"-X k8s.io/client-go/pkg/version.gitVersion=v{version}"])


def close(described: str, version: str) -> bool:
    """Whether this answer of `kubectl version` is within the one minor version that kubectl may be older or newer."""
    match = re.search(r"Client Version: v1\.(\d+)", described)
    return match is not None and abs(int(match[1]) - int(version.split(".")[1])) <= 1
