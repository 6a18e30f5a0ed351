"""Changes of a pod's spec as plain data; `policy/patch.py` renders them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from webhook.policy.facts import JsonObject

Place = tuple[str, int]
"""A list of the pod's spec (`containers`, `initContainers`) and a position in it."""


@dataclass(frozen=True, slots=True)
class FieldEdit:
    """A field of a container that gets a new value."""

    place: Place
    field: str
    value: Any


@dataclass(frozen=True, slots=True)
class Conversion:
    """Changes by the positions of the pod that came in; what is removed goes last, from the end."""

    edits: tuple[FieldEdit, ...] = ()
    replaced: Mapping[Place, JsonObject] = field(default_factory=dict)
    removed: tuple[Place, ...] = ()
    appended: Mapping[str, tuple[JsonObject, ...]] = field(default_factory=dict)
    """New members of lists of the spec, by the list's name."""
