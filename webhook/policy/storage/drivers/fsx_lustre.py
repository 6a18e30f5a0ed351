"""Amazon FSx for Lustre: what its disks take for each TiB of its size, which is half of what SCRATCH types are sold with.

Written is the lower of network and disk throughput: 100 MB/s per TiB for SCRATCH_1 and SCRATCH_2 (200 is what is read),
and `perUnitStorageThroughput` for PERSISTENT types, the least of its values where the class does not say it, as the driver
then sends none, which AWS refuses (LustreGuide performance and ssd-storage; FSx API CreateFileSystem; aws-fsx-csi-driver
README.md, pkg/cloud/cloud.go). The size is rounded as in pkg/util/util.go, to GiB that the same API sells. What AWS calls
a TiB is 1000 GiB here: it sells 1200 and 2400 GiB, and computes 120 MB/s for 2.4 TiB with 50 itself. Intelligent-Tiering
has a throughput of its own, which the driver cannot ask for: a static volume of it states nothing.
"""

from collections.abc import Callable, Sequence
from functools import partial

from webhook.policy.storage.drivers.parameters import (
    MEGABYTE,
    Promise,
    Silence,
    VolumeParameters,
    of_unknown_capacity,
    of_unknown_kind,
    up_to_a_multiple_of,
)

_TYPE, _PER_TIB = "deploymenttype", "perunitstoragethroughput"
_SCRATCH_MBPS_PER_TIB = 100
_PERSISTENT_1_SSD, _PERSISTENT_1_HDD, _PERSISTENT_2 = (50, 100, 200), (12, 40), (125, 250, 500, 1000)
_SLOW_HDD_MBPS_PER_TIB = 12
_GIB_PER_TIB = 1000


def fsx_lustre_throughput(parameters: VolumeParameters) -> Promise | Silence:
    """Bytes per second of a whole FSx for Lustre file system."""
    kind = parameters.kind(_TYPE, default="SCRATCH_1").upper()
    hard_disks = (parameters.text("storagetype") or "").upper() == "HDD"
    if kind in {"SCRATCH_1", "SCRATCH_2"}:
        return _by_size(parameters, kind, _SCRATCH_MBPS_PER_TIB, _whole_units(3600 if kind == "SCRATCH_1" else 2400))
    if kind == "PERSISTENT_2" or (kind == "PERSISTENT_1" and not hard_disks):
        sold = _PERSISTENT_2 if kind == "PERSISTENT_2" else _PERSISTENT_1_SSD
        return _by_size(parameters, kind, at_most(sold, parameters.whole(_PER_TIB)), _whole_units(2400))
    if kind == "PERSISTENT_1":
        mbps = at_most(_PERSISTENT_1_HDD, parameters.whole(_PER_TIB))
        step = 6000 if mbps == _SLOW_HDD_MBPS_PER_TIB else 1800
        return _by_size(parameters, f"{kind} HDD", mbps, partial(up_to_a_multiple_of, step))
    return of_unknown_kind(parameters, kind)


def at_most(sold: Sequence[int], wanted: int | None) -> int:
    """The largest of the values on sale that is not above what was wanted; the least of them where none is."""
    return max((value for value in sold if value <= (wanted or 0)), default=sold[0])


def _whole_units(step_gib: int) -> Callable[[float], float]:
    """Multiples of 1200 GiB below the step, of the step from there up."""
    return lambda gib: up_to_a_multiple_of(1200 if gib < step_gib else step_gib, gib)


def _by_size(
    parameters: VolumeParameters, kind: str, mbps_per_tib: int, rounding: Callable[[float], float]
) -> Promise | Silence:
    gib = parameters.whole_gib(rounding)
    if gib is None:
        return of_unknown_capacity(parameters, kind)
    mbps = mbps_per_tib * gib / _GIB_PER_TIB
    reason = f"{kind} of {gib:.0f} GiB takes {mbps_per_tib} MB/s per TiB: {mbps:g} MB/s"
    return Promise(mbps * MEGABYTE, kind, reason, (_PER_TIB, _TYPE))
