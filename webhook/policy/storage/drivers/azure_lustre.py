"""Azure Managed Lustre: the number in `sku-name`, in MB/s for each TiB of its size, which comes in steps of the SKU.

azurelustre-csi-driver docs/driver-parameters.md and pkg/azurelustre/controllerserver.go; azure-stack-docs azure-managed-lustre/
create-file-system-resource-manager.md: MB/s for each TiB and steps of AMLFS-Durable-Premium-40, -125, -250 and -500. The
driver asks Azure for the step, which is larger in some places: until the volume is bound the smallest counts. A number
below those of the table, such as 20, is taken by its word and not rounded: no page tells its steps.
"""

import re
from functools import partial

from webhook.policy.storage.drivers.fsx_lustre import at_most
from webhook.policy.storage.drivers.parameters import (
    MEGABYTE,
    Promise,
    Silence,
    VolumeParameters,
    of_unknown_capacity,
    of_unknown_kind,
    up_to_a_multiple_of,
)

_SKU = "sku-name"
_NUMBERED = re.compile(r"AMLFS-Durable-Premium-([0-9]{1,9})", re.ASCII | re.IGNORECASE)
_GIB_PER_TIB = 1024
_GIB_STEPS = {mbps: tib * _GIB_PER_TIB for mbps, tib in ((40, 48), (125, 16), (250, 8), (500, 4))}


def azure_lustre_throughput(parameters: VolumeParameters) -> Promise | Silence:
    """Bytes per second of a whole Azure Managed Lustre file system."""
    name = parameters.kind(_SKU, default="")
    numbered = _NUMBERED.fullmatch(name)
    stated = 0 if numbered is None else int(numbered[1])
    if not stated:
        return of_unknown_kind(parameters, name)
    mbps_per_tib = min(stated, at_most(tuple(_GIB_STEPS), stated))
    gib = parameters.whole_gib(partial(up_to_a_multiple_of, _GIB_STEPS.get(mbps_per_tib, 1)))
    if gib is None:
        return of_unknown_capacity(parameters, name)
    mbps = mbps_per_tib * gib / _GIB_PER_TIB
    return Promise(mbps * MEGABYTE, name, f"{name} of {gib:.0f} GiB: {mbps:g} MB/s", (_SKU,))
