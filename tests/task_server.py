"""An API server in memory with what the conversion of OSMO task pods asks about: its version, nodes, limits and quotas."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import fake_api
from tests.fake_api import FakeApi

NODES = "/api/v1/nodes"
PODS = "/api/v1/namespaces/gracekeeper/pods"
LIMIT_RANGES = "/api/v1/limitranges"
QUOTAS = "/api/v1/resourcequotas"
RECORDED = json.loads((Path(__file__).parent / "recorded" / "test-pod-as-created.json").read_text())
"""What an API server 1.37.2 answered to the test pod."""


@contextmanager
def running() -> Iterator[FakeApi]:
    """Of version 1.34, with one node and one namespace."""
    with fake_api.running() as server:
        for collection in ("/api/v1/namespaces", NODES, LIMIT_RANGES, QUOTAS):
            server.serve_collection(collection)
        for kind in ("storageclasses", "volumeattributesclasses"):
            server.serve_collection(f"/apis/storage.k8s.io/v1/{kind}")
        server.put("/version", gitVersion="v1.34.4")
        server.put("/api/v1/namespaces/team-a")
        server.as_created = lambda _: RECORDED
        join(server, "worker-1")
        yield server


def join(
    server: FakeApi, name: str, kubelet: str = "v1.34.4", *, platform: str = "linux/amd64", cordoned: bool = False
) -> None:
    system, arch = platform.split("/")
    spec = {"unschedulable": True} if cordoned else {}
    info = {"kubeletVersion": kubelet, "operatingSystem": system, "architecture": arch}
    labels = {"kubernetes.io/os": system, "kubernetes.io/arch": arch}
    server.put(f"{NODES}/{name}", metadata={"labels": labels}, spec=spec, status={"nodeInfo": info})


def join_with_gpus(server: FakeApi, name: str, product: str, memory_mib: int, *, cordoned: bool = False) -> None:
    """A node as GPU Feature Discovery labels it."""
    labels = {"nvidia.com/gpu.product": product, "nvidia.com/gpu.memory": str(memory_mib), "nvidia.com/gpu.count": "8"}
    spec = {"unschedulable": True} if cordoned else {}
    server.put(f"{NODES}/{name}", metadata={"labels": labels}, spec=spec, status={})
