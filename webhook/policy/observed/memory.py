"""What is remembered of workloads: the newest five runs of each, as one text of bounded size.

Law: a workload is known by its namespace and its name, never by the name alone: anybody can write a label. What cannot be
read is not remembered.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import takewhile
from typing import Any, TypeGuard

from webhook.policy.observed.termination import Termination, TerminationClass
from webhook.policy.observed.texts import entries_in

DATA_KEY = "terminations"
"""Under which a ConfigMap holds the text."""
MOST_BYTES = 900 * 1024
"""Of the text: a ConfigMap holds 1 MiB at most, its metadata included."""
MOST_SAMPLES = 5
RUN_SECONDS = 600
"""Pods of a workload that stop within this time are one run: a job stops together."""
KEPT_SECONDS = 30 * 24 * 3600
_LARGEST_NUMBER = 2**40
_LONGEST_NAME = 253
_VERSION = 1
_BETWEEN_LINES = ",\n"


class Lesson(StrEnum):
    """What one run taught."""

    SAVED = "saved"
    STOPPED = "stopped"
    CUT = "cut"
    SECOND_CLOCK = "second-clock"
    IGNORED = "ignored"
    """Cut, and supervise saw that nobody catches the signal."""
    NO_HANDLER = "no-handler"

    @property
    def is_in_time(self) -> bool:
        """Whether the run's trainers ended by themselves."""
        return self in {Lesson.SAVED, Lesson.STOPPED}

    @property
    def is_cut(self) -> bool:
        """Whether a trainer of the run was killed at work."""
        return self in {Lesson.CUT, Lesson.SECOND_CLOCK, Lesson.IGNORED}


_LESSONS = [*Lesson]
_WEIGHT = tuple(Lesson)
"""Of the pods of one run, the lesson that stands later counts, but `no-handler`: workers without a handler are common."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of a workload."""

    at: int
    """When its last pod was told to stop, in seconds since 1970."""
    seconds: int
    """The longest of its pods' stops; 0 for one that teaches no time."""
    granted_seconds: int
    """The grace that the pod with that stop had."""
    lesson: Lesson


@dataclass(frozen=True, slots=True)
class Entry:
    """What is remembered of one workload."""

    samples: tuple[Sample, ...]
    """The oldest first."""
    owner: str = ""
    """Name of the last run's owner, for people; empty where that is not wanted."""

    @property
    def seen(self) -> int:
        """Return when the workload's last run ended."""
        return self.samples[-1].at


Key = tuple[str, str]
"""A namespace, and the name of a workload in it."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of all workloads."""

    entries: Mapping[Key, Entry] = field(default_factory=dict)

    def samples_of(self, namespace: str, workload: str) -> tuple[Sample, ...]:
        """Return the newest runs of a workload of this namespace, the oldest first."""
        entry = self.entries.get((namespace, workload))
        return () if entry is None else entry.samples


def lesson_of(termination: Termination) -> Lesson | None:
    """Return what a termination teaches; None where it teaches nothing."""
    if termination.kind.is_cut and termination.nobody_caught:
        return Lesson.IGNORED
    lessons: Mapping[TerminationClass, Lesson] = {
        TerminationClass.SAVED: Lesson.SAVED,
        TerminationClass.STOPPED: Lesson.STOPPED,
        TerminationClass.CUT: Lesson.CUT,
        TerminationClass.SECOND_CLOCK: Lesson.SECOND_CLOCK,
        TerminationClass.NO_HANDLER: Lesson.NO_HANDLER,
    }
    return lessons.get(termination.kind)


def remembering(memory: Memory, key: Key, termination: Termination, owner: str = "") -> Memory:
    """Return the memory with one more pod's termination; the same where that teaches nothing.

    Pods that were there together and stop within ten minutes are one run. A pod that was made after a run was told to stop
    belongs to the next.
    """
    lesson = lesson_of(termination)
    if lesson is None:
        return memory
    at = termination.began
    sample = Sample(at, termination.seconds or 0, termination.granted_seconds or 0, lesson)
    samples = list(memory.samples_of(*key))
    of_run = next((index for index, each in enumerate(samples) if _is_of_run(each, termination)), None)
    if of_run is None:
        samples.append(sample)
    else:
        samples[of_run] = _of_one_run(samples[of_run], sample)
    samples.sort(key=lambda each: each.at)
    entry = Entry(_newest(samples), owner[:_LONGEST_NAME])
    return Memory({**memory.entries, key: entry})


def without_old(memory: Memory, now: int) -> Memory:
    """Return the memory without runs that ended more than 30 days ago."""
    kept = {
        key: replace(entry, samples=tuple(each for each in entry.samples if now - each.at <= KEPT_SECONDS))
        for key, entry in memory.entries.items()
    }
    return Memory({key: entry for key, entry in kept.items() if entry.samples})


def forgetting(memory: Memory, key: Key) -> Memory:
    """Return the memory without one workload."""
    return Memory({each: entry for each, entry in memory.entries.items() if each != key})


def text_of(memory: Memory, most_bytes: int = MOST_BYTES) -> str:
    """Return the memory as text. Where it would be too long, the namespace with the most workloads loses its oldest first."""
    lines = {
        key: json.dumps(_entry_as_json(key, entry), separators=(",", ":")) for key, entry in memory.entries.items()
    }
    spare = most_bytes - len(_text([])) - sum(len(line) + len(_BETWEEN_LINES) for line in lines.values())
    oldest_last: dict[str, list[Key]] = {}
    for key in sorted(lines, key=lambda key: (-memory.entries[key].seen, key)):
        oldest_last.setdefault(key[0], []).append(key)
    while spare < 0 and lines:
        largest = max(oldest_last, key=lambda namespace: (len(oldest_last[namespace]), namespace))
        spare += len(lines.pop(oldest_last[largest].pop())) + len(_BETWEEN_LINES)
    return _text(lines.values())


def memory_in(text: object) -> Memory:
    """Return the memory in a text. An entry that cannot be read is left out; of a text that is none, nothing is left."""
    return Memory(dict(_entries_in(entries_in(text, "workloads", _VERSION, MOST_BYTES))))


def _newest(samples: list[Sample]) -> tuple[Sample, ...]:
    """Return the newest five, and of a workload that was only cut the cut with the longest grace.

    That one shows that more grace did not help. Without it the grace would be raised again.
    """
    newest = list(samples)
    while len(newest) > MOST_SAMPLES:
        cuts = len(list(takewhile(lambda each: each.lesson.is_cut, reversed(newest))))
        is_proof = cuts == len(newest) and all(each.granted_seconds < newest[0].granted_seconds for each in newest[1:])
        del newest[1 if is_proof else 0]
    return tuple(newest)


def _is_of_run(run: Sample, termination: Termination) -> bool:
    return termination.created <= run.at and abs(run.at - termination.began) <= RUN_SECONDS


def _of_one_run(one: Sample, other: Sample) -> Sample:
    """Return the sample of a run from two of its pods: the worse lesson, and the longest stop of those that teach it."""
    worse = max((one, other), key=lambda each: (_weight(each.lesson), each.seconds))
    return replace(worse, at=max(one.at, other.at))


def _weight(lesson: Lesson) -> int:
    return -1 if lesson is Lesson.NO_HANDLER else _WEIGHT.index(lesson)


def _text(lines: Any) -> str:
    return f'{{"version":{_VERSION},"workloads":[\n' + _BETWEEN_LINES.join(lines) + "\n]}\n"


def _entry_as_json(key: Key, entry: Entry) -> Mapping[str, Any]:
    namespace, workload = key
    samples = [[each.at, each.seconds, each.granted_seconds, each.lesson] for each in entry.samples]
    owner = {"owner": entry.owner} if entry.owner else {}
    return {"namespace": namespace, "workload": workload, **owner, "samples": samples}


def _entries_in(entries: list[Any]) -> Iterator[tuple[Key, Entry]]:
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("samples"), list):
            continue
        namespace, workload, owner = (entry.get(name) for name in ("namespace", "workload", "owner"))
        samples = [sample for sample in map(_sample_in, entry["samples"]) if sample is not None]
        is_whole = len(samples) == len(entry["samples"]) and bool(samples)
        if _is_name(namespace) and _is_name(workload) and is_whole:
            samples.sort(key=lambda each: each.at)
            yield (namespace, workload), Entry(_newest(samples), owner if _is_name(owner) else "")


def _sample_in(sample: Any) -> Sample | None:
    if not isinstance(sample, list) or len(sample) != len(Sample.__dataclass_fields__):
        return None
    at, seconds, granted, lesson = sample
    if not all(type(number) is int and 0 <= number <= _LARGEST_NUMBER for number in (at, seconds, granted)):
        return None
    return Sample(at, seconds, granted, Lesson(lesson)) if lesson in _LESSONS else None


def _is_name(name: Any) -> TypeGuard[str]:
    return isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME
