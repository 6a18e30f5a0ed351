"""Everything that was said about one pod, by source, and what was ignored.

Law: for each key the first readable value wins: pod annotation, pod label, environment variable, Namespace annotation,
profile. A value that cannot be read is ignored and listed. It is never an error.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

from webhook.policy import brevity, quantity
from webhook.policy.configuration import Profile
from webhook.policy.pod import Pod
from webhook.policy.pod.metadata import JsonObject, annotations_of, metadata_of
from webhook.policy.prefix import (
    DECISION_ANNOTATION,
    ENVIRONMENT_PREFIX,
    PREFIX,
    SERVER_ENVIRONMENT_PREFIX,
    WORKLOAD_LABELS,
)
from webhook.policy.statements.keys import ENABLED, KEYS, NO_WORKLOAD, WORKLOAD, Key

_NAME_OF_VARIABLE = {key.variable: name for name, key in KEYS.items()}
_UNOBSERVED = (WORKLOAD.name, NO_WORKLOAD)
_LONGEST_QUOTE = 40
_LONGEST_NAME = 80
"""Characters of a key or a container that is quoted. Kubernetes allows 63 and 253; our longest variable has 35."""
_MOST_SUGGESTIONS = 16
"""Unknown keys for which a similar key is searched; the search is slow."""


class StatementSource(StrEnum):
    """Who set a key. The first wins."""

    ANNOTATION = "pod annotation"
    LABEL = "pod label"
    VARIABLE = "environment variable"
    NAMESPACE = "Namespace annotation"
    PROFILE = "profile"


_OF_THE_POD = frozenset({StatementSource.ANNOTATION, StatementSource.LABEL, StatementSource.VARIABLE})


@dataclass(frozen=True, slots=True)
class Ignored:
    """A value that does not count, with the reason and an example of a right one, which may be empty."""

    origin: str
    """Who set it, in words: a source, and of a variable the container."""
    key: str
    value: str
    why: str
    example: str = ""

    def __str__(self) -> str:
        """Return one clause for a decision: origin, key, value, reason, example."""
        hint = f", e.g. {self.example}" if self.example else ""
        return f"{self.origin} {self.key}={self.value}: {self.why}{hint}"

    @property
    def warning(self) -> str:
        """Return the admission warning. The key and an example come first, as warnings are cut at 120 characters."""
        hint = f", e.g. {self.example}" if self.example else ""
        return f"ignored {self.key}={self.value[:24]}: {self.why}{hint}"


@dataclass(frozen=True, slots=True)
class Statement:
    """A readable value and who set it; `origin` says so in words."""

    value: Any
    source: StatementSource
    origin: str


@dataclass(frozen=True, slots=True)
class Statements:
    """Everything said about one pod: the values of each key, the winner first, and what was ignored."""

    by_key: Mapping[str, tuple[Statement, ...]] = field(default_factory=dict)
    ignored: tuple[Ignored, ...] = ()
    by_owner: bool = False
    """Whether the pod itself carries a key other than `enabled` and `workload: none`, readable or not."""

    @property
    def wants_something(self) -> bool:
        """Whether anybody set a key. Not to be remembered is no wish for a checkpoint."""
        return any(name != WORKLOAD.name or each[0].value != NO_WORKLOAD for name, each in self.by_key.items())

    def get(self, key: Key) -> Statement | None:
        """Return the value that counts for this key."""
        statements = self.by_key.get(key.name)
        return statements[0] if statements else None

    def of_pod(self, key: Key) -> Statement | None:
        """Return what the pod itself says, without Namespace and profile."""
        return next((each for each in self.by_key.get(key.name, ()) if each.source in _OF_THE_POD), None)

    @property
    def ignored_of_pod(self) -> tuple[Ignored, ...]:
        """Return what was ignored of the pod's own words, without Namespace and profile."""
        outside = (StatementSource.NAMESPACE, StatementSource.PROFILE)
        return tuple(ignored for ignored in self.ignored if not ignored.origin.startswith(outside))


def statements_about(pod: Pod, namespace: JsonObject | None, profile: Profile | None) -> Statements:
    """Read every key from every source, in the order in which they win."""
    by_key: dict[str, tuple[Statement, ...]] = {}
    ignored: list[Ignored] = []
    by_owner = False
    for source, origin, name, text in _texts(pod, namespace, profile):
        by_owner |= source in _OF_THE_POD and name != ENABLED.name and (name, text) != _UNOBSERVED
        statement = _read(source, origin, name, text, suggest=len(ignored) < _MOST_SUGGESTIONS)
        if isinstance(statement, Ignored):
            ignored.append(statement)
        else:
            by_key[name] = (*by_key.get(name, ()), statement)
    return Statements(by_key, tuple(ignored), by_owner)


def read_annotation(kind: str, holder: JsonObject | None, key: Key) -> Statement | Ignored | None:
    """Read a key from a storage object (PersistentVolumeClaim, PersistentVolume, StorageClass); None where it is not set."""
    text = annotations_of(holder).get(PREFIX + key.name)
    origin = f"{kind} {metadata_of(holder).get('name', '')} annotation"
    return None if text is None else _read(StatementSource.ANNOTATION, origin, key.name, text)


def _texts(
    pod: Pod, namespace: JsonObject | None, profile: Profile | None
) -> Iterator[tuple[StatementSource, str, str, Any]]:
    """Yield source, origin, key and text of all that was set."""
    for full_name, text in pod.annotations.items():
        if full_name.startswith(PREFIX) and full_name != DECISION_ANNOTATION:
            yield StatementSource.ANNOTATION, StatementSource.ANNOTATION, full_name.removeprefix(PREFIX), text
    for full_name, text in pod.labels.items():
        if full_name.startswith(PREFIX) and full_name not in WORKLOAD_LABELS:
            yield StatementSource.LABEL, StatementSource.LABEL, full_name.removeprefix(PREFIX), text
    for variable, text, container in _variables(pod):
        name = _NAME_OF_VARIABLE.get(variable, variable)
        yield StatementSource.VARIABLE, f"environment variable of container {container}", name, text
    for full_name, text in annotations_of(namespace).items():
        if full_name.startswith(PREFIX):
            yield StatementSource.NAMESPACE, StatementSource.NAMESPACE, full_name.removeprefix(PREFIX), text
    if profile is not None:
        for name, text in profile.values.items():
            yield StatementSource.PROFILE, f"profile {profile.name}", name, text


def _variables(pod: Pod) -> Iterator[tuple[str, Any, str]]:
    """Yield GRACEKEEPER_* variables with a literal value: of the default container, else of the first that sets each."""
    names: set[str] = set()
    for container in pod.containers_default_first:
        for name, text in container.environment.items():
            is_key = name.startswith(ENVIRONMENT_PREFIX) and not name.startswith(SERVER_ENVIRONMENT_PREFIX)
            if is_key and name not in names:
                names.add(name)
                yield name, text, brevity.short(container.name, _LONGEST_NAME)


def _read(source: StatementSource, origin: str, name: str, text: Any, *, suggest: bool = True) -> Statement | Ignored:
    key = KEYS.get(name)
    quoted = str(text)[:_LONGEST_QUOTE]
    if key is None:
        suggestion = _suggestion(name) if suggest and len(name) <= _LONGEST_NAME else ""
        return Ignored(origin, brevity.short(name, _LONGEST_NAME), quoted, f"no such key{suggestion}")
    if key.namespace_only and source is not StatementSource.NAMESPACE:
        return Ignored(origin, name, quoted, "only a Namespace annotation can say this")
    if not isinstance(text, str):
        return Ignored(origin, name, quoted, "not a string, quote it", f'"{quoted}"')
    try:
        return Statement(key.read(text), source, origin)
    except quantity.UnreadableError as error:
        return Ignored(origin, name, quoted, str(error), key.example)


def _suggestion(name: str) -> str:
    """Return the key that is spelled most like an unknown one, as a question; empty where none is."""
    close = get_close_matches(name.lower().removeprefix("gracekeeper_").replace("_", "-"), KEYS, n=1)
    return f", meant {close[0]}?" if close else ""
