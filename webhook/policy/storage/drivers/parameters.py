"""What a volume was asked to be and what its driver makes of it: the words that all driver families use.

Law: a family never raises. What cannot be read counts as not given; a number above what the cloud sells counts as its
most, so that a higher setting never lowers the result.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil

MEGABYTE = 10**6
_LONGEST_NUMBER = 9


@dataclass(frozen=True, slots=True)
class Setting:
    """One parameter: its text, the object that set it, and whether that object speaks of this volume alone."""

    text: str
    holder: str
    of_the_volume: bool = False


@dataclass(frozen=True, slots=True)
class VolumeParameters:
    """What is known of one volume: parameters with lower-case names, and its capacity in GiB."""

    driver: str
    settings: Mapping[str, Setting]
    capacity_gib: float | None = None
    bound: bool = False
    """The capacity is that of a volume that exists, no longer what was asked for."""
    by_class: bool = True
    """The StorageClass is known, so that what it leaves out has the driver's default."""

    def text(self, *names: str) -> str | None:
        """The first of these parameters that is set, whatever it says."""
        return next((self.settings[name].text for name in names if name in self.settings), None)

    def kind(self, *names: str, default: str) -> str:
        """The type of the volume; empty where nothing says it and no StorageClass tells that it is the default one."""
        return self.text(*names) or (default if self.by_class else "")

    def whole(self, *names: str) -> int | None:
        """The first of these parameters that is a whole number, at most 10^9; None where none is."""
        texts = (self.settings[name].text.removeprefix("+") for name in names if name in self.settings)
        digits = next((text.lstrip("0") or "0" for text in texts if text.isascii() and text.isdigit()), None)
        if digits is None:
            return None
        return int(digits) if len(digits) <= _LONGEST_NUMBER else 10**_LONGEST_NUMBER

    def numbers(self, *names: str) -> tuple[str, ...]:
        """Those of these parameters that are whole numbers."""
        return tuple(name for name in names if self.whole(name) is not None)

    def whole_gib(self, rounding: Callable[[float], float] = ceil) -> float | None:
        """Capacity in whole GiB: of the bound volume, else what was asked for, rounded as the driver rounds it."""
        if self.capacity_gib is None:
            return None
        return ceil(self.capacity_gib) if self.bound else rounding(self.capacity_gib)


@dataclass(frozen=True, slots=True)
class Promise:
    """Bytes per second that the volume takes, in words, and the parameters that made it so; none set: a default."""

    bytes_per_second: float
    kind: str
    reason: str
    by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing tells how fast the volume is, and why, as it goes on after `as`."""

    why: str


Family = Callable[[VolumeParameters], Promise | Silence]


def up_to_a_multiple_of(step: float, amount: float) -> float:
    """The smallest multiple of `step` that holds the amount."""
    return ceil(amount / step) * step


def within(value: int | None, bounds: tuple[int, int], default: int) -> int:
    """The value where the cloud sells it, else the nearest that it does; the default where nothing is given."""
    return default if value is None else min(max(value, bounds[0]), bounds[1])


def of_unknown_kind(parameters: VolumeParameters, kind: str) -> Silence:
    """A type that the family has no formula for, or none at all."""
    if not kind:
        return Silence(f"no StorageClass tells what {parameters.driver} made the volume as")
    return Silence(f"no formula for {parameters.driver} {kind[:40]} is built in")


def of_unknown_capacity(parameters: VolumeParameters, kind: str) -> Silence:
    """A type whose speed follows from a capacity that is not known."""
    return Silence(f"the capacity of the {parameters.driver} {kind} volume is not known")
