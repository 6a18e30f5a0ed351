"""Azure Managed Lustre: the number in `sku-name`, in MB/s for each TiB of its size, which comes in steps of the SKU.

azurelustre-csi-driver docs/driver-parameters.md and pkg/azurelustre/controllerserver.go; steps as Azure Managed Lustre
documents them for AMLFS-Durable-Premium-40, -125, -250 and -500.
"""

import re
from functools import partial

from webhook.policy.throughput.asked import (
    MEGABYTE,
    Asked,
    Promise,
    Silence,
    of_unknown_capacity,
    of_unknown_kind,
    up_to_a_multiple_of,
)
from webhook.policy.throughput.fsx_lustre import at_most

_SKU = "sku-name"
_NUMBERED = re.compile(r"AMLFS-Durable-Premium-([0-9]{1,9})", re.ASCII | re.IGNORECASE)
_TIB_STEPS = {40: 48, 125: 16, 250: 8, 500: 4}
_GIB_PER_TIB = 1024


def write(asked: Asked) -> Promise | Silence:
    """Bytes per second of a whole Azure Managed Lustre file system."""
    name = asked.kind(_SKU, default="")
    numbered = _NUMBERED.fullmatch(name)
    if numbered is None:
        return of_unknown_kind(asked, name)
    mbps_per_tib = at_most(tuple(_TIB_STEPS), int(numbered[1]))
    gib = asked.whole_gib(partial(up_to_a_multiple_of, _TIB_STEPS[mbps_per_tib] * _GIB_PER_TIB))
    if gib is None:
        return of_unknown_capacity(asked, name)
    mbps = mbps_per_tib * gib / _GIB_PER_TIB
    return Promise(mbps * MEGABYTE, name, f"{name} of {gib:.0f} GiB: {mbps:g} MB/s", (_SKU,))
