"""Azure Files: premium and v2 shares from their size or `provisionedBandwidth`, standard shares at their plain 60 MiB/s.

Premium: MicrosoftDocs storage/files/understanding-billing.md (what is written and what is read together). v2, the rounding
and the default of NFS shares: azurefile-csi-driver pkg/azurefile/utils.go and controllerserver.go. Standard: storage/files/
storage-files-scale-targets.md; a large-file-share account may be faster, which no object of the cluster tells.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from webhook.policy.configuration import MEBIBYTE
from webhook.policy.storage.drivers.parameters import (
    Promise,
    Silence,
    VolumeParameters,
    of_unknown_capacity,
    of_unknown_kind,
    within,
)

_SKU = ("skuname", "storageaccounttype")
_BANDWIDTH = "provisionedbandwidth"
_STANDARD_MIBPS = 60
_MOST_PREMIUM_MIBPS = 10_340
_SMALLEST_PREMIUM_GIB = 100


@dataclass(frozen=True, slots=True)
class _VersionTwo:
    base_mibps: int
    mibps_per_gib: float
    most_mibps: int


_VERSION_TWO: Mapping[str, _VersionTwo] = {
    "standardv2": _VersionTwo(60, 0.02, 5_120),
    "premiumv2": _VersionTwo(100, 0.1, 10_340),
}


def azure_files_throughput(parameters: VolumeParameters) -> Promise | Silence:
    """Bytes per second of a file share; an NFS share is premium where nothing else is said."""
    nfs = "nfs" in {(parameters.text("protocol") or "").lower(), (parameters.text("fstype") or "").lower()}
    name = parameters.kind(*_SKU, default="Premium_LRS" if nfs else "Standard_LRS")
    family = name.lower().partition("_")[0]
    if family in _VERSION_TWO:
        return _version_two(parameters, name, _VERSION_TWO[family])
    if family == "premium":
        return _premium(parameters, name)
    if family == "standard":
        return Promise(_STANDARD_MIBPS * MEBIBYTE, name, f"{name}: {_STANDARD_MIBPS} MiB/s", _SKU)
    return of_unknown_kind(parameters, name)


def _version_two(parameters: VolumeParameters, name: str, share: _VersionTwo) -> Promise | Silence:
    mibps, gib = parameters.whole(_BANDWIDTH), parameters.whole_gib()
    if mibps is not None:
        mibps = within(mibps, (share.base_mibps, share.most_mibps), share.base_mibps)
        return Promise(mibps * MEBIBYTE, name, f"{name} bandwidth {mibps} MiB/s", (_BANDWIDTH,))
    if gib is None:
        return of_unknown_capacity(parameters, name)
    mibps = min(ceil(share.mibps_per_gib * gib) + share.base_mibps, share.most_mibps)
    return Promise(mibps * MEBIBYTE, name, f"{name} of {gib:.0f} GiB: {mibps} MiB/s", _SKU)


def _premium(parameters: VolumeParameters, name: str) -> Promise | Silence:
    gib = parameters.whole_gib()
    if gib is None:
        return of_unknown_capacity(parameters, name)
    gib = max(gib, _SMALLEST_PREMIUM_GIB)
    mibps = min(100 + ceil(0.04 * gib) + ceil(0.06 * gib), _MOST_PREMIUM_MIBPS)
    return Promise(mibps * MEBIBYTE, name, f"{name} of {gib:.0f} GiB: {mibps} MiB/s", _SKU)
