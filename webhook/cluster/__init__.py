"""Facts about a pod: what a watch keeps in memory first, one live read on a miss."""

from webhook.cluster.cluster import Cluster
from webhook.cluster.sidecars import Probe

__all__ = ["Cluster", "Probe"]
