"""Changes of a pod's spec as plain data; `policy/patch.py` renders them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from webhook.policy.pod import SpecPosition
from webhook.policy.pod.metadata import JsonObject


@dataclass(frozen=True, slots=True)
class FieldEdit:
    """A field of a container that gets a new value."""

    position: SpecPosition
    container_name: str
    field: str
    value: Any


@dataclass(frozen=True, slots=True)
class VariableEdit:
    """An environment variable to add (`entry_index` None) or to replace."""

    position: SpecPosition
    container_name: str
    name: str
    value: str
    entry_index: int | None = None


@dataclass(frozen=True, slots=True)
class SpecChanges:
    """Changes by the positions of the pod that came in. What is removed or inserted goes last, from the end."""

    edits: tuple[FieldEdit, ...] = ()
    replaced: Mapping[SpecPosition, JsonObject] = field(default_factory=dict)
    removed: tuple[SpecPosition, ...] = ()
    appended: Mapping[str, tuple[JsonObject, ...]] = field(default_factory=dict)
    """New members of lists of the spec, by the list's name."""
    inserted: Mapping[SpecPosition, JsonObject] = field(default_factory=dict)
    """New members, each before the one at this position. A list that loses members gets none."""
