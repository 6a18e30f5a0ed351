"""How often pods were given less time than their own grace, by whoever ended them: counted for 30 days, as one text.

Law: it is for people and for `gracekeeper doctor`. No grace is decided by it: an override says nothing about the next one.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from webhook.policy.observed.termination import Termination, TerminationClass
from webhook.policy.observed.texts import entries_in

DATA_KEY = "interruptions"
"""Under which the ConfigMap of the memory holds the text."""
KEPT_SECONDS = 30 * 24 * 3600
_KINDS = frozenset({TerminationClass.OVERRIDDEN, TerminationClass.EVICTED, TerminationClass.SHUTDOWN})
MOST_BYTES = 48 * 1024
"""Of the text: the ConfigMap also has what was learned (900 KiB) and what is stopped (64 KiB), and may have 1 MiB."""
_MOST_OF_A_NAMESPACE = 20
_LONGEST_CAUSE = 64
_LONGEST_NAME = 253
_LARGEST_NUMBER = 2**40
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Interruption:
    """One way in which the pods of a namespace were ended. Example: ml, overridden, 60 s, EvictionByEvictionAPI."""

    namespace: str
    kind: TerminationClass
    granted_seconds: int
    """0 where the kubelet ended the pod by a clock of its own."""
    cause: str
    """As the pod's status names it; empty for a plain delete."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How often it was seen."""

    count: int
    first: int
    """When it was seen first, in seconds since 1970."""
    last: int
    own_seconds: int
    """The longest grace that one of the pods had by its own spec."""
    pod: str
    """The name of the last pod."""


Tallies = Mapping[Interruption, Tally]


def is_counted(termination: Termination) -> bool:
    """Return whether a termination gave a pod less time than its own grace."""
    return termination.kind in _KINDS


@dataclass(frozen=True, slots=True)
class EndedPod:
    """A pod that was ended."""

    namespace: str
    name: str
    own_seconds: int
    """Its own terminationGracePeriodSeconds."""


def counted(tallies: Tallies, pod: EndedPod, termination: Termination, now: int) -> Tallies:
    """Return the tallies with one more pod's termination."""
    if not is_counted(termination):
        return tallies
    key = Interruption(
        pod.namespace, termination.kind, termination.granted_seconds or 0, termination.cause[:_LONGEST_CAUSE]
    )
    before = tallies.get(key, Tally(0, now, now, 0, pod.name))
    after = Tally(before.count + 1, before.first, now, max(before.own_seconds, pod.own_seconds), pod.name)
    return {**tallies, key: after}


def text_of(tallies: Tallies, now: int) -> str:
    """Return the tallies as text, without those that were last seen more than 30 days ago.

    Of each namespace the newest 20 are kept, of these the newest that have room.
    """
    newest = sorted(tallies.items(), key=lambda each: (-each[1].last, each[0].namespace, each[0].granted_seconds))
    of_namespace: Counter[str] = Counter()
    rows: list[str] = []
    spare = MOST_BYTES - len(_text(()))
    for key, tally in newest:
        of_namespace[key.namespace] += 1
        if now - tally.last > KEPT_SECONDS or of_namespace[key.namespace] > _MOST_OF_A_NAMESPACE:
            continue
        row = json.dumps(_row(key, tally), separators=(",", ":"))
        spare -= len(row) + 1
        if spare < 0:
            break
        rows.append(row)
    return _text(rows)


def tallies_in(text: object) -> Tallies:
    """Return the tallies in a text. A row that cannot be read is left out; of a text that is none, nothing is left."""
    return dict(_tallies(entries_in(text, "interruptions", _VERSION, MOST_BYTES)))


def _text(rows: Iterable[str]) -> str:
    return f'{{"version":{_VERSION},"interruptions":[{",".join(rows)}]}}\n'


def _row(key: Interruption, tally: Tally) -> dict[str, Any]:
    return {
        "namespace": key.namespace,
        "kind": key.kind,
        "granted": key.granted_seconds,
        "cause": key.cause[:_LONGEST_CAUSE],
        "count": tally.count,
        "first": tally.first,
        "last": tally.last,
        "own": tally.own_seconds,
        "pod": tally.pod,
    }


def _tallies(rows: list[Any]) -> Iterator[tuple[Interruption, Tally]]:
    for row in rows:
        if not isinstance(row, dict):
            continue
        numbers = [row.get(name) for name in ("granted", "count", "first", "last", "own")]
        texts = [row.get(name) for name in ("namespace", "cause", "pod")]
        are_numbers = all(type(number) is int and 0 <= number <= _LARGEST_NUMBER for number in numbers)
        are_texts = all(isinstance(text, str) and len(text) <= _LONGEST_NAME for text in texts)
        if are_numbers and are_texts and row.get("kind") in _KINDS:
            granted, count, first, last, own = (int(number or 0) for number in numbers)
            namespace, cause, pod = (str(text) for text in texts)
            kind = TerminationClass(row["kind"])
            yield Interruption(namespace, kind, granted, cause), Tally(count, first, last, own, pod)
