"""The keys that a pod's owner or an admin can set, how each is spelled, and who is heard first.

Law: the first that speaks readably wins: pod annotation, pod label, environment variable, Namespace annotation, profile.
A value that cannot be read is ignored and remembered, never an error.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from functools import partial
from typing import Any

from webhook.policy import brevity, quantity
from webhook.policy import pod as pods
from webhook.policy.config import OsmoMode, Profile
from webhook.policy.facts import JsonObject
from webhook.policy.prefix import DECISION_ANNOTATION, ENVIRONMENT_PREFIX, PREFIX, SERVER_ENVIRONMENT_PREFIX

_LONGEST_GRACE_SECONDS = 30 * 24 * 3600
_LONGEST_STEP_SECONDS = 24 * 3600
MOST_WRITERS = 1_000_000
_MOST_BYTES_PER_PARAMETER = 64


def _osmo_mode(text: str) -> str:
    if text not in set(OsmoMode):
        raise quantity.UnreadableError("not an OSMO mode")
    return text


def _volume(text: str) -> str:
    if not text:
        raise quantity.UnreadableError("empty")
    return text


ALL_PODS = "all"
"""As checkpoint-writers: every pod of the job writes its shard, and the framework's own number counts."""


def _writers(text: str) -> int | str:
    return text if text == ALL_PODS else quantity.whole_number(text, smallest=1, largest=MOST_WRITERS)


@dataclass(frozen=True, slots=True)
class Key:
    """One key: how its text is read, and a spelling that is right."""

    name: str
    read: Callable[[str], Any]
    example: str
    namespace_only: bool = False

    @property
    def variable(self) -> str:
        """Its environment variable, e.g. GRACEKEEPER_CHECKPOINT_SIZE."""
        return ENVIRONMENT_PREFIX + self.name.upper().replace("-", "_")


_seconds = partial(quantity.whole_number, smallest=1, largest=_LONGEST_GRACE_SECONDS)

ENABLED = Key("enabled", quantity.switch, "true")
GRACE_SECONDS = Key("grace-seconds", _seconds, "900")
CHECKPOINT_SIZE = Key("checkpoint-size", quantity.size_bytes, "105Gi")
MODEL_PARAMETERS = Key("model-parameters", quantity.parameter_count, "8.03B")
BYTES_PER_PARAMETER = Key(
    "bytes-per-parameter", partial(quantity.decimal_number, largest=_MOST_BYTES_PER_PARAMETER), "14"
)
CHECKPOINT_WRITERS = Key("checkpoint-writers", _writers, "64")
CHECKPOINT_VOLUME = Key("checkpoint-volume", _volume, "checkpoints")
WRITE_THROUGHPUT = Key("write-throughput", quantity.rate_bytes_per_second, "1GiBps")
UPLOAD_SIZE = Key("upload-size", quantity.size_bytes, "9.2GB")
UPLOAD_THROUGHPUT = Key("upload-throughput", quantity.rate_bytes_per_second, "200MBps")
STEP_SECONDS = Key("step-seconds", partial(quantity.decimal_number, largest=_LONGEST_STEP_SECONDS), "12.5")
FORWARD_SIGTERM = Key("forward-sigterm", quantity.switch, "true")
OSMO_MODE = Key("osmo-mode", _osmo_mode, "native")
MAXIMUM_GRACE_SECONDS = Key("maximum-grace-seconds", _seconds, "1800", namespace_only=True)

KEYS = {
    key.name: key
    for key in (
        ENABLED,
        GRACE_SECONDS,
        CHECKPOINT_SIZE,
        MODEL_PARAMETERS,
        BYTES_PER_PARAMETER,
        CHECKPOINT_WRITERS,
        CHECKPOINT_VOLUME,
        WRITE_THROUGHPUT,
        UPLOAD_SIZE,
        UPLOAD_THROUGHPUT,
        STEP_SECONDS,
        FORWARD_SIGTERM,
        OSMO_MODE,
        MAXIMUM_GRACE_SECONDS,
    )
}
_KEY_OF_VARIABLE = {key.variable: name for name, key in KEYS.items()}
_LONGEST_QUOTE = 40
_LONGEST_NAME = 80
"""Of a key or a container that is quoted: what Kubernetes takes has 63 characters, a variable of ours 35."""
_MOST_MEANT = 16
"""Unknown keys for each of which a key is looked for that may be meant."""


class Place(StrEnum):
    """Where something was said, the first heard first."""

    ANNOTATION = "pod annotation"
    LABEL = "pod label"
    VARIABLE = "environment variable"
    NAMESPACE = "Namespace annotation"
    PROFILE = "profile"


_OF_THE_POD = frozenset({Place.ANNOTATION, Place.LABEL, Place.VARIABLE})


@dataclass(frozen=True, slots=True)
class Ignored:
    """A value that was passed over, with the reason and, where one helps, a spelling that is right."""

    place: str
    key: str
    value: str
    why: str
    example: str = ""

    def __str__(self) -> str:
        """One clause for a decision: place, key, value, why, example."""
        hint = f", e.g. {self.example}" if self.example else ""
        return f"{self.place} {self.key}={self.value}: {self.why}{hint}"

    @property
    def warning(self) -> str:
        """The admission warning: the key and a right spelling come first, as warnings are cut at 120 characters."""
        hint = f", e.g. {self.example}" if self.example else ""
        return f"ignored {self.key}={self.value[:24]}: {self.why}{hint}"


@dataclass(frozen=True, slots=True)
class Stated:
    """A readable value and who said it."""

    value: Any
    place: Place
    source: str


@dataclass(frozen=True, slots=True)
class Statements:
    """Everything said about one pod: the winner of each key by place, and what was ignored."""

    said: Mapping[str, tuple[Stated, ...]] = field(default_factory=dict)
    ignored: tuple[Ignored, ...] = ()
    by_owner: bool = False
    """The pod itself carries a sizing key, readable or not: its owner wants to be asked about."""

    def get(self, key: Key) -> Stated | None:
        """What counts for this key."""
        stated = self.said.get(key.name)
        return stated[0] if stated else None

    def of_pod(self, key: Key) -> Stated | None:
        """What the pod itself says, without Namespace and profile."""
        return next((s for s in self.said.get(key.name, ()) if s.place in _OF_THE_POD), None)


def statements(pod: JsonObject, namespace: JsonObject | None, profile: Profile | None) -> Statements:
    """Read every key from every place, in the order in which they are heard."""
    said: dict[str, tuple[Stated, ...]] = {}
    ignored: list[Ignored] = []
    by_owner = False
    for place, origin, name, text in _spoken(pod, namespace, profile):
        key = KEYS.get(name)
        by_owner |= place in _OF_THE_POD and key is not ENABLED
        result = _read(place, origin, name, text, look_for_meant=len(ignored) < _MOST_MEANT)
        if isinstance(result, Ignored):
            ignored.append(result)
        else:
            said[name] = (*said.get(name, ()), result)
    return Statements(said, tuple(ignored), by_owner)


def read_annotation(kind: str, holder: JsonObject | None, key: Key) -> Stated | Ignored | None:
    """A key on a storage object (PersistentVolumeClaim, PersistentVolume, StorageClass)."""
    metadata = (holder or {}).get("metadata") or {}
    text = (metadata.get("annotations") or {}).get(PREFIX + key.name)
    origin = f"{kind} {metadata.get('name', '')} annotation"
    return None if text is None else _read(Place.ANNOTATION, origin, key.name, text)


def _spoken(
    pod: JsonObject, namespace: JsonObject | None, profile: Profile | None
) -> Iterator[tuple[Place, str, str, Any]]:
    for full, text in pods.annotations(pod).items():
        if full.startswith(PREFIX) and full != DECISION_ANNOTATION:
            yield Place.ANNOTATION, Place.ANNOTATION, full.removeprefix(PREFIX), text
    for full, text in pods.labels(pod).items():
        if full.startswith(PREFIX):
            yield Place.LABEL, Place.LABEL, full.removeprefix(PREFIX), text
    for variable, text, container in _variables(pod):
        name = _KEY_OF_VARIABLE.get(variable, variable)
        yield Place.VARIABLE, f"environment variable of container {container}", name, text
    for full, text in pods.annotations(namespace or {}).items():
        if full.startswith(PREFIX):
            yield Place.NAMESPACE, Place.NAMESPACE, full.removeprefix(PREFIX), text
    if profile is not None:
        for name, text in profile.values.items():
            yield Place.PROFILE, f"profile {profile.name}", name, text


def _variables(pod: JsonObject) -> Iterator[tuple[str, str, str]]:
    """GRACEKEEPER_* variables with a literal value: of the default container, else of the first that sets each."""
    heard: set[str] = set()
    for container in pods.containers_default_first(pod):
        for entry in container.get("env") or ():
            name = entry.get("name", "")
            if name.startswith(ENVIRONMENT_PREFIX) and not name.startswith(SERVER_ENVIRONMENT_PREFIX):
                text = entry.get("value")
                if text and name not in heard:
                    heard.add(name)
                    yield name, text, brevity.short(container.get("name", ""), _LONGEST_NAME)


def _read(place: Place, origin: str, name: str, text: Any, *, look_for_meant: bool = True) -> Stated | Ignored:
    key = KEYS.get(name)
    quoted = str(text)[:_LONGEST_QUOTE]
    if key is None:
        meant = _meant(name) if look_for_meant and len(name) <= _LONGEST_NAME else ""
        return Ignored(origin, brevity.short(name, _LONGEST_NAME), quoted, f"no such key{meant}")
    if key.namespace_only and place is not Place.NAMESPACE:
        return Ignored(origin, name, quoted, "only a Namespace annotation can say this")
    if not isinstance(text, str):
        return Ignored(origin, name, quoted, "not a string, quote it", f'"{quoted}"')
    try:
        return Stated(key.read(text), place, origin)
    except quantity.UnreadableError as why:
        return Ignored(origin, name, quoted, str(why), key.example)


def _meant(name: str) -> str:
    """The key that is spelled most like an unknown one, as a question; empty where none is."""
    close = get_close_matches(name.lower().removeprefix("gracekeeper_").replace("_", "-"), KEYS, n=1)
    return f", meant {close[0]}?" if close else ""
