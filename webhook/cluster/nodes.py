"""The nodes: which of them take tasks, how old their kubelets are, what they are built of, how much memory their GPUs have."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from webhook.cluster.stream import Kind
from webhook.policy.pod.accelerators import MEMORY_LABEL, PRODUCT_LABEL, memory_mib_by_product
from webhook.policy.pod.metadata import JsonObject

_NEEDED = (1, 31)
NEED = "native sidecars need 1.31"
_VERSION = re.compile(r"v?(\d+)\.(\d+)[-.+\w]*")
"""As kubelets and API servers state it: v1.31.4, v1.31.4-gke.100, v1.31.0+k3s1."""


def _slim_node(node: JsonObject) -> dict[str, Any]:
    node_info = (node.get("status") or {}).get("nodeInfo") or {}
    labels = (node.get("metadata") or {}).get("labels") or {}
    slim = {
        "schedulable": not (node.get("spec") or {}).get("unschedulable"),
        "os": labels.get("kubernetes.io/os") or node_info.get("operatingSystem"),
        "architecture": labels.get("kubernetes.io/arch") or node_info.get("architecture"),
        "kubelet": node_info.get("kubeletVersion") or "",
    }
    accelerator = {key: labels[key] for key in (PRODUCT_LABEL, MEMORY_LABEL) if key in labels}
    return slim | ({"accelerator": accelerator} if accelerator else {})


NODE = Kind("Node", ("/api/v1/nodes",), _slim_node, page_objects=100)
"""In small pages: a node as the server sends it, with the names of its images, is 20 kB."""


def counted_up(nodes: Mapping[str, JsonObject]) -> tuple[frozenset[str], str]:
    """Architectures of the schedulable Linux nodes, and which of them keeps native sidecars from being used."""
    able = {name: node for name, node in nodes.items() if node["schedulable"] and node["os"] == "linux"}
    architectures = frozenset(node["architecture"] for node in able.values() if node["architecture"])
    if not able:
        return architectures, "no schedulable Linux node is known"
    old = sorted(name for name, node in able.items() if not is_new_enough(node["kubelet"]))
    if not old:
        return architectures, ""
    kubelet = able[old[0]]["kubelet"].removeprefix("v")[:40] or "of an unknown version"
    others = f" ({len(old) - 1} more are too old)" if len(old) > 1 else ""
    return architectures, f"node {old[0]} runs kubelet {kubelet}{others}, {NEED}"


def accelerator_memory(nodes: Mapping[str, JsonObject]) -> Mapping[str, int]:
    """MiB of one GPU by product, of the schedulable nodes; empty where none is known."""
    return memory_mib_by_product(node.get("accelerator", {}) for node in nodes.values() if node["schedulable"])


@lru_cache(maxsize=256)  # thousands of nodes run a handful of versions
def is_new_enough(version: str) -> bool:
    """Whether a version such as v1.31.4-gke.100 has native sidecars that end last; what cannot be read does not."""
    match = _VERSION.fullmatch(version)
    return match is not None and (int(match[1]), int(match[2])) >= _NEEDED
