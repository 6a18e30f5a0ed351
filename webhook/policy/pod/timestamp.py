"""Kubernetes' times as seconds since 1970. The policy has no clock: these are what API server and kubelets wrote."""

import re

_TIME = re.compile(r"(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.\d{1,9})?Z")
_DAYS_UNTIL_1970 = 719_468
"""From 1 March of the year 0 of the Gregorian calendar."""


def seconds_of(text: object) -> int | None:
    """Return the seconds since 1970 of a time such as 2026-11-28T16:49:29Z; None for anything else."""
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    year, month, day, hour, minute, second = map(int, match.groups())
    return ((_days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second


def _days_since_1970(year: int, month: int, day: int) -> int:
    """Return the days by years that begin in March, so that the leap day is the last of its year."""
    from_march = (month + 9) % 12
    if month <= 2:  # noqa: PLR2004  # January and February belong to the year before
        year -= 1
    of_year = (153 * from_march + 2) // 5 + day - 1
    return year * 365 + year // 4 - year // 100 + year // 400 + of_year - _DAYS_UNTIL_1970
