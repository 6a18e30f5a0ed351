"""What the kernel says of a process: CPU time and memory."""

import os
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_USER_TIME, _SYSTEM_TIME = 11, 12
"""Fields of /proc/PID/stat, counted from the one after the command's name."""


def cpu_seconds(pid: int) -> float:
    """User and system time of all its threads until now."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[_USER_TIME]) + int(fields[_SYSTEM_TIME])) / _TICKS_PER_SECOND


def resident_mib(pid: int) -> float:
    """Resident set size."""
    return _mib(pid, "VmRSS:")


def peak_mib(pid: int) -> float:
    """The largest resident set size that it ever had."""
    return _mib(pid, "VmHWM:")


def _mib(pid: int, field: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024
