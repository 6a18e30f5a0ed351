"""GK109: a cloud runs cluster-autoscaler outside of the cluster, so its cap cannot be read here: 600 s unless it was changed."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from webhook.doctor.autoscaler import DEFAULT_SECONDS, autoscaler_of
from webhook.doctor.finding import Cure, Evidence, Finding, PodLoss, Severity, Unseen, UnseenReason
from webhook.doctor.kinds import AUTOSCALER_STATUS
from webhook.doctor.lists import ClusterLists
from webhook.doctor.pools import KARPENTER_POOL
from webhook.doctor.trainers import losses_of
from webhook.policy.pod.metadata import JsonObject, labels_of, metadata_of

ID = "GK109"
_NAMESPACE, _NAME = AUTOSCALER_STATUS
_KEEP = "cluster-autoscaler.kubernetes.io/safe-to-evict=false"
_MOST_PODS = 10
_AZURE, _GOOGLE = "kubernetes.azure.com/agentpool", "cloud.google.com/gke-nodepool"
_AZURE_SHOW = "az aks show -g GROUP -n CLUSTER --query autoScalerProfile.maxGracefulTerminationSec"
_AZURE_SET = "az aks update -g GROUP -n CLUSTER --cluster-autoscaler-profile max-graceful-termination-sec={}"
_GOOGLE_SHOW = "gcloud container node-pools list --cluster CLUSTER --format='table(name,autoscaling.enabled)'"


def findings(lists: ClusterLists) -> Iterator[Finding | Unseen]:
    """Yield that the cap cannot be read, and the pods that ask for more than its default."""
    if not _is_managed(lists):
        return
    cloud = _cloud_of(lists.of("Node"))
    show = {"Azure": _AZURE_SHOW, "Google": _GOOGLE_SHOW}.get(cloud, f"kubectl get configmap {_NAME} -n {_NAMESPACE}")
    fixed = "600 s, which cannot be changed" if cloud == "Google" else f"{DEFAULT_SECONDS} s unless you changed it"
    yield Unseen(
        ID,
        "cluster-autoscaler's maximum grace",
        UnseenReason.NOT_READABLE,
        f"the cloud runs it outside of the cluster. It is {fixed}.",
        show,
    )
    of_cloud = (each for each in lists.trainers if KARPENTER_POOL not in each.node_labels)
    losses = losses_of(of_cloud, DEFAULT_SECONDS)
    if losses:
        yield Finding(
            check=ID,
            severity=Severity.INFO,
            subject="the managed cluster-autoscaler",
            sentence=f"The cloud's cluster-autoscaler gives a pod {fixed}, when it takes a node away.",
            cure=_cure(cloud, losses),
            evidence=(
                Evidence(
                    f"kubectl get configmap {_NAME} -n {_NAMESPACE}", ".metadata.name", f"{_NAME} (it runs somewhere)"
                ),
            ),
            losses=losses,
        )


def _is_managed(lists: ClusterLists) -> bool:
    """Return whether an autoscaler writes its status, and no workload here runs one."""
    config_maps = (metadata_of(each) for each in lists.of("ConfigMap"))
    writes = any((each.get("namespace"), each.get("name")) == AUTOSCALER_STATUS for each in config_maps)
    own = (autoscaler_of(kind, each) for kind in ("Deployment", "StatefulSet") for each in lists.of(kind))
    return writes and all(each is None for each in own)


def _cloud_of(nodes: Sequence[JsonObject]) -> str:
    labels = {label for node in nodes for label in labels_of(node)}
    return "Azure" if _AZURE in labels else "Google" if _GOOGLE in labels else ""


def _cure(cloud: str, losses: Sequence[PodLoss]) -> Cure:
    if cloud == "Azure":
        return Cure(_AZURE_SET.format(losses[0].asked_seconds), restarts="It restarts no pod.")
    by_namespace: dict[str, list[str]] = defaultdict(list)
    for loss in losses[:_MOST_PODS]:
        by_namespace[loss.namespace].append(loss.name)
    commands = (f"kubectl annotate pod {' '.join(of)} -n {name} {_KEEP}" for name, of in by_namespace.items())
    return Cure(
        " && ".join(commands),
        note="The autoscaler then never takes the node of such a pod away. Write the annotation into the pod template.",
        restarts="It restarts nothing.",
    )
