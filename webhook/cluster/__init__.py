"""Facts about a pod: what a watch keeps in memory first, one live read on a miss."""

from webhook.cluster.facts import Cluster

__all__ = ["Cluster"]
