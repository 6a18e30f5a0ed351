"""The kinds that checks may ask for: the paths of their collections, and the words by which kubectl and RBAC know them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KindSource:
    """Where the objects of one kind are listed."""

    name: str
    """The kind, as in an object's `kind`."""
    group: str
    """The API group; empty for the core group."""
    versions: tuple[str, ...]
    """The versions that can be read, the best first."""
    resource: str
    """The plural, as in paths and in RBAC rules."""
    is_namespaced: bool = True
    in_view: bool = True
    """Whether Kubernetes' ClusterRole `view` may list it."""
    is_everywhere: bool = False
    """Whether its objects count wherever they are, also where only some namespaces are examined."""
    names: tuple[tuple[str, str], ...] = ()
    """Namespaces and names: these objects are read one by one, and no list of the kind is."""
    label_selector: str = ""
    """Only objects with these labels are read; empty for all."""
    page_objects: int = 500

    @property
    def kubectl_name(self) -> str:
        """Return the words for `kubectl get`."""
        return f"{self.resource}.{self.group}" if self.group else self.resource

    def paths(self, namespace: str | None = None) -> tuple[str, ...]:
        """Return the paths of the collection, one for each version; of one namespace where it is named."""
        within = f"namespaces/{namespace}/" if namespace is not None and self.is_namespaced else ""
        base = f"/apis/{self.group}" if self.group else "/api"
        return tuple(f"{base}/{version}/{within}{self.resource}" for version in self.versions)


_STORAGE = "storage.k8s.io"
_ADMISSION = "admissionregistration.k8s.io"
_KYVERNO = "kyverno.io"
_KYVERNO_POLICIES = "policies.kyverno.io"
_GATEKEEPER = "mutations.gatekeeper.sh"
_NEWEST_FIRST = ("v1", "v1beta1", "v1alpha1")


def _of_cluster(name: str, group: str, versions: tuple[str, ...], resource: str) -> KindSource:
    """Return a kind without namespaces that the ClusterRole `view` may not list."""
    return KindSource(name, group, versions, resource, is_namespaced=False, in_view=False)


KUBELET_CONFIG = ("kube-system", "kubelet-config")
"""kubeadm's: the kubelets' configuration at first. A node may differ."""
AUTOSCALER_STATUS = ("kube-system", "cluster-autoscaler-status")
CONFIGZ = "KubeletConfigz"
"""Our own kind: what the kubelet of the node of that name answers to /configz. Without a name it is meant for all nodes."""
KNOWN_CONFIG_MAPS = (KUBELET_CONFIG, AUTOSCALER_STATUS)
"""ConfigMaps may hold what nobody is to read, so they are read by known names only, never listed."""
KINDS = {
    kind.name: kind
    for kind in (
        KindSource("Pod", "", ("v1",), "pods"),
        KindSource("Node", "", ("v1",), "nodes", is_namespaced=False, in_view=False, page_objects=100),
        KindSource("Namespace", "", ("v1",), "namespaces", is_namespaced=False),
        KindSource("PersistentVolumeClaim", "", ("v1",), "persistentvolumeclaims"),
        KindSource("PersistentVolume", "", ("v1",), "persistentvolumes", is_namespaced=False, in_view=False),
        KindSource("StorageClass", _STORAGE, ("v1",), "storageclasses", is_namespaced=False, in_view=False),
        KindSource(
            "VolumeAttributesClass",
            _STORAGE,
            ("v1", "v1beta1"),
            "volumeattributesclasses",
            is_namespaced=False,
            in_view=False,
        ),
        KindSource("Job", "batch", ("v1",), "jobs"),
        KindSource("PodDisruptionBudget", "policy", ("v1",), "poddisruptionbudgets"),
        KindSource("Deployment", "apps", ("v1",), "deployments", is_everywhere=True),
        KindSource("StatefulSet", "apps", ("v1",), "statefulsets", is_everywhere=True),
        KindSource("ConfigMap", "", ("v1",), "configmaps", names=KNOWN_CONFIG_MAPS),
        KindSource("EC2NodeClass", "karpenter.k8s.aws", ("v1",), "ec2nodeclasses", is_namespaced=False, in_view=False),
        KindSource("NodePool", "karpenter.sh", ("v1",), "nodepools", is_namespaced=False, in_view=False),
        KindSource("NodeClaim", "karpenter.sh", ("v1",), "nodeclaims", is_namespaced=False, in_view=False),
        KindSource(
            "EndpointSlice",
            "discovery.k8s.io",
            ("v1",),
            "endpointslices",
            is_everywhere=True,
            label_selector="app.kubernetes.io/part-of=gracekeeper",
        ),
        _of_cluster("MutatingWebhookConfiguration", _ADMISSION, ("v1",), "mutatingwebhookconfigurations"),
        _of_cluster("MutatingAdmissionPolicy", _ADMISSION, _NEWEST_FIRST, "mutatingadmissionpolicies"),
        _of_cluster("MutatingAdmissionPolicyBinding", _ADMISSION, _NEWEST_FIRST, "mutatingadmissionpolicybindings"),
        _of_cluster("ClusterPolicy", _KYVERNO, ("v1",), "clusterpolicies"),
        KindSource("Policy", _KYVERNO, ("v1",), "policies", in_view=False),
        _of_cluster("MutatingPolicy", _KYVERNO_POLICIES, _NEWEST_FIRST, "mutatingpolicies"),
        _of_cluster("Assign", _GATEKEEPER, _NEWEST_FIRST, "assign"),
        _of_cluster("ModifySet", _GATEKEEPER, _NEWEST_FIRST, "modifyset"),
    )
}
FOR_TRAINERS = (
    "Pod",
    "Node",
    "Namespace",
    "PersistentVolumeClaim",
    "PersistentVolume",
    "StorageClass",
    "VolumeAttributesClass",
    "Job",
)
"""What a check asks for that looks at training pods: the pods, their nodes, and what decides how long they need to save."""
