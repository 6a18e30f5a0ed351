"""Pods' network where kind's own cannot be pulled: a bridge in each node, and routes between the nodes."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

from tools.cluster.config import POD_SUBNET
from tools.cluster.nodes import Node
from tools.cluster.steps import StepError, attempt, run

_CIDR_SECONDS = 60
_REPROBE_SECONDS = 0.2
_FILE = "/etc/cni/net.d/10-bridge.conflist"


def connect(kubectl: Sequence[str | Path], nodes: Sequence[Node]) -> None:
    """Pods of all nodes reach each other, and Services' addresses."""
    cidrs = {node.name: _pod_cidr(kubectl, node.name) for node in nodes}
    for node in nodes:
        own = cidrs[node.name]
        for other in nodes:
            if other is not node:
                _inside(node, "ip", "route", "replace", cidrs[other.name], "via", other.address)
        _inside(node, *_masquerade(own))
        _inside(node, "sh", "-c", f"cat > {_FILE}", text=_conflist(own))


def _conflist(cidr: str) -> str:
    addresses = {"type": "host-local", "ranges": [[{"subnet": cidr}]], "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True, "ipam": addresses}
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return json.dumps({"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, portmap]})


def _masquerade(cidr: str) -> list[str]:
    """What leaves for other than pods carries the node's address."""
    chain = ["iptables", "-t", "nat", "-A", "POSTROUTING"]
    return [*chain, "-s", cidr, "!", "-d", POD_SUBNET, "-j", "MASQUERADE"]


def _inside(node: Node, *command: str, text: str | None = None) -> None:
    run(["docker", "exec", "--interactive", node.name, *command], text=text)


def _pod_cidr(kubectl: Sequence[str | Path], node: str) -> str:
    """The controller manager hands it out some moments after the node registers."""
    deadline = time.monotonic() + _CIDR_SECONDS
    while time.monotonic() < deadline:
        found = attempt([*kubectl, "get", "node", node, "--output", "jsonpath={.spec.podCIDR}"]).stdout.strip()
        if found:
            return found
        time.sleep(_REPROBE_SECONDS)
    raise StepError(f"node {node} got no range of pod addresses within {_CIDR_SECONDS} s")
