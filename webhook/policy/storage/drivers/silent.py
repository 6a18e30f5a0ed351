"""Drivers whose parameters name no throughput at all: what such a volume takes, only people know.

ceph-csi has quality of service for RBD as a design document only (docs/design/proposals/rbd-qos.md). Object stores behind
FUSE take a file when it is closed, at the speed of the node's network (gcs-fuse-csi-driver docs/known-issues.md).
"""

from webhook.policy.storage.drivers.parameters import Silence, VolumeParameters

NAMES = frozenset({
    "cephfs.csi.ceph.com", "csi.vastdata.com", "csi.weka.io", "driver.longhorn.io", "hostpath.csi.k8s.io",
    "k8s-sigs.io/nfs-subdir-external-provisioner", "kubernetes.io/cephfs", "kubernetes.io/glusterfs",
    "kubernetes.io/host-path", "kubernetes.io/local", "kubernetes.io/nfs", "kubernetes.io/no-provisioner",
    "kubernetes.io/rbd", "nfs.csi.k8s.io", "rancher.io/local-path", "rbd.csi.ceph.com",
})  # fmt: skip
OBJECT_STORES = frozenset({"blob.csi.azure.com", "gcsfuse.csi.storage.gke.io", "s3.csi.aws.com"})
_OF_AN_OPERATOR = (".rbd.csi.ceph.com", ".cephfs.csi.ceph.com", ".nfs.csi.ceph.com")
"""Rook and OpenShift name the driver after the namespace of the operator."""


def why_silent(parameters: VolumeParameters) -> Silence:
    """Why nothing is known of a volume of this driver, or of a driver that nobody has written a formula for."""
    if parameters.driver in OBJECT_STORES:
        return Silence(f"{parameters.driver}, an object store, states no throughput: it is that of the node's network")
    if parameters.driver in NAMES or parameters.driver.endswith(_OF_AN_OPERATOR):
        return Silence(f"{parameters.driver} states no throughput")
    return Silence(f"no formula for {parameters.driver[:60]} is built in")
