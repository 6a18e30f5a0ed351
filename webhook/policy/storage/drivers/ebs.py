"""Amazon EBS: gp3 from `throughput`, `iops` and `iopsPerGB`, io1 and io2 from their IOPS, gp2, st1 and sc1 from their size.

gp3 takes 125 to 2000 MiB/s and never more than 0.25 MiB/s for each of its 3000 to 80000 IOPS (EC2 API CreateVolume, which
has the bounds of io1 and io2, too; AWS CloudFormation AWS::EC2::Volume). IOPS are capped by the size: 50 for each GiB of io1,
500 of gp3, 1000 of io2 (aws-ebs-csi-driver docs/parameters.md, pkg/cloud/cloud.go). The others: Amazon EC2 user guide,
general-purpose.md, provisioned-iops.md, hdd-vols.md, EBSVolumeTypes_standard.md; st1 and sc1 by the base column of the last
but one. Bursts are not counted: nobody knows what is left of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from webhook.policy.configuration import MEBIBYTE
from webhook.policy.storage.drivers.parameters import (
    Promise,
    Silence,
    VolumeParameters,
    of_unknown_capacity,
    of_unknown_kind,
    within,
)

_IN_TREE: Final = "kubernetes.io/aws-ebs"
_GP3_MIBPS = (125, 2000)
_GP3_MIBPS_PER_IOPS = 0.25
_GP2_FULL_FROM_GIB, _GP2_MIBPS, _GP2_FULL_MIBPS = 334, 128, 250
_MAGNETIC_MIBPS = 40
_GIB_PER_TIB = 1024


@dataclass(frozen=True, slots=True)
class _HardDisk:
    mibps_per_tib: int
    most_mibps: int


_HARD_DISKS: Mapping[str, _HardDisk] = {"st1": _HardDisk(40, 500), "sc1": _HardDisk(12, 250)}


@dataclass(frozen=True, slots=True)
class _Iops:
    bounds: tuple[int, int]
    """Least and most that AWS sells."""
    most_per_gib: int


_GP3_IOPS = _Iops((3000, 80000), 500)
_PROVISIONED_IOPS: Mapping[str, _Iops] = {"io1": _Iops((100, 64000), 50), "io2": _Iops((100, 256000), 1000)}


def ebs_throughput(parameters: VolumeParameters) -> Promise | Silence:
    """Bytes per second of an EBS volume; a volume of unknown type with a `throughput` can only be gp3."""
    default = "gp2" if parameters.driver == _IN_TREE else "gp3"
    kind = parameters.kind("type", default=default).lower() or (
        "gp3" if parameters.whole("throughput") is not None else ""
    )
    if kind == "gp3":
        return _gp3(parameters)
    if kind in _PROVISIONED_IOPS:
        return _provisioned_iops(parameters, kind)
    if kind == "gp2" or kind in _HARD_DISKS:
        return _by_size(parameters, kind)
    if kind == "standard":
        return Promise(_MAGNETIC_MIBPS * MEBIBYTE, kind, f"magnetic, at least {_MAGNETIC_MIBPS} MiB/s", ("type",))
    return of_unknown_kind(parameters, kind)


def _gp3(parameters: VolumeParameters) -> Promise:
    mibps = within(parameters.whole("throughput"), _GP3_MIBPS, _GP3_MIBPS[0])
    iops = _iops(parameters, _GP3_IOPS) or _GP3_IOPS.bounds[0]
    cap = _GP3_MIBPS_PER_IOPS * iops
    if cap < mibps:
        reason = f"{mibps} MiB/s, capped by {iops} IOPS"
        return Promise(cap * MEBIBYTE, "gp3", reason, parameters.numbers("throughput", "iops", "iopspergb"))
    return Promise(mibps * MEBIBYTE, "gp3", f"gp3 throughput {mibps} MiB/s", parameters.numbers("throughput"))


def _provisioned_iops(parameters: VolumeParameters, kind: str) -> Promise | Silence:
    iops = _iops(parameters, _PROVISIONED_IOPS[kind])
    if iops is None:
        return Silence(f"nothing tells the IOPS of the {parameters.driver} {kind} volume")
    mibps = _io1_mibps(iops) if kind == "io1" else min(4000.0, 0.256 * iops)
    return Promise(mibps * MEBIBYTE, kind, f"{kind} with {iops} IOPS: {mibps:g} MiB/s", ("iops", "iopspergb"))


def _io1_mibps(iops: int) -> float:
    """256 KiB for each I/O up to 2000 IOPS, 500 MiB/s up to 32000, from there 16 KiB for each, at most 1000 MiB/s."""
    return max(min(500.0, 0.25 * iops), min(1000.0, iops * 16 / 1024))


def _by_size(parameters: VolumeParameters, kind: str) -> Promise | Silence:
    gib = parameters.whole_gib()
    if gib is None:
        return of_unknown_capacity(parameters, kind)
    if kind == "gp2":
        mibps: float = _GP2_FULL_MIBPS if gib >= _GP2_FULL_FROM_GIB else _GP2_MIBPS
    else:
        disk = _HARD_DISKS[kind]
        mibps = min(disk.most_mibps, disk.mibps_per_tib * gib / _GIB_PER_TIB)
    return Promise(mibps * MEBIBYTE, kind, f"{kind} of {gib:.0f} GiB: {mibps:g} MiB/s without bursts", ("type",))


def _iops(parameters: VolumeParameters, sold: _Iops) -> int | None:
    """`iops`, else `iopsPerGB` times the capacity, within what AWS sells; the driver refuses both together."""
    iops = parameters.whole("iops")
    per_gib, gib = parameters.whole("iopspergb"), parameters.whole_gib()
    if iops is None and per_gib is not None and gib is not None:
        iops = int(per_gib * gib)
    if iops is None:
        return None
    least, most = sold.bounds
    by_size = most if gib is None else max(least, int(sold.most_per_gib * gib))
    return within(iops, (least, min(most, by_size)), least)
