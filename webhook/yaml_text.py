"""YAML and JSON texts as the values in them, and where these stand; the only module that knows PyYAML.

Law: a text costs what its length says. Nesting and aliases are counted before anything is built of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

Place = Sequence[str | int]
Node = yaml.Node

_MOST_LEVELS = 100
"""The schemas in CustomResourceDefinitions have some dozens."""
_MOST_ADDED = 100_000
"""Values that aliases stand for, in all: two thousand times a container of 50. What is written out is not counted."""
_LETTERS = 100
"""Of a text that count as one value more."""
_MOST_BITS = 64
"""Kubernetes has no longer whole numbers, and Python prints none that are endless."""


class NotYamlError(Exception):
    """A text that cannot be read; the message is one line that says where."""


class _Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: a date is a text, and what JSON cannot hold is refused."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # as PyYAML declares it
        letter: [(tag, expression) for tag, expression in resolvers if not tag.endswith(":timestamp")]
        for letter, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }

    def whole_number(self, node: yaml.ScalarNode) -> int:
        number: int = self.construct_yaml_int(node)
        if number.bit_length() > _MOST_BITS:
            raise yaml.constructor.ConstructorError(None, None, "a number of more than 64 bits", node.start_mark)
        return number


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.whole_number)
for _tag in ("timestamp", "binary", "omap", "pairs", "set"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _Loader.construct_undefined)  # type: ignore[type-var]  # of a base


def documents(text: str) -> list[Any]:
    """What each document of the text holds; NotYamlError where it cannot be read."""
    return [value_of(node) for node in _composed(text)]


def nodes(text: str) -> list[Node]:
    """The documents of a text, with the lines of their fields; NotYamlError where it cannot be read."""
    return list(_composed(text))


def _composed(text: str) -> Iterator[Node]:
    """One after the other: the nodes of a document take several times the room of its values."""
    try:
        _refuse_growth(text)
        yield from yaml.compose_all(text, _Loader)
    except yaml.YAMLError as error:
        raise _in_one_line(error) from None


def value_of(node: Node) -> Any:
    """What a document holds."""
    loader = _Loader("")
    try:
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise _in_one_line(error) from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        raise NotYamlError("not YAML: a value is not what its tag says") from None  # `!!int abc`, of which PyYAML trips
    finally:
        loader.dispose()


def dumped(value: Any) -> str:
    """The value as YAML, its fields in their order."""
    return str(yaml.safe_dump(value, sort_keys=False))


def _refuse_growth(text: str) -> None:
    """Refuse what is nested, or grows by its aliases, without end, by libyaml's events.

    To build the first, libyaml overflows the stack of the whole process; the second doubles with each line.
    """
    extent = _Extent()
    for event in yaml.parse(text, _Loader):
        extent.count(event)
        if extent.within_itself or len(extent.opened) > _MOST_LEVELS:
            raise NotYamlError(f"{_where(event.start_mark)}nested more than {_MOST_LEVELS} levels deep")
        if extent.added > _MOST_ADDED:
            raise NotYamlError(f"{_where(event.start_mark)}aliases stand for more than {_MOST_ADDED:,} values")


@dataclass(slots=True)
class _Extent:
    """How deep a text is at an event, and how many values its aliases stand for until there."""

    opened: list[tuple[str | None, int]] = field(default_factory=list)
    """Collections that have not ended: the anchor, and the size of all that came before."""
    size: int = 0
    added: int = 0
    within_itself: bool = False
    of_anchors: dict[str | None, int] = field(default_factory=dict)

    def count(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.CollectionStartEvent):
            self.opened.append((event.anchor, self.size))
            self.size += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = self.opened.pop()
            self.of_anchors[anchor] = self.size - before
        elif isinstance(event, yaml.ScalarEvent):
            self.of_anchors[event.anchor] = 1 + len(event.value) // _LETTERS
            self.size += self.of_anchors[event.anchor]
        elif isinstance(event, yaml.AliasEvent):
            added = self.of_anchors.get(event.anchor, 0)  # one that is not known is refused when it is read
            self.size += added
            self.added += added
            self.within_itself = event.anchor in (anchor for anchor, _ in self.opened)


def _in_one_line(error: yaml.YAMLError) -> NotYamlError:
    if isinstance(error, yaml.MarkedYAMLError):
        return NotYamlError(f"{_where(error.problem_mark)}not YAML: {error.problem}")
    return NotYamlError(f"not YAML: {' '.join(str(error).split())}")


def _where(mark: Any) -> str:
    return "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "


def holds_fields(node: Node) -> bool:
    """Whether it is fields and their values."""
    return isinstance(node, yaml.MappingNode)


def below(node: Node, part: str | int) -> tuple[int, Node] | None:
    """A field of fields or a member of a list, and its line; None where there is none."""
    if isinstance(node, yaml.MappingNode):
        pair = next((pair for pair in node.value if pair[0].value == str(part)), None)
        return None if pair is None else (pair[0].start_mark.line + 1, pair[1])
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    return None


def line_of(node: Node | None, place: Place) -> int:
    """The line of a field, or of the nearest one above it that is there; 1 for the file."""
    line = 1
    for part in place:
        pair = None if node is None else below(node, part)
        if pair is None:
            break
        line, node = pair
    return line


def stand_twice(node: Node | None, above: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], int]]:
    """Fields that a map has twice, of which YAML takes the last, each with the line of the second."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            here = (*above, str(key.value))
            if key.value in seen:
                yield here, key.start_mark.line + 1
            seen.add(str(key.value))
            yield from stand_twice(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from stand_twice(value, (*above, index))
