"""Grace against checkpoint size, a line for each kind of storage as it is commonly made."""

import math
from collections.abc import Mapping
from typing import Any

from scripts.pictures import svg
from scripts.pictures.by_size import AUTOSCALER_SECONDS
from webhook.policy.configuration import Config, Defaults
from webhook.policy.decision import Decision
from webhook.policy.door import decide, first_look
from webhook.policy.facts import Facts, Namespace
from webhook.policy.pod import KUBERNETES_DEFAULT_GRACE_SECONDS, read_pod
from webhook.policy.prefix import PREFIX

STORAGE: tuple[tuple[str, str, str, str, Mapping[str, str]], ...] = (
    ("NFS, Ceph, nothing said", "four", "nfs.csi.k8s.io", "1Ti", {}),
    ("EBS gp3", "two", "ebs.csi.aws.com", "1Ti", {"type": "gp3"}),
    ("FSx Lustre 1.2 TiB, 125/TiB", "one", "fsx.csi.aws.com", "1200Gi",
     {"deploymentType": "PERSISTENT_2", "perUnitStorageThroughput": "125"}),
    ("Azure P30", "three", "disk.csi.azure.com", "1Ti", {"skuName": "Premium_LRS"}),
    ("PD balanced, 1 TiB", "four", "pd.csi.storage.gke.io", "1Ti", {"type": "pd-balanced"}),
    ("EFS elastic, annotated", "one", "efs.csi.aws.com", "1Ti", {PREFIX + "write-throughput": "1GiB/s"}),
    ("EBS gp3 at most", "two", "ebs.csi.aws.com", "1Ti", {"throughput": "2000", "iops": "8000"}),
    ("Google Lustre, 9000 GiB", "three", "lustre.csi.storage.gke.io", "9000Gi", {"perUnitStorageThroughput": "1000"}),
)  # fmt: skip
"""Name, colour, provisioner, size of the claim, parameters of the StorageClass; with the prefix: an annotation. Slowest first."""
SIZES_ON_STORAGE_BYTES = tuple(1e9 * 200 ** (step / 60) for step in range(61))


def grace_by_storage() -> str:
    """Grace against checkpoint size, a line for each kind of storage as it is commonly made."""
    left, right, top, floor = 76, svg.WIDTH - 310, 56, 416
    shortest, longest, smallest, largest = 25.0, 5000.0, SIZES_ON_STORAGE_BYTES[0], SIZES_ON_STORAGE_BYTES[-1]

    def x(size_bytes: float) -> float:
        return left + (right - left) * math.log(size_bytes / smallest) / math.log(largest / smallest)

    def y(seconds: float) -> float:
        return floor - (floor - top) * math.log(seconds / shortest) / math.log(longest / shortest)

    shapes = [
        svg.text(left, 30, "Grace by checkpoint size and storage, found in the cluster's own objects", "ink strong")
    ]
    for seconds in (60, 120, 300, 1200):
        shapes += [svg.line(left, y(seconds), right, y(seconds), "grid"), svg.tick(left, y(seconds), seconds)]
    for seconds, label in (
        (KUBERNETES_DEFAULT_GRACE_SECONDS, "Kubernetes' default"),
        (AUTOSCALER_SECONDS, "cluster-autoscaler's default cap"),
        (Defaults().maximum_grace_seconds, "gracekeeper's default maximum"),
    ):
        shapes += [svg.line(left, y(seconds), right, y(seconds), "cap"), svg.tick(left, y(seconds), seconds)]
        shapes.append(svg.text(left + 8, y(seconds) - 6, f"{label}: {seconds} s", "soft"))
    for size_bytes, label in ((1e9, "1 GB"), (1e10, "10 GB"), (1e11, "100 GB"), (2e11, "200 GB")):
        shapes.append(svg.line(x(size_bytes), floor, x(size_bytes), floor + 5, "grid"))
        shapes.append(svg.text(x(size_bytes), floor + 22, label, "soft", "middle"))
    beside = top - 30.0
    for name, colour, provisioner, request, parameters in STORAGE:
        decisions = [_on_storage(size, provisioner, request, parameters) for size in SIZES_ON_STORAGE_BYTES]
        graces = [decision.grace_seconds or 0 for decision in decisions]
        points = list(zip(map(x, SIZES_ON_STORAGE_BYTES), map(y, graces), strict=True))
        speed = next(term.value for term in decisions[-1].terms if term.name == "write-throughput")
        beside = max(beside + 20, y(graces[-1]))
        shapes.append(svg.curve(points, colour))
        shapes.append(svg.line(right + 3, points[-1][1], right + 16, beside, "grid"))
        shapes.append(svg.text(right + 20, beside + 5, f"{name}: {speed}", "ink"))
    return svg.drawn(456, "Termination grace by checkpoint size, for common kinds of storage", shapes)


def _on_storage(size_bytes: float, provisioner: str, request: str, parameters: Mapping[str, str]) -> Decision:
    annotations = {key: text for key, text in parameters.items() if key.startswith(PREFIX)}
    facts = Facts(
        claims={"c": {"spec": {"storageClassName": "s", "resources": {"requests": {"storage": request}}}}},
        storage_classes={
            "s": {
                "metadata": {"name": "s", "annotations": annotations},
                "provisioner": provisioner,
                "parameters": {key: text for key, text in parameters.items() if key not in annotations},
            }
        },
    )
    pod: dict[str, Any] = {
        "metadata": {"annotations": {PREFIX + "checkpoint-size": f"{size_bytes:.0f}"}},
        "spec": {
            "containers": [{"name": "trainer"}],
            "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}],
        },
    }
    return decide(first_look(read_pod(pod), Namespace("default"), Config()), facts)
