"""A kind node made of Debian packages and Go modules, with the control plane's images inside: nothing is pulled.

kind asks of a node: systemd as its first process, /kind/version, containerd with its config, kubeadm and the kubelet.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tools.cluster import archive, debian, images, kubernetes, preload
from tools.cluster import cache as cached
from tools.cluster.settings import CONTAINERD_VERSION, ETCD_VERSION, Settings
from tools.cluster.steps import StepError, run, step

_NODE = debian.System(
    "node",
    "bookworm",
    (
        *("systemd", "systemd-sysv", "dbus", "runc", "containernetworking-plugins"),
        *("iptables", "nftables", "ebtables", "conntrack", "iproute2", "kmod", "procps", "socat", "ethtool"),
        *("ca-certificates", "mount"),
    ),
)
_PROXY = debian.System("kube-proxy", "bookworm", ("iptables", "nftables", "conntrack", "kmod"))
_MASKED = (
    *("getty.target", "console-getty.service"),
    *("systemd-logind.service", "systemd-timesyncd.service", "systemd-udevd.service"),
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dev-hugepages.mount", "dev-mqueue.mount"),
    *("sys-fs-fuse-connections.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount"),
    "proc-sys-fs-binfmt_misc.automount",
)
_CONFIG = {
    "Env": [archive.PATH, "container=docker"],
    "Entrypoint": ["/usr/local/bin/entrypoint", "/sbin/init"],
    "StopSignal": "SIGRTMIN+3",
}
_REPOSITORY = "gracekeeper/node"


def loaded(settings: Settings) -> str:
    """The image's name, its key in it, once Docker has it."""
    key = _key(settings)
    reference = f"{_REPOSITORY}:v{settings.kubernetes_version}-{key}"

    def build(target: Path) -> None:
        _build(settings, reference, target)

    return images.loaded(reference, lambda: cached.kept(settings.cache, "node-image", key, build))


def _key(settings: Settings) -> str:
    sources = [Path(module.__file__ or "") for module in (archive, preload)]
    version = settings.kubernetes_version
    programs = [version, kubernetes.kubernetes_key(version), ETCD_VERSION, CONTAINERD_VERSION]
    return cached.key(*programs, _NODE.key, _PROXY.key, kubernetes.NODE, Path(__file__), *sources)


def _build(settings: Settings, reference: str, target: Path) -> None:
    cache = settings.cache
    programs, etcd, pause = kubernetes.binaries(settings), kubernetes.etcd(cache), kubernetes.pause(cache)
    containerd, system, proxy = kubernetes.containerd(cache), debian.tar(cache, _NODE), debian.tar(cache, _PROXY)
    scratch = Path(tempfile.mkdtemp(prefix=f"{target.name}-", dir=cache))
    try:
        with step("Putting the node image together", "40 s"):
            node = scratch / "node"
            node.mkdir()
            run(["tar", "-C", node, "-xpf", system])
            wanted = _wanted(programs, settings.kubernetes_version)
            _furnish(node, settings.kubernetes_version, programs, containerd, wanted["pause"])
            files = {**{name: programs / name for name in wanted}, "etcd": etcd, "pause": pause}
            preload.into(node, containerd, _component_images(scratch, wanted, files, proxy))
            run(["tar", "-C", node, "-cf", scratch / "layer.tar", "."])
            archive.write(target, archive.Image(reference, [scratch / "layer.tar"], _CONFIG))
    finally:
        shutil.rmtree(scratch)


def _wanted(programs: Path, version: str) -> dict[str, str]:
    """Component -> the image name that this version's kubeadm asks for; no CoreDNS, whose image is not built."""
    listed = run([programs / "kubeadm", "config", "images", "list", "--kubernetes-version", f"v{version}"]).split()
    names = {reference.rpartition("/")[2].partition(":")[0]: reference for reference in listed}
    if "pause" not in names:
        raise StepError(f"kubeadm {version} lists no pause image: {listed}")
    return {name: reference for name, reference in names.items() if name != "coredns"}


def _furnish(node: Path, version: str, programs: Path, containerd: Path, pause_image: str) -> None:
    """The node's own programs, their units and configuration."""
    for program in [*(programs / name for name in ("kubelet", "kubeadm", "kubectl")), *containerd.iterdir()]:
        shutil.copy(program, node / "usr/bin" / program.name)
    for unit in kubernetes.NODE.glob("*.service"):
        shutil.copy(unit, node / "etc/systemd/system" / unit.name)
    for folder in ("kind", "etc/cni/net.d", "etc/kubernetes/manifests", "etc/containerd", "usr/local/bin"):
        (node / folder).mkdir(parents=True, exist_ok=True)
    entrypoint = node / "usr/local/bin/entrypoint"
    shutil.copy(kubernetes.NODE / "entrypoint", entrypoint)
    entrypoint.chmod(0o755)
    config = (kubernetes.NODE / "containerd.toml").read_text().replace("PAUSE_IMAGE", pause_image)
    (node / "etc/containerd/config.toml").write_text(config)
    (node / "kind/version").write_text(f"v{version}\n")
    for arguments in (["enable", "containerd", "kubelet"], ["set-default", "multi-user.target"], ["mask", *_MASKED]):
        run(["chroot", node, "systemctl", *arguments])


def _component_images(scratch: Path, wanted: dict[str, str], files: dict[str, Path], proxy: Path) -> Iterator[Path]:
    """One at a time, so that the disk holds no more than one."""
    for name, reference in wanted.items():
        program = f"usr/local/bin/{name}"
        layers = [archive.layer(scratch / "program.tar", {program: files[name]})]
        if name == "kube-proxy":
            layers.insert(0, proxy)
        config = {"Env": [archive.PATH], "Entrypoint": [f"/{program}"]}
        archive.write(scratch / "image.tar", archive.Image(reference, layers, config))
        yield scratch / "image.tar"
