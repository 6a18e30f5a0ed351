"""Amazon EBS (ebs.csi.aws.com): gp3 from its `throughput`, `iops` and `iopsPerGB`; other types state nothing here yet.

gp3 takes 125 to 2000 MiB/s and never more than 0.25 MiB/s for each of its 3000 or more IOPS (aws-ebs-csi-driver
docs/parameters.md; AWS CloudFormation AWS::EC2::Volume).
"""

from collections.abc import Mapping

_MEBIBYTE = 2**20
_DEFAULT_MIBPS = 125
_DEFAULT_IOPS = 3000
_MIBPS_RANGE = (125, 2000)
_IOPS_RANGE = (3000, 80000)
_MIBPS_PER_IOPS = 0.25


def write_bytes_per_second(
    parameters: Mapping[str, tuple[str, str]], capacity_gib: float | None
) -> tuple[float, str] | None:
    """Bytes per second of a gp3 volume and its source, None for another type.

    Parameters come lower-case, each with the object that set it. A value outside AWS's range counts as not given.
    """
    if parameters.get("type", ("gp3", ""))[0].lower() != "gp3":
        return None
    asked = _in_range(parameters, "throughput", _MIBPS_RANGE)
    iops = _iops(parameters, capacity_gib)
    mibps, source = (
        (asked, parameters["throughput"][1]) if asked else (_DEFAULT_MIBPS, "default of ebs.csi.aws.com gp3")
    )
    cap = _MIBPS_PER_IOPS * iops
    if cap < mibps:
        return cap * _MEBIBYTE, f"{source}: {mibps} MiB/s, capped by {iops} IOPS"
    return mibps * _MEBIBYTE, f"{source}: gp3 throughput {mibps} MiB/s"


def _iops(parameters: Mapping[str, tuple[str, str]], capacity_gib: float | None) -> int:
    stated = _in_range(parameters, "iops", _IOPS_RANGE)
    if stated:
        return stated
    per_gib = _whole(parameters, "iopspergb")
    if not per_gib or not capacity_gib:
        return _DEFAULT_IOPS
    return int(min(max(per_gib * capacity_gib, _DEFAULT_IOPS), _IOPS_RANGE[1]))


def _in_range(parameters: Mapping[str, tuple[str, str]], key: str, bounds: tuple[int, int]) -> int:
    value = _whole(parameters, key)
    return value if bounds[0] <= value <= bounds[1] else 0


def _whole(parameters: Mapping[str, tuple[str, str]], key: str) -> int:
    text = parameters.get(key, ("", ""))[0]
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0  # noqa: PLR2004  # an int, not a flood
