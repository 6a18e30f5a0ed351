"""What the environment says about the cluster, the versions that are built or pulled, and where things lie."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
BIN = BUILD / "bin"

KUBERNETES_VERSION = "1.37.2"
"""Built where no registry answers; any version whose modules are served will do."""
ETCD_VERSION = "3.6.16"
CONTAINERD_VERSION = "2.3.7"
PINNED_NODE_IMAGE = (
    "kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5"  # of kind v0.33.0
)
PYTHON_IMAGE = "python:3.13-slim"


@dataclass(frozen=True, slots=True)
class Settings:
    """Read once, at the start of a command or of a test session."""

    cluster: str
    cache: Path
    world: str
    """registry, offline, or empty: found out."""
    kubernetes_version: str
    node_image: str
    """Pulled where a registry answers."""
    feature_gates: Mapping[str, bool] = field(default_factory=dict)
    """Of every component of the cluster."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """From GRACEKEEPER_CLUSTER, _CACHE, _WORLD, _KUBERNETES_VERSION, _NODE_IMAGE and _FEATURE_GATES."""
        cache = environment.get("GRACEKEEPER_CACHE") or str(Path.home() / ".cache" / "gracekeeper")
        return cls(
            cluster=environment.get("GRACEKEEPER_CLUSTER") or "gracekeeper-e2e",
            cache=Path(cache).expanduser().resolve(),
            world=environment.get("GRACEKEEPER_WORLD", ""),
            kubernetes_version=environment.get("GRACEKEEPER_KUBERNETES_VERSION") or KUBERNETES_VERSION,
            node_image=environment.get("GRACEKEEPER_NODE_IMAGE") or PINNED_NODE_IMAGE,
            feature_gates=_gates(environment.get("GRACEKEEPER_FEATURE_GATES", "")),
        )

    @property
    def kubeconfig(self) -> Path:
        """The cluster's own file; ~/.kube/config is never read or written."""
        return BUILD / f"kubeconfig-{self.cluster}"


def _gates(text: str) -> dict[str, bool]:
    """As Kubernetes' components take them: SidecarContainers=false,AnotherGate=true."""
    return {name: value == "true" for name, _, value in (gate.partition("=") for gate in text.split(",") if gate)}
