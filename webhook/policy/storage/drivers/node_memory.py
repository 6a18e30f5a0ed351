"""GKE's volumes for checkpoints in the memory of the node. The copies to other nodes and to a bucket are made behind the pod.

A pod names the driver inline (xpk `--ramdisk-directory`, with `--mtc-enabled` the multi-tier one). Nobody publishes its
speed. The number is ours, for one process that copies into a tmpfs.
"""

from webhook.policy.storage.drivers.parameters import Promise, VolumeParameters

_BYTES_PER_SECOND = 2**30


def node_memory_throughput(parameters: VolumeParameters) -> Promise:
    """Return what a volume in the memory of the node takes."""
    return Promise(_BYTES_PER_SECOND, "volume", f"{parameters.driver} writes into the node's memory", ())
