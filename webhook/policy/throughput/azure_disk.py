"""Azure Disk: Premium SSD, Standard SSD and Standard HDD by the tier that holds their size, v2 and Ultra as provisioned.

Tiers: MicrosoftDocs azure-docs includes/disk-storage-{premium-ssd,standard-ssd,standard-hdd}-sizes.md; bursts are not
counted. Premium SSD v2 and Ultra take `DiskMBpsReadWrite`, which counts 10^6 bytes, and `DiskIOPSReadWrite`:
articles/virtual-machines/disks-types.md and azuredisk-csi-driver docs/driver-parameters.md,
pkg/azuredisk/azure_managedDiskController.go.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from webhook.policy.config import MEBIBYTE
from webhook.policy.throughput.asked import (
    MEGABYTE,
    Asked,
    Promise,
    Silence,
    of_unknown_capacity,
    of_unknown_kind,
    within,
)

_SKU = ("skuname", "storageaccounttype")
_MBPS, _IOPS = "diskmbpsreadwrite", "diskiopsreadwrite"
_KIBIBYTE = 1024
_KIB_PER_IO = 256


@dataclass(frozen=True, slots=True)
class _Tiers:
    unit: str
    bytes: int
    up_to_gib: Sequence[tuple[int, int]]
    """Largest size of each tier in GiB, and its throughput."""


@dataclass(frozen=True, slots=True)
class _Provisioned:
    default_mbps: int
    mbps: tuple[int, int]
    """Least and most that Azure sells."""
    default_iops: int
    iops: tuple[int, int]


_PREMIUM = _Tiers(
    "MB/s",
    MEGABYTE,
    ((32, 25), (64, 50), (128, 100), (256, 125), (512, 150), (1024, 200), (2048, 250), (4096, 250), (8192, 500),
     (16384, 750), (32767, 900)),
)  # fmt: skip
_STANDARD_SSD = _Tiers("MiB/s", MEBIBYTE, ((32, 25), (64, 50), (4096, 60), (8192, 400), (16384, 600), (32767, 750)))
_STANDARD_HDD = _Tiers("MB/s", MEGABYTE, ((4096, 60), (8192, 300), (32767, 500)))
_TIERED: Mapping[str, _Tiers] = {
    "premium_lrs": _PREMIUM,
    "premium_zrs": _PREMIUM,
    "standardssd_lrs": _STANDARD_SSD,
    "standardssd_zrs": _STANDARD_SSD,
    "standard_lrs": _STANDARD_HDD,
}
_PROVISIONED: Mapping[str, _Provisioned] = {
    "ultrassd_lrs": _Provisioned(100, (1, 4000), 500, (100, 400_000)),
    "premiumv2_lrs": _Provisioned(125, (125, 1200), 3000, (3000, 80_000)),
}


def write(asked: Asked) -> Promise | Silence:
    """Bytes per second of an Azure disk."""
    name = asked.kind(*_SKU, default="StandardSSD_LRS")
    sku = name.lower()
    if sku in _TIERED:
        return _by_tier(asked, name, _TIERED[sku])
    if sku in _PROVISIONED:
        return _provisioned(asked, name, _PROVISIONED[sku])
    return of_unknown_kind(asked, name)


def _by_tier(asked: Asked, name: str, tiers: _Tiers) -> Promise | Silence:
    gib = asked.whole_gib()
    if gib is None:
        return of_unknown_capacity(asked, name)
    speed = next((speed for most, speed in tiers.up_to_gib if gib <= most), tiers.up_to_gib[-1][1])
    return Promise(speed * tiers.bytes, name, f"{name} of {gib:.0f} GiB: {speed} {tiers.unit}", _SKU)


def _provisioned(asked: Asked, name: str, disk: _Provisioned) -> Promise:
    mbps = within(asked.whole(_MBPS), disk.mbps, disk.default_mbps)
    iops = within(asked.whole(_IOPS), disk.iops, disk.default_iops)
    cap = iops * _KIB_PER_IO * _KIBIBYTE
    if cap < mbps * MEGABYTE:
        return Promise(cap, name, f"{mbps} MB/s, capped by {iops} IOPS", asked.numbers(_MBPS, _IOPS))
    return Promise(mbps * MEGABYTE, name, f"{name} throughput {mbps} MB/s", asked.numbers(_MBPS))
