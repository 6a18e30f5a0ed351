"""Answers of the API server, kept for the next pods of the same namespace.

Law: the memory has a bound. When it is full, the namespace that uses most of it loses its oldest answer.
"""

import time
from collections import Counter
from dataclasses import dataclass, replace

import orjson

from webhook.policy.facts import MissingReason
from webhook.policy.pod.metadata import JsonObject

_MOST_BYTES = 4 * 1024 * 1024
"""As JSON. In memory it is about five times as much."""
_ENTRY_BYTES = 512
"""What an answer costs beside its object."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An object, or the reason why there is none."""

    manifest: JsonObject | None = None
    missing: MissingReason | None = None
    out_of_date: bool = False
    """Whether the object was read earlier, and the API server did not show it again in time."""

    @property
    def is_certain(self) -> bool:
        """Whether the API server answered: with the object, that it does not exist, or that it may not be read."""
        return self.missing not in {MissingReason.DEADLINE, MissingReason.ERROR}


@dataclass(frozen=True, slots=True)
class _Entry:
    answer: Answer
    read_at: float
    fresh_until: float
    size_bytes: int


class Answers:
    """Answers by namespace and path. Times are those of time.monotonic()."""

    def __init__(self, longest_seconds: float, most_bytes: int = _MOST_BYTES) -> None:
        """Objects older than `longest_seconds` are never returned."""
        self._longest_seconds = longest_seconds
        self._most_bytes = most_bytes
        self._entries: dict[str, dict[str, _Entry]] = {}
        self._bytes: Counter[str] = Counter()
        self._total_bytes = 0

    def fresh(self, namespace: str, path: str) -> Answer | None:
        """Return the answer, if it need not be read again yet."""
        entry = self._entry(namespace, path)
        return entry.answer if entry is not None and time.monotonic() < entry.fresh_until else None

    def former(self, namespace: str, path: str) -> Answer | None:
        """Return the object as it was read earlier; None if it was not read, or too long ago."""
        entry = self._entry(namespace, path)
        if entry is None or entry.answer.manifest is None:
            return None
        too_old = time.monotonic() - entry.read_at > self._longest_seconds
        return None if too_old else replace(entry.answer, out_of_date=True)

    def keep(self, namespace: str, path: str, answer: Answer, fresh_seconds: float) -> None:
        """Keep an answer. A failed read does not replace an object that was read earlier."""
        now = time.monotonic()
        read_at = now
        former = None if answer.is_certain else self.former(namespace, path)
        if former is not None:
            answer, read_at = former, self._entries[namespace][path].read_at
        self._remove(namespace, path)
        size_bytes = _ENTRY_BYTES + len(path) + len(orjson.dumps(answer.manifest))
        self._entries.setdefault(namespace, {})[path] = _Entry(answer, read_at, now + fresh_seconds, size_bytes)
        self._bytes[namespace] += size_bytes
        self._total_bytes += size_bytes
        while self._total_bytes > self._most_bytes:
            largest = max(self._bytes, key=self._bytes.__getitem__)
            self._remove(largest, next(iter(self._entries[largest])))

    def _entry(self, namespace: str, path: str) -> _Entry | None:
        return self._entries.get(namespace, {}).get(path)

    def _remove(self, namespace: str, path: str) -> None:
        entry = self._entries.get(namespace, {}).pop(path, None)
        if entry is not None:
            self._bytes[namespace] -= entry.size_bytes
            self._total_bytes -= entry.size_bytes
        if not self._entries.get(namespace):
            self._entries.pop(namespace, None)
            self._bytes.pop(namespace, None)
