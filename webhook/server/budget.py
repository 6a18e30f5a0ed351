"""A bound on the bytes that all requests together hold in memory, with a fair share for each address and namespace.

Law: a holder gets no more than what stays free after it. One holder alone can take a half, ten take an eleventh each, and
as much is left for the next one.
"""

from types import TracebackType
from typing import Self


class Budget:
    """Bytes in memory, taken and given back in one event loop."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = self._free_bytes = most_bytes
        self._held_bytes: dict[str, int] = {}

    def held_bytes(self) -> int:
        """Return the bytes that all holders hold together."""
        return self._most_bytes - self._free_bytes

    def take(self, holder: str, size_bytes: int) -> bool:
        """Take so many bytes for a holder; return False, and take nothing, beyond its share."""
        held_bytes = self._held_bytes.get(holder, 0) + size_bytes
        free_bytes = self._free_bytes - size_bytes
        if held_bytes > free_bytes:
            return False
        self._held_bytes[holder] = held_bytes
        self._free_bytes = free_bytes
        return True

    def give_back(self, holder: str, size_bytes: int) -> None:
        """Give bytes back that `take` took; a holder without any is forgotten."""
        held_bytes = self._held_bytes[holder] - size_bytes
        self._free_bytes += size_bytes
        if held_bytes:
            self._held_bytes[holder] = held_bytes
        else:
            del self._held_bytes[holder]


class Reservation:
    """The bytes that one request holds for one holder; leaving the context gives them back."""

    __slots__ = ("_budget", "_holder", "_size_bytes")

    def __init__(self, budget: Budget, holder: str) -> None:
        self._budget = budget
        self._holder = holder
        self._size_bytes = 0

    def hold(self, size_bytes: int) -> bool:
        """Hold so many bytes instead of those before; return False, and hold none, beyond the holder's share."""
        self.release()
        if size_bytes and self._budget.take(self._holder, size_bytes):
            self._size_bytes = size_bytes
        return self._size_bytes == size_bytes

    def pass_to(self, holder: str, size_bytes: int) -> bool:
        """Hold so many bytes for another holder from now on; return False, and hold none, beyond its share."""
        self.release()
        self._holder = holder
        return self.hold(size_bytes)

    def release(self) -> None:
        """Hold nothing."""
        if self._size_bytes:
            self._budget.give_back(self._holder, self._size_bytes)
            self._size_bytes = 0

    def __enter__(self) -> Self:
        """Hold nothing yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give everything back."""
        self.release()


def of_address(host: str) -> str:
    """Return the holder for what requests from an address hold while they arrive, and while their answers leave."""
    return f"address {host}"


def of_namespace(name: str) -> str:
    """Return the holder for reviews of a namespace's pods."""
    return f"namespace {name}"
