"""A cluster's nodes as Docker's containers, and the network that is theirs alone.

Law: every command names this cluster; nodes of another are never listed, let alone removed.
"""

import json
from dataclasses import dataclass
from typing import Any

from tools.cluster.steps import attempt, run

_LABEL = "io.x-k8s.kind.cluster"


@dataclass(frozen=True, slots=True)
class Node:
    """A container that kind made."""

    name: str
    running: bool
    incarnation: str
    """Changes when the container is made anew, or started again: then its routes are gone and its address may differ."""
    address: str


def of(cluster: str) -> list[Node]:
    """All of its nodes, by name, ended ones too."""
    identifiers = run(["docker", "ps", "--all", "--quiet", "--filter", f"label={_LABEL}={cluster}"]).split()
    if not identifiers:
        return []
    described = json.loads(run(["docker", "inspect", *identifiers]))
    return sorted((_node(cluster, container) for container in described), key=lambda node: node.name)


def remove(cluster: str) -> None:
    """Its nodes with their volumes, and its network."""
    identifiers = run(["docker", "ps", "--all", "--quiet", "--filter", f"label={_LABEL}={cluster}"]).split()
    if identifiers:
        run(["docker", "rm", "--force", "--volumes", *identifiers])
    if network_there(cluster):
        run(["docker", "network", "rm", cluster])


def network_there(cluster: str) -> bool:
    """Whether Docker has the cluster's network."""
    return attempt(["docker", "network", "inspect", cluster]).returncode == 0


def _node(cluster: str, container: dict[str, Any]) -> Node:
    state = container["State"]
    network = container["NetworkSettings"]["Networks"].get(cluster) or {}
    return Node(
        container["Name"].removeprefix("/"),
        bool(state["Running"]),
        f"{container['Id']} {state['StartedAt']}",
        network.get("IPAddress", ""),
    )
