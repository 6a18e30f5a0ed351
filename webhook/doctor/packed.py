"""The objects of one kind, held as compact JSON: a tenth of the memory that they take as dictionaries.

An examination reads a list a few times, from its start to its end, so that unpacking each object anew costs little.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, overload

import orjson

from webhook.policy.pod.metadata import JsonObject


class PackedObjects(Sequence[dict[str, Any]]):
    """A list of objects. Each reading of an object gives a new dictionary."""

    def __init__(self, objects: Iterable[JsonObject] = ()) -> None:
        """Hold these objects."""
        self.packed: list[bytes] = [*objects.packed] if isinstance(objects, PackedObjects) else []
        if not self.packed:
            for each in objects:
                self.append(each)

    def append(self, manifest: JsonObject) -> None:
        """Hold one object more."""
        self.packed.append(orjson.dumps(manifest))

    def extend(self, objects: "PackedObjects") -> None:
        """Hold these objects too."""
        self.packed += objects.packed

    def without(self, word: str, is_out: Callable[[dict[str, Any]], bool]) -> "PackedObjects":
        """Return the objects but for those that are out. Only an object that holds the word is asked about."""
        sought, others = word.encode(), PackedObjects()
        others.packed = [each for each in self.packed if sought not in each or not is_out(orjson.loads(each))]
        return others

    def __len__(self) -> int:
        return len(self.packed)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(orjson.loads, self.packed)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...

    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(index, slice):
            return [orjson.loads(each) for each in self.packed[index]]
        packed: dict[str, Any] = orjson.loads(self.packed[index])
        return packed
