"""The cluster as kind's own configuration: two nodes, pods on both of them, nothing of this machine mounted."""

import json
from collections.abc import Mapping
from typing import Any

from tools.cluster.world import World

POD_SUBNET = "10.244.0.0/16"
_SCHEDULABLE: dict[str, Any] = {"nodeRegistration": {"taints": []}}
"""The control plane takes pods as well: a drained node's pods have somewhere to go."""


def kind_config(world: World, feature_gates: Mapping[str, bool]) -> str:
    """As JSON, which kind reads as YAML."""
    config: dict[str, Any] = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {"podSubnet": POD_SUBNET, "disableDefaultCNI": world is World.OFFLINE},
        "nodes": [{"role": "control-plane"}, {"role": "worker"}],
        "kubeadmConfigPatches": [json.dumps(patch) for patch in _patches(world)],
    }
    if feature_gates:
        config["featureGates"] = dict(feature_gates)
    return json.dumps(config)


def _patches(world: World) -> list[dict[str, Any]]:
    if world is World.REGISTRY:
        return [{"kind": "InitConfiguration", **_SCHEDULABLE}]
    return [
        # there is no image of CoreDNS
        {"kind": "InitConfiguration", **_SCHEDULABLE, "skipPhases": ["preflight", "addon/coredns"]},
        {
            "kind": "KubeletConfiguration",
            "cgroupDriver": "cgroupfs",
            # the host may have cgroup v1, which the kubelet refuses by itself from 1.35 on
            "failCgroupV1": False,
            # the host may lack CAP_SYS_RESOURCE, without which no score can be lowered
            "oomScoreAdj": 0,
            "featureGates": {"KubeletInUserNamespace": True},
        },
    ]
