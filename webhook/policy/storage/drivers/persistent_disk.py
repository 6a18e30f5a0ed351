"""Google Persistent Disk from its size, Hyperdisk from the throughput or the IOPS that it was provisioned with.

Persistent Disk: MiB/s for each GiB, and the most that a node writes (Compute Engine, disks/performance). The baseline that
the page says balanced and SSD disks have, without a number, is not counted: it is the node's, and its boot disk shares it.
Hyperdisk: hd-types/hyperdisk-balanced, -balanced-ha, -throughput and -extreme of the same guide; without a setting the least
that such a volume can have, as the default that Compute Engine chooses is never lower. Above their most a disk is refused.
Traps: `provisioned-throughput-on-create` is a Kubernetes quantity, so that a bare `250` is 250 bytes, which the driver
rounds up to 1 MiB/s (gcp-compute-persistent-disk-csi-driver pkg/convert).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from webhook.policy import quantity
from webhook.policy.configuration import MEBIBYTE
from webhook.policy.storage.drivers.parameters import (
    Promise,
    Silence,
    VolumeParameters,
    of_unknown_capacity,
    of_unknown_kind,
    within,
)

_THROUGHPUT = ("throughput", "provisioned-throughput-on-create")
_IOPS = ("iops", "provisioned-iops-on-create")
_GIB_PER_TIB = 1024


@dataclass(frozen=True, slots=True)
class _PersistentDisk:
    mibps_per_gib: float
    most_mibps: int


_PERSISTENT_DISKS: Mapping[str, _PersistentDisk] = {
    "pd-standard": _PersistentDisk(0.12, 400),
    "pd-balanced": _PersistentDisk(0.28, 1200),
    "pd-ssd": _PersistentDisk(0.48, 1200),
}
_MOST_MIBPS = 2400
_BALANCED_MIBPS = 140
_SLOWEST_THROUGHPUT_MIBPS, _THROUGHPUT_MIBPS_PER_TIB = 20, 10
_EXTREME_MIBPS_PER_IOPS, _EXTREME_MOST_IOPS, _EXTREME_MOST_MIBPS = 0.25, 350_000, 5000
_EXTREME_LEAST_IOPS, _EXTREME_IOPS_PER_GIB = 128, 2


def persistent_disk_throughput(parameters: VolumeParameters) -> Promise | Silence:
    """Bytes per second of a Persistent Disk or Hyperdisk; a VolumeAttributesClass's settings come before the class's."""
    kind = parameters.kind("type", default="pd-standard").lower()
    if kind in _PERSISTENT_DISKS:
        return _by_size(parameters, kind)
    if kind in {"hyperdisk-balanced", "hyperdisk-balanced-high-availability"}:
        return _provisioned(parameters, kind) or _least(parameters, kind, _BALANCED_MIBPS)
    if kind == "hyperdisk-throughput":
        gib = parameters.whole_gib() or 0
        least = max(_SLOWEST_THROUGHPUT_MIBPS, _THROUGHPUT_MIBPS_PER_TIB * gib / _GIB_PER_TIB)
        return _provisioned(parameters, kind) or _least(parameters, kind, min(least, _MOST_MIBPS))
    if kind == "hyperdisk-extreme":
        return _extreme(parameters)
    return of_unknown_kind(parameters, kind)


def _by_size(parameters: VolumeParameters, kind: str) -> Promise | Silence:
    gib, disk = parameters.whole_gib(), _PERSISTENT_DISKS[kind]
    if gib is None:
        return of_unknown_capacity(parameters, kind)
    mibps = min(disk.mibps_per_gib * gib, disk.most_mibps)
    return Promise(mibps * MEBIBYTE, kind, f"{kind} of {gib:.0f} GiB: {mibps:g} MiB/s", ("type",))


def _provisioned(parameters: VolumeParameters, kind: str) -> Promise | None:
    text = parameters.text(*_THROUGHPUT) or ""
    wanted = quantity.kubernetes_quantity(text)
    if not wanted:
        return None
    mibps = min(ceil(wanted / MEBIBYTE), _MOST_MIBPS)
    meant = f" ({text[:40]} is a number of bytes)" if wanted < MEBIBYTE else ""
    return Promise(mibps * MEBIBYTE, kind, f"{kind} throughput {mibps} MiB/s{meant}", _THROUGHPUT)


def _least(parameters: VolumeParameters, kind: str, mibps: float) -> Promise:
    by = () if parameters.text("type") is None else ("type",)
    return Promise(mibps * MEBIBYTE, kind, f"{kind} without a setting, at least {mibps:g} MiB/s", by)


def _extreme(parameters: VolumeParameters) -> Promise:
    iops = parameters.whole(*_IOPS)
    if iops is None:
        gib = parameters.whole_gib() or 0
        least = min(max(_EXTREME_LEAST_IOPS, _EXTREME_IOPS_PER_GIB * gib), _EXTREME_MOST_IOPS)
        return _least(parameters, "hyperdisk-extreme", min(_EXTREME_MIBPS_PER_IOPS * least, _EXTREME_MOST_MIBPS))
    iops = within(iops, (_EXTREME_LEAST_IOPS, _EXTREME_MOST_IOPS), _EXTREME_LEAST_IOPS)
    mibps = min(_EXTREME_MIBPS_PER_IOPS * iops, _EXTREME_MOST_MIBPS)
    reason = f"hyperdisk-extreme with {iops} IOPS: {mibps:g} MiB/s"
    return Promise(mibps * MEBIBYTE, "hyperdisk-extreme", reason, _IOPS)
