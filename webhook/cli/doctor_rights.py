"""The ClusterRole that the doctor needs, written from the kinds that its checks ask for."""

from collections import defaultdict

from webhook import yaml_text
from webhook.doctor.kinds import KINDS, KNOWN_CONFIG_MAPS

NAME = "gracekeeper-doctor"
_HEADER = f"""\
# What `gracekeeper doctor` reads. An admin applies it, and binds it to you:
#   gracekeeper doctor --rbac | kubectl apply -f -
#   kubectl create clusterrolebinding {NAME} --clusterrole={NAME} --user=YOU
# It lists no Secret, and reads ConfigMaps by name only: add yours if the release is not called gracekeeper.
# GK206 also counts calls that failed open, if you add this rule: {{nonResourceURLs: [/metrics], verbs: [get]}}
# --probe NS needs `create` on pods there, though it creates none.
# nodes/proxy is not in it. --kubelet needs that, and whoever may get nodes/proxy can run commands in every container.
"""
_CONFIG_MAP = "ConfigMap"
_RELEASE = "gracekeeper"


def cluster_role() -> str:
    """Return the ClusterRole as YAML, with comments on how to use it."""
    resources: dict[str, list[str]] = defaultdict(list)
    for kind in KINDS.values():
        if kind.name != _CONFIG_MAP:
            resources[kind.group].append(kind.resource)
    rules: list[dict[str, object]] = [
        {"apiGroups": [group], "resources": of_group, "verbs": ["get", "list"]} for group, of_group in resources.items()
    ]
    names = [_RELEASE, f"{_RELEASE}-terminations", *(name for _, name in KNOWN_CONFIG_MAPS)]
    rules.append({"apiGroups": [""], "resources": ["configmaps"], "resourceNames": names, "verbs": ["get"]})
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": NAME},
        "rules": rules,
    }
    return _HEADER + yaml_text.dumped(role)
