"""Google Cloud Managed Lustre: `perUnitStorageThroughput`, in MB/s for each TiB of its size.

The parameter is required; 125, 250, 500 and 1000 are all that it takes (lustre-csi-driver pkg/csi_driver/controller.go, which
asks for the capacity of the claim as it is: what is no step of the tier is refused). The dynamic tier, 25 MB/s for each TiB
(managed-lustre docs, performance-tiers), can only come as a static volume, which states nothing.
"""

from webhook.policy.storage.drivers.fsx_lustre import at_most
from webhook.policy.storage.drivers.parameters import MEGABYTE, Promise, Silence, VolumeParameters, of_unknown_capacity

_PER_TIB = "perunitstoragethroughput"
_SOLD = (125, 250, 500, 1000)
_GIB_PER_TIB = 1024


def managed_lustre_throughput(parameters: VolumeParameters) -> Promise | Silence:
    """Bytes per second of a whole Managed Lustre instance."""
    wanted, gib = parameters.whole(_PER_TIB), parameters.whole_gib()
    if wanted is None:
        return Silence(f"nothing tells the perUnitStorageThroughput of the {parameters.driver} volume")
    if gib is None:
        return of_unknown_capacity(parameters, "Managed Lustre")
    mbps_per_tib = at_most(_SOLD, wanted)
    mbps = mbps_per_tib * gib / _GIB_PER_TIB
    reason = f"{gib:.0f} GiB with {mbps_per_tib} MB/s per TiB: {mbps:g} MB/s"
    return Promise(mbps * MEGABYTE, "Managed Lustre", reason, (_PER_TIB,))
