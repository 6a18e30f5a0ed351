"""In which namespaces wrapping is stopped: state and signs in, state out.

The rules, in this order. A namespace is one entry.
1. Pods of an owner that are refused twice within two minutes stop wrapping for an hour.
2. So does a pod that has waited for supervise's image for two minutes, if no other wrapped pod of its namespace started since.
3. If pods of that owner are refused although wrapping is stopped, wrapping was not the reason: it goes on, and refusals of this
   owner do not count for a day.
4. A stop ends by itself, also where nobody observes any more. One that follows within a day lasts twice as long, a day at most.

Law: an entry has a bounded size, and signs of a namespace change no entry but its own. What cannot be read stops nothing.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from typing import Any, TypeGuard

from webhook.policy.observed.texts import entries_in

STOPS_KEY = "wrapping-stops"
"""Under which a ConfigMap holds the text."""
MOST_BYTES = 64 * 1024
"""Of the text: the ConfigMap has what was learned, too, 900 KiB at most, and may have 1 MiB."""
LONGEST_OWNER = 64
WAIT_SECONDS = 120
"""How long a pod waits for supervise's image before that counts; two refusals within this time count together."""
_SETTLE_SECONDS = 30
"""Refusals so soon after a stop may be of pods that were reviewed before the servers heard of it."""
_SHORTEST_SECONDS, _DAY_SECONDS = 3600, 24 * 3600
_FUTURE_SECONDS = 3600
"""A stop that begins later than this was written by a wrong clock, or by somebody else, and stops nothing."""
_MOST_CLEARED = 4
_LARGEST_NUMBER = 2**40
_LONGEST_NAMESPACE = 63
_VERSION = 1
_BETWEEN_LINES = ",\n"


class StopCause(StrEnum):
    """Why wrapping is stopped. The slugs label a metric."""

    REFUSED = "refused"
    IMAGE = "image"


_CAUSES = [*StopCause]


@dataclass(frozen=True, slots=True)
class WrappingStop:
    """The newest stop of one namespace. Times are in seconds since 1970."""

    since: int
    until: int
    seconds: int
    """How long it was to last; 0 where it was taken back."""
    cause: StopCause
    about: str
    """The owner whose pods were the sign, e.g. `Job/train-<id>`."""
    cleared: Mapping[str, int] = field(default_factory=dict)
    """Owners whose pods were refused without wrapping, too, and until when their refusals do not count."""

    def lasts(self, now: int) -> bool:
        """Return whether wrapping is stopped at this moment."""
        return self.since - _FUTURE_SECONDS <= now < self.until


Stops = Mapping[str, WrappingStop]
"""The newest stop of each namespace, by its name."""


@dataclass(frozen=True, slots=True)
class Signs:
    """What speaks against wrapping in one namespace."""

    refusals: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """When the API server refused an owner's pods."""
    waits: Mapping[str, int] = field(default_factory=dict)
    """When the newest pod of an owner was created that waits for supervise's image for too long."""


def next_stops(stops: Stops, signs: Mapping[str, Signs], now: int) -> Stops:
    """Return the stops after these signs, by namespace, without those that no longer count."""
    after = dict(stops)
    for namespace, of_namespace in signs.items():
        stop = _next_stop(stops.get(namespace), of_namespace, now)
        if stop is not None:
            after[namespace] = stop
    return {namespace: stop for namespace, stop in after.items() if _counts(stop, now)}


def resumed(stop: WrappingStop, now: int) -> WrappingStop:
    """Return the entry of a namespace in which an admin wants pods to be wrapped again. Signs from before do not count."""
    return replace(stop, since=now, until=now, seconds=0, cleared={})


def _next_stop(before: WrappingStop | None, signs: Signs, now: int) -> WrappingStop | None:
    if before is not None and before.lasts(now):
        return _after_refusals(before, signs, now)
    for owner, times in sorted(signs.refusals.items()):
        is_cleared = before is not None and before.cleared.get(owner, 0) > now
        new = sorted(time for time in times if before is None or time > before.until)
        if not is_cleared and any(later - earlier <= WAIT_SECONDS for earlier, later in pairwise(new)):
            return _stopped(before, StopCause.REFUSED, owner, now)
    for owner, created in sorted(signs.waits.items()):
        if before is None or created > before.since:
            return _stopped(before, StopCause.IMAGE, owner, now)
    return before


def _after_refusals(stop: WrappingStop, signs: Signs, now: int) -> WrappingStop:
    """Return a stop that lasts, after pods were refused that cannot have been wrapped."""
    settled = stop.since + _SETTLE_SECONDS
    refused = [owner for owner, times in sorted(signs.refusals.items()) if max(times, default=0) > settled]
    new = {owner: now + _DAY_SECONDS for owner in refused if stop.cleared.get(owner, 0) <= now}
    stop = replace(stop, cleared=_newest_cleared({**stop.cleared, **new})) if new else stop
    if stop.cause is StopCause.REFUSED and stop.about in refused:
        return replace(stop, until=now, seconds=0)
    return stop


def _stopped(before: WrappingStop | None, cause: StopCause, owner: str, now: int) -> WrappingStop:
    is_next = before is not None and before.seconds > 0 and now - before.until <= _DAY_SECONDS
    seconds = min(2 * before.seconds, _DAY_SECONDS) if before is not None and is_next else _SHORTEST_SECONDS
    cleared = {} if before is None else before.cleared
    return WrappingStop(now, now + seconds, seconds, cause, owner, cleared)


def _newest_cleared(cleared: Mapping[str, int]) -> Mapping[str, int]:
    newest = sorted(cleared.items(), key=lambda each: (each[1], each[0]))[-_MOST_CLEARED:]
    return dict(sorted(newest))


def _counts(stop: WrappingStop, now: int) -> bool:
    """Return whether an entry can change anything: what follows it within a day lasts longer."""
    return now - stop.until <= _DAY_SECONDS and stop.since - _FUTURE_SECONDS <= now


def text_of_stops(stops: Stops, now: int, most_bytes: int = MOST_BYTES) -> str:
    """Return the stops as text. Where it would be too long, those that are over go first, then those that end first."""
    first_kept = sorted(
        stops, key=lambda namespace: (not stops[namespace].lasts(now), -stops[namespace].until, namespace)
    )
    spare, lines = most_bytes - len(_text([])), []
    for namespace in first_kept:
        line = json.dumps(_as_json(namespace, stops[namespace]), separators=(",", ":"))
        spare -= len(line) + len(_BETWEEN_LINES)
        if spare < 0:
            break
        lines.append(line)
    return _text(sorted(lines))


def stops_in(text: object) -> Stops:
    """Return the stops in a text. An entry that cannot be read is left out; of a text that is none, nothing is left."""
    return dict(_entries_in(entries_in(text, "namespaces", _VERSION, MOST_BYTES)))


def _text(lines: Iterable[str]) -> str:
    return f'{{"version":{_VERSION},"namespaces":[\n' + _BETWEEN_LINES.join(lines) + "\n]}\n"


def _as_json(namespace: str, stop: WrappingStop) -> Mapping[str, Any]:
    numbers = {"since": stop.since, "until": stop.until, "seconds": stop.seconds}
    return {"namespace": namespace, **numbers, "cause": stop.cause, "about": stop.about, "cleared": stop.cleared}


def _entries_in(entries: list[Any]) -> Iterator[tuple[str, WrappingStop]]:
    for entry in entries:
        namespace = entry.get("namespace") if isinstance(entry, dict) else None
        if _is_text(namespace, _LONGEST_NAMESPACE):
            stop = _stop_in(entry)
            if stop is not None:
                yield namespace, stop


def _stop_in(entry: Mapping[str, Any]) -> WrappingStop | None:
    since, until, seconds, about, cleared = map(entry.get, ("since", "until", "seconds", "about", "cleared"))
    if not (_is_number(since) and _is_number(until) and _is_number(seconds)):
        return None
    if entry.get("cause") not in _CAUSES or not _is_text(about, LONGEST_OWNER) or not _is_cleared(cleared):
        return None
    if not 0 <= until - since <= _DAY_SECONDS:
        return None
    return WrappingStop(since, until, seconds, StopCause(entry["cause"]), about, _newest_cleared(cleared))


def _is_cleared(cleared: Any) -> TypeGuard[dict[str, int]]:
    return isinstance(cleared, dict) and all(
        _is_text(owner, LONGEST_OWNER) and _is_number(until) for owner, until in cleared.items()
    )


def _is_number(number: Any) -> TypeGuard[int]:
    return type(number) is int and 0 <= number <= _LARGEST_NUMBER


def _is_text(text: Any, longest: int) -> TypeGuard[str]:
    return isinstance(text, str) and 0 < len(text) <= longest
