"""YAML and JSON texts as the objects in them, or one line on why they cannot be read."""

from collections.abc import Iterator
from typing import Any

import yaml

_MOST_LEVELS = 100
"""Of a file; the schemas in CustomResourceDefinitions have some dozens."""


class BadManifestError(Exception):
    """A file that holds no pod that could be created; the message is one line."""


def documents(text: str, name: str) -> list[dict[str, Any]]:
    """The objects of a YAML (or JSON) text, Lists unfolded; `name` is the file's, for messages."""
    try:
        _refuse_depth(text, name)
        loaded = [document for document in yaml.load_all(text, yaml.CSafeLoader) if document is not None]
    except yaml.MarkedYAMLError as error:
        raise BadManifestError(f"{name}:{_place(error.problem_mark)} not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise BadManifestError(f"{name}: not YAML: {' '.join(str(error).split())}") from None
    return [item for document in loaded for item in _unfolded(document, name)]


def _refuse_depth(text: str, name: str) -> None:
    """Refuse what is nested without end, by libyaml's events: to build it, libyaml overflows the stack of the whole process.

    Python's own loader does not, and takes ten times as long.
    """
    opened: list[str | None] = []
    for event in yaml.parse(text, yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append(event.anchor)
        elif isinstance(event, yaml.CollectionEndEvent):
            opened.pop()
        within_itself = isinstance(event, yaml.AliasEvent) and event.anchor in opened
        if within_itself or len(opened) > _MOST_LEVELS:
            raise BadManifestError(f"{name}:{_place(event.start_mark)} nested more than {_MOST_LEVELS} levels deep")


def _place(mark: Any) -> str:
    return "" if mark is None else f" line {mark.line + 1}, column {mark.column + 1}:"


def _unfolded(document: Any, name: str) -> Iterator[dict[str, Any]]:
    if not isinstance(document, dict):
        raise BadManifestError(f"{name}: a document is no Kubernetes object but {kind_of_value(document)}")
    if isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from _unfolded(item, name)
    else:
        yield document


def kind_of_value(value: Any) -> str:
    """What a value is, in words."""
    kinds = {bool: "a boolean", int: "a number", float: "a number", str: "a text", list: "a list", dict: "an object"}
    return kinds.get(type(value), f"a {type(value).__name__}")
