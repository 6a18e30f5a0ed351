"""Durations as Go, Karpenter and the kubelet write them."""

import re

_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST_TEXT = 64


def duration_seconds(text: object) -> float | None:
    """Return the seconds of `1h30m0s`; None for `Never`, and for anything that is no duration."""
    if not isinstance(text, str) or len(text) > _LONGEST_TEXT:
        return None
    if text == "0":
        return 0.0
    parts = list(_PART.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        return None
    return sum(float(part[1]) * _SECONDS[part[2]] for part in parts)


def in_words(seconds: float) -> str:
    """Return a duration as Go would read it, in its largest whole unit: 30m, 90s, 2h."""
    whole = int(seconds)
    for unit, length in (("h", 3600), ("m", 60)):
        if whole and whole % length == 0:
            return f"{whole // length}{unit}"
    return f"{whole}s"
