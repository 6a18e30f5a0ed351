"""One kind of object, kept in memory as a stream brings it.

Law: what was heard last stays in use while the API server is away; readers never wait and never see half a change.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from webhook.cluster.stream import Stream
from webhook.policy.pod.metadata import JsonObject

_Result = TypeVar("_Result")


@dataclass(slots=True)
class Watched(Stream):
    """The objects of one kind by name, or by namespace/name; they may be read from any thread."""

    objects: Mapping[str, JsonObject] = field(default_factory=dict, init=False)
    """Never changed, only replaced."""

    def take_list(self, objects: Mapping[str, Any]) -> None:
        """Replace all objects."""
        self.objects = objects

    def take_change(self, key: str, shortened: Any) -> None:
        """Keep it. Most changes (a node's heartbeat, a quota's use) are of nothing that is kept: readers need not look again."""
        if self.objects.get(key) != shortened:
            self.objects = {**self.objects, key: shortened}

    def take_removal(self, key: str, shortened: Any) -> None:  # noqa: ARG002  # nothing of it is kept
        """Keep it no longer."""
        self.objects = {other: held for other, held in self.objects.items() if other != key}


class Derived(Generic[_Result]):
    """What the objects of a kind tell together, found anew only when one has changed; may be read from any thread."""

    def __init__(self, watched: Watched, derive: Callable[[Mapping[str, JsonObject]], _Result]) -> None:
        self._watched = watched
        self._derive = derive
        self._derived: tuple[Mapping[str, JsonObject], _Result] | None = None

    def now(self) -> _Result:
        """Of the objects that are known at this moment."""
        objects, derived = self._watched.objects, self._derived
        if derived is None or derived[0] is not objects:
            self._derived = derived = (objects, self._derive(objects))
        return derived[1]
