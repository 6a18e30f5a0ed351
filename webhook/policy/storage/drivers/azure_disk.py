"""Azure Disk: Premium SSD, Standard SSD and Standard HDD by the tier that holds their size, v2 and Ultra as provisioned.

Tiers, base and expanded (`enablePerformancePlus`, from 513 GiB up): MicrosoftDocs includes/disk-storage-{premium-ssd,
standard-ssd,standard-hdd}-sizes.md; the expanded numbers of hard disks are not known here, and bursts are not counted.
Premium SSD v2 and Ultra take `DiskMBpsReadWrite` and `DiskIOPSReadWrite`, 0.25 MB/s for each I/O, where a MB is 10^6 bytes:
azure-compute-docs articles/virtual-machines/disks-types.md of August 2026 (v2 up to 2000 MB/s, Ultra 10000). Defaults:
azuredisk-csi-driver pkg/azuredisk/controllerserver.go and azure_managedDiskController.go. An Ultra disk beyond 25 TiB, with
nothing set, gets more than 100 MB/s there: not counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from webhook.policy.storage.drivers.parameters import (
    MEGABYTE,
    Promise,
    Silence,
    VolumeParameters,
    of_unknown_capacity,
    of_unknown_kind,
    within,
)

_SKU = ("skuname", "storageaccounttype")
_MBPS, _IOPS = "diskmbpsreadwrite", "diskiopsreadwrite"
_PLUS = "enableperformanceplus"
_TRUE = frozenset({"1", "t", "true"})
_SMALLEST_PLUS_GIB = 513
_BYTES_PER_IO = MEGABYTE // 4


@dataclass(frozen=True, slots=True)
class _Tiers:
    up_to_gib: Sequence[tuple[int, int]]
    """Largest size of each tier in GiB, and its MB/s."""
    plus_up_to_gib: Sequence[tuple[int, int]] = ()
    """The same with performance plus; empty where that is not known."""


@dataclass(frozen=True, slots=True)
class _Provisioned:
    default_mbps: int
    mbps: tuple[int, int]
    """Least and most that Azure sells."""
    default_iops: int
    iops: tuple[int, int]


_PREMIUM = _Tiers(
    ((32, 25), (64, 50), (128, 100), (256, 125), (512, 150), (1024, 200), (2048, 250), (4096, 250), (8192, 500),
     (16384, 750), (32767, 900)),
    ((1024, 300), (2048, 600), (32767, 900)),
)  # fmt: skip
_STANDARD_SSD = _Tiers(
    ((32, 25), (64, 50), (4096, 60), (8192, 400), (16384, 600), (32767, 750)),
    ((1024, 150), (2048, 300), (4096, 600), (32767, 750)),
)
_STANDARD_HDD = _Tiers(((4096, 60), (8192, 300), (32767, 500)))
_TIERED: Mapping[str, _Tiers] = {
    "premium_lrs": _PREMIUM,
    "premium_zrs": _PREMIUM,
    "standardssd_lrs": _STANDARD_SSD,
    "standardssd_zrs": _STANDARD_SSD,
    "standard_lrs": _STANDARD_HDD,
}
_PROVISIONED: Mapping[str, _Provisioned] = {
    "ultrassd_lrs": _Provisioned(100, (1, 10_000), 500, (100, 400_000)),
    "premiumv2_lrs": _Provisioned(125, (125, 2000), 3000, (3000, 80_000)),
}


def azure_disk_throughput(parameters: VolumeParameters) -> Promise | Silence:
    """Bytes per second of an Azure disk."""
    name = parameters.kind(*_SKU, default="StandardSSD_LRS")
    sku = name.lower()
    if sku in _TIERED:
        return _by_tier(parameters, name, _TIERED[sku])
    if sku in _PROVISIONED:
        return _provisioned(parameters, name, _PROVISIONED[sku])
    return of_unknown_kind(parameters, name)


def _by_tier(parameters: VolumeParameters, name: str, tiers: _Tiers) -> Promise | Silence:
    gib = parameters.whole_gib()
    if gib is None:
        return of_unknown_capacity(parameters, name)
    plus = tiers.plus_up_to_gib and (parameters.text(_PLUS) or "").lower() in _TRUE
    if plus:
        gib = max(gib, _SMALLEST_PLUS_GIB)
    steps = tiers.plus_up_to_gib if plus else tiers.up_to_gib
    mbps = next((mbps for most, mbps in steps if gib <= most), steps[-1][1])
    size = f"{name} of {gib:.0f} GiB" + (" with performance plus" if plus else "")
    return Promise(mbps * MEGABYTE, name, f"{size}: {mbps} MB/s", (*_SKU, _PLUS) if plus else _SKU)


def _provisioned(parameters: VolumeParameters, name: str, disk: _Provisioned) -> Promise:
    mbps = within(parameters.whole(_MBPS), disk.mbps, disk.default_mbps)
    iops = within(parameters.whole(_IOPS), disk.iops, disk.default_iops)
    cap = iops * _BYTES_PER_IO
    if cap < mbps * MEGABYTE:
        return Promise(cap, name, f"{mbps} MB/s, capped by {iops} IOPS", parameters.numbers(_MBPS, _IOPS))
    return Promise(mbps * MEGABYTE, name, f"{name} throughput {mbps} MB/s", parameters.numbers(_MBPS))
