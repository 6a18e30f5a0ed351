"""cluster-autoscaler's own arguments, as its Deployment writes them: one word or two, one dash or two, behind a shell too."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from webhook.policy.pod.metadata import JsonObject, metadata_of

_NAME = "cluster-autoscaler"
_MAXIMUM, _BY_PRIORITY = "max-graceful-termination-sec", "drain-priority-config"
DEFAULT_SECONDS = 600


@dataclass(frozen=True, slots=True)
class AutoscalerFlag:
    """One argument: its value, and the place of that in the Deployment."""

    value: str
    path: str
    """A JSON pointer to the word; empty where it is a part of a shell's line."""
    text: str
    """The word as it is written there."""


@dataclass(frozen=True, slots=True)
class Autoscaler:
    """One cluster-autoscaler that runs as a workload of the cluster."""

    kind: str
    namespace: str
    name: str
    maximum: AutoscalerFlag | None
    by_priority: AutoscalerFlag | None
    list_path: str
    """A JSON pointer to the list that takes another argument; empty where a shell's line is all there is."""

    @property
    def full_name(self) -> str:
        """Return namespace/name."""
        return f"{self.namespace}/{self.name}"

    def seconds_for(self, priority: int) -> int:
        """Return the most that a pod of this priority gets: by its group where groups are set, else by the maximum."""
        groups = _groups(self.by_priority)
        if groups:
            reached = [group for group in groups if group[0] <= priority]
            return (max(reached) if reached else min(groups))[1]
        text = "" if self.maximum is None else self.maximum.value
        return int(text) if text.isdecimal() else DEFAULT_SECONDS


def autoscaler_of(kind: str, manifest: JsonObject) -> Autoscaler | None:
    """Return the autoscaler that a Deployment or StatefulSet runs; None for any other."""
    metadata, pod = metadata_of(manifest), ((manifest.get("spec") or {}).get("template") or {}).get("spec") or {}
    for index, container in enumerate(pod.get("containers") or ()):
        image = str(container.get("image") or "").rpartition("/")[2]
        words = [*(container.get("command") or ()), *(container.get("args") or ())]
        if image.startswith(_NAME) or any(str(word).rpartition("/")[2] == _NAME for word in words):
            flags = {name: flag for name, flag in _flags(index, container) if name in {_MAXIMUM, _BY_PRIORITY}}
            return Autoscaler(
                kind,
                metadata.get("namespace", ""),
                metadata.get("name", ""),
                flags.get(_MAXIMUM),
                flags.get(_BY_PRIORITY),
                _list_path(index, container),
            )
    return None


def _list_path(index: int, container: Mapping[str, Any]) -> str:
    field = "args" if container.get("args") else "command"
    words = container.get(field) or ()
    is_of_shell = any(len(str(word).split()) > 1 for word in words)
    return "" if is_of_shell or not words else f"/spec/template/spec/containers/{index}/{field}"


def _flags(index: int, container: Mapping[str, Any]) -> Iterator[tuple[str, AutoscalerFlag]]:
    """Yield the arguments with their values."""
    words = [
        (part, f"/spec/template/spec/containers/{index}/{field}/{position}" if len(parts) == 1 else "")
        for field in ("command", "args")
        for position, word in enumerate(container.get(field) or ())
        for parts in [_words_in(str(word))]
        for part in parts
    ]
    for (word, path), (following, path_of_following) in pairwise([*words, ("", "")]):
        name, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("-"):
            continue
        yield (
            name,
            AutoscalerFlag(value, path, word) if equals else AutoscalerFlag(following, path_of_following, following),
        )


def _words_in(text: str) -> list[str]:
    """Return the words of a shell's line; a word without spaces is itself."""
    if not any(letter.isspace() for letter in text):
        return [text]
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _groups(flag: AutoscalerFlag | None) -> list[tuple[int, int]]:
    """Return priority and seconds of each group of `10000:20,0:60`."""
    pairs = (pair.partition(":") for pair in ("" if flag is None else flag.value).split(","))
    return [
        (int(priority), int(seconds))
        for priority, _, seconds in pairs
        if priority.strip().lstrip("-").isdecimal() and seconds.strip().isdecimal()
    ]
