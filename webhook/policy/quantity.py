"""How people write sizes, rates, counts and switches, and what is refused.

Every spelling here is legal as a label value too, so `1GiBps` stands beside `1GiB/s`.
"""

import re
from fractions import Fraction
from functools import lru_cache

_FACTORS = {
    "": 1,
    **{s: 1000**n for n, s in enumerate("kMGTP", 1)},
    **{s + "i": 1024**n for n, s in enumerate("KMGTP", 1)},
}
_NUMBER = r"(?P<number>[0-9]{1,20}(?:\.[0-9]{1,20})?)(?:[eE]\+?(?P<exponent>[0-9]{1,2}))?"
_SIZE = re.compile(_NUMBER + r" ?(?P<suffix>(?:[KMGTP]i|[kMGTP])?)B?")
_RATE = re.compile(r"(?P<size>.+?)(?:/s|ps)")
_PARAMETERS = re.compile(_NUMBER + r" ?(?P<suffix>[KMBTkbt]?)")
_PARAMETER_FACTORS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "t": 10**12}
_QUANTITY = re.compile(
    r"(?P<number>[0-9]{1,20}(?:\.[0-9]{0,20})?)(?:[eE](?P<exponent>[+-]?[0-9]{1,2})|(?P<suffix>[numkMGTPE]|[KMGTPE]i))?",
    re.ASCII,
)
_QUANTITY_FACTORS = {
    "": Fraction(1),
    **{s: Fraction(1000) ** n for n, s in enumerate("numkMGTPE", -3) if n < 0},
    **{s: Fraction(1000) ** n for n, s in enumerate("kMGTPE", 1)},
    **{s + "i": Fraction(1024) ** n for n, s in enumerate("KMGTPE", 1)},
}
_LONGEST_QUANTITY = 64
_SMALLEST_BARE_NUMBER = 2**20
_LARGEST_BYTES = 10**18
_LARGEST_PARAMETERS = 10**16


class UnreadableError(ValueError):
    """A value that no spelling of its kind covers; the message says why in a few words."""


def size_bytes(text: str) -> float:
    """Bytes of `105Gi`, `9.2GB`, `112742891520`; 1 byte to 10^18 bytes.

    A number without a suffix counts from 1048576 up: a smaller one was almost surely meant with a suffix.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise UnreadableError(_why_no_size(text))
    value = _number(match) * _FACTORS[match["suffix"]]
    if not match["suffix"] and value < _SMALLEST_BARE_NUMBER:
        raise UnreadableError("a number this small needs a suffix")
    return _within(value, _LARGEST_BYTES)


def rate_bytes_per_second(text: str) -> float:
    """Bytes per second of `1GiB/s` or, as a label, `1GiBps`; the same range as a size."""
    match = _RATE.fullmatch(text)
    if match is None:
        raise UnreadableError("a rate ends with /s or ps")
    return size_bytes(match["size"])


def kubernetes_quantity(text: object) -> Fraction | None:
    """The number that a resource quantity of an object means, such as `500m`, `1.5Gi`, `2e3`; None for anything else."""
    return _quantity(str(text)) if not isinstance(text, str) or len(text) <= _LONGEST_QUANTITY else None


@lru_cache(maxsize=256)  # of short texts only: they stay in memory
def _quantity(text: str) -> Fraction | None:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    factor = _QUANTITY_FACTORS[match["suffix"] or ""] * Fraction(10) ** int(match["exponent"] or 0)
    return Fraction(match["number"]) * factor


def parameter_count(text: str) -> float:
    """Parameters of `8.03B`, `70B`, `405e9`; one million to 10^16."""
    match = _PARAMETERS.fullmatch(text)
    if match is None:
        raise UnreadableError("not a number of parameters")
    value = _number(match) * _PARAMETER_FACTORS[match["suffix"].lower()]
    if value < 10**6:
        raise UnreadableError("fewer than a million parameters")
    return _within(value, _LARGEST_PARAMETERS)


def whole_number(text: str, smallest: int, largest: int) -> int:
    """A decimal integer within the two bounds."""
    if re.fullmatch(r"[0-9]{1,10}", text) is None:
        raise UnreadableError("not a whole number")
    if not smallest <= int(text) <= largest:
        raise UnreadableError(f"outside {smallest} to {largest}")
    return int(text)


def decimal_number(text: str, largest: float) -> float:
    """A number from 0 to the bound."""
    if re.fullmatch(r"[0-9]{1,10}(\.[0-9]{1,10})?", text) is None:
        raise UnreadableError("not a number")
    if float(text) > largest:
        raise UnreadableError(f"above {largest:g}")
    return float(text)


def switch(text: str) -> bool:
    """`true` or `false`, nothing else: "yes" must not silently mean no."""
    if text not in {"true", "false"}:
        raise UnreadableError("neither true nor false")
    return text == "true"


@lru_cache(maxsize=256)  # most decisions name the same few sizes and rates
def human_bytes(value: float) -> str:
    """Bytes as people read them: `9.2 GB`, `125 MiB` where the binary unit is the rounder one."""
    scaled, unit = _scaled(value, 1024, ("B", "KiB", "MiB", "GiB", "TiB", "PiB"))
    if scaled != round(scaled, 1):
        scaled, unit = _scaled(value, 1000, ("B", "kB", "MB", "GB", "TB", "PB"))
    return f"{scaled:.2f}".rstrip("0").rstrip(".") + f" {unit}"


def _scaled(value: float, step: int, units: tuple[str, ...]) -> tuple[float, str]:
    steps = 0
    while value >= step and steps < len(units) - 1:
        value, steps = value / step, steps + 1
    return value, units[steps]


def _number(match: re.Match[str]) -> float:
    return float(match["number"]) * 10.0 ** int(match["exponent"] or 0)


def _within(value: float, largest: float) -> float:
    if not 0 < value <= largest:
        raise UnreadableError("zero" if value == 0 else "absurdly large")
    return value


def _why_no_size(text: str) -> str:
    if re.search(r"[0-9] ?[kKMGTP]?i?b", text):
        return "a lower-case b means bits; bytes are written B"
    if re.search(r"[0-9]m$", text):
        return "m is a thousandth"
    return "not a size"
