"""The pod as the rules read it: one frozen reading, made once for each review.

Law: nothing outside this package and `policy/patch.py` reads the raw pod. Objects around the pod stay raw.
"""

from webhook.policy.pod.container import Container, Mount, SpecPosition
from webhook.policy.pod.osmo_task import OsmoTask
from webhook.policy.pod.pod import KUBERNETES_DEFAULT_GRACE_SECONDS, Owner, Pod, read_pod
from webhook.policy.pod.start import Start
from webhook.policy.pod.volume import PodVolume

__all__ = [
    "KUBERNETES_DEFAULT_GRACE_SECONDS",
    "Container",
    "Mount",
    "OsmoTask",
    "Owner",
    "Pod",
    "PodVolume",
    "SpecPosition",
    "Start",
    "read_pod",
]
