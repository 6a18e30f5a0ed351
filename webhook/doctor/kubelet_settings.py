"""The kubelets' settings as far as lists tell them, by pool: from the kubelets, from EC2NodeClasses, from kubeadm's ConfigMap."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from webhook.doctor.finding import Cap, Cure, Unseen, UnseenReason
from webhook.doctor.kinds import CONFIGZ, KUBELET_CONFIG
from webhook.doctor.lists import ClusterLists, KindUnseen
from webhook.doctor.pools import pool_label_of, pool_of, spot_label_of
from webhook.doctor.trainers import TrainingPod
from webhook.policy.pod.metadata import JsonObject, labels_of, metadata_of

_CLASS_LABEL = "karpenter.k8s.aws/ec2nodeclass"
_NOT_ASKED = KindUnseen(UnseenReason.NOT_ASKED)
_NEEDS = (
    "That needs the right to get nodes/proxy, and whoever has it can run commands in every container of the cluster: "
    "use it with an admin's own rights, and give it to no ServiceAccount."
)


@dataclass(frozen=True, slots=True)
class KubeletSource:
    """Where settings were read."""

    name: str
    """In words: the kubelet of node h1."""
    get: str
    """The command that shows it."""
    path: str
    """The path of the settings in what that prints."""
    node_class: str = ""
    """The EC2NodeClass that they stand in; empty for any other source."""


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """The settings of the kubelets of one pool that share a source."""

    source: KubeletSource
    config: JsonObject
    pool: str
    node_selector: Mapping[str, str]
    """The label of the pool; empty where its nodes have none."""
    node_names: frozenset[str]
    is_spot: bool

    def cap(self, name: str, seconds: int) -> Cap:
        """Return a cap of this pool."""
        no_label = "" if self.node_selector else self.pool
        return Cap(f"{name} on pool {self.pool}", seconds, self.node_selector, pool=no_label)

    def covers(self, trainer: TrainingPod) -> bool:
        """Return whether a pod runs on one of these nodes, or waits for one."""
        if trainer.node_name:
            return trainer.node_name in self.node_names
        return bool(self.node_selector) and trainer.is_on(self.node_selector)

    def cure(self, field: str, value: object, note: str) -> Cure:
        """Return how a field is set in this source."""
        if self.source.node_class:
            return Cure(
                f"kubectl patch ec2nodeclasses.karpenter.k8s.aws {self.source.node_class} --type merge "
                f'-p \'{{"spec": {{"kubelet": {{"{field}": {_as_json(value)}}}}}}}\'',
                note=note,
                restarts="Every node of this class becomes Drifted and is replaced, as the budgets of its NodePools allow.",
            )
        return Cure(
            self.source.get,
            note=f"Set {field}: {_as_json(value)} in the kubelet configuration of pool {self.pool}. {note}",
            restarts="The kubelet restarts, and its pods run on. Most clouds replace the nodes of the pool instead.",
        )


def pool_settings(lists: ClusterLists) -> tuple[PoolSettings, ...]:
    """Return the settings by source and pool."""
    return tuple(_Known(lists).settings())


def unseen_settings(lists: ClusterLists, check_id: str) -> Iterator[Unseen]:
    """Yield how many nodes' settings no list tells."""
    known = {name for each in pool_settings(lists) for name in each.node_names}
    count = sum(metadata_of(node).get("name") not in known for node in lists.of("Node"))
    if not count:
        return
    unseen = lists.unseen.get(CONFIGZ, _NOT_ASKED)
    said = "not asked for" if unseen.reason is UnseenReason.NOT_ASKED else f"{unseen.reason} ({unseen.message})"
    what = f"kubelet settings of {count} {'node' if count == 1 else 'nodes'}"
    yield Unseen(check_id, what, unseen.reason, f"{said}. {_NEEDS}", "gracekeeper doctor --kubelet")


class _Known:
    """What each source tells."""

    def __init__(self, lists: ClusterLists) -> None:
        self._nodes = lists.of("Node")
        configs = {metadata_of(each).get("name", ""): each.get("kubeletconfig") or {} for each in lists.of(CONFIGZ)}
        self._of_cluster = configs.pop("", None)
        self._of_nodes = configs
        self._alike = {
            _pool_and_version(node): metadata_of(node)["name"]
            for node in self._nodes
            if metadata_of(node).get("name") in configs
        }
        classes = {metadata_of(each).get("name"): each for each in lists.of("EC2NodeClass")}
        self._of_classes = {
            name: of_class for name, each in classes.items() if (of_class := (each.get("spec") or {}).get("kubelet"))
        }

    def settings(self) -> Iterator[PoolSettings]:
        """Yield the settings by source and pool."""
        groups: dict[tuple[KubeletSource, str], list[JsonObject]] = {}
        configs: dict[KubeletSource, JsonObject] = {}
        for node in self._nodes:
            told = self._told_of(node)
            if told is not None:
                source, configs[source] = told[0], told[1]
                groups.setdefault((source, pool_of(labels_of(node))), []).append(node)
        for (source, pool), nodes in groups.items():
            label = pool_label_of(labels_of(nodes[0]))
            yield PoolSettings(
                source,
                configs[source],
                pool,
                {} if label is None else dict([label]),
                frozenset(metadata_of(node).get("name", "") for node in nodes),
                any(spot_label_of(labels_of(node)) for node in nodes),
            )

    def _told_of(self, node: JsonObject) -> tuple[KubeletSource, JsonObject] | None:
        """Return the nearest source: this kubelet, one of the same pool and version, its class, the cluster's first one."""
        name = metadata_of(node).get("name", "")
        asked = name if name in self._of_nodes else self._alike.get(_pool_and_version(node))
        if asked is not None:
            get = f"kubectl get --raw /api/v1/nodes/{asked}/proxy/configz"
            return KubeletSource(f"the kubelet of node {asked}", get, ".kubeletconfig"), self._of_nodes[asked]
        of_class = str(labels_of(node).get(_CLASS_LABEL))
        if of_class in self._of_classes:
            get = f"kubectl get ec2nodeclasses.karpenter.k8s.aws {of_class} -o jsonpath='{{.spec.kubelet}}'"
            return KubeletSource(f"EC2NodeClass {of_class}", get, ".spec.kubelet", of_class), self._of_classes[of_class]
        if self._of_cluster is None:
            return None
        namespace, config_map = KUBELET_CONFIG
        get = f"kubectl get configmap {config_map} -n {namespace} -o jsonpath='{{.data.kubelet}}'"
        words = f"kubeadm's ConfigMap {config_map}, from which a node may differ"
        return KubeletSource(words, get, ".data.kubelet"), self._of_cluster


def _pool_and_version(node: JsonObject) -> tuple[str, str]:
    version = ((node.get("status") or {}).get("nodeInfo") or {}).get("kubeletVersion") or ""
    return pool_of(labels_of(node)), str(version)


def _as_json(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
