"""What `up` wrote down when all was ready: a cluster is used again only while that still fits what runs."""

import json
from collections.abc import Sequence
from pathlib import Path

from tools.cluster.nodes import Node
from tools.cluster.settings import Settings


def file(settings: Settings) -> Path:
    """Beside the kubeconfig."""
    return settings.kubeconfig.with_name(f"cluster-{settings.cluster}.json")


def write(settings: Settings, cluster_key: str, nodes: Sequence[Node]) -> None:
    """That these nodes, made of what the key stands for, are ready."""
    file(settings).write_text(json.dumps({"key": cluster_key, "nodes": _incarnations(nodes)}))


def fits(settings: Settings, nodes: Sequence[Node], cluster_key: str = "") -> bool:
    """Whether all of these nodes run and are the recorded ones, never restarted, and of this key where one is given."""
    recorded = _read(settings)
    return (
        bool(nodes)
        and settings.kubeconfig.exists()
        and all(node.running for node in nodes)
        and recorded.get("nodes") == _incarnations(nodes)
        and cluster_key in ("", recorded.get("key"))
    )


def _incarnations(nodes: Sequence[Node]) -> dict[str, str]:
    return {node.name: node.incarnation for node in nodes}


def _read(settings: Settings) -> dict[str, object]:
    try:
        record = json.loads(file(settings).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}
